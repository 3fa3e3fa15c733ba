"""audit: each kind of damage is found, named, and tells the versions it concerns; a whole registry has no findings."""

from __future__ import annotations

import itertools
import shlex
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from registry.core.entry import Annotate, Delete, Entry, now, parse
from registry.core.text import plain
from registry.errors import BrokenChain
from registry.home.home import Home
from tests.operations.maintenance.audit.damage import (
    blob,
    catalog_file,
    entry_file,
    flipped,
    names,
    overwrite,
    place_of,
)
from tests.support.refusals import raises


def edit(reg, sql: str) -> None:
    """Change the catalog as somebody with sqlite3 would."""
    reg.close()
    with sqlite3.connect(catalog_file(reg)) as connection:
        connection.execute(sql)
    connection.close()


def test_a_registry_that_is_what_it_says_has_no_findings(copied):
    copied.checkout("medical@1")
    copied.alias("medical@1", "prod")
    copied.annotate("medical@1", {"owner": "anna"})

    audited = copied.audit(full=True)

    assert audited.findings == ()
    assert (audited.entries, audited.head.number) == (6, 6)
    assert audited.size == sum(stat.size for _, stat in copied.home.blobs.all())


def test_an_audit_changes_nothing_and_does_not_bring_the_catalog_up(copied):
    head = copied.audit().head
    home = copied.home
    home.journal.append(
        Entry(
            head.number + 1, "f" * 32, now(), "me", Annotate("medical", 1, {"a": "b"}), head.digest
        )
    )
    copied.close()
    before = {path: path.read_bytes() for path in copied.settings.home.rglob("*") if path.is_file()}

    audited = copied.audit()

    assert audited.findings == ()
    assert any("as of entry 4" in note for note in audited.notes)
    copied.close()
    after = {path: path.read_bytes() for path in copied.settings.home.rglob("*") if path.is_file()}
    assert {
        path: content for path, content in after.items() if not path.name.endswith(("-shm", "-wal"))
    } == {
        path: content
        for path, content in before.items()
        if not path.name.endswith(("-shm", "-wal"))
    }
    copied.list()
    assert names(copied) == []


@pytest.mark.parametrize("full", [False, True])
def test_a_deleted_blob_is_found_with_the_versions_that_need_it(copied, full):
    blob(copied, "model.safetensors", "minilm-medical@1").unlink()

    (finding,) = copied.audit(full=full).findings

    assert finding.name == "blob-missing"
    assert "model.safetensors of minilm-medical@1" in finding.what
    assert finding.versions == ("minilm-medical@1", "medical@1")
    assert "registry repair" in finding.mend


def test_a_blob_that_grew_is_found_without_reading_it(copied):
    place = blob(copied, "adapter_model.safetensors")
    overwrite(place, place.read_bytes() + b"\0")

    (finding,) = copied.audit().findings

    assert (finding.name, finding.versions) == ("blob-size", ("medical@1",))


def test_a_flipped_bit_in_a_weights_file_is_found_by_reading_it(copied):
    place = blob(copied, "adapter_model.safetensors")
    overwrite(place, flipped(place.read_bytes(), 700))

    assert names(copied) == []
    assert names(copied, full=True) == ["blob-damaged"]


def test_two_blobs_swapped_are_found(copied):
    one, two = (
        blob(copied, "adapter_model.safetensors"),
        blob(copied, "model.safetensors", "minilm@1"),
    )
    first, second = one.read_bytes(), two.read_bytes()
    overwrite(one, second)
    overwrite(two, first)

    assert names(copied) == ["blob-size", "blob-size"]
    assert names(copied, full=True) == ["blob-size", "blob-size"]


def test_two_blobs_of_one_size_swapped_are_found_by_reading_them(copied):
    files = {
        file.digest: file.size
        for name in ("minilm@1", "minilm-medical@1", "medical@1")
        for file in copied.show(name).files
    }
    one, two = next(
        (place_of(copied, one), place_of(copied, two))
        for one, two in itertools.combinations(files, 2)
        if files[one] == files[two]
    )
    first, second = one.read_bytes(), two.read_bytes()
    overwrite(one, second)
    overwrite(two, first)

    assert names(copied) == []
    assert names(copied, full=True) == ["blob-damaged", "blob-damaged"]


def test_a_renamed_blob_is_found_twice_where_it_is_missing_and_where_it_lies(copied):
    place = blob(copied, "adapter_model.safetensors")
    place.rename(place.with_name("model.safetensors"))

    assert names(copied) == ["blob-missing", "blob-stray"]


def test_a_blob_in_another_blobs_folder_is_found(copied):
    place = blob(copied, "adapter_model.safetensors")
    other = place.parent.parent / ("00" if place.parent.name != "00" else "01")
    other.mkdir(exist_ok=True)
    shutil.copy(place, other / place.name)

    assert names(copied) == ["blob-stray"]


def test_an_added_blob_is_told_and_is_no_fault(copied):
    copied.home.blobs.add(b"left behind by a crash")

    audited = copied.audit()

    assert audited.findings == ()
    assert "1 blob, 22 bytes, needed by no version" in audited.notes[0]


@pytest.mark.parametrize(
    "place",
    [
        "journal/two words; ls",
        "journal/my notes.txt",
        "journal/00000000000000000002.json.bak",
        "catalog/other.db",
        "checkouts/notes.txt",
        "local/notes.txt",
        "staging/notes.txt",
    ],
)
def test_a_file_that_is_no_part_of_a_registry_is_found(copied, place):
    (copied.settings.home / place).parent.mkdir(exist_ok=True)
    (copied.settings.home / place).write_text("mine")

    (finding,) = copied.audit().findings

    assert finding.name in ("stray-file", "journal-stray")
    assert Path(place).name in finding.what
    assert shlex.split(finding.mend)[-1] == str(copied.settings.home / place)


def test_a_number_that_no_entry_can_have_is_a_stray_and_is_not_counted_up_to(copied):
    file = copied.settings.home / "journal" / f"{10**20 - 1}.json"
    file.write_text("{}")

    (finding,) = copied.audit().findings
    with raises(BrokenChain, str(file), "registry repair"):
        copied.repair()

    assert finding.name == "journal-stray" and file.name in finding.what
    file.unlink()
    assert copied.audit().findings == ()


@pytest.mark.parametrize("folder", ["journal", "checkouts"])
def test_what_mends_a_name_with_a_line_end_is_of_that_file_and_no_other(copied, folder):
    home = copied.settings.home
    (home / folder).mkdir(exist_ok=True)
    (home / folder / "a\nb").write_text("mine")
    (finding,) = copied.audit().findings
    (home / folder / "a\\nb").write_text("another's")

    subprocess.run(["bash", "-c", plain(finding.mend)], check=True)

    assert [path.name for path in (home / folder).iterdir() if path.name.startswith("a")] == [
        "a\\nb"
    ]


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize(
    "place",
    [
        "journal/old",
        "journal/00000000000000000099.json",
        "blobs/old",
        "blobs/sha256/zz",
        "blobs/sha256/ab/old",
        "catalog/old",
        "checkouts/old",
        "local/old",
    ],
)
def test_a_folder_that_is_no_part_of_a_registry_is_found_once_empty_or_not(copied, place, filled):
    folder = copied.settings.home / place
    folder.mkdir(parents=True)
    (folder / "file").write_text("mine") if filled else None

    (finding,) = copied.audit().findings

    assert finding.name in ("stray-file", "journal-stray", "blob-stray")
    assert f"{place!r}" in finding.what
    assert shlex.split(finding.mend.partition(";")[0]) == ["rm", "-r", str(folder)]


def test_what_lies_beside_the_registry_in_its_home_is_told_and_is_no_fault(copied):
    (copied.settings.home / "my notes.txt").write_text("mine")
    (copied.settings.home / "old").mkdir()

    audited = copied.audit(full=True)

    assert audited.findings == ()
    assert audited.notes == (
        "the home also holds what is no part of a registry, and nothing here reads: 'my notes.txt', 'old'",
    )


@pytest.mark.parametrize(
    "place", ["", "journal", "blobs", "blobs/sha256", "catalog", "checkouts", "local"]
)
def test_what_a_desktop_leaves_in_every_folder_is_passed_over(copied, place):
    copied.checkout("medical@1")
    copied.config("user.name", "anna")
    (copied.settings.home / place / ".DS_Store").write_bytes(b"Bud1")

    audited = copied.audit(full=True)

    assert (audited.findings, audited.notes) == ((), ())


def test_a_link_to_a_folder_is_found_and_nothing_behind_it(copied, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (copied.settings.home / "journal" / "link").symlink_to(tmp_path / "mine")

    assert [finding.what for finding in copied.audit().findings] == ["'journal/link' is no entry"]


def test_what_registry_itself_keeps_in_its_home_is_nobody_elses(copied, kept):
    copied.config("user.name", "anna")
    copied.checkout("medical@1")
    copied.add(kept / "medical", "again")
    (copied.settings.home / "blobs" / "sha256" / "00").mkdir(exist_ok=True)
    (copied.settings.home / "local" / "set-aside-0123abcd").mkdir()

    assert copied.audit(full=True).findings == ()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(flipped(path.read_bytes(), 40)), "entry-damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), "entry-damaged"),
        (lambda path: path.unlink(), "entry-missing"),
    ],
)
def test_a_damaged_or_missing_entry_is_found_with_the_versions_after_it(copied, damage, said):
    entry_file(copied, 3).chmod(0o644)
    damage(entry_file(copied, 3))

    audited = copied.audit()

    assert audited.findings[0].name == said
    assert set(audited.findings[0].versions) == {"minilm-medical@1", "medical@1"}
    assert audited.head.number == 2


def test_an_entry_edited_with_its_digest_fixed_breaks_the_chain(copied):
    path = entry_file(copied, 3)
    entry = parse(path.read_bytes())
    overwrite(
        path, Entry(3, entry.id, entry.time, "somebody else", entry.body, entry.previous).to_bytes()
    )

    assert names(copied)[0] == "chain-broken"


def test_the_last_entry_edited_with_its_digest_fixed_is_told_by_the_catalog(copied):
    path = entry_file(copied, 4)
    entry = parse(path.read_bytes())
    overwrite(
        path, Entry(4, entry.id, entry.time, "somebody else", entry.body, entry.previous).to_bytes()
    )

    assert names(copied) == ["catalog-diverged"]


def test_two_entries_swapped_are_found(copied):
    third, fourth = entry_file(copied, 3).read_bytes(), entry_file(copied, 4).read_bytes()
    overwrite(entry_file(copied, 3), fourth)
    overwrite(entry_file(copied, 4), third)

    assert names(copied)[:2] == ["entry-damaged", "entry-damaged"]


def test_an_entry_taken_out_with_the_later_ones_moved_up_is_told_by_the_catalog(copied):
    second, fourth = (
        parse(entry_file(copied, 2).read_bytes()),
        parse(entry_file(copied, 4).read_bytes()),
    )
    overwrite(
        entry_file(copied, 3),
        Entry(3, fourth.id, fourth.time, fourth.by, fourth.body, second.digest).to_bytes(),
    )
    entry_file(copied, 4).unlink()

    (finding,) = copied.audit().findings

    assert (finding.name, finding.versions) == ("journal-truncated", ("medical@1",))


def test_an_entry_repeated_as_the_next_is_found(copied):
    last = parse(entry_file(copied, 4).read_bytes())
    entry_file(copied, 5).write_bytes(last.to_bytes())

    assert "entry-damaged" in names(copied)


def test_an_entry_repeated_under_a_number_of_its_own_is_found(copied):
    copied.annotate("medical@1", {"a": "b"})
    last = parse(entry_file(copied, 5).read_bytes())
    entry_file(copied, 6).write_bytes(
        Entry(6, last.id, last.time, last.by, last.body, last.digest).to_bytes()
    )

    assert "entry-repeated" in names(copied)


def test_an_entry_that_does_not_fold_is_found(copied):
    last = parse(entry_file(copied, 4).read_bytes())
    entry_file(copied, 5).write_bytes(
        Entry(5, "f" * 32, last.time, "me", Delete("nothing", 7), last.digest).to_bytes()
    )

    assert names(copied) == ["entry-refused"]


def test_a_truncated_journal_is_told_by_the_catalog(copied):
    entry_file(copied, 4).unlink()

    (finding, *others) = copied.audit().findings

    assert finding.name == "journal-truncated"
    assert finding.versions == ("medical@1",)
    assert others == []


def test_an_old_catalog_copied_back_is_behind(copied, tmp_path):
    copied.close()
    shutil.copytree(copied.settings.home / "catalog", tmp_path / "old")
    copied.annotate("medical@1", {"a": "b"})
    copied.close()
    shutil.rmtree(copied.settings.home / "catalog")
    shutil.copytree(tmp_path / "old", copied.settings.home / "catalog")

    audited = copied.audit()
    assert audited.findings == ()
    assert any("as of entry 4" in note for note in audited.notes)


def test_a_lost_catalog_is_told_and_any_command_heals_it(copied):
    copied.close()
    shutil.rmtree(copied.settings.home / "catalog")

    assert names(copied) == ["catalog-missing"]
    copied.list()
    assert names(copied) == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE versions SET message = 'trust me' WHERE name = 'medical'",
        "UPDATE entries SET by = 'somebody else' WHERE number = 3",
        "DELETE FROM files WHERE path = 'config.json'",
        "INSERT INTO aliases VALUES ('medical', 'prod', 1, NULL, 4, NULL)",
        "UPDATE facts SET width = 8.5",
        "UPDATE files SET path = CAST(path AS BLOB)",
    ],
)
def test_a_row_edited_by_hand_is_found(copied, sql):
    edit(copied, sql)

    assert set(names(copied)) == {"catalog-edited"}


def test_an_edited_row_of_a_version_names_it(copied):
    edit(
        copied,
        "UPDATE version_facts SET facts = manifest FROM versions AS v WHERE v.name = version_facts.name AND v.name = 'medical'",
    )

    (finding,) = copied.audit().findings

    assert (finding.name, finding.versions) == ("catalog-edited", ("medical@1",))
    assert finding.mend == "registry repair"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM aliases; END",
        "CREATE TABLE extra (x)",
        "DROP INDEX ix_files_digest",
        "PRAGMA user_version = 7",
        "PRAGMA application_id = 9",
        "UPDATE alembic_version SET version_num = '9999'",
    ],
)
def test_an_edited_schema_is_found(copied, sql):
    edit(copied, sql)

    assert names(copied) == ["schema-edited"]


def test_a_damaged_manifest_costs_its_version_and_says_nothing_against_the_catalog(copied):
    digest = copied.resolve("medical@1").digest
    place = copied.settings.home / "blobs" / "sha256" / digest.hex[:2] / digest.hex
    overwrite(place, flipped(place.read_bytes(), 10))

    (finding,) = copied.audit().findings

    assert (finding.name, finding.versions) == ("blob-damaged", ("medical@1",))
    assert "the manifest of medical@1" in finding.what


def test_facts_that_are_not_those_of_the_files_are_found(copied):
    home: Home = copied.home
    version = copied.resolve("medical@1")
    base = copied.resolve("minilm@1")
    from registry.core.entry import Register

    lie = Register("liar", 1, version.digest, base.facts)
    home.commit(lambda connection: lie)
    copied.delete("medical@1")

    assert names(copied) == []
    (finding,) = copied.audit(full=True).findings
    assert (finding.name, finding.versions) == ("facts-differ", ("liar@1",))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: shutil.rmtree(folder / ".registry"),
        lambda folder: (folder / ".registry" / "marker.json").write_text("{"),
        lambda folder: (shutil.rmtree(folder), folder.write_text("mine")),
    ],
    ids=["lost", "damaged", "a file"],
)
def test_what_a_load_would_not_take_for_a_checkout_is_found_in_its_place(copied, damage):
    folder = copied.checkout("minilm@1").folder
    damage(folder)

    (finding,) = copied.audit(full=True).findings

    assert (finding.name, finding.versions) == ("checkout-changed", ("minilm@1",))
    assert "it has no readable marker" in finding.what
    subprocess.run(finding.mend.partition(";")[0], shell=True, check=True)
    copied.checkout("minilm@1")
    assert copied.warnings == () and names(copied, full=True) == []


def test_a_checkout_changed_on_disk_is_found_whatever_its_stamp_says(copied):
    from registry.store.checkout import MARKER, Marker, read_marker

    folder = copied.checkout("minilm@1").folder
    config = folder / "config.json"
    marker = read_marker(folder)
    config.chmod(0o644)
    config.write_bytes(config.read_bytes().replace(b"gelu", b"relu"))
    found = config.stat()
    stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    files = {**marker.files, "config.json": (marker.files["config.json"][0], stamp)}
    (folder / MARKER).write_bytes(
        Marker(marker.manifest, marker.place, marker.line, files).to_bytes()
    )

    assert names(copied) == []
    assert names(copied, full=True) == ["checkout-changed"]
