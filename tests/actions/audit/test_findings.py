"""audit: each kind of damage is found, named, and tells the versions it concerns; a whole registry has no findings."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from registry.catalog.schema import newest
from registry.entry import Annotate, Delete, Entry, now, parse
from registry.errors import Corrupt, FolderNotFound, InvalidManifest, NewerFormat
from registry.home import Home


def names(reg, **options) -> list[str]:
    return [finding.name for finding in reg.audit(**options).findings]


def blob(reg, path: str, version: str = "medical@1") -> Path:
    digest = next(file.digest for file in reg.show(version).files if file.path == path)
    return reg.settings.home / "blobs" / "sha256" / digest.hex[:2] / digest.hex


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1:]


def entry_file(reg, number: int) -> Path:
    return reg.settings.home / "journal" / f"{number:020}.json"


def catalog_file(reg) -> Path:
    path = newest(reg.settings.home / "catalog")[1]
    assert path is not None
    return path


def edit(reg, sql: str) -> None:
    """Change the catalog as somebody with sqlite3 would."""
    reg.close()
    with sqlite3.connect(catalog_file(reg)) as connection:
        connection.execute(sql)
    connection.close()


def test_a_registry_that_is_what_it_says_has_no_findings(registered):
    registered.checkout("medical@1")
    registered.alias("medical@1", "prod")
    registered.annotate("medical@1", {"owner": "anna"})

    audited = registered.audit(full=True)

    assert audited.findings == ()
    assert (audited.entries, audited.head.number) == (6, 6)
    assert audited.size == sum(stat.size for _, stat in registered.home.blobs.all())


def test_an_audit_changes_nothing_and_does_not_bring_the_catalog_up(registered):
    head = registered.audit().head
    home = registered.home
    home.journal.append(Entry(head.number + 1, "f" * 32, now(), "me", Annotate("medical", 1, {"a": "b"}), head.digest))
    registered.close()
    before = {path: path.read_bytes() for path in registered.settings.home.rglob("*") if path.is_file()}

    (finding,) = registered.audit().findings

    assert finding.name == "catalog-behind"
    registered.close()
    after = {path: path.read_bytes() for path in registered.settings.home.rglob("*") if path.is_file()}
    assert {path: content for path, content in after.items() if not path.name.endswith(("-shm", "-wal"))} == {
        path: content for path, content in before.items() if not path.name.endswith(("-shm", "-wal"))}
    registered.list()
    assert names(registered) == []


@pytest.mark.parametrize("full", [False, True])
def test_a_deleted_blob_is_found_with_the_versions_that_need_it(registered, full):
    blob(registered, "model.safetensors", "minilm-medical@1").unlink()

    (finding,) = registered.audit(full=full).findings

    assert finding.name == "blob-missing"
    assert "model.safetensors of minilm-medical@1" in finding.what
    assert finding.versions == ("minilm-medical@1", "medical@1")
    assert "registry repair" in finding.mend


def test_a_blob_that_grew_is_found_without_reading_it(registered):
    place = blob(registered, "adapter_model.safetensors")
    overwrite(place, place.read_bytes() + b"\0")

    (finding,) = registered.audit().findings

    assert (finding.name, finding.versions) == ("blob-size", ("medical@1",))


def test_a_flipped_bit_in_a_weights_file_is_found_by_reading_it(registered):
    place = blob(registered, "adapter_model.safetensors")
    overwrite(place, flipped(place.read_bytes(), 700))

    assert names(registered) == []
    assert names(registered, full=True) == ["blob-damaged"]


def test_two_blobs_swapped_are_found(registered):
    one, two = blob(registered, "adapter_model.safetensors"), blob(registered, "model.safetensors", "minilm@1")
    first, second = one.read_bytes(), two.read_bytes()
    overwrite(one, second)
    overwrite(two, first)

    assert names(registered) == ["blob-size", "blob-size"]
    assert names(registered, full=True) == ["blob-size", "blob-size"]


def test_a_renamed_blob_is_found_twice_where_it_is_missing_and_where_it_lies(registered):
    place = blob(registered, "adapter_model.safetensors")
    place.rename(place.with_name("model.safetensors"))

    assert names(registered) == ["blob-missing", "blob-stray"]


def test_a_blob_in_another_blobs_folder_is_found(registered):
    place = blob(registered, "adapter_model.safetensors")
    other = place.parent.parent / ("00" if place.parent.name != "00" else "01")
    other.mkdir(exist_ok=True)
    shutil.copy(place, other / place.name)

    assert names(registered) == ["blob-stray"]


def test_an_added_blob_is_told_and_is_no_fault(registered):
    registered.home.blobs.add(b"left behind by a crash")

    audited = registered.audit()

    assert audited.findings == ()
    assert "1 blobs, 22 bytes, are needed by no version" in audited.notes[0]


@pytest.mark.parametrize("place", ["evil.py", "journal/notes.txt", "journal/00000000000000000002.json.bak", "catalog/other.db"])
def test_a_file_that_is_no_part_of_a_registry_is_found(registered, place):
    (registered.settings.home / place).write_text("mine")

    (finding,) = registered.audit().findings

    assert finding.name in ("stray-file", "journal-stray")
    assert Path(place).name in finding.what


@pytest.mark.parametrize(("damage", "said"), [
    (lambda path: path.write_bytes(flipped(path.read_bytes(), 40)), "entry-damaged"),
    (lambda path: path.write_bytes(path.read_bytes()[:50]), "entry-damaged"),
    (lambda path: path.unlink(), "entry-missing"),
])
def test_a_damaged_or_missing_entry_is_found_with_the_versions_after_it(registered, damage, said):
    entry_file(registered, 3).chmod(0o644)
    damage(entry_file(registered, 3))

    audited = registered.audit()

    assert audited.findings[0].name == said
    assert set(audited.findings[0].versions) == {"minilm-medical@1", "medical@1"}
    assert audited.head.number == 2


def test_an_entry_edited_with_its_digest_fixed_breaks_the_chain(registered):
    path = entry_file(registered, 3)
    entry = parse(path.read_bytes())
    overwrite(path, Entry(3, entry.id, entry.time, "somebody else", entry.body, entry.previous).to_bytes())

    assert names(registered)[0] == "chain-broken"


def test_the_last_entry_edited_with_its_digest_fixed_is_told_by_the_catalog(registered):
    path = entry_file(registered, 4)
    entry = parse(path.read_bytes())
    overwrite(path, Entry(4, entry.id, entry.time, "somebody else", entry.body, entry.previous).to_bytes())

    assert names(registered) == ["catalog-diverged"]


def test_two_entries_swapped_are_found(registered):
    third, fourth = entry_file(registered, 3).read_bytes(), entry_file(registered, 4).read_bytes()
    overwrite(entry_file(registered, 3), fourth)
    overwrite(entry_file(registered, 4), third)

    assert names(registered)[:2] == ["entry-damaged", "entry-damaged"]


def test_an_entry_repeated_as_the_next_is_found(registered):
    last = parse(entry_file(registered, 4).read_bytes())
    entry_file(registered, 5).write_bytes(last.to_bytes())

    assert "entry-damaged" in names(registered)


def test_an_entry_repeated_under_a_number_of_its_own_is_found(registered):
    registered.annotate("medical@1", {"a": "b"})
    last = parse(entry_file(registered, 5).read_bytes())
    entry_file(registered, 6).write_bytes(Entry(6, last.id, last.time, last.by, last.body, last.digest).to_bytes())

    assert "entry-repeated" in names(registered)


def test_an_entry_that_does_not_fold_is_found(registered):
    last = parse(entry_file(registered, 4).read_bytes())
    entry_file(registered, 5).write_bytes(Entry(5, "f" * 32, last.time, "me", Delete("nothing", 7), last.digest).to_bytes())

    assert names(registered) == ["entry-refused"]


def test_a_truncated_journal_is_told_by_the_catalog(registered):
    entry_file(registered, 4).unlink()

    (finding, *others) = registered.audit().findings

    assert finding.name == "journal-truncated"
    assert finding.versions == ("medical@1",)
    assert others == []


def test_an_old_catalog_copied_back_is_behind(registered, tmp_path):
    registered.close()
    shutil.copytree(registered.settings.home / "catalog", tmp_path / "old")
    registered.annotate("medical@1", {"a": "b"})
    registered.close()
    shutil.rmtree(registered.settings.home / "catalog")
    shutil.copytree(tmp_path / "old", registered.settings.home / "catalog")

    assert names(registered) == ["catalog-behind"]


def test_an_old_catalog_copied_back_over_a_truncated_journal_needs_a_receipt(registered, tmp_path):
    registered.close()
    shutil.copytree(registered.settings.home, tmp_path / "old")
    registered.annotate("medical@1", {"a": "b"})
    registered.audit(receipt=tmp_path / "head.json")
    registered.close()
    for part in ("journal", "catalog"):
        shutil.rmtree(registered.settings.home / part)
        shutil.copytree(tmp_path / "old" / part, registered.settings.home / part)

    assert names(registered) == []
    assert names(registered, against=tmp_path / "head.json") == ["journal-truncated"]


def test_a_lost_catalog_is_told_and_any_command_heals_it(registered):
    registered.close()
    shutil.rmtree(registered.settings.home / "catalog")

    assert names(registered) == ["catalog-missing"]
    registered.list()
    assert names(registered) == []


@pytest.mark.parametrize("sql", [
    "UPDATE versions SET message = 'trust me' WHERE name = 'medical'",
    "UPDATE entries SET by = 'somebody else' WHERE number = 3",
    "DELETE FROM files WHERE path = 'config.json'",
    "INSERT INTO aliases VALUES ('medical', 'prod', 1, NULL, 4, NULL)",
    "UPDATE facts SET width = 8.5",
    "UPDATE files SET path = CAST(path AS BLOB)",
])
def test_a_row_edited_by_hand_is_found(registered, sql):
    edit(registered, sql)

    assert set(names(registered)) == {"catalog-edited"}


def test_an_edited_row_of_a_version_names_it(registered):
    edit(registered, "UPDATE version_facts SET facts = manifest FROM versions AS v WHERE v.name = version_facts.name AND v.name = 'medical'")

    (finding,) = registered.audit().findings

    assert (finding.name, finding.versions) == ("catalog-edited", ("medical@1",))
    assert finding.mend == "registry repair"


@pytest.mark.parametrize("sql", [
    "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM aliases; END",
    "CREATE TABLE extra (x)", "DROP INDEX ix_files_digest", "PRAGMA user_version = 7", "PRAGMA application_id = 9",
    "UPDATE alembic_version SET version_num = '9999'",
])
def test_an_edited_schema_is_found(registered, sql):
    edit(registered, sql)

    assert names(registered) == ["schema-edited"]


def test_a_damaged_manifest_costs_its_version_and_says_nothing_against_the_catalog(registered):
    digest = registered.resolve("medical@1").digest
    place = registered.settings.home / "blobs" / "sha256" / digest.hex[:2] / digest.hex
    overwrite(place, flipped(place.read_bytes(), 10))

    (finding,) = registered.audit().findings

    assert (finding.name, finding.versions) == ("blob-damaged", ("medical@1",))
    assert "the manifest of medical@1" in finding.what


def test_facts_that_are_not_those_of_the_files_are_found(registered):
    home: Home = registered.home
    version = registered.resolve("medical@1")
    base = registered.resolve("minilm@1")
    from registry.entry import Register
    lie = Register("liar", 1, version.digest, base.facts)
    home.commit(lambda connection: lie)
    registered.delete("medical@1")

    assert names(registered) == []
    (finding,) = registered.audit(full=True).findings
    assert (finding.name, finding.versions) == ("facts-differ", ("liar@1",))


def test_a_checkout_changed_on_disk_is_found_whatever_its_stamp_says(registered):
    from registry.store.checkout import MARKER, Marker, read_marker
    folder = registered.checkout("minilm@1").folder
    config = folder / "config.json"
    marker = read_marker(folder)
    config.chmod(0o644)
    config.write_bytes(config.read_bytes().replace(b"gelu", b"relu"))
    found = config.stat()
    stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    files = {**marker.files, "config.json": (marker.files["config.json"][0], stamp)}
    (folder / MARKER).write_bytes(Marker(marker.manifest, marker.place, marker.line, files).to_bytes())

    assert names(registered) == []
    assert names(registered, full=True) == ["checkout-changed"]


def test_a_receipt_proves_that_nothing_before_it_was_rewritten(registered, tmp_path):
    registered.audit(receipt=tmp_path / "head.json")
    registered.annotate("medical@1", {"a": "b"})

    assert names(registered, against=tmp_path / "head.json") == []


def test_a_journal_written_anew_from_the_middle_on_is_told_by_the_receipt_alone(registered, tmp_path):
    registered.audit(receipt=tmp_path / "head.json")
    registered.close()
    previous = parse(entry_file(registered, 2).read_bytes()).digest
    for number in (3, 4):
        entry = parse(entry_file(registered, number).read_bytes())
        forged = Entry(number, entry.id, entry.time, "somebody else", entry.body, previous)
        overwrite(entry_file(registered, number), forged.to_bytes())
        previous = forged.digest
    shutil.rmtree(registered.settings.home / "catalog")
    registered.list()

    assert names(registered) == []
    assert names(registered, against=tmp_path / "head.json") == ["journal-rewritten"]


def test_a_receipt_of_another_registry_is_told(registered, tmp_path):
    import registry
    other = registry.init(tmp_path / "other")
    other.audit(receipt=tmp_path / "head.json")

    assert names(registered, against=tmp_path / "head.json") == ["journal-rewritten"]


def test_no_receipt_is_written_for_a_broken_journal(registered, tmp_path):
    entry_file(registered, 3).unlink()

    with pytest.raises(Corrupt, match="entry 3 of the journal is missing"):
        registered.audit(receipt=tmp_path / "head.json")

    assert not (tmp_path / "head.json").exists()


@pytest.mark.parametrize(("content", "error"), [
    (b"nonsense", InvalidManifest), (b'{"format":2}', NewerFormat), (b'{"format":1}', InvalidManifest), (b"[1]", InvalidManifest)])
def test_a_receipt_that_is_none_is_refused(registered, tmp_path, content, error):
    (tmp_path / "head.json").write_bytes(content)

    with pytest.raises(error, match="head.json"):
        registered.audit(against=tmp_path / "head.json")


def test_a_receipt_that_is_not_there_is_said(registered, tmp_path):
    with pytest.raises(FolderNotFound, match="no-such"):
        registered.audit(against=tmp_path / "no-such")
