"""Rows: where the fold keeps what it makes. The fold itself is apply alone; here is only how its rows are found, added and ended.

StoredRows asks and changes a catalog row by row: for the next entry of one that is there. GatheredRows is for a whole journal: it
knows what was folded without asking, holds back each row that a later entry may still end, and gives the others away in batches;
so nothing is ever looked up or updated on a disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table, insert, select, update

from ..digest import Digest, rendered
from . import tables as t

Values = tuple[Any, ...]
"""One row as SQLite keeps it, in the order of the table's columns."""
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

    def is_known(self, column: Column[Any], digest: Digest) -> bool:
        """Whether a row of the column's table has this digest there."""
        ...

    def add(self, table: Table, rows: Iterable[dict[str, Any]]) -> None:
        """New rows."""
        ...

    def add_values(self, table: Table, rows: list[Values]) -> None:
        """New rows of a table without intervals, as they are kept: there are millions."""
        ...

    def close(self, table: Table, entry: int, key: dict[str, Any]) -> None:
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

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last(self) -> tuple[int, Digest | None, str]:
        """Number, digest and clock of the last entry."""
        found = self._connection.execute(select(t.entries.c.number, t.entries.c.digest, t.entries.c.clock)
                                         .order_by(t.entries.c.number.desc()).limit(1)).first()
        return (found.number, Digest(found.digest), found.clock) if found is not None else (0, None, "")

    def spelled(self, folded: str) -> str | None:
        """The model's name."""
        return self._connection.scalar(select(t.models.c.name).where(t.models.c.folded == folded))

    def registered(self, name: str, number: int) -> Sequence[tuple[str, int | None]]:
        """(manifest, until) of each registration."""
        found = select(t.versions.c.manifest, t.versions.c.until).where(*_are(t.versions, {"name": name, "number": number}))
        return [(row.manifest, row.until) for row in self._connection.execute(found)]

    def is_known(self, column: Column[Any], digest: Digest) -> bool:
        """Whether a row has it."""
        return self._connection.scalar(select(column).where(column == digest).limit(1)) is not None

    def add(self, table: Table, rows: Iterable[dict[str, Any]]) -> None:
        """Insert at once."""
        listed = list(rows)
        if listed:
            self._connection.execute(insert(table), listed)

    def add_values(self, table: Table, rows: list[Values]) -> None:
        """Insert at once."""
        if rows:
            insert_values(self._connection, table, rows)

    def close(self, table: Table, entry: int, key: dict[str, Any]) -> None:
        """Update what is open."""
        self._connection.execute(update(table).where(*_are(table, key), table.c.until.is_(None)).values(until=entry))

    def close_version(self, entry: int, name: str, number: int) -> None:
        """Update what is open of the version in every table."""
        for table in t.INTERVALS:
            self.close(table, entry, {"name": name, "number": number})

    def unskip(self, digest: Digest) -> None:
        """Delete the row."""
        self._connection.execute(sa.delete(t.skipped).where(t.skipped.c.digest == digest))


class GatheredRows:
    """Rows of a fold that begins with entry 1. `put` gets each row once, when nothing can change it any more; `finish` gives the rest."""

    def __init__(self, put: Callable[[Table, list[Values]], object]) -> None:
        self._put = put
        self._last: tuple[int, Digest | None, str] = (0, None, "")
        self._models: dict[str, str] = {}
        self._known: dict[str, set[str]] = defaultdict(set)
        self._registered: dict[tuple[str, int], list[tuple[str, int | None]]] = {}
        self._open: dict[str, dict[Values, list[Any]]] = {table.name: {} for table in t.INTERVALS}
        self._of_version: dict[tuple[str, int], set[tuple[str, Values]]] = defaultdict(set)
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

    def is_known(self, column: Column[Any], digest: Digest) -> bool:
        """Whether a row had it."""
        return digest in self._known[column.table.name]

    def add(self, table: Table, rows: Iterable[dict[str, Any]]) -> None:
        """Keep rows, or make them ready to be given away."""
        shape = _SHAPES[table.name]
        if shape.key:
            for row in rows:
                self._hold(shape, row, shape.values(row))
        elif table is t.skipped:
            self._skipped |= {row["digest"]: tuple(shape.values(row)) for row in rows}
        else:
            for row in rows:
                self._note(table, row)
                self._ready[table.name].append(tuple(shape.values(row)))
        if len(self._ready[table.name]) >= BATCH:
            self._give(table)

    def add_values(self, table: Table, rows: list[Values]) -> None:
        """Make rows ready to be given away."""
        if table is t.entries:
            self._last = rows[-1][0], Digest(rows[-1][8]), rows[-1][3]
        ready = self._ready[table.name]
        ready += rows
        if len(ready) >= BATCH:
            self._give(table)

    def close(self, table: Table, entry: int, key: dict[str, Any]) -> None:
        """End the row that is held."""
        shape = _SHAPES[table.name]
        self._end(shape, entry, tuple(key[column] for column in shape.key))

    def close_version(self, entry: int, name: str, number: int) -> None:
        """End the rows that are held for the version."""
        for table, key in sorted(self._of_version.pop((name, number), ())):
            self._end(_SHAPES[table], entry, key)

    def unskip(self, digest: Digest) -> None:
        """Forget it."""
        self._skipped.pop(digest, None)

    def held(self) -> Iterator[tuple[Table, list[Values]]]:
        """The rows that were not given away: with those that were, they are the catalog after the last entry."""
        for table in t.metadata.sorted_tables:
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

    def _note(self, table: Table, row: dict[str, Any]) -> None:
        if table is t.models:
            self._models[row["folded"]] = row["name"]
        elif table.name in _TOLD_BY:
            self._known[table.name].add(row[_TOLD_BY[table.name]])

    def _hold(self, shape: _Shape, row: dict[str, Any], values: list[Any]) -> None:
        key = tuple(row[column] for column in shape.key)
        self._open[shape.table.name][key] = values
        self._of_version[row["name"], row["number"]].add((shape.table.name, key))
        if shape.table is t.versions:
            self._registered.setdefault((row["name"], row["number"]), []).append((row["manifest"], None))

    def _end(self, shape: _Shape, entry: int, key: Values) -> None:
        values = self._open[shape.table.name].pop(key, None)
        if values is None:
            return
        values[shape.until] = entry
        version = (values[shape.name], values[shape.number])
        if version in self._of_version:
            self._of_version[version].discard((shape.table.name, key))
        if shape.table is t.versions:
            before = self._registered[version]
            before[-1] = before[-1][0], entry
        self._ready[shape.table.name].append(tuple(values))

    def _give(self, table: Table) -> None:
        self._put(table, self._ready.pop(table.name))


def insert_values(connection: Connection, table: Table, rows: list[Values]) -> None:
    """Insert rows as they are kept."""
    connection.exec_driver_sql(_SHAPES[table.name].insert, rows)


_TOLD_BY = {"manifests": "digest", "facts": "digest", "weights": "digest", "tokens": "added_digest"}
"""The digest that says whether what a table holds is there already."""


class _Shape:
    """How a table's rows are written down, and by which columns an open one is told from others."""

    def __init__(self, table: Table) -> None:
        self.table = table
        names = self._names = [column.name for column in table.columns]
        self._json = [place for place, column in enumerate(table.columns) if isinstance(column.type, sa.JSON)]
        interval = table in t.INTERVALS
        self.key = tuple(column.name for column in table.primary_key.columns if column.name != "since") if interval else ()
        self.until, self.name, self.number = (names.index(name) for name in ("until", "name", "number")) if interval else (0, 0, 0)
        columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
        self.insert = f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'

    def values(self, row: dict[str, Any]) -> list[Any]:
        """Exact types only: of others SQLite and a tally would each have to ask what they are."""
        values = list(map(row.get, self._names))
        for place, value in enumerate(values):
            if type(value) is Digest:
                values[place] = str(value)
            elif type(value) is bool:
                values[place] = int(value)
        for place in self._json:
            values[place] = rendered(values[place])
        return values


_SHAPES = {table.name: _Shape(table) for table in t.metadata.sorted_tables}


def _are(table: Table, key: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [table.c[column] == value for column, value in key.items()]
