"""Comparing: whether a catalog file is what the fold of the journal makes: schema, rows, and indexes. Nothing is changed by looking.

Read by sqlite3 alone, in one snapshot, without the indexes: what a flipped bit does to an index is asked of SQLite at the end.
"""

from __future__ import annotations

import functools
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from registry.core.digest import Digest
from registry.core.entry import Entry
from registry.errors import CatalogDiverged

from . import schema as t
from .apply import ReadBlob, fold
from .columns import Shape, Values
from .connection import REBUILD, connect_readonly, lacks_room, translated
from .migrate import packaged
from .rebuild import Tally
from .row_sinks import GatheredRows

_TABLES = {table.name: table for table in t.metadata.sorted_tables}
_PRAGMAS = ("user_version", "application_id")
_BLOCK = 10_000


class Schema(NamedTuple):
    """What SQLite says of the shape of a database."""

    objects: frozenset[tuple[str, str, str, str | None]]
    """(type, name, table, SQL text)."""
    pragmas: tuple[int, ...]
    revision: tuple[tuple[str, ...], ...]


class Difference(NamedTuple):
    """A row that only one side has."""

    table: str
    row: Mapping[str, Any]
    in_catalog: bool
    """Else it is what the fold makes, and the catalog lacks it."""


@functools.cache
def golden() -> Schema:
    """The schema that the packaged migrations make."""
    engine = sa.create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            packaged().upgrade(connection)
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            return schema_of(raw)
    finally:
        engine.dispose()


def schema_of(connection: sqlite3.Connection) -> Schema:
    """The schema of an open database. Raises sqlite3.Error."""
    objects = frozenset(
        connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    )
    pragmas = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _PRAGMAS)
    return Schema(
        objects, pragmas, tuple(connection.execute("SELECT * FROM alembic_version").fetchall())
    )


class Snapshot:
    """One state of a catalog file. Every method raises CatalogDiverged if the file cannot be read as a database."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        with closed_if_it_fails(connection):
            self._ask("BEGIN")

    @classmethod
    def of(cls, path: Path) -> Snapshot:
        """The newest state of a file."""
        try:
            return cls(connect_readonly(path, timeout=10.0), path.name)
        except sqlite3.Error as error:
            refused = translated(error, path) if lacks_room(error, path) else None
            raise refused or damaged(path.name, error) from None

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def interrupt(self) -> None:
        """End what another thread asks."""
        self._connection.interrupt()

    def head(self) -> tuple[int, str | None]:
        """Number and digest of the last entry folded, as it says; (0, None) in an empty catalog."""
        found = self._ask(
            "SELECT number, digest FROM entries NOT INDEXED ORDER BY number DESC LIMIT 1"
        )
        number, digest = found[0] if found else (0, None)
        if type(number) is not int:
            raise CatalogDiverged(
                f"the catalog {self._name!r} is damaged: its last entry has the number {number!r}"
            )
        return number, digest

    def same_schema(self, expected: Schema) -> bool:
        """Whether the schema is to the letter what the migrations make."""
        try:
            return schema_of(self._connection) == expected
        except (sqlite3.Error, TypeError, UnicodeError) as error:
            raise damaged(self._name, error) from None

    def entry(self, number: int) -> Mapping[str, Any] | None:
        """The row of an entry."""
        rows = self._ask("SELECT * FROM entries NOT INDEXED WHERE number = ?", (number,))
        return (
            dict(zip([column.name for column in t.entries.columns], rows[0], strict=True))
            if rows
            else None
        )

    @staticmethod
    def tables() -> list[str]:
        """The names of all tables."""
        return list(_TABLES)

    def rows(self, table: str) -> Iterator[list[Values]]:
        """All rows of a table, a block at a time."""
        columns = ", ".join(f'"{column.name}"' for column in _TABLES[table].columns)
        try:
            cursor = self._connection.execute(f'SELECT {columns} FROM "{table}" NOT INDEXED')
            while rows := cursor.fetchmany(_BLOCK):
                yield rows
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            raise damaged(self._name, error) from None

    def counted(self) -> Counted:
        """Its rows, to be tallied bit by bit."""
        return Counted((table, rows) for table in _TABLES for rows in self.rows(table))

    def broken_index(self) -> str | None:
        """What SQLite's own check says against the file, or that an index does not lead to the rows of its table; None if nothing.

        That check does not see a cell of an index that says another length, and then reading a row through it fails.
        """
        said = [str(row[0]) for row in self._ask("PRAGMA integrity_check(1)")]
        if said != ["ok"]:
            return "; ".join(said)
        for table in _TABLES:
            for _, index, _, _, partial in self._ask(f'PRAGMA index_list("{table}")'):
                where = " WHERE until IS NULL" if partial else ""
                asked = f'SELECT count(*), total(rowid) FROM "{table}"'
                if self._ask(f'{asked} INDEXED BY "{index}"{where}') != self._ask(
                    f"{asked} NOT INDEXED{where}"
                ):
                    return f"the index {index} does not lead to the rows of {table}"
        return None

    def _ask(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            raise damaged(self._name, error) from None


class Counted:
    """The tally of a catalog's rows, made a block at a time: there is time for it where the fold waits for its entries."""

    def __init__(self, blocks: Iterator[tuple[str, list[Values]]]) -> None:
        self._blocks = blocks
        self._tally = Tally()
        self._error: CatalogDiverged | None = None

    def step(self) -> bool:
        """Count the next block; False when there is none. What goes wrong is raised by `unlike`."""
        try:
            table, rows = next(self._blocks)
        except StopIteration:
            return False
        except CatalogDiverged as error:
            self._error = error
            return False
        self._tally.put(table, rows)
        return True

    def unlike(self, expected: Tally) -> list[str]:
        """The tables whose rows are not those that were tallied; what was not yet counted is now."""
        while self.step():
            pass
        if self._error is not None:
            raise self._error
        return [table for table in _TABLES if self._tally.of(table) != expected.of(table)]


class IndexCheck:
    """SQLite's own check of a file, in one snapshot, while others look at its rows: it needs no interpreter, only another processor."""

    def __init__(self, path: Path) -> None:
        """Raises CatalogDiverged if the file cannot be read as a database."""
        self._snapshot = Snapshot.of(path)
        with closed_if_it_fails(self._snapshot):
            self._snapshot.head()  # from here on it is one state
        self._pool = ThreadPoolExecutor(1)
        self._asked = self._pool.submit(self._snapshot.broken_index)

    def __enter__(self) -> IndexCheck:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._asked.cancel()
        self._snapshot.interrupt()
        self._pool.shutdown()
        self._snapshot.close()

    def said(self) -> str | None:
        """As Snapshot.broken_index."""
        return self._asked.result()


@contextmanager
def closed_if_it_fails(opened: Closing) -> Iterator[None]:
    """Let go of something that was opened, if what comes next raises: nobody has it yet who would."""
    try:
        yield
    except BaseException:
        opened.close()
        raise


class Closing(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Let go."""
        ...


def damaged(name: str, error: Exception) -> CatalogDiverged:
    """Return the error for a catalog that cannot be read."""
    return CatalogDiverged(f"the catalog {name!r} is damaged ({error})", hint=REBUILD)


def differences(
    snapshot: Snapshot,
    tables: Iterable[str],
    entries: Iterable[Entry],
    read_blob: ReadBlob,
    unreadable: set[Digest],
) -> list[Difference]:
    """The rows of these tables in which a catalog and the fold of entries differ.

    Of blobs that cannot be read now, and could when the catalog was made, the fold knows nothing: their rows are no difference.
    """
    asked = set(tables) | ({"facts"} if unreadable else set())
    expected: dict[str, dict[str, Values]] = defaultdict(dict)

    def keep(table: Shape, rows: list[Values]) -> None:
        if table.name in asked:
            expected[table.name].update((repr(row), row) for row in rows)

    gathered = GatheredRows(keep)
    for entry in entries:
        fold(gathered, entry, read_blob)
    gathered.finish()
    found: list[Difference] = []
    facts = (
        [_named("facts", row) for rows in snapshot.rows("facts") for row in rows]
        if unreadable
        else []
    )
    excused = {str(digest) for digest in unreadable}
    excused |= {
        str(row[column])
        for row in facts
        if row["digest"] in excused
        for column in ("weights", "added_digest")
    }
    for table in tables:
        missing = expected[table]
        for rows in snapshot.rows(table):
            found += [
                Difference(table, _named(table, row), True)
                for row in rows
                if missing.pop(repr(row), None) is None
            ]
        found += [Difference(table, _named(table, row), False) for row in missing.values()]
    return [
        item
        for item in found
        if not excused or str(item.row.get(_DIGESTS.get(item.table, ""), "")) not in excused
    ]


_DIGESTS = {
    "manifests": "digest",
    "files": "manifest",
    "parents": "manifest",
    "facts": "digest",
    "skipped": "digest",
    "weights": "digest",
    "tensors": "weights",
    "tokens": "added_digest",
}
"""The column that says which blob a row was read from."""


def _named(table: str, row: Values) -> Mapping[str, Any]:
    return dict(zip([column.name for column in _TABLES[table].columns], row, strict=True))
