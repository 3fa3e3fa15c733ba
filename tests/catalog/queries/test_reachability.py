from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection

from registry.catalog import queries
from registry.core.digest import Digest
from registry.core.entry import Delete, Register
from tests.catalog.writing import Journal, a_digest, a_journal, fold


def file_of(version: str) -> Digest:
    return a_digest(f"weights file {version}")


def test_a_file_is_needed_by_every_version_that_stands_on_it(catalog: Connection) -> None:
    needs = queries.needs(catalog)

    assert sorted(needs.users_of(file_of("minilm@1"))) == [
        "copy@1",
        "medical@1",
        "medical@2",
        "medical@3",
        "merged@1",
        "minilm@1",
        "team/Med@1",
    ]
    assert sorted(needs.users_of(file_of("medical@1"))) == ["medical@1", "merged@1"]
    assert needs.users_of(file_of("medical@2")) == ["medical@2"]


def test_probes_and_vocabulary_are_needed_like_files(catalog: Connection) -> None:
    needs = queries.needs(catalog)

    assert sorted(needs.users_of(a_digest("probes 1"))) == ["medical@1", "merged@1"]
    assert {"minilm@1", "medical@1"} <= set(needs.users_of(a_digest("vocabulary ()")))


@pytest.mark.parametrize("blob", [file_of("medical@4"), file_of("old@1"), a_digest("probes 4")])
def test_nothing_needs_the_files_of_what_was_deleted(catalog: Connection, blob: Digest) -> None:
    needs = queries.needs(catalog)

    assert blob not in needs.blobs()
    assert needs.users_of(blob) == []


def test_the_journal_needs_every_manifest_and_all_facts_for_ever(
    catalog: Connection, story: Journal
) -> None:
    registered = {
        digest
        for entry in story.entries
        if isinstance(entry.body, Register)
        for digest in (entry.body.manifest, entry.body.facts)
    }

    assert set(queries.needs(catalog).journal) == registered
    assert set(queries.needs(catalog).blobs()) >= registered


def test_ancestors_stay_whole_although_they_were_deleted(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    base = journal.register("base", 1, probes=a_digest("probes"))
    journal.register("adapter", 1, kind="adapter", parents=(("base", base.digest, "base@1"),))
    journal.write(Delete("base", 1))

    with journal.catalogs[0].reading() as connection:
        needs = queries.needs(connection)

    assert (
        needs.users_of(a_digest("weights file base@1"))
        == needs.users_of(a_digest("probes"))
        == ["adapter@1"]
    )
    assert {a_digest("weights file base@1"), a_digest("probes")} <= set(needs.blobs())


@pytest.mark.parametrize("what", ["manifest", "facts"])
def test_what_a_line_needs_and_nobody_can_read_is_known_to_be_unknown(
    tmp_path: Path, what: str
) -> None:
    journal = a_journal(tmp_path / "first")
    base = journal.register("base", 1)
    journal.register("adapter", 1, kind="adapter", parents=(("base", base.digest, "base@1"),))
    lost = getattr(journal.entries[1].body, what)
    del journal.blobs[lost]

    with fold(journal, tmp_path / "again").reading() as connection:
        needs = queries.needs(connection)

    assert needs.unknown == {base.digest: f"the {what} of base@1, {lost},"}
    assert base.digest in needs.needed()
    assert a_digest("weights file adapter@1") in needs.blobs()


def test_what_a_deleted_version_needed_need_not_be_known(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "first")
    lost = journal.register("gone", 1)
    journal.register("base", 1)
    journal.write(Delete("gone", 1))
    del journal.blobs[lost.digest]

    with fold(journal, tmp_path / "again").reading() as connection:
        needs = queries.needs(connection)

    assert lost.digest in needs.journal
    assert lost.digest not in needs.needed()
    assert needs.users_of(a_digest("weights file base@1")) == ["base@1"]
