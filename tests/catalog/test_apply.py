from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from registry.catalog import queries, schema
from registry.catalog.apply import apply
from registry.catalog.migrate import REVISION, file_name, packaged
from registry.catalog.reader import Catalog
from registry.core.digest import canonical, digest_of
from registry.core.entry import (
    Alias,
    Annotate,
    Body,
    Delete,
    Entry,
    Init,
    Probes,
    Publish,
    Register,
    Yank,
)
from registry.core.facts import Token
from registry.core.version import Version
from registry.errors import BrokenChain, DigestMismatch, EntryRefused, InvalidName, NewerFormat
from tests.catalog.writing import (
    Journal,
    a_digest,
    a_journal,
    a_manifest,
    fold,
    opened,
    some_facts,
    writing,
)
from tests.support.refusals import raises

TOKENS = (
    Token(100, "zorvaxin", special=True),
    Token(101, "mibrutan", single_word=True, normalized=True),
)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A line of three, and one of each other change."""
    journal = a_journal(tmp_path / "catalog")
    base = journal.register("minilm", 1)
    resized = journal.register(
        "minilm-med",
        1,
        kind="resized",
        tokens=TOKENS,
        parents=(("resized-from", base.digest, "minilm@1"),),
    )
    journal.register(
        "medical",
        1,
        kind="adapter",
        tokens=TOKENS,
        parents=(("base", resized.digest, "minilm-med@1"),),
        source={
            "command": "registry add",
            "metrics": {"mrr": "0.25"},
            "hub": {"repository": "org/medical", "commit": "a" * 40},
        },
        probes=a_digest("probes"),
        message="first",
        forced=("finite",),
        checkpoint=True,
    )
    journal.register(
        "medical",
        2,
        kind="adapter",
        tokens=TOKENS,
        parents=(("base", resized.digest, "minilm-med@1"),),
    )
    for body in (
        Alias("medical", "prod", 2, "go"),
        Annotate("medical", 2, {"mrr": "0.5", "owner": "anna"}),
        Annotate("medical", 2, {"owner": None}),
        Yank("medical", 1, "stale"),
        Alias("medical", "prod", None),
        Delete("medical", 2),
    ):
        journal.write(body)
    return journal


def rows(catalog: Catalog, table: sa.Table) -> list[tuple[object, ...]]:
    with catalog.reading() as connection:
        return catalog.dump(connection)[table.name]


def dump(catalog: Catalog) -> dict[str, list[tuple[object, ...]]]:
    with catalog.reading() as connection:
        return catalog.dump(connection)


def assert_refused(journal: Journal, body: Body, *quoted: str) -> None:
    """Assert that writing a body raises an error with these values and changes nothing."""
    before = dump(journal.catalogs[0])
    with raises(EntryRefused, *quoted):
        journal.write(body)
    assert dump(journal.catalogs[0]) == before


def version_of(catalog: Catalog, name: str, number: int) -> Version:
    with catalog.reading() as connection:
        found = queries.version(connection, name, number)
    assert found is not None
    return found


def test_two_folds_of_one_journal_are_equal_row_for_row(tmp_path: Path, journal: Journal) -> None:
    again = fold(journal, tmp_path / "again")

    assert dump(again) == dump(journal.catalogs[0])


def test_a_fold_fills_every_table_but_skipped(journal: Journal) -> None:
    found = {name for name, content in dump(journal.catalogs[0]).items() if content}

    assert found == set(schema.metadata.tables) - {"skipped"}


def test_what_changes_is_kept_as_intervals(journal: Journal) -> None:
    catalog = journal.catalogs[0]

    assert rows(catalog, schema.aliases) == [("medical", "prod", 2, "go", 6, 10)]
    assert rows(catalog, schema.yanks) == [("medical", 1, "stale", 9, None)]
    assert rows(catalog, schema.notes) == [
        ("medical", 2, "mrr", "0.5", 0.5, 7, 11),
        ("medical", 2, "owner", "anna", None, 7, 8),
    ]
    assert [(row[0], row[1], row[-2], row[-1]) for row in rows(catalog, schema.versions)] == [
        ("medical", 1, 4, None),
        ("medical", 2, 5, 11),
        ("minilm", 1, 2, None),
        ("minilm-med", 1, 3, None),
    ]


def test_probes_recorded_later_take_the_place_of_those_at_registration(journal: Journal) -> None:
    (catalog,) = journal.catalogs

    journal.write(Probes("medical", 1, a_digest("probes of another machine")))

    assert rows(catalog, schema.version_probes) == [
        ("medical", 1, a_digest("probes"), 4, 12),
        ("medical", 1, a_digest("probes of another machine"), 12, None),
    ]
    assert version_of(catalog, "medical", 1).probes == a_digest("probes of another machine")
    with catalog.reading() as connection:
        before = queries.version(connection, "medical", 1, at=11)
    assert before is not None
    assert before.probes == a_digest("probes")


def test_a_copy_is_known_from_where_a_version_came_from_and_from_where_it_was_put(
    journal: Journal,
) -> None:
    journal.write(
        Publish("medical", 1, "org/medical", "b" * 40, "v1", {"README.md": a_digest("card")})
    )
    journal.write(Publish("medical", 1, "other/medical", "c" * 40))
    journal.write(Delete("medical", 1))

    assert rows(journal.catalogs[0], schema.copies) == [
        ("medical", 1, "org/medical", "a" * 40, None, 4, 12),
        ("medical", 1, "org/medical", "b" * 40, "v1", 12, 14),
        ("medical", 1, "other/medical", "c" * 40, None, 13, 14),
    ]


def test_metrics_of_a_registration_can_be_compared_as_numbers(journal: Journal) -> None:
    assert rows(journal.catalogs[0], schema.metrics) == [
        ("medical", 1, "mrr", "0.25", 0.25, 4, None)
    ]


@pytest.mark.parametrize(
    "metrics", [None, 3, ["mrr"], {"mrr": 5, "map": {"k": "1"}, "ndcg": "0.5"}]
)
def test_a_source_of_another_form_folds_with_what_of_it_is_known(
    journal: Journal, metrics: object
) -> None:
    journal.register("medical", 3, source={"metrics": metrics, "hub": "org/medical"})

    kept = [row for row in rows(journal.catalogs[0], schema.metrics) if row[1] == 3]
    assert kept == (
        [("medical", 3, "ndcg", "0.5", 0.5, 12, None)] if isinstance(metrics, dict) else []
    )


def test_an_older_catalog_that_is_migrated_equals_the_fold(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "catalog")
    base = journal.register("minilm", 1, probes=a_digest("probes"))
    journal.register(
        "minilm",
        2,
        probes=a_digest("probes"),
        source={"hub": {"repository": "org/minilm", "commit": "a" * 40}},
    )
    journal.write(Delete("minilm", 2))
    journal.write(Alias("minilm", "prod", 1))
    (catalog,) = journal.catalogs
    folded = dump(catalog)
    catalog.close()
    engine = sa.create_engine(f"sqlite:///{catalog.path}")
    with engine.begin() as connection:
        downgrade(connection, "0001")
    engine.dispose()
    catalog.path.rename(catalog.path.with_name(file_name("0001", 1)))

    migrated = opened(tmp_path / "catalog")

    assert migrated.path.name == file_name(REVISION, 1)
    assert base.digest == version_of(migrated, "minilm", 1).digest
    assert dump(migrated) == folded


def downgrade(connection: sa.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(packaged().scripts))
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def test_a_token_list_and_weights_are_kept_once(journal: Journal) -> None:
    catalog = journal.catalogs[0]

    journal.write(
        Register("copy", 1, *(journal.entries[2].body.manifest, journal.entries[2].body.facts))
    )  # type: ignore[union-attr]

    assert [row[1:3] for row in rows(catalog, schema.tokens)] == [
        (100, "zorvaxin"),
        (101, "mibrutan"),
    ]
    assert len(rows(catalog, schema.weights)) == 4
    assert len(rows(catalog, schema.tensors)) == 8


def test_the_clock_never_goes_back_and_the_time_stays_what_was_said(journal: Journal) -> None:
    journal.write(Yank("minilm", 1, "late"), time="2027-01-01T00:00:00.000000Z")
    journal.write(Yank("minilm", 1, undo=True), time="2020-01-01T00:00:00.000000Z")

    found = [row[2:4] for row in rows(journal.catalogs[0], schema.entries)][-1]

    assert found == ("2020-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4", 4.0),
        ("-0.25", -0.25),
        ("1e-05", 1e-05),
        ("1_000", None),
        ("nan", None),
        ("1e999", None),
        ("0x10", None),
        (" 4", None),
        ("", None),
        ("four", None),
    ],
)
def test_a_note_that_is_a_number_is_one_for_sorting_too(
    journal: Journal, text: str, number: float | None
) -> None:
    journal.write(Annotate("minilm", 1, {"value": text}))

    assert rows(journal.catalogs[0], schema.notes)[-1][:5] == ("minilm", 1, "value", text, number)


def test_an_entry_that_does_not_come_next_is_refused(journal: Journal) -> None:
    catalog, last = journal.catalogs[0], journal.entries[-1]
    time = "2026-01-02T03:04:05.000006Z"
    with (
        raises(BrokenChain, "entry 13", "entry 11", str(last.digest)),
        writing(catalog) as connection,
    ):
        apply(connection, Entry(13, "a", time, "anna", Init("0"), last.digest), journal.read)

    with (
        raises(BrokenChain, "entry 12", "entry 11", str(last.digest)),
        writing(catalog) as connection,
    ):
        apply(connection, Entry(12, "a", time, "anna", Init("0"), None), journal.read)


@pytest.mark.parametrize(
    "body",
    [
        Alias("medical", "prod", 2),
        Alias("nothing", "prod", 1),
        Yank("medical", 2, "again"),
        Yank("medical", 7),
        Annotate("medical", 2, {"a": "b"}),
        Delete("medical", 2),
        Delete("Minilm", 1),
    ],
)
def test_an_entry_about_what_is_not_there_is_refused(journal: Journal, body: Body) -> None:
    reference = f"{body.name}@{body.number}"  # type: ignore[union-attr]
    assert_refused(journal, body, "entry 12", reference)


def test_a_number_that_is_taken_is_refused(journal: Journal) -> None:
    manifest, facts = (
        journal.add(a_manifest("x").to_bytes()),
        journal.add(some_facts("x").to_bytes()),
    )

    assert_refused(journal, Register("minilm", 1, manifest, facts), "entry 12", "minilm@1")


def test_a_deleted_number_comes_back_with_its_own_content_only(journal: Journal) -> None:
    deleted, first = journal.entries[4].body, journal.entries[1].body
    assert isinstance(deleted, Register)
    assert isinstance(first, Register)

    again = Register("medical", 2, first.manifest, first.facts)
    assert_refused(journal, again, "entry 12", "medical@2")
    journal.write(deleted)

    back = version_of(journal.catalogs[0], "medical", 2)
    assert (back.deleted, back.entry, back.aliases, back.notes) == (False, 12, (), {})


def test_names_are_unique_ignoring_case(journal: Journal) -> None:
    with raises(InvalidName, "'MiniLM'", "'minilm'"):
        journal.register("MiniLM", 2)

    assert len(journal.entries) == 11


def test_a_fold_goes_on_past_blobs_it_cannot_read_and_lists_them(
    tmp_path: Path, journal: Journal
) -> None:
    lost, damaged = journal.entries[2].body, journal.entries[3].body
    assert isinstance(lost, Register)
    assert isinstance(damaged, Register)
    del journal.blobs[lost.manifest], journal.blobs[lost.facts]
    journal.blobs[damaged.manifest] = b"{}"

    catalog = fold(journal, tmp_path / "again")

    with catalog.reading() as connection:
        assert catalog.head(connection)[0] == 11
        assert queries.skipped(connection) == {
            lost.manifest: ("manifest", "BlobNotFound"),
            lost.facts: ("facts", "BlobNotFound"),
            damaged.manifest: ("manifest", "InvalidManifest"),
        }
    found = version_of(catalog, "minilm-med", 1)
    assert (found.kind, found.model_class, found.digest, found.vocabulary) == (
        "unknown",
        "unknown",
        lost.manifest,
        queries.UNREADABLE,
    )
    assert [parent.reference for parent in found.parents] == ["minilm@1"]
    assert version_of(catalog, "medical", 1).vocabulary_size == 102


def test_a_blob_that_can_be_read_later_is_listed_no_more(tmp_path: Path, journal: Journal) -> None:
    body = journal.entries[1].body
    assert isinstance(body, Register)
    kept = journal.blobs.pop(body.manifest)
    journal.catalogs = [fold(journal, tmp_path / "again")]

    journal.blobs[body.manifest] = kept
    journal.write(Register("copy", 1, body.manifest, body.facts))

    assert rows(journal.catalogs[0], schema.skipped) == []
    assert version_of(journal.catalogs[0], "minilm", 1).kind == "base"


def test_content_that_is_not_what_its_name_says_is_skipped(
    tmp_path: Path, journal: Journal
) -> None:
    def read(digest: str) -> bytes:
        raise DigestMismatch(f"the blob {digest} is damaged")

    catalog = Catalog.create(tmp_path / "again")
    with writing(catalog) as connection:
        for entry in journal.entries:
            apply(connection, entry, read)

    assert {row[2] for row in rows(catalog, schema.skipped)} == {"DigestMismatch"}


def test_numbers_that_no_column_holds_are_damage_and_no_crash(journal: Journal) -> None:
    manifest = a_manifest("x").to_bytes().replace(b'"size":600', b'"size":9999999999999999999')

    journal.write(
        Register("big", 1, journal.add(manifest), journal.add(some_facts("x").to_bytes()))
    )

    assert rows(journal.catalogs[0], schema.skipped) == [
        (digest_of(manifest), "manifest", "InvalidManifest")
    ]


def test_a_manifest_of_a_newer_format_stops_the_fold(journal: Journal) -> None:
    manifest = journal.add(canonical({"format": 2}))

    with raises(NewerFormat, "manifest", "format 2"):
        journal.write(Register("new", 1, manifest, a_digest("facts")))

    assert len(rows(journal.catalogs[0], schema.entries)) == 11
