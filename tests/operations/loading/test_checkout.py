import json
import shutil
from pathlib import Path

import pytest

import registry
from registry.errors import Invalid, InvalidPath, NotEmpty, ParentNotFound
from tests.support import plain
from tests.support.refusals import raises


def test_a_checkout_holds_the_registered_bytes(registered, line):
    folder = registered.checkout("minilm@1").folder

    for file in registered.show("minilm@1").files:
        assert (folder / file.path).read_bytes() == (line.base / file.path).read_bytes()


def test_an_adapters_checkout_names_the_checkout_of_its_base(registered):
    folder = registered.checkout("medical@1").folder

    config = json.loads((folder / "adapter_config.json").read_text())

    assert Path(config["base_model_name_or_path"]) == registered.checkout("minilm-medical@1").folder


def test_a_second_checkout_is_the_first(registered):
    first = registered.checkout("medical@1")

    second = registered.checkout("medical@1")

    assert first.fresh and not second.fresh
    assert first.folder == second.folder


def test_a_change_on_disk_is_noticed_and_made_good(registered):
    folder = registered.checkout("minilm@1").folder
    config = folder / "1_Pooling" / "config.json"
    good = config.read_bytes()
    config.chmod(0o644)
    config.write_bytes(
        good.replace(b'"pooling_mode_mean_tokens": true', b'"pooling_mode_mean_tokens": null')
    )

    again = registered.checkout("minilm@1")

    assert again.fresh
    assert config.read_bytes() == good
    assert any("changed on disk" in line for line in registered.warnings)


def test_a_file_dropped_into_a_checkout_is_noticed(registered):
    folder = registered.checkout("minilm@1").folder
    (folder / "adapter_config.json").write_text("{}")

    registered.checkout("minilm@1")

    assert not (folder / "adapter_config.json").exists()


def test_what_a_training_left_in_a_checkout_is_kept_and_the_warning_says_where(copied):
    folder = copied.checkout("medical@1").folder
    (folder / "output").mkdir()
    (folder / "output" / "r.txt").write_text("result")

    again = copied.checkout("medical@1")

    aside = folder.parent / f"{folder.name}-changed-1"
    assert again.fresh and not (folder / "output").exists()
    assert (aside / "output" / "r.txt").read_text() == "result"
    assert any(
        "output/r.txt was not there before" in line and str(aside) in line
        for line in copied.warnings
    )
    copied.delete("medical@1")
    assert any(str(aside) in kept.why for kept in copied.collect(older_than=0).kept)
    assert (aside / "output" / "r.txt").read_text() == "result"
    assert copied.audit(full=True).findings == ()


def test_a_checkout_whose_files_were_lost_leaves_nothing_aside(copied):
    folder = copied.checkout("medical@1").folder
    (folder / "adapter_model.safetensors").unlink()

    copied.checkout("medical@1")

    assert list(folder.parent.glob("*-changed-*")) == []


def test_force_keeps_what_is_no_checkouts_own(registered, tmp_path):
    registered.checkout("medical@1", tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("mine")

    registered.checkout("minilm@1", tmp_path / "out", force=True)

    assert (tmp_path / "out-changed-1" / "mine.txt").read_text() == "mine"
    assert any("out-changed-1" in line for line in registered.warnings)


def test_a_named_folder_holds_the_line(registered, tmp_path):
    done = registered.checkout("medical@1", tmp_path / "out")

    base = tmp_path / "out" / ".registry" / "base"
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert done.folder == tmp_path / "out"
    assert config["base_model_name_or_path"] == str(base)
    assert (base / "model.safetensors").is_file() and not (base / "model.safetensors").is_symlink()


def test_for_names_the_place_where_the_folder_will_lie(registered, tmp_path):
    registered.checkout("medical@1", tmp_path / "out", for_path="/app/model")

    assert (
        json.loads((tmp_path / "out" / "adapter_config.json").read_text())[
            "base_model_name_or_path"
        ]
        == "/app/model/.registry/base"
    )


def test_for_takes_an_absolute_path(registered, tmp_path):
    with raises(InvalidPath, "--for", "'app/model'"):
        registered.checkout("medical@1", tmp_path / "out", for_path="app/model")


@pytest.mark.parametrize(
    "place", ["home", "home/mine", "home/journal/mine", "home/checkouts/mine", "link/staging/mine"]
)
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_in_the_home_is_refused_and_not_made(registered, tmp_path, place, force):
    (tmp_path / "link").symlink_to("home")
    before = sorted(tmp_path.rglob("*"))

    with raises(Invalid, str(tmp_path / place)):
        registered.checkout("medical@1", tmp_path / place, force=force)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_with_files_is_refused_and_left_alone(registered, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    with pytest.raises(NotEmpty):
        registered.checkout("medical@1", tmp_path / "out", force=True)

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_force_replaces_a_checkout(registered, tmp_path):
    registered.checkout("medical@1", tmp_path / "out")
    with raises(NotEmpty, str(tmp_path / "out"), "--force"):
        registered.checkout("minilm@1", tmp_path / "out")

    registered.checkout("minilm@1", tmp_path / "out", force=True)

    assert not (tmp_path / "out" / "adapter_config.json").exists()
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_the_same_content_again_succeeds_and_changes_nothing(registered, tmp_path):
    registered.checkout("medical@1", tmp_path / "out")
    before = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*")}

    assert not registered.checkout("medical@1", tmp_path / "out").fresh
    assert {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*")} == before
    with raises(NotEmpty, str(tmp_path / "out")):
        registered.checkout("medical@1", tmp_path / "out", for_path="/app/model")
    (tmp_path / "out" / "adapter_model.safetensors").write_bytes(b"changed")
    with raises(NotEmpty, str(tmp_path / "out")):
        registered.checkout("medical@1", tmp_path / "out")


def test_editing_a_named_checkout_never_reaches_the_store(registered, tmp_path):
    registered.checkout("minilm@1", tmp_path / "out")
    weights = tmp_path / "out" / "model.safetensors"
    weights.write_bytes(b"\0" * weights.stat().st_size)

    assert all(
        registered.home.blobs.verify(file.digest) for file in registered.show("minilm@1").files
    )


def test_a_home_that_moved_checks_out_anew(registered, tmp_path):
    before = registered.checkout("medical@1").folder
    registered.close()
    shutil.move(registered.settings.home, tmp_path / "moved")

    moved = registry.open(tmp_path / "moved")
    after = moved.checkout("medical@1").folder

    assert after.name != before.name
    config = json.loads((after / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"].startswith(str(tmp_path / "moved"))


@pytest.mark.parametrize("for_path", [None, "/app/model"])
def test_a_checkout_added_again_is_what_it_was_wherever_it_was_moved(
    registered, tmp_path, for_path
):
    folder = registered.checkout("medical@1", tmp_path / "out", for_path=for_path).folder.rename(
        tmp_path / "moved"
    )

    added = registered.add(folder, "again", measure=False)

    assert added.digest == registered.resolve("medical@1").digest
    assert (added.parent, added.evidence) == (
        "minilm-medical@1",
        registered.show("medical@1").version.parents[0].evidence,
    )
    assert registered.add(folder, "medical", measure=False).already


def test_a_base_tampered_with_is_not_witnessed(registered, tmp_path):
    base = registered.checkout("minilm-medical@1", tmp_path / "work").folder
    adapter = plain.adapter(tmp_path / "trained", base, seed=6, added=("zorvaxin", "quelora"))
    pooling = base / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace("true", "false"))

    with raises(
        ParentNotFound,
        str(base),
        str(adapter),
        f"registry add {base} --as",
        f"registry add {adapter} --as",
        "--parent",
    ):
        registered.add(adapter, "trained")
