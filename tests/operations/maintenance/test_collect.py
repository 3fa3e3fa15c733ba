import os
import shutil

import pytest

import registry
from registry.errors import Busy
from registry.home.home import Home
from registry.operations.shared import staging
from tests.support import plain
from tests.support.forked import forked


def blobs(reg):
    return {path.name for path in (reg.home.root / "blobs").rglob("*") if path.is_file()}


def test_what_a_version_needs_stays(registered):
    before = blobs(registered)

    collected = registered.collect(older_than=0)

    assert collected.blobs == 0
    assert blobs(registered) == before
    assert any("minilm@1" in kept.why for kept in collected.kept)


def test_a_deleted_version_frees_its_files_but_not_what_the_journal_needs(registered):
    version = registered.resolve("medical@1")
    weights = next(
        file
        for file in registered.show("medical@1").files
        if file.path == "adapter_model.safetensors"
    )
    registered.delete("medical@1")

    collected = registered.collect(older_than=0)

    assert collected.size >= weights.size
    assert weights.digest.hex not in blobs(registered)
    assert {version.digest.hex, version.facts.hex} <= blobs(registered)


def test_a_file_shared_with_another_version_stays(registered, tmp_path):
    registered.add(plain.base(tmp_path / "same"), "twin")
    registered.delete("twin@1")

    registered.collect(older_than=0)

    assert registered.home.blobs.verify(registered.show("minilm@1").files[0].digest)


def test_young_bytes_stay(reg):
    digest = reg.home.blobs.add(b"just arrived")

    collected = reg.collect()

    assert collected.young == len(b"just arrived")
    assert reg.home.blobs.has(digest)


def test_a_dry_run_tells_and_frees_nothing(reg):
    digest = reg.home.blobs.add(b"nobody needs this")

    told = reg.collect(older_than=0, dry_run=True)

    assert (told.blobs, told.size) == (1, len(b"nobody needs this"))
    assert reg.home.blobs.has(digest)


def test_what_died_on_its_way_in_goes(reg):
    left = reg.home.root / "staging" / ("0" * 32)
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half a file")

    collected = reg.collect(older_than=0)

    assert collected.staging == len(b"half a file")
    assert not left.exists()


def test_what_somebody_put_into_staging_stays_and_audit_names_it(reg):
    mine = reg.home.root / "staging" / "note.txt"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    os.utime(mine, (0, 0))

    collected = reg.collect(older_than=0)

    assert collected.staging == 0
    assert mine.read_text() == "mine"
    assert [finding.name for finding in reg.audit().findings] == ["stray-file"]


@pytest.mark.parametrize("prefix", staging.PREFIXES)
def test_every_folder_that_is_made_in_staging_is_known_as_ours(reg, prefix):
    with staging.staging(reg.home, prefix) as folder:
        assert folder.parent == reg.home.root / "staging"
        assert staging.is_ours(folder.name)


def test_a_staged_blob_is_known_as_ours(reg):
    with reg.home.backend.stage():
        (staged,) = (reg.home.root / "staging").iterdir()
        assert staging.is_ours(staged.name)


def test_the_checkout_of_a_deleted_version_goes(registered):
    folder = registered.checkout("medical@1").folder
    registered.delete("medical@1")

    collected = registered.collect()

    assert collected.checkouts == 1
    assert not folder.exists()


def lose_marker(folder):
    shutil.rmtree(folder / ".registry")


@pytest.mark.parametrize(
    "damage", [lambda folder: None, lose_marker], ids=["whole", "without its marker"]
)
def test_a_file_that_somebody_left_in_the_checkout_of_a_deleted_version_stays(copied, damage):
    folder = copied.checkout("minilm@1").folder
    (folder / "out").mkdir()
    (folder / "out" / "result").write_text("mine")
    damage(folder)
    copied.delete(["medical@1", "minilm-medical@1"])
    usage = copied.du("minilm@1")[0]
    gone = copied.delete("minilm@1")

    whole, told, collected = (
        copied.du()[-1],
        copied.collect(dry_run=True),
        copied.collect(older_than=0),
    )

    assert (folder / "out" / "result").read_text() == "mine"
    assert (
        usage.checkouts
        == gone.checkouts
        == told.checkouts
        == collected.checkouts
        == collected.checkouts_size
        == 0
    )
    assert (
        whole.details["of those, kept for what is not a version's"]
        == whole.details["checkouts that nobody uses"]
        > 0
    )
    assert [
        any(str(folder) in item.why for item in result.kept) for result in (told, collected)
    ] == [True, True]
    assert any(
        f"{str(folder)!r} holds what is not the version's" in line for line in copied.warnings
    )
    assert copied.audit(full=True).findings == ()


@pytest.mark.parametrize("name", ["config.json", "a whole"])
def test_what_somebody_wrote_over_a_checkout_of_a_deleted_version_stays(copied, name):
    folder = copied.checkout("medical@1").folder
    mine = folder / "adapter_config.json"
    if name == "a whole":
        shutil.rmtree(folder)
        mine = folder
    else:
        mine.chmod(0o644)
    mine.write_text("mine")
    copied.delete("medical@1")

    assert copied.collect(older_than=0).checkouts == 0
    assert mine.read_text() == "mine"


def test_a_checkout_without_its_marker_goes_if_all_in_it_is_the_versions(copied):
    folder = copied.checkout("minilm@1").folder
    lose_marker(folder)
    copied.delete(["medical@1", "minilm-medical@1", "minilm@1"])

    assert copied.collect(older_than=0).checkouts == 1
    assert not folder.exists()


def test_a_file_that_was_left_where_the_home_lay_before_stays(copied, tmp_path):
    folder = copied.checkout("medical@1").folder
    (folder / "result").write_text("mine")
    copied.close()
    copied.settings.home.rename(tmp_path / "there")
    with registry.open(tmp_path / "there") as moved:
        moved.checkout("medical@1")
        collected = moved.collect(older_than=0)

    assert collected.checkouts == 1  # the base's
    assert (tmp_path / "there" / "checkouts" / folder.name / "result").read_text() == "mine"


BUSY = 7


def taken_alone(reg):
    try:
        with Home.open(reg.settings).store_lock.exclusive(timeout=0.2):
            return 0
    except Busy:
        return BUSY


def test_collect_waits_for_whoever_adds(reg, tmp_path):
    other = Home.open(reg.settings)
    with other.store_lock.shared(timeout=1.0):
        assert forked(lambda: taken_alone(reg)) == BUSY
    assert forked(lambda: taken_alone(reg)) == 0


def test_a_deleted_version_still_folds_after_collect(registered):
    registered.delete("medical@1")
    registered.collect(older_than=0)
    registered.close()
    for path in (registered.settings.home / "catalog").iterdir():
        path.unlink()

    assert [model.name for model in registered.list()] == ["minilm", "minilm-medical"]
    with pytest.raises(LookupError):
        registered.resolve("medical@1")


def test_what_somebody_put_among_the_checkouts_stays(copied):
    mine = copied.settings.home / "checkouts" / "mine"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")

    collected = copied.collect(older_than=0)

    assert collected.checkouts == 0
    assert (mine / "notes.txt").read_text() == "mine"
