"""Writer: the one connection that changes a catalog, without SQLAlchemy, so that a short command need not import it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from registry.core.digest import Digest
from registry.errors import StoreUnavailable, reason
from registry.util.durable import reserved

from .connection import connect, translated
from .row_sinks import StoredRows

_left_to_parents: list[sqlite3.Connection] = []
_PAGES_OF_A_ROW, _PAGES_TO_SPARE, _FRAME_HEADER = 8, 16, 24


class Writer:
    """An open catalog file. One thread at a time uses it: its callers hold the home's write lock. A child process opens its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._at_begin = (0, 0)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None and self._process == os.getpid():
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection that alone may write; what it wrote is durable when the block ends, and undone if it raises."""
        with self._used() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._at_begin = (_pages(connection), connection.total_changes)
            yield connection
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def room_to_commit(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Hold the disk space that committing this transaction may need, while the
        block runs.

        New pages are counted exactly. A changed row changes at most _PAGES_OF_A_ROW
        older pages, those of its table and indexes. Raises StoreUnavailable if they do
        not fit.
        """
        pages_before, changes_before = self._at_begin
        added = max(0, _pages(connection) - pages_before)
        rows = connection.total_changes - changes_before
        pages = added + min(pages_before, rows * _PAGES_OF_A_ROW) + _PAGES_TO_SPARE
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(reserved(self.path.parent, pages * (page_size + _FRAME_HEADER)))
            except OSError as error:
                raise StoreUnavailable(
                    f"the catalog {str(self.path)!r} cannot be extended: {reason(error)}",
                    hint="free some space, e.g. with: registry collect",
                ) from error
            yield

    def head(self) -> tuple[int, Digest | None]:
        """Number and digest of the last entry folded; (0, None) in an empty catalog."""
        with self._used() as connection:
            return head(connection)

    @contextlib.contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._opened()
            try:
                yield connection
            finally:
                if (
                    connection.in_transaction
                ):  # an interrupt may come right behind the BEGIN that waited, too
                    connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            said = translated(error, self.path)
            if said is None:
                raise
            raise said from error

    def _opened(self) -> sqlite3.Connection:
        if os.getpid() != self._process and self._connection is not None:
            # A connection must not cross a fork, nor be closed in the child: it is kept, unused, as long as the child lives.
            _left_to_parents.append(self._connection)
            self._connection = None
        if self._connection is None:
            self._connection, self._process = connect(self.path), os.getpid()
        return self._connection


def _pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_count").fetchone()[0])


def head(connection: sqlite3.Connection) -> tuple[int, Digest | None]:
    """Number and digest of the last entry folded, inside a transaction or without one."""
    number, digest, _ = StoredRows(connection).last()
    return number, digest


def format_of_head(connection: sqlite3.Connection) -> int:
    """Return the format of the last entry folded; 0 in an empty catalog."""
    row = connection.execute("SELECT format FROM entries ORDER BY number DESC LIMIT 1").fetchone()
    return 0 if row is None else int(row[0])
