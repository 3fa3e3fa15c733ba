"""SQLite: how a catalog's file is opened, and what is said where it cannot be. For the writer and for SQLAlchemy's engine alike."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path
from stat import S_ISREG

from registry.errors import Busy, CatalogDiverged, RegistryError, StoreUnavailable, reason
from registry.util.regular_file import kind_of

from . import wal_index

BUSY_SECONDS = 60.0
"""How long SQLite waits for another writer; with a short wait the next step of load fails."""

REBUILD = "to rebuild it from the journal: registry repair"
"""Hint for a catalog that is damaged."""
_LEAST_ROOM = 1 << 17
"""Free bytes with which SQLite opens a catalog in any case."""
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite adds to a database's name for what it lays beside it."""
_PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "mmap_size=0",
)
_MAKING = ("synchronous=OFF", "journal_mode=OFF", "foreign_keys=OFF", "cache_size=-200000")
"""For a file that nobody sees before it is whole and synced: nothing can be lost, and rows come in an order that no key minds."""
_DAMAGED = (
    "malformed",
    "not a database",
    "no such table",
    "no such column",
    "could not decode",
    "Could not decode",
)


def connect(path: Path, *, readonly: bool = False, making: bool = False) -> sqlite3.Connection:
    """A connection that begins no transaction by itself. Raises sqlite3.Error."""
    with contextlib.ExitStack() as failed:
        connection = connect_readonly(path) if readonly else _connect(path, "mode=rw")
        failed.callback(connection.close)
        for pragma in (*_PRAGMAS, *_MAKING) if making else _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute(
            "SELECT 1 FROM sqlite_master LIMIT 1"
        ).fetchall()  # now, not in the middle, it is seen whether there is room
        failed.pop_all()
    return connection


def connect_readonly(path: Path, *, timeout: float = BUSY_SECONDS) -> sqlite3.Connection:
    """A connection for who only asks, with SQLite's own settings; the file was read once. Raises sqlite3.Error.

    `immutable` sees no other writer, so it is only for a file without a log that cannot be written: not from here, or for want of room.
    """
    with contextlib.ExitStack() as opened:
        try:
            connection = opened.enter_context(
                contextlib.closing(_connect(path, "mode=ro", timeout))
            )
            connection.execute("SELECT 1 FROM entries LIMIT 1").fetchall()
        except sqlite3.OperationalError as error:
            if not has_empty_log(path) or (
                os.access(path.parent, os.W_OK)
                and not is_full(error)
                and not lacks_room(error, path)
            ):
                raise
            return connect_immutable(path, timeout)
        opened.pop_all()
    return connection


def connect_immutable(path: Path, timeout: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Return a connection that needs no room. The file must have an empty log."""
    return _connect(path, "mode=ro&immutable=1", timeout)


def has_empty_log(path: Path) -> bool:
    """Return whether everything that was committed is in the catalog's file itself."""
    log = Path(f"{path}-wal")
    return not log.exists() or not log.stat().st_size


def translated(error: BaseException | None, path: Path) -> RegistryError | None:
    """What the medium or another process refuses is ours to say; None for a fault of this package, which stays what it is."""
    why = str(error)
    with contextlib.suppress(OSError):  # a disk that is gone cannot be asked
        if is_full(error) and os.statvfs(path.parent).f_bavail == 0:
            why = "no space left on its disk"
    if any(
        text in why
        for text in ("disk is full", "no space left", "readonly", "unable to open", "disk I/O")
    ):
        return StoreUnavailable(f"the catalog {str(path)!r} cannot be used: {why}")
    if "locked" in why:
        return Busy(
            f"another program holds the catalog {str(path)!r}",
            hint="run the command again when that program has ended",
        )
    if any(text in why for text in _DAMAGED):
        return CatalogDiverged(f"the catalog {path.name!r} is damaged ({why})", hint=REBUILD)
    return None


def is_full(error: BaseException | None) -> bool:
    """Whether SQLite found no room: for the database, or for the index of its log, which it says in other words."""
    return any(text in str(error) for text in ("disk is full", "disk I/O"))


def lacks_room(error: BaseException, path: Path) -> bool:
    """Return whether an SQLite error comes from a lack of free blocks or inodes."""
    if not is_full(error) and "unable to open" not in str(error):
        return False
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LEAST_ROOM or disk.f_favail == 0


def _connect(path: Path, how: str, timeout: float = BUSY_SECONDS) -> sqlite3.Connection:
    refuse_what_waits(path)
    if "immutable" not in how:
        try:
            wal_index.allocate(path)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise sqlite3.OperationalError(f"database or disk is full: {path}-shm") from error
            raise sqlite3.OperationalError(f"unable to open {path}-shm: {reason(error)}") from error
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )


def refuse_what_waits(path: Path) -> None:
    """Raises sqlite3.DatabaseError where a pipe, say, lies in the place of a catalog or of what SQLite lays beside it and looks for."""
    for place in (f"{path}{suffix}" for suffix in ("", *BESIDE)):
        with contextlib.suppress(OSError):
            mode = os.stat(place).st_mode  # noqa: PTH116  # a path object costs more than the question
            if not S_ISREG(mode):
                raise sqlite3.DatabaseError(f"{place!r} is {kind_of(mode)}, and not a database")
