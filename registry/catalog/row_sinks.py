"""Rows: where the fold keeps what it makes. The fold itself is apply alone; here is only how its rows are found, added and ended.

StoredRows asks and changes a catalog row by row: for the next entry of one that is there. GatheredRows is for a whole journal: it
knows what was folded without asking, holds back each row that a later entry may still end, and gives the others away in batches;
so nothing is ever looked up or updated on a disk.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from registry.core.digest import Digest, known

from . import columns as t
from .columns import Shape, Values

BATCH = 5000
"""Rows that are given away at once."""


class Rows(Protocol):
    """What apply asks and tells."""

    def last(self) -> tuple[int, Digest | None, str]:
        """Number, digest and clock of the last entry; (0, None, "") before the first."""
        ...

    def spelled(self, folded: str) -> str | None:
        """The name of the model whose name is this if case is ignored."""
        ...

    def registered(self, name: str, number: int) -> Sequence[tuple[str, int | None]]:
        """(manifest, until) of all that was ever registered under a number."""
        ...

    def is_known(self, table: Shape, digest: str) -> bool:
        """Whether what this digest tells is in the table already."""
        ...

    def add(self, table: Shape, rows: Iterable[dict[str, Any]]) -> None:
        """New rows."""
        ...

    def add_values(self, table: Shape, rows: list[Values]) -> None:
        """New rows of a table without intervals, as they are kept: there are millions."""
        ...

    def close(self, table: Shape, entry: int, key: dict[str, Any]) -> None:
        """End the open row with this key, if there is one."""
        ...

    def close_version(self, entry: int, name: str, number: int) -> None:
        """End all that is true of a version."""
        ...

    def unskip(self, digest: Digest) -> None:
        """Forget that a blob could not be read."""
        ...


class StoredRows:
    """Rows of a catalog, inside the transaction of a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def last(self) -> tuple[int, Digest | None, str]:
        """Number, digest and clock of the last entry."""
        found = self._connection.execute(
            "SELECT number, digest, clock FROM entries ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return (found[0], Digest(found[1]), found[2]) if found is not None else (0, None, "")

    def spelled(self, folded: str) -> str | None:
        """The model's name."""
        found = self._connection.execute(
            "SELECT name FROM models WHERE folded = ?", (folded,)
        ).fetchone()
        return None if found is None else str(found[0])

    def registered(self, name: str, number: int) -> Sequence[tuple[str, int | None]]:
        """(manifest, until) of each registration."""
        return self._connection.execute(
            "SELECT manifest, until FROM versions WHERE name = ? AND number = ?", (name, number)
        ).fetchall()

    def is_known(self, table: Shape, digest: str) -> bool:
        """Whether a row has it."""
        asked = f'SELECT 1 FROM "{table.name}" WHERE "{t.TOLD_BY[table]}" = ? LIMIT 1'
        return self._connection.execute(asked, (str(digest),)).fetchone() is not None

    def add(self, table: Shape, rows: Iterable[dict[str, Any]]) -> None:
        """Insert at once."""
        self._connection.executemany(table.insert, (table.values(row) for row in rows))

    def add_values(self, table: Shape, rows: list[Values]) -> None:
        """Insert at once."""
        self._connection.executemany(table.insert, rows)

    def close(self, table: Shape, entry: int, key: dict[str, Any]) -> None:
        """Update what is open."""
        which = " AND ".join(f'"{column}" = ?' for column in key)
        self._connection.execute(
            f'UPDATE "{table.name}" SET until = ? WHERE {which} AND until IS NULL',
            (entry, *key.values()),
        )

    def close_version(self, entry: int, name: str, number: int) -> None:
        """Update what is open of the version in every table."""
        for table in t.INTERVALS:
            self.close(table, entry, {"name": name, "number": number})

    def unskip(self, digest: Digest) -> None:
        """Delete the row."""
        self._connection.execute("DELETE FROM skipped WHERE digest = ?", (str(digest),))


class GatheredRows:
    """Rows of a fold that begins with entry 1. `put` gets each row once, when nothing can change it any more; `finish` gives the rest."""

    def __init__(self, put: Callable[[Shape, list[Values]], object]) -> None:
        self._put = put
        self._last: tuple[int, Digest | None, str] = (0, None, "")
        self._models: dict[str, str] = {}
        self._known: dict[str, set[str]] = defaultdict(set)
        self._registered: dict[tuple[str, int], list[tuple[str, int | None]]] = {}
        self._open: dict[str, dict[Values, list[Any]]] = {table.name: {} for table in t.INTERVALS}
        self._of_version: dict[tuple[str, int], dict[tuple[Shape, Values], None]] = defaultdict(
            dict
        )
        self._skipped: dict[str, Values] = {}
        self._ready: dict[str, list[Values]] = defaultdict(list)

    def last(self) -> tuple[int, Digest | None, str]:
        """Number, digest and clock of the last entry."""
        return self._last

    def spelled(self, folded: str) -> str | None:
        """The model's name."""
        return self._models.get(folded)

    def registered(self, name: str, number: int) -> Sequence[tuple[str, int | None]]:
        """(manifest, until) of each registration."""
        return self._registered.get((name, number), ())

    def is_known(self, table: Shape, digest: str) -> bool:
        """Whether a row had it."""
        return digest in self._known[table.name]

    def add(self, table: Shape, rows: Iterable[dict[str, Any]]) -> None:
        """Keep rows, or make them ready to be given away."""
        if table.key:
            for row in rows:
                self._hold(table, row, table.values(row))
        elif table is t.skipped:
            self._skipped |= {row["digest"]: tuple(table.values(row)) for row in rows}
        else:
            for row in rows:
                if table is t.models:
                    self._models[row["folded"]] = row["name"]
                self._ready[table.name].append(tuple(table.values(row)))
        if len(self._ready[table.name]) >= BATCH:
            self._give(table)

    def add_values(self, table: Shape, rows: list[Values]) -> None:
        """Make rows ready to be given away."""
        if table is t.entries:
            self._last = rows[-1][0], known(rows[-1][8]), rows[-1][3]
        elif table in t.TOLD_BY:
            self._known[table.name].update([row[0] for row in rows])
        ready = self._ready[table.name]
        ready += rows
        if len(ready) >= BATCH:
            self._give(table)

    def close(self, table: Shape, entry: int, key: dict[str, Any]) -> None:
        """End the row that is held."""
        self._end(table, entry, tuple(key[column] for column in table.key))

    def close_version(self, entry: int, name: str, number: int) -> None:
        """End the rows that are held for the version."""
        for table, key in self._of_version.pop((name, number), ()):
            self._end(table, entry, key)

    def unskip(self, digest: Digest) -> None:
        """Forget it."""
        self._skipped.pop(digest, None)

    def held(self) -> Iterator[tuple[Shape, list[Values]]]:
        """The rows that were not given away: with those that were, they are the catalog after the last entry."""
        for table in t.ALL:
            rows = [*self._ready[table.name], *map(tuple, self._open.get(table.name, {}).values())]
            rows += self._skipped.values() if table is t.skipped else ()
            if rows:
                yield table, rows

    def finish(self) -> None:
        """Give everything away."""
        for table, rows in self.held():
            self._put(table, rows)
        self._ready.clear()
        self._skipped.clear()
        for rows_by_key in self._open.values():
            rows_by_key.clear()

    def _hold(self, table: Shape, row: dict[str, Any], values: list[Any]) -> None:
        key = tuple(row[column] for column in table.key)
        self._open[table.name][key] = values
        self._of_version[row["name"], row["number"]][table, key] = None
        if table is t.versions:
            self._registered.setdefault((row["name"], row["number"]), []).append(
                (row["manifest"], None)
            )

    def _end(self, table: Shape, entry: int, key: Values) -> None:
        values = self._open[table.name].pop(key, None)
        if values is None:
            return
        values[table.until] = entry
        version = (values[table.of_name], values[table.of_number])
        if version in self._of_version:
            self._of_version[version].pop((table, key), None)
        if table is t.versions:
            before = self._registered[version]
            before[-1] = before[-1][0], entry
        self._ready[table.name].append(tuple(values))

    def _give(self, table: Shape) -> None:
        self._put(table, self._ready.pop(table.name))
