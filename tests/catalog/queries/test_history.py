from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from registry.catalog import queries
from registry.core.entry import Yank
from registry.core.version import LogRow
from tests.catalog.writing import Journal, a_journal


def numbers(rows: list[LogRow]) -> list[int]:
    return [row.entry for row in rows]


def test_the_log_is_the_journal_newest_first(catalog: Connection, story: Journal) -> None:
    rows = queries.log(catalog)

    assert numbers(rows) == list(range(len(story.entries), 0, -1))
    assert rows[-1] == LogRow(
        1,
        story.entries[0].time,
        "anna",
        "Init",
        None,
        None,
        {"store": "0" * 32},
        story.entries[0].digest,
    )
    assert rows[0].body == {"name": "old", "number": 1, "message": None}


def test_the_log_of_a_model_and_of_a_version(catalog: Connection) -> None:
    assert [row.kind for row in queries.log(catalog, "Minilm")] == ["Alias", "Register"]
    assert [(row.kind, row.by) for row in queries.log(catalog, "medical", 2)] == [
        ("Yank", "bob"),
        ("Alias", "bob"),
        ("Register", "anna"),
    ]
    assert numbers(queries.log(catalog, "medical", limit=2)) == [18, 16]
    assert numbers(queries.log(catalog, at=2)) == [2, 1]


def test_a_moment_means_the_last_entry_before_it_even_where_a_clock_went_back(
    tmp_path: Path,
) -> None:
    journal = a_journal(tmp_path)
    journal.register("a", 1)
    journal.write(Yank("a", 1, "x"), time="2026-05-01T00:00:00.000000Z")
    journal.write(Yank("a", 1, undo=True), time="2026-04-01T00:00:00.000000Z")

    with journal.catalogs[0].reading() as connection:
        moments = [
            queries.as_of(connection, time)
            for time in (
                "2025-12-31T23:59:59.999999Z",
                "2026-02-01T00:00:00.000000Z",
                "2026-04-15T00:00:00.000000Z",
                "2026-05-01T00:00:00.000000Z",
            )
        ]

    assert moments == [0, 2, 2, 4]
