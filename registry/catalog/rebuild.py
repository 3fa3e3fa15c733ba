"""Folding: a whole journal at once, into a catalog that is empty, or into a tally that one can be compared with.

Both are apply, entry by entry, over gathered rows. Filling makes the indexes last; that, and no look-ups, is what makes it quick.
"""

from __future__ import annotations

import itertools
import marshal
from collections.abc import Iterable

from sqlalchemy import Connection

from registry.core.entry import Entry
from registry.util.gc_pause import uncollected

from .apply import NOTHING_MADE, Made, ReadBlob, fold
from .columns import Values
from .row_sinks import GatheredRows


def fill(
    connection: Connection, entries: Iterable[Entry], read_blob: ReadBlob, made: Made = NOTHING_MADE
) -> None:
    """Fold entries from 1 on into an empty catalog; `made` may hold other rows at each entry. Raises what apply raises."""
    indexes = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).all()
    for index in indexes:
        connection.exec_driver_sql(f'DROP INDEX "{index.name}"')
    rows = GatheredRows(lambda table, given: connection.exec_driver_sql(table.insert, given))
    with uncollected():
        for entry in entries:
            fold(rows, entry, read_blob, made)
    rows.finish()
    for index in indexes:
        connection.exec_driver_sql(index.sql)


class Tally:
    """How many rows each table has, and the sum of their hashes: equal for equal contents, in whatever order the rows come.

    The hash is Python's of bytes, keyed anew in each process, so nobody can choose rows that sum up to the same. The bytes are those of
    marshal's second version, which says of each value its type and all of it: 1, 1.0 and '1' are three things, and only what is equal is equal.
    """

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, int]] = {}

    def put(self, table: str, rows: Iterable[Values]) -> None:
        """Count rows in."""
        listed = list(map(marshal.dumps, rows, itertools.repeat(2)))
        count, total = self._sums.get(table, (0, 0))
        self._sums[table] = count + len(listed), total + sum(map(hash, listed))

    def of(self, table: str) -> tuple[int, int]:
        """(rows, sum of hashes)."""
        return self._sums.get(table, (0, 0))

    def copy(self) -> Tally:
        """One that goes its own way."""
        copied = Tally()
        copied._sums = dict(self._sums)
        return copied


class Tallying:
    """A fold that is only counted; `tally` gives the counts after the last entry that was folded."""

    def __init__(self, read_blob: ReadBlob, made: Made = NOTHING_MADE) -> None:
        self._read_blob, self._made = read_blob, made
        self._given = Tally()
        self._rows = GatheredRows(lambda table, rows: self._given.put(table.name, rows))

    def fold(self, entry: Entry) -> None:
        """Fold the next entry. Raises what apply raises."""
        fold(self._rows, entry, self._read_blob, self._made)

    def tally(self) -> Tally:
        """The catalog as it must be now."""
        tally = self._given.copy()
        for table, rows in self._rows.held():
            tally.put(table.name, rows)
        return tally
