"""Opened: the catalog of a home, one file for who asks and for who writes. SQLAlchemy is imported when somebody asks more than a glance tells."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core.digest import Digest
from registry.core.text import shell_word
from registry.errors import CatalogBehind, StoreUnavailable

from .connection import connect_readonly, has_empty_log
from .migrate import newest, newest_older
from .writer import Writer, head

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .reader import Catalog


class Opened:
    """What of a catalog's folder is open: nothing before it is needed, then one file, until follow finds another in its place."""

    def __init__(
        self, home: Path, writable: Callable[[], bool], fill: Callable[[Connection], None]
    ) -> None:
        self._home = home
        self._folder = home / "catalog"
        self._writable = writable
        self._fill = fill
        self._reader: Catalog | None = None
        self._writer: Writer | None = None
        self._file: tuple[Path, int, int] | None = None

    def close(self) -> None:
        """Let go of the file."""
        for opened in (self._reader, self._writer):
            if opened is not None:
                opened.close()
        self._reader = self._writer = self._file = None

    def follow(self) -> None:
        """Let go of a file that is not the newest any more: made anew by another process, collected, or taken away. Who writes asks first."""
        if self._file is not None and self._file != _identity(newest(self._folder)[1]):
            self.close()

    def reader(self) -> Catalog | None:
        """What is asked, migrated where that takes it; None where there is no catalog yet.

        Raises SchemaBehind, and CatalogBehind where none can be made.
        """
        from .reader import Catalog

        if self._reader is None:
            self._reader = (
                Catalog(self._writer.path)
                if self._writer is not None
                else Catalog.open(self._folder, readonly=not self._writable())
            )
        if self._reader is None and not self._writable():
            raise CatalogBehind(
                f"the registry {str(self._home)!r} is read-only and has no catalog",
                hint="run once with write access: registry list --home "
                f"{shell_word(str(self._home))}",
            )
        self._note(self._reader)
        return self._reader

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of a catalog that is there."""
        reader = self.reader()
        assert reader is not None
        with reader.reading() as connection:
            yield connection

    def head_for_reading(self) -> int:
        """The number of the last entry that a reader sees."""
        from .reader import Catalog

        with self.reading() as connection:
            return Catalog.head(connection)[0]

    def writer(self) -> Writer:
        """Who changes the file, which is made from the journal if there is none. The caller holds the write lock. Raises StoreUnavailable."""
        if self._writer is None:
            if not self._writable():
                raise StoreUnavailable(
                    f"the registry {str(self._home)!r} is read-only, so nothing can be recorded "
                    "in it"
                )
            path = self._reader.path if self._reader is not None else newest(self._folder)[1]
            self._writer = Writer(path or self._make())
            self._note(self._writer)
        return self._writer

    def room_to_commit(
        self, connection: sqlite3.Connection
    ) -> contextlib.AbstractContextManager[None]:
        """Hold the disk space that committing may need. Raises StoreUnavailable."""
        return self.writer().room_to_commit(connection)

    def start_in_memory(self) -> Path | None:
        """Return the file that a catalog in memory can begin with, if one exists."""
        path = newest(self._folder)[1] or newest_older(self._folder)
        return path if path is not None and has_empty_log(path) else None

    def transaction(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """A connection that changes rows; they are durable when the block ends."""
        return self.writer().transaction()

    def head(self) -> tuple[int, Digest | None]:
        """Number and digest of the last entry that was folded."""
        return self.writer().head()

    def renew(self, fill: Callable[[Connection], None]) -> Path:
        """Go over to a new generation, made from nothing; the old file stays for whoever has it open."""
        from .reader import Catalog

        made = Catalog.new_generation(self._folder, fill=fill)
        self.close()
        self._reader = made
        self._note(made)
        return made.path

    def _make(self) -> Path:
        from .reader import Catalog

        self._reader = Catalog.open(self._folder) or Catalog.create(self._folder, fill=self._fill)
        return self._reader.path

    def _note(self, opened: Catalog | Writer | None) -> None:
        if self._file is None and opened is not None:
            self._file = _identity(opened.path)


def last_known(home: Path) -> int:
    """The number of the last entry that the newest catalog of a home knows; 0 without one, or one that cannot be read."""
    path = newest(home / "catalog")[1] or newest_older(home / "catalog")
    with contextlib.suppress(sqlite3.Error, OSError):
        if path is not None:
            with contextlib.closing(connect_readonly(path, timeout=1.0)) as connection:
                return head(connection)[0]
    return 0


def _identity(path: Path | None) -> tuple[Path, int, int] | None:
    """What tells a file from another that took its place."""
    try:
        return None if path is None else (path, (stat := path.stat()).st_dev, stat.st_ino)
    except FileNotFoundError:
        return None
