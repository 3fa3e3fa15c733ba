"""The schema of a new catalog, and all rows of one rebuilt from a fixed journal.

What SQLite stores is read with sqlite3 alone. The text of the tables and indexes is
frozen by tests/catalog/golden_schema.sql; here it is compared with that file, and the
rest of the schema is frozen in a snapshot.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.catalog.reader import Catalog
from registry.catalog.rebuild import fill
from registry.core.digest import digest_of
from registry.core.entry import (
    BODIES as KINDS,
    Alias,
    Annotate,
    Approve,
    Delete,
    FactsUpdate,
    Format,
    Probes,
    Publish,
    Register,
    Yank,
)
from registry.core.facts import Adapter, Token
from registry.store.blobs import Blobs
from registry.store.local import LocalBackend
from tests.catalog.test_migrate import GOLDEN
from tests.catalog.writing import Journal, a_digest, a_journal, a_manifest, some_facts
from tests.snapshots.snapshot import assert_same_text

TOKENS = (
    Token(100, "zorvaxin", special=True, lstrip=True),
    Token(101, "100%_Mibrutan", rstrip=True, single_word=True, normalized=True),
    Token(102, "naïve 你好 \x00"),
)
LORA = Adapter("LORA", rank=8, alpha="16.5", targets=("query", "value"), dora=True)
COMMIT, LATER = "c" * 40, "d" * 40


def write_story(journal: Journal) -> None:
    """Write entries of every kind; rows begin, end, begin again and are skipped."""
    base = journal.register(
        "minilm",
        1,
        message="from the Hub",
        source={"hub": {"repository": "org/minilm", "commit": COMMIT}, "how": "add"},
        probes=a_digest("probes of minilm@1"),
    )
    resized = journal.register(
        "team/Med",
        1,
        kind="resized",
        tokens=TOKENS,
        parents=(("resized-from", base.digest, "minilm@1"),),
        source={"recipe": {"format": 1, "seed": None, "tables": ["a", "b"], "ünï": "\u2028"}},
    )
    parents = (("base", resized.digest, "team/Med@1"),)
    adapters = [
        journal.register(
            "medical",
            number,
            kind="adapter",
            tokens=TOKENS,
            parents=parents,
            adapter=LORA,
            checkpoint=number == 2,
            forced=("adapter-effect", "line-adapter") if number == 3 else (),
            source={"metrics": {"eval_mrr": f"0.{number}", "eval_loss": "1e-05", "note": "n/a"}},
            message='"quoted"\n' if number == 1 else None,
        )
        for number in (1, 2, 3)
    ]
    journal.register(
        "merged",
        1,
        kind="merged",
        tokens=TOKENS,
        model_class="SparseEncoder",
        parents=(("adapter", adapters[0].digest, "medical@1"), *parents),
    )
    journal.register("copy", 1, "minilm@1")
    write_versions_without_blobs(journal)
    for body in (
        Probes("medical", 1, a_digest("probes of medical@1")),
        Probes("medical", 1, a_digest("later probes of medical@1"), "another machine"),
        Alias("medical", "prod", 1, "good"),
        Alias("medical", "prod", 3, "better"),
        Alias("medical", "dev", 1),
        Alias("medical", "dev", None, "gone"),
        Annotate("medical", 1, {"owner": "Anna", "mrr": "0.5", "size": "1e3", "nan": "nan"}),
        Annotate("medical", 1, {"owner": None, "mrr": "-.25", "x": "inf"}),
        Yank("medical", 1, "wrong labels"),
        Yank("medical", 1, undo=True),
        Yank("minilm", 1),
        Publish("medical", 1, "org/medical", COMMIT, "v1", {"README.md": str(a_digest("card"))}),
        Publish("medical", 1, "org/medical", LATER, "v1", {}, "again"),
        Publish("medical", 1, "org/mirror", COMMIT),
        Delete("medical", 3, "of the wrong patients"),
        Delete("copy", 1),
    ):
        journal.write(body, by="bob <bob@example.org>")
    journal.register("copy", 1, "minilm@1", message="registered again")
    journal.write(Alias("minilm", "old", 1), time="2020-01-01T00:00:00.000000Z")
    journal.write(Alias("minilm", "new", 1), time="2031-01-01T00:00:00.000000Z")
    newer = journal.add(replace(some_facts("minilm@1"), pipeline=a_digest("pipeline")).to_bytes())
    for body in (
        FactsUpdate("minilm", 1, newer, "schema 2"),
        Approve(a_digest("code"), "read by Anna"),
        Approve(a_digest("code"), undo=True),
        Format(()),
    ):
        journal.write(body, format=2, login="anna", uid=1000)
    journal.write(Alias("minilm", "newest", 1), format=2)


def write_versions_without_blobs(journal: Journal) -> None:
    """Register versions with lost manifests, damaged facts, and belated blobs."""
    manifest, facts = a_manifest("unreadable").to_bytes(), some_facts("unreadable").to_bytes()
    lost, damaged = a_digest("a lost manifest"), journal.add(b"facts that are not JSON")
    journal.write(Register("unreadable", 1, lost, journal.add(facts)))
    journal.write(Register("unreadable", 2, journal.add(manifest), damaged))
    journal.write(Register("unreadable", 3, a_digest("a lost one, too"), a_digest("lost facts")))
    manifest, facts = a_manifest("late").to_bytes(), some_facts("late").to_bytes()
    journal.write(Register("late", 1, digest_of(manifest), digest_of(facts)))
    journal.write(Register("late", 2, journal.add(manifest), journal.add(facts)))


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    """Return the journal, and a catalog that was updated after each entry."""
    journal = a_journal(tmp_path_factory.mktemp("followed") / "catalog")
    write_story(journal)
    return journal


@pytest.fixture(scope="module")
def rebuilt(followed: Journal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the catalog that a registry with this journal and its blobs makes."""
    home = tmp_path_factory.mktemp("rebuilt")
    blobs = Blobs(LocalBackend(home))
    for content in followed.blobs.values():
        blobs.add(content)
    (home / "journal").mkdir()
    for entry in followed.entries:
        (home / "journal" / f"{entry.number:020}.json").write_bytes(entry.to_bytes())
    with registry.open(home) as reg:
        reg.list()
    (path,) = (home / "catalog").glob("*.db")
    return path


def test_the_journal_has_entries_of_every_kind(followed: Journal) -> None:
    assert {entry.kind for entry in followed.entries} == set(KINDS)


def test_every_table_has_rows(rebuilt: Path) -> None:
    rows = rows_of(rebuilt)

    assert len(rows) == 20
    assert [table for table, listed in rows.items() if not listed] == []


def test_the_rows_of_a_rebuilt_catalog(rebuilt: Path) -> None:
    assert_same_text("catalog/rows.txt", text_of(rows_of(rebuilt)))


def test_the_rows_of_a_catalog_that_was_updated_after_each_entry(followed: Journal) -> None:
    assert_same_text("catalog/rows.txt", text_of(rows_of(followed.catalogs[0].path)))


def test_the_rows_of_a_catalog_filled_at_once(followed: Journal, tmp_path: Path) -> None:
    catalog = Catalog.create(
        tmp_path, fill=lambda opened: fill(opened, followed.entries, followed.read)
    )

    assert_same_text("catalog/rows.txt", text_of(rows_of(catalog.path)))


def test_the_schema_of_a_new_catalog(tmp_path: Path) -> None:
    path = Catalog.create(tmp_path).path

    assert definitions_of(path) == GOLDEN.read_text("utf-8")
    assert_same_text("catalog/schema.txt", schema_of(path))


def test_the_schema_of_a_rebuilt_catalog(rebuilt: Path) -> None:
    assert definitions_of(rebuilt) == GOLDEN.read_text("utf-8")
    assert_same_text("catalog/schema.txt", schema_of(rebuilt))


# Helpers


def select(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def rows_of(path: Path) -> dict[str, list[str]]:
    """Return the rows of every table as JSON of the stored values, sorted."""
    tables = select(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return {
        table: sorted(
            json.dumps(row, ensure_ascii=False) for row in select(path, f'SELECT * FROM "{table}"')
        )
        for (table,) in tables
    }


def text_of(rows: dict[str, list[str]]) -> str:
    """Return each table's name on a line, then its rows."""
    return "".join("\n  ".join([table, *listed]) + "\n" for table, listed in rows.items())


def definitions_of(path: Path) -> str:
    """Return the SQL of every table and index, in the form of golden_schema.sql."""
    statement = (
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version' "
        "ORDER BY name"
    )
    texts = [
        re.sub(r'^CREATE TABLE "(\w+)"', r"CREATE TABLE \1", sql)
        for (sql,) in select(path, statement)
    ]
    return "".join(re.sub(r"[ \t]+\n", "\n", text) + ";\n\n" for text in texts)


def schema_of(path: Path) -> str:
    """Return what golden_schema.sql lacks: file name, pragmas, all names."""
    pragmas = ("user_version", "application_id", "encoding", "auto_vacuum", "journal_mode")
    lines = [f"file {path.name}"]
    lines += [f"{pragma} {select(path, f'PRAGMA {pragma}')[0][0]}" for pragma in pragmas]
    ((alembic,),) = select(path, "SELECT sql FROM sqlite_master WHERE name = 'alembic_version'")
    lines += [re.sub(r"\s+", " ", alembic)]
    lines += sorted(
        " ".join(row) for row in select(path, "SELECT type, tbl_name, name FROM sqlite_master")
    )
    return "\n".join(lines) + "\n"
