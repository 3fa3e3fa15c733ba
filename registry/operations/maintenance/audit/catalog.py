"""The catalog: is it the fold of the journal, to the row and to the letter of its schema? Looked at before anything brings it up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.core.text import counted
from registry.errors import CatalogDiverged, RegistryError
from registry.home.home import Home
from registry.results.audit import Finding

from .journal import Chain

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.catalog.compare import Counted, Difference, IndexCheck, Snapshot

REPAIR = "registry repair"
OTHER_JOURNAL = ("journal-truncated", "catalog-diverged")
"""Findings that say that the catalog knows entries which the journal has not."""
SHOWN = 3


def check_catalog(
    home: Home,
    snapshot: Snapshot | None,
    rows: Counted | None,
    indexes: IndexCheck | None,
    chain: Chain,
) -> list[Finding]:
    """What is wrong with the catalog, worst first."""
    if snapshot is None or rows is None or indexes is None:
        return [
            Finding(
                "catalog-missing",
                "there is no catalog; any command makes it anew from the journal",
                (),
                REPAIR,
            )
        ]
    try:
        return _check(home, snapshot, rows, indexes, chain)
    except CatalogDiverged as error:
        return [Finding("catalog-damaged", str(error), (), REPAIR)]


def _check(
    home: Home, snapshot: Snapshot, rows: Counted, indexes: IndexCheck, chain: Chain
) -> list[Finding]:
    from registry.catalog.compare import golden

    if not snapshot.same_schema(golden()):
        return [
            Finding(
                "schema-edited",
                "the schema of the catalog is not the one that this package makes",
                (),
                REPAIR,
            )
        ]
    number, digest = snapshot.head()
    if number > chain.last:
        return [
            Finding(
                "journal-truncated",
                f"the catalog ends with entry {number}, {digest}, and the journal with entry {chain.last}",
                _registered_after(snapshot, chain.last),
                f"{REPAIR} puts the entries back from the catalog, or --from SOURCE",
            )
        ]
    if number and chain.digest(number) is not None and chain.digest(number) != digest:
        return [
            Finding(
                "catalog-diverged",
                f"the catalog was made from another journal: entry {number} is {digest} there, "
                f"here {chain.digest(number)}",
                (),
                f"{REPAIR} --accept-journal, if this journal is the right one",
            )
        ]
    if number > chain.whole or chain.then is None:
        return []  # what it should be cannot be told, and the journal's findings say why
    found = _rows(home, snapshot, rows, chain, number)
    broken = indexes.said() if not found else None
    if broken is not None:
        found = [Finding("index-damaged", f"SQLite says of the catalog: {broken}", (), REPAIR)]
    return found


def behind(number: int, chain: Chain) -> list[str]:
    """Return a note for a catalog that lacks the last entries, as after a kill."""
    if number >= chain.whole:
        return []
    return [
        f"the catalog is as of entry {number} and the journal ends with entry {chain.whole}; "
        "the next command updates the catalog"
    ]


def older(name: str) -> str:
    """Return a note for a catalog of an older schema that cannot be migrated here."""
    return (
        f"the catalog {name!r} is of an older version of this package and was not compared; "
        "the next command that may write migrates it"
    )


def _rows(
    home: Home, snapshot: Snapshot, counted_rows: Counted, chain: Chain, number: int
) -> list[Finding]:
    from registry.catalog.compare import differences

    assert chain.then is not None
    unlike = counted_rows.unlike(chain.then)
    if not unlike:
        return []
    entries = (entry for _, entry in zip(range(number), home.journal.follow(0, None), strict=False))
    found = differences(snapshot, unlike, entries, home.blobs.read_or_miss, set(chain.unreadable))
    return [
        Finding(
            "catalog-edited",
            f"{_rows_of(table, len(rows))} not what the journal makes: {_shown(rows)}",
            _versions(rows),
            REPAIR,
        )
        for table in unlike
        if (rows := [item for item in found if item.table == table])
    ]


def _rows_of(table: str, count: int) -> str:
    return counted(count, f"row of the table {table} is", f"rows of the table {table} are")


def _shown(rows: list[Difference]) -> str:
    said = [
        f"{'there is' if row.in_catalog else 'lacking is'} {_row(row.row)}" for row in rows[:SHOWN]
    ]
    return "; ".join(said) + (f"; and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")


def _row(row: Mapping[str, Any]) -> str:
    texts = (
        f"{name}={str(value)[:40]!r}" for name, value in list(row.items())[:4] if value is not None
    )
    return f"({', '.join(texts)})"


def _versions(rows: list[Difference]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            f"{row.row['name']}@{row.row['number']}"
            for row in rows
            if {"name", "number"} <= row.row.keys()
        )
    )


def _registered_after(snapshot: Snapshot, last: int) -> tuple[str, ...]:
    return tuple(
        f"{row[0]}@{row[1]}"
        for rows in snapshot.rows("versions")
        for row in rows
        if _since(row) > last
    )


def _since(row: tuple[Any, ...]) -> int:
    from registry.catalog import schema

    return int(row[[column.name for column in schema.versions.columns].index("since")])


@contextlib.contextmanager
def state(home: Home, path: Path | None, chain: Chain, *, sound: bool) -> Iterator[Connection]:
    """A catalog to ask: the one that is there if it is sound and up to date, else one made from the journal, that nobody else sees."""
    from registry.catalog.reader import Catalog

    if sound and path is not None:
        catalog = Catalog(path, readonly=True)
    else:
        catalog = Catalog.passing(lambda connection: home.fold_into(connection, chain.whole))
    try:
        with catalog.reading() as connection:
            yield connection
    finally:
        catalog.close()


def names_by_entry(snapshot: Snapshot | None, after: int) -> dict[str, list[str]]:
    """What the catalog says was registered after an entry, where it can still be read."""
    if snapshot is None:
        return {}
    try:
        return {"after": list(_registered_after(snapshot, after))}
    except (RegistryError, ValueError, TypeError):
        return {}
