from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection

from registry.catalog import queries
from registry.digest import Digest
from registry.entry import Delete, Register
from registry.errors import BlobNotFound

from ..writing import Journal, a_digest, a_journal, fold


def file_of(version: str) -> Digest:
    return a_digest(f"weights file {version}")


def test_a_file_is_needed_by_every_version_that_stands_on_it(catalog: Connection) -> None:
    marks = queries.marks(catalog)

    assert marks[file_of("minilm@1")] == ["copy@1", "medical@1", "medical@2", "medical@3", "merged@1", "minilm@1", "team/Med@1"]
    assert marks[file_of("medical@1")] == ["medical@1", "merged@1"]
    assert marks[file_of("medical@2")] == ["medical@2"]


def test_probes_and_vocabulary_are_needed_like_files(catalog: Connection) -> None:
    marks = queries.marks(catalog)

    assert marks[a_digest("probes 1")] == ["medical@1", "merged@1"]
    assert "minilm@1" in marks[a_digest("vocabulary ()")]
    assert "medical@1" in marks[a_digest("vocabulary ()")]


def test_nothing_needs_the_files_of_what_was_deleted(catalog: Connection) -> None:
    marks = queries.marks(catalog)

    assert file_of("medical@4") not in marks
    assert file_of("old@1") not in marks
    assert a_digest("probes 4") not in marks


def test_the_journal_needs_every_manifest_and_all_facts_for_ever(catalog: Connection, story: Journal) -> None:
    marks = queries.marks(catalog)
    registered = {
        digest
        for entry in story.entries
        if isinstance(entry.body, Register)
        for digest in (entry.body.manifest, entry.body.facts)
    }

    assert {digest for digest, who in marks.items() if who == ["journal"]} == registered


def test_ancestors_stay_whole_although_they_were_deleted(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    base = journal.register("base", 1, probes=a_digest("probes"))
    journal.register("adapter", 1, kind="adapter", parents=(("base", base.digest, "base@1"),))
    journal.write(Delete("base", 1))

    with journal.catalogs[0].reading() as connection:
        marks = queries.marks(connection)

    assert marks[a_digest("weights file base@1")] == marks[a_digest("probes")] == ["adapter@1"]


@pytest.mark.parametrize("what", ["manifest", "facts"])
def test_nothing_is_called_free_while_it_is_not_known_what_a_line_needs(tmp_path: Path, what: str) -> None:
    journal = a_journal(tmp_path / "first")
    base = journal.register("base", 1)
    journal.register("adapter", 1, kind="adapter", parents=(("base", base.digest, "base@1"),))
    lost = getattr(journal.entries[1].body, what)
    del journal.blobs[lost]

    with fold(journal, tmp_path / "again").reading() as connection:
        with pytest.raises(BlobNotFound) as caught:
            queries.marks(connection)
        partial = queries.marks(connection, partial=True)

    assert str(caught.value) == (
        f"the {what} of base@1, {lost}, could not be read, so nobody knows which files adapter@1 needs; "
        "to put that blob back: registry repair --from SOURCE"
    )
    assert a_digest("weights file adapter@1") in partial


def test_what_a_deleted_version_needed_need_not_be_known(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "first")
    lost = journal.register("gone", 1)
    journal.register("base", 1)
    journal.write(Delete("gone", 1))
    del journal.blobs[lost.digest]

    with fold(journal, tmp_path / "again").reading() as connection:
        marks = queries.marks(connection)

    assert marks[lost.digest] == ["journal"]
    assert marks[a_digest("weights file base@1")] == ["base@1"]
