"""repair: the catalog from the journal, row for row; entries and blobs from wherever their digests still are; what nobody has is told."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

import registry
from registry.core.digest import canonical, digest_of
from registry.core.entry import Entry, parse
from registry.errors import CatalogDiverged, FolderNotFound, NewerFormat, StoreUnavailable
from registry.store.blobs import Blobs
from tests.operations.maintenance.audit.damage import (
    blob,
    catalog_file,
    dump,
    entry_file,
    flip,
    names,
    overwrite,
    place_of,
)
from tests.support.failing import FailingBackend
from tests.support.refusals import raises


def without_its_folders(reg) -> None:
    """Forget where the versions were added from."""
    (reg.settings.home / "local" / "sources.jsonl").unlink()


@pytest.fixture
def alone(copied):
    """A registry whose versions were added from folders that nobody knows any more."""
    without_its_folders(copied)
    return copied


def test_a_lost_catalog_comes_back_from_the_store_row_for_row(copied):
    before = dump(copied)
    copied.close()
    shutil.rmtree(copied.settings.home / "catalog")

    repaired = copied.repair()

    assert dump(copied) == before
    assert (repaired.entries, repaired.mended, repaired.lost) == (4, (), ())
    assert names(copied, full=True) == []


def test_the_new_catalog_is_a_generation_beside_the_old_which_stays(copied):
    old = catalog_file(copied)
    content = old.read_bytes()

    new = copied.repair().catalog

    assert new.name != old.name
    assert old.read_bytes() == content
    assert catalog_file(copied) == new


def test_an_edited_catalog_is_made_anew(copied):
    import sqlite3

    before = dump(copied)
    copied.close()
    with sqlite3.connect(catalog_file(copied)) as connection:
        connection.execute("DELETE FROM versions WHERE name = 'medical'")
    connection.close()
    assert names(copied) != []

    copied.repair()

    assert dump(copied) == before
    assert names(copied) == []


@pytest.mark.parametrize("path", ["adapter_model.safetensors", "adapter_config.json", "README.md"])
def test_a_damaged_file_comes_back_from_the_folder_it_was_added_from(copied, kept, path):
    flip(blob(copied, path))

    repaired = copied.repair()

    assert [Path(item.source).parent.name for item in repaired.mended] == [kept.name]
    assert names(copied, full=True) == []


def test_a_folder_that_was_changed_since_is_not_believed(copied, kept, tmp_path):
    folder = shutil.copytree(kept / "medical", tmp_path / "medical")
    without_its_folders(copied)
    (folder / "adapter_model.safetensors").write_bytes(b"other bytes")
    place = blob(copied, "adapter_model.safetensors")
    place.unlink()

    repaired = copied.repair([folder])

    assert repaired.mended == ()
    (lost,) = repaired.lost
    assert lost.versions == ("medical@1",)
    assert "adapter_model.safetensors of medical@1" in lost.what
    assert not place.exists()


def test_a_file_comes_back_from_a_folder_that_is_named(alone, kept):
    blob(alone, "model.safetensors", "minilm@1").unlink()

    repaired = alone.repair([kept / "base"])

    assert [item.source for item in repaired.mended] == [str(kept / "base")]
    assert names(alone, full=True) == []


def test_a_file_comes_back_from_a_checkout_of_this_home(alone):
    alone.checkout("minilm@1")
    flip(blob(alone, "config.json", "minilm@1"))

    repaired = alone.repair()

    assert [item.source for item in repaired.mended] == ["the checkouts of this registry"]
    assert names(alone, full=True) == []


def test_everything_comes_back_from_another_home(alone, kept):
    before = dump(alone)
    shutil.rmtree(alone.settings.home / "blobs")

    repaired = alone.repair([kept / "home"])

    assert repaired.lost == ()
    assert dump(alone) == before
    assert names(alone, full=True) == []


def test_everything_comes_back_from_a_bundle(alone, tmp_path):
    alone.bundle(output=tmp_path / "all.tar", everything=True)
    shutil.rmtree(alone.settings.home / "blobs")
    entry_file(alone, 3).unlink()

    repaired = alone.repair([tmp_path / "all.tar"])

    assert repaired.lost == ()
    assert names(alone, full=True) == []


def test_a_manifest_comes_back_from_the_rows_of_the_catalog(alone):
    digest = alone.resolve("medical@1").digest
    flip(place_of(alone, digest))

    repaired = alone.repair()

    assert [item.source for item in repaired.mended] == ["the rows of the catalog"]
    assert names(alone, full=True) == []


def test_facts_and_vocabulary_are_computed_from_the_files(alone):
    before = dump(alone)
    version = alone.resolve("medical@1")
    flip(place_of(alone, version.facts))
    place_of(alone, version.vocabulary).unlink()

    repaired = alone.repair()

    assert {item.source for item in repaired.mended} == {"the files of medical@1"}
    assert repaired.lost == ()
    assert dump(alone) == before
    assert names(alone, full=True) == []


def test_what_nobody_has_is_listed_with_all_versions_that_it_costs(alone):
    blob(alone, "model.safetensors", "minilm-medical@1").unlink()

    (lost,) = alone.repair().lost

    assert lost.versions == ("minilm-medical@1", "medical@1")
    assert names(alone) == ["blob-missing"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_lost_or_damaged_entry_comes_back_from_the_catalog(alone, number):
    content = entry_file(alone, number).read_bytes()
    entry_file(alone, number).unlink()
    alone.repair()
    assert entry_file(alone, number).read_bytes() == content

    flip(entry_file(alone, number))
    repaired = alone.repair()

    assert [item.what for item in repaired.mended] == [f"entry {number}"]
    assert entry_file(alone, number).read_bytes() == content
    assert names(alone) == []


def test_a_truncated_journal_gets_its_end_back_from_the_catalog(alone):
    ends = [entry_file(alone, number).read_bytes() for number in (3, 4)]
    for number in (3, 4):
        entry_file(alone, number).unlink()

    alone.repair()

    assert [entry_file(alone, number).read_bytes() for number in (3, 4)] == ends
    assert names(alone) == []


def test_an_entry_edited_with_its_digest_fixed_is_what_its_successor_says_again(alone):
    content = entry_file(alone, 3).read_bytes()
    entry = parse(content)
    overwrite(
        entry_file(alone, 3),
        Entry(3, entry.id, entry.time, "somebody else", entry.body, entry.previous).to_bytes(),
    )

    alone.repair()

    assert entry_file(alone, 3).read_bytes() == content


def test_a_last_entry_that_the_catalog_knows_otherwise_is_for_a_person_to_judge(alone):
    entry = parse(entry_file(alone, 4).read_bytes())
    edited = Entry(4, entry.id, entry.time, "somebody else", entry.body, entry.previous).to_bytes()
    overwrite(entry_file(alone, 4), edited)
    digest_of_edited = parse(edited).digest

    with raises(
        CatalogDiverged,
        "entry 4",
        entry.digest,
        digest_of_edited,
        "registry repair --accept-journal",
    ):
        alone.repair()
    with raises(
        CatalogDiverged,
        "entry 4",
        digest_of_edited[:19],
        "registry audit",
        "registry repair",
        "registry repair --accept-journal",
    ):
        alone.annotate("medical@1", {"a": "b"})
    repaired = alone.repair(accept_journal=True)

    assert repaired.entries == 4
    assert entry_file(alone, 4).read_bytes() == edited
    assert names(alone) == []


def test_a_catalog_of_another_journal_that_ends_earlier_is_another_story_too(alone, tmp_path):
    with registry.init(tmp_path / "other") as other:
        assert other.list() == ()
        stranger = catalog_file(other)
    mine = catalog_file(alone)
    alone.close()
    shutil.rmtree(mine.parent)
    mine.parent.mkdir()
    shutil.copy(stranger, mine)

    with raises(
        CatalogDiverged,
        "entry 1",
        parse(entry_file(alone, 1).read_bytes()).digest,
        "registry repair --accept-journal",
    ):
        alone.repair()

    assert alone.repair(accept_journal=True).entries == 4
    assert names(alone) == []


def test_a_truncated_journal_can_be_accepted_and_what_is_forgotten_is_told(alone):
    entry_file(alone, 4).unlink()

    repaired = alone.repair(accept_journal=True)

    assert (repaired.entries, repaired.forgotten) == (3, ("medical@1",))
    assert names(alone) == []
    alone.annotate("minilm@1", {"still": "works"})


def test_a_break_that_nobody_can_mend_costs_what_follows_and_is_set_aside_if_that_is_accepted(
    alone,
):
    alone.close()
    shutil.rmtree(alone.settings.home / "catalog")
    flip(entry_file(alone, 3))

    (lost,) = alone.repair().lost
    assert lost.versions == ("medical@1",)

    repaired = alone.repair(accept_journal=True)

    assert (repaired.entries, repaired.forgotten) == (2, ("medical@1",))
    assert [path.name for path in (alone.settings.home / "local").glob("set-aside-*/*")] != []
    assert names(alone) == []
    alone.annotate("minilm@1", {"still": "works"})


def test_a_source_that_is_none_is_said(copied, tmp_path):
    (tmp_path / "file").write_text("nothing")

    with raises(FolderNotFound, str(tmp_path / "file"), "--from"):
        copied.repair([tmp_path / "file"])


def test_a_damaged_catalog_is_healed_by_reading_and_said(copied):
    before = dump(copied)
    copied.close()
    damaged = catalog_file(copied)
    overwrite(damaged, b"this is no database at all" * 1000)

    assert [model.name for model in copied.list()] == ["medical", "minilm", "minilm-medical"]
    assert f"'{damaged.name}'" in copied.warnings[0]
    assert dump(copied) == before
    assert names(copied) == []


def test_a_catalog_that_is_ahead_of_its_journal_is_read_with_a_warning_and_not_written(copied):
    entry_file(copied, 4).unlink()

    assert copied.log()[0].entry == 4
    assert "the journal lacks it" in copied.warnings[0]
    with raises(
        CatalogDiverged,
        "entry 4",
        "registry audit",
        "registry repair",
        "registry repair --accept-journal",
    ):
        copied.annotate("medical@1", {"a": "b"})


@pytest.mark.parametrize("accept", [False, True])
def test_an_entry_of_a_newer_package_is_neither_mended_nor_set_aside(copied, accept):
    last = parse(entry_file(copied, 4).read_bytes())
    value = {
        "format": 99,
        "number": 5,
        "id": "0" * 32,
        "time": last.time,
        "by": "anna",
        "kind": "Wonder",
        "body": {},
        "previous": last.digest,
    }
    entry_file(copied, 5).write_bytes(canonical({**value, "digest": digest_of(canonical(value))}))

    with raises(NewerFormat, "entry 5", "99", "st-registry"):
        copied.repair(accept_journal=accept)

    assert entry_file(copied, 5).exists()
    assert not list((copied.settings.home / "local").glob("set-aside-*"))


def test_a_flipped_bit_that_makes_a_word_unknown_is_mended_as_damage(copied):
    whole = entry_file(copied, 2).read_bytes()
    entry_file(copied, 2).chmod(0o600)
    entry_file(copied, 2).write_bytes(whole.replace(b'"kind":"Register"', b'"kind":"Rdgister"'))

    copied.repair()

    assert entry_file(copied, 2).read_bytes() == whole


def test_an_entry_that_the_disk_does_not_give_does_not_cost_those_after_it(copied):
    copied.close()
    shutil.rmtree(copied.settings.home / "catalog")
    entry_file(copied, 2).unlink()
    entry_file(copied, 2).symlink_to("/proc/self/mem")  # reading it is an input/output error

    with raises(StoreUnavailable, str(entry_file(copied, 2)), os.strerror(errno.EIO).lower()):
        copied.repair(accept_journal=True)

    assert entry_file(copied, 3).exists()
    assert entry_file(copied, 4).exists()


def test_bytes_that_the_disk_does_not_give_stop_no_audit_and_no_repair(copied, kept):
    weights = blob(copied, "model.safetensors", "minilm@1")
    manifest = place_of(copied, copied.resolve("minilm@1").digest)
    for place in (weights, manifest):
        place.unlink()
        place.symlink_to("/proc/self/mem")

    assert {finding.name for finding in copied.audit(full=True).findings} & {
        "blob-damaged",
        "blob-size",
    }
    repaired = copied.repair([kept / "home"])

    assert repaired.lost == ()
    assert names(copied, full=True) == []


def test_a_full_disk_is_said_and_not_taken_for_a_source_that_has_nothing(alone, kept):
    weights = blob(alone, "model.safetensors", "minilm@1")
    weights.unlink()
    alone.home.blobs = Blobs(FailingBackend(alone.home.backend, 1, after=True))

    with raises(StoreUnavailable, "ENOSPC"):
        alone.repair([kept / "home"])

    assert not weights.exists()
    assert alone.repair([kept / "home"]).lost == ()
