"""Engine: one catalog file, opened to be asked, made, or migrated. Readers get a snapshot; who changes rows is `writer`.

Nothing is ever made or migrated in place: it is written whole under another name, then linked to its own. Who loses a
race uses the winner's file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from registry.core.digest import Digest, canonical
from registry.core.text import shell_word
from registry.errors import CatalogDiverged, SchemaBehind, StoreUnavailable, reason

from . import schema
from .connection import (
    BESIDE,
    BUSY_SECONDS,
    connect,
    connect_immutable,
    connect_readonly,
    is_full,
    translated,
)
from .migrate import Migrations, file_name, newest, newest_older, packaged

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
_left_to_parents: list[sa.Engine] = []


class Catalog:
    """An open catalog file. Used from several threads, and after a fork, it gives each its own connection."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self.readonly = readonly
        self._process = os.getpid()
        self._engine = _engine(path, readonly=readonly)

    @classmethod
    def open(
        cls, folder: Path, *, readonly: bool = False, migrations: Migrations | None = None
    ) -> Catalog | None:
        """The newest catalog of this revision; else a migrated copy of an older one, if that is whole; else None, and the caller creates one.

        Raises SchemaBehind where an older one cannot be migrated because nothing may be written.
        """
        migrations = migrations or packaged()
        _, path = newest(folder, migrations.revision)
        if path is not None:
            return cls(path, readonly=readonly)
        older = newest_older(folder, migrations.revision)
        if older is None:
            return None
        if readonly:
            raise SchemaBehind(
                f"the catalog {older.name!r} is of an older version of this package, and "
                f"{str(folder)!r} is read-only",
                hint="run once with write access: registry list --home "
                f"{shell_word(str(folder.parent))}",
            )
        try:
            return cls(_publish(folder, migrations, 1, start=older))
        except (sqlite3.DatabaseError, sa.exc.DatabaseError) as error:
            if isinstance(translated(getattr(error, "orig", error), older), CatalogDiverged):
                return None  # it is damaged, and holds nothing that the journal does not
            raise

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        fill: Callable[[sa.Connection], None] | None = None,
        migrations: Migrations | None = None,
    ) -> Catalog:
        """A new catalog in a folder that has none of this revision, or the one that another process made meanwhile.

        fill folds the journal before anybody can see the file; without it the catalog begins empty.
        """
        return cls(_publish(folder, migrations or packaged(), 1, fill=fill))

    @classmethod
    def new_generation(
        cls,
        folder: Path,
        *,
        fill: Callable[[sa.Connection], None] | None = None,
        migrations: Migrations | None = None,
    ) -> Catalog:
        """A catalog made from nothing beside those that are there, which stay for whoever has them open."""
        migrations = migrations or packaged()
        generation, _ = newest(folder, migrations.revision)
        return cls(_publish(folder, migrations, generation + 1, fill=fill))

    @classmethod
    def passing(
        cls, fill: Callable[[sa.Connection], None], *, start: Path | None = None
    ) -> Catalog:
        """Return a catalog in memory, which needs no room on the disk and which no one
        else sees.

        It begins as a copy of `start`, a catalog file with an empty log, migrated if it
        is older. Raises sqlite3.Error if that cannot be read.
        """
        catalog = cls(Path())
        catalog._engine = sa.create_engine(
            "sqlite://",
            creator=lambda: _connect_to_memory(start),
            poolclass=sa.pool.StaticPool,
            json_serializer=_json,
        )
        with catalog._engine.begin() as connection:
            connection.exec_driver_sql("BEGIN")  # which the driver leaves to its callers
            packaged().upgrade(connection)
            fill(connection)
        return catalog

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the catalog, whatever is written meanwhile."""
        if os.getpid() != self._process:
            # A connection must not cross a fork, nor be closed in the child: it is kept, unused, as long as the child lives.
            _left_to_parents.append(self._engine)
            self._engine, self._process = _engine(self.path, readonly=self.readonly), os.getpid()
        try:
            with contextlib.ExitStack() as stack:
                try:
                    connection = stack.enter_context(self._engine.begin())
                except sa.exc.OperationalError as error:
                    if not is_full(error.orig):
                        raise
                    # SQLite wants room even to read; who only reads gets on without.
                    engine = _engine(self.path, readonly=True)
                    stack.callback(engine.dispose)
                    connection = stack.enter_context(engine.begin())
                yield connection
        except sa.exc.DatabaseError as error:
            said = translated(error.orig, self.path)
            if said is None:
                raise
            raise said from error

    @staticmethod
    def head(connection: sa.Connection) -> tuple[int, Digest | None]:
        """Number and digest of the last entry folded; (0, None) in an empty catalog."""
        found = connection.execute(
            sa.select(schema.entries.c.number, schema.entries.c.digest)
            .order_by(schema.entries.c.number.desc())
            .limit(1)
        ).first()
        return (found.number, Digest(found.digest)) if found is not None else (0, None)

    @staticmethod
    def dump(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables, sorted by key. Two folds of one journal give equal dumps."""
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))
            ]
            for table in schema.metadata.sorted_tables
        }


def newest_migrated(folder: Path, *, writable: bool) -> Path | None:
    """Return the file of the newest catalog, migrated from an older schema if there is only that.

    The older file itself if it is damaged, so that the damage is reported; None if there is no
    catalog, or only an older one that may not be migrated because nothing may be written.
    """
    _, path = newest(folder)
    if path is not None or not writable:
        return path
    migrated = Catalog.open(folder)
    if migrated is None:
        return newest_older(folder)
    migrated.close()
    return migrated.path


def _engine(path: Path, *, readonly: bool = False, making: bool = False) -> sa.Engine:
    """Our own BEGIN on every connection: the driver's would not come before a SELECT, and what is made is made in one transaction."""
    # A file opened as immutable is not looked at again, so a connection to it must not outlive one question.
    pool = sa.pool.NullPool if readonly else sa.pool.QueuePool
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: connect(path, readonly=readonly, making=making),
        poolclass=pool,
        json_serializer=_json,
    )

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if making else "BEGIN DEFERRED")

    return engine


def _connect_to_memory(start: Path | None) -> sqlite3.Connection:
    with contextlib.ExitStack() as failed:
        connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        failed.callback(connection.close)
        if start is not None:
            with contextlib.closing(connect_immutable(start)) as source:
                source.backup(connection)
        failed.pop_all()
    return connection


def _json(value: Any) -> str:
    return canonical(value).decode()


def _publish(
    folder: Path,
    migrations: Migrations,
    generation: int,
    *,
    start: Path | None = None,
    fill: Callable[[sa.Connection], None] | None = None,
) -> Path:
    """The catalog file of this generation, made under another name and then linked; or the one that was there first."""
    target = folder / file_name(migrations.revision, generation)
    temporary = folder / f"{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _make(temporary, migrations, start, fill)
            _link(temporary, target)
        finally:
            for suffix in ("", *BESIDE):
                Path(f"{temporary}{suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot make the catalog {str(target)!r}: {reason(error)}"
        ) from error
    except (sqlite3.OperationalError, sa.exc.OperationalError) as error:
        raise StoreUnavailable(
            f"cannot make the catalog {str(target)!r}: {getattr(error, 'orig', error)}"
        ) from error
    return target


def _make(
    path: Path,
    migrations: Migrations,
    start: Path | None,
    fill: Callable[[sa.Connection], None] | None,
) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        path.chmod(0o600)
        if start is not None:
            with contextlib.closing(connect_readonly(start)) as source:
                source.backup(connection)
            connection.execute("PRAGMA journal_mode=DELETE")
    engine = _engine(path, making=True)
    try:
        with engine.begin() as opened:
            migrations.upgrade(opened)
            if fill is not None:
                fill(opened)
    finally:
        engine.dispose()
    # Only now, when all is in the one file: what a write-ahead log still held would be left behind.
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        # exclusive: without the shared file, for which there may be no room
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
    _sync(path)


def _link(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_if_absent(temporary, target)
    _sync(target.parent)


def _rename_if_absent(temporary: Path, target: Path) -> None:
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not target.exists():
            temporary.rename(target)
    finally:
        os.close(descriptor)


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
