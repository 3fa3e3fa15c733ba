"""Home: an open folder that is a registry. record(), commit() and catch_up() are the only ways to change anything.

    HOME/journal/       what was done, the only truth
    HOME/blobs/         bytes, by digest
    HOME/staging/       bytes on their way in
    HOME/catalog/       answers; can be deleted
    HOME/checkouts/     unpacked versions for loaders; can be deleted
    HOME/local/         what is of this machine: settings, original paths
    HOME/write.lock, HOME/store.lock, HOME/queue/     writers and waiters

Lock order is store (shared by who adds, exclusive by collect), then write. Nothing slow happens under the write lock.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from registry.catalog.handle import Opened, last_known
from registry.catalog.writer import format_of_head, head
from registry.core import entry as _entry
from registry.core.entry import Body, Entry, Init, now
from registry.core.settings import Settings, read_config
from registry.core.text import counted, shell_word
from registry.errors import (
    BrokenChain,
    Busy,
    CatalogBehind,
    CatalogDiverged,
    EntryRefused,
    HomeNotFound,
    InvalidName,
    RegistryError,
    SchemaBehind,
    StoreUnavailable,
)
from registry.store.blobs import Blobs
from registry.store.journal import Journal
from registry.store.local import LocalBackend, try_place
from registry.store.lock import Lock
from registry.store.lock_queue import LockQueue
from registry.store.verified_reader import Reader

from .location import FIRST_ENTRY, is_home, make_private, refuse_foreign

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.catalog.reader import Catalog
    from registry.core.digest import Digest
    from registry.store.backend import Backend

Answer = TypeVar("Answer")

_DETAILS = "for details: registry audit"

STORE_WAIT = 60.0
"""Seconds an operation that adds blobs waits for a garbage collection to end."""
WRITE_WAIT = 60.0
"""Seconds a writer waits for its turn."""
READ_WAIT = 0.1
"""Seconds a reader that is behind waits for the writer before it answers as of an older entry."""


class Home:
    """One registry on this machine."""

    def __init__(self, settings: Settings, backend: Backend | None = None) -> None:
        self.settings = settings
        self.root = settings.home
        self.backend: Backend = backend if backend is not None else LocalBackend(self.root)
        self.blobs = Blobs(self.backend)
        self.journal = Journal(self.backend)
        queue = self.root / "queue"
        self.store_lock = Lock(self.root / "store.lock", LockQueue(queue, "store"))
        self.write_lock = Lock(self.root / "write.lock", LockQueue(queue, "write"))
        self._catalog = Opened(self.root, lambda: self.writable, self.fold_into)
        self._in_memory: tuple[int, Catalog] | None = None
        self._warnings: list[str] = []

    @classmethod
    def create(cls, settings: Settings, backend: Backend | None = None) -> Home:
        """A new home, or the one that is there. Raises StoreUnavailable where a home cannot be, BrokenChain where one lacks its first entry."""
        if is_home(settings.home):
            return cls(settings, backend).begun()
        make_private(
            settings.home,
            variable=None if settings.home_was_named else "REGISTRY_HOME (and REGISTRY_CACHE)",
        )
        refuse_foreign(settings.home)
        try_place(settings.home)
        home = cls(settings, backend)
        with home.write_lock.exclusive(WRITE_WAIT):
            if home.journal.read(1) is None:
                home.record(lambda: Init(secrets.token_hex(16)))
        return home

    @classmethod
    def open(cls, settings: Settings) -> Home:
        """The home that is there, be it damaged; the default one makes itself. Raises HomeNotFound."""
        if is_home(settings.home):
            return cls(settings)
        if settings.home_was_named:
            raise HomeNotFound(
                f"there is no registry at {str(settings.home)!r}",
                hint=f"registry init {shell_word(str(settings.home))}",
            )
        return cls.create(settings)

    def close(self) -> None:
        """Let go of the catalog."""
        self._catalog.close()
        if self._in_memory is not None:
            self._in_memory[1].close()
            self._in_memory = None

    @property
    def writable(self) -> bool:
        """Whether this process may write here."""
        journal = self.root / "journal"
        return os.access(self.root, os.W_OK) and (
            not journal.exists() or os.access(journal, os.W_OK)
        )

    @property
    def user(self) -> str:
        """Who is at work: the settings' user, else git's, else login@host. A claim, not a proof."""
        import socket

        return (
            self.settings.user
            or read_config(self.root).get("user.name")
            or _git_user()
            or f"{_login()}@{socket.gethostname()}"
        )

    def warn(self, text: str) -> None:
        """Keep a line for whoever asks for warnings."""
        if text not in self._warnings:
            self._warnings.append(text)

    def take_warnings(self) -> tuple[str, ...]:
        """The lines kept since the last time."""
        taken, self._warnings = tuple(self._warnings), []
        return taken

    # changing

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """Hold the store's lock in shared mode while blobs are added.

        New entries are folded first, so that one of a newer format is refused before anything is
        measured or stored. Raises NewerFormat, Busy.
        """
        with self.store_lock.shared(timeout=STORE_WAIT):
            if self.writable:
                self.catch_up()
            else:
                with self.reading():
                    pass
            yield

    @property
    def format(self) -> int:
        """The format of the journal's last entry; older packages read checkouts only of their own."""
        entry = self.journal.read(last_known(self.root))
        return _entry.FORMAT if entry is None else entry.format

    def commit(self, decide: Callable[[Connection], Body | None]) -> Entry | None:
        """Append the entry that decide makes of the up-to-date catalog; None where it decides for nothing.

        The journal's write is the commit. A catalog that then fails to follow is a warning: it heals at the next catch_up.
        """

        def ask() -> Body | None:
            with self.reading() as connection:
                return decide(connection)

        return self.record(ask)

    def record(self, decide: Callable[[], Body | None]) -> Entry | None:
        """What commit does, for a decision that asks the catalog at a glance or not at all: the entry then costs no import of SQLAlchemy."""
        by = self.user  # asked before the lock is taken: git may take its time
        with self.write_lock.exclusive(WRITE_WAIT):
            self.catch_up()
            body = decide()
            return self._append(body, by) if body is not None else None

    def _append(self, body: Body, by: str) -> Entry | None:
        entry: Entry | None = None
        appended = False
        try:
            with self._catalog.transaction() as connection:
                number, previous = head(connection)
                is_upgrade = 0 < format_of_head(connection) < _entry.FORMAT
                entry = Entry(
                    number + 1,
                    secrets.token_hex(16),
                    now(),
                    by,
                    body,
                    previous,
                    _login_of_process(),
                    os.getuid(),
                )
                self._fold(connection, entry, self.blobs.read)
                with self._catalog.room_to_commit(connection):
                    self.journal.append(entry)
                appended = True
                if is_upgrade:
                    self.warn(
                        f"this registry is written in entry format {_entry.FORMAT} from entry {entry.number} on:"
                        " st-registry 0.1 can no longer read it"
                    )
        except (RegistryError, OSError, sqlite3.Error) as error:
            if not appended and not self._has_entry(entry):
                raise
            why = error.with_hint() if isinstance(error, RegistryError) else str(error)
            self.warn(
                "recorded, but the disk or the catalog refused what follows the record, and the "
                f"next command completes it: {why}"
            )
        return entry

    def _has_entry(self, entry: Entry | None) -> bool:
        """Return whether the journal has an entry whose writing ended with an error."""
        try:
            written = self.journal.read(entry.number) if entry is not None else None
        except RegistryError:
            return False
        return entry is not None and written is not None and written.id == entry.id

    def catch_up(self) -> None:
        """Fold what the catalog has not seen. Raises CatalogDiverged if the journal is not the one it was folded from."""
        with self.write_lock.exclusive(WRITE_WAIT):
            self.begun()
            self._catalog.follow()
            self._catalog.writer()
            self.journal.sync()
            number, digest = self._healed(self._catalog.head)
            if number:
                self._refuse_another_journal(number, digest)
            if self.journal.read(number + 1) is None:
                if self.journal.has(number + 2):
                    self.refuse_gap(number)
                return
            with _refusal_told(), self._catalog.transaction() as connection:
                for entry in self.journal.follow(number, digest):
                    self._fold(connection, entry, self.blobs.read_or_miss)

    # asking

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Connect to a snapshot of the catalog, brought up to the journal.

        Where that would take waiting, a warning says how old it is. Where the catalog
        cannot be opened or updated, because the disk is full or read-only, the entries
        that it lacks are folded in memory, and a warning says so.
        """
        self.begun()
        with contextlib.ExitStack() as stack:
            try:
                self._prepare_reading()
                connection = stack.enter_context(self._catalog.reading())
            except (StoreUnavailable, CatalogBehind, SchemaBehind) as error:
                number, catalog = self._fold_in_memory()
                connection = stack.enter_context(catalog.reading())
                self.warn(f"{error}; answering from memory, as of entry {number}")
            yield connection

    def _prepare_reading(self) -> None:
        if self._catalog.reader() is None:
            self.catch_up()
        number = self._healed(self._catalog.head_for_reading)
        if (self.root / "journal" / f"{number + 1:020}.json").exists():
            self._catch_up_quickly(number)
        elif number and not (self.root / "journal" / f"{number:020}.json").exists():
            self.warn(
                f"the catalog has entry {number}, and the journal lacks it; for details: "
                "registry audit; to repair it: registry repair"
            )

    def _fold_in_memory(self) -> tuple[int, Catalog]:
        """Return a catalog in memory that is up to date, and the number of its last
        entry.

        It is made from the catalog on the disk if that can be read, else from the whole
        journal.
        """
        from registry.catalog.reader import Catalog

        last = self.journal.last()
        if self._in_memory is None or self._in_memory[0] != last:
            start = self._catalog.start_in_memory()
            try:
                catalog = Catalog.passing(self._fold_rest, start=start)
            except (sqlite3.Error, CatalogDiverged):
                if start is None:
                    raise
                catalog = Catalog.passing(self._fold_rest)
            self._in_memory = (last, catalog)
        return self._in_memory

    def _fold_rest(self, connection: Connection) -> None:
        """Fold into a catalog in memory what it lacks."""
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        number, digest = head(raw)
        if not number:
            self.fold_into(connection)
            return
        self._refuse_another_journal(number, digest)
        with _refusal_told():
            for entry in self.journal.follow(number, digest):
                self._fold(raw, entry, self.blobs.read_or_miss)
        self.refuse_gap(head(raw)[0])

    def dump(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of the catalog, by table: what two folds of one journal must agree in."""
        from registry.catalog.reader import Catalog

        with self.reading() as connection:
            return Catalog.dump(connection)

    def _healed(self, ask: Callable[[], Answer]) -> Answer:
        """What asking gives. A catalog that cannot be read is made anew before: it holds nothing that the journal does not."""
        try:
            return ask()
        except CatalogDiverged as error:
            if not self.writable:
                raise
            self.renew()
            self.warn(f"{error}; it was rebuilt from the journal")
        return ask()

    def _catch_up_quickly(self, number: int) -> None:
        if not self.writable:
            raise CatalogBehind(
                f"this registry is read-only and its catalog ends with entry {number}"
            )
        try:
            with self.write_lock.exclusive(READ_WAIT):
                self.catch_up()
        except Busy:
            self.warn(f"another process is writing; answering as of entry {number}")

    def fold_into(
        self, connection: Connection, until: int | None = None, reader: Reader | None = None
    ) -> None:
        """The whole journal, or its first entries, into an empty catalog that nobody sees before it is done."""
        from registry.catalog.rebuild import fill

        from .prefetch import helped

        reader = reader or Reader(self.blobs)
        with (
            _refusal_told(),
            helped(self.journal, self.backend, reader, until or self.journal.last()) as ahead,
        ):
            fill(
                connection,
                itertools.islice(self.journal.follow(0, None, ahead.entry), until),
                reader.read,
                ahead.made,
            )
        if until is None:
            from registry.catalog.reader import Catalog

            self.refuse_gap(Catalog.head(connection)[0])

    def begun(self) -> Home:
        """This home, unless its journal lacks the first entry, whatever the catalog still knows. Raises BrokenChain."""
        if not (self.root / FIRST_ENTRY).exists():
            last = self.journal.last()
            if last and not self.journal.has(1):  # asked again: a whole journal may just have come
                self.refuse_gap(0)
            if not last and (known := last_known(self.root)):
                raise BrokenChain(
                    f"the journal of {str(self.root)!r} is missing, and its catalog has "
                    f"{counted(known, 'entry', 'entries')}",
                    hint=f"to restore it from the catalog: registry repair; {_DETAILS}",
                )
        return self

    def refuse_gap(self, number: int) -> None:
        """Raises BrokenChain where the journal has entries beyond the last that follows: what they registered is not lost, and not seen.

        Nothing may be written into the gap then, and nothing freed.
        """
        last = self.journal.last()
        if last > number:
            raise BrokenChain(
                f"the journal of {str(self.root)!r} lacks entry {number + 1} and has later "
                f"entries up to {last}",
                hint="to restore it from the catalog: registry repair; from another home or a "
                f"bundle: registry repair --from HOME; {_DETAILS}",
            )

    def renew(self, *, reader: Reader | None = None) -> Path:
        """The file of a new generation of the catalog, made from the journal alone; the old one stays for whoever has it open."""
        with self.write_lock.exclusive(WRITE_WAIT):
            self.journal.sync()
            return self._catalog.renew(functools.partial(self.fold_into, reader=reader))

    def _fold(
        self, connection: sqlite3.Connection, entry: Entry, read_blob: Callable[[Digest], bytes]
    ) -> None:
        from registry.catalog.apply import apply

        apply(connection, entry, read_blob)

    def _refuse_another_journal(self, number: int, digest: str | None) -> None:
        entry = self.journal.read(number)
        if entry is None or entry.digest != digest:
            found = "is missing" if entry is None else f"has the digest {entry.digest.short}"
            raise CatalogDiverged(
                f"the catalog was made from another journal: entry {number} {found}",
                hint=f"{_DETAILS}; to repair the journal: registry repair; if this journal is "
                "the right one: registry repair --accept-journal",
            )


@contextlib.contextmanager
def _refusal_told() -> Iterator[None]:
    """Raise EntryRefused, whose hint has commands, if the journal cannot be folded."""
    try:
        yield
    except (EntryRefused, InvalidName) as error:
        raise EntryRefused(
            f"the journal cannot be read to its end: {error}",
            hint=f"{_DETAILS}; to set aside that entry and all later ones: "
            "registry repair --accept-journal",
        ) from None


def _git_user() -> str | None:
    import subprocess

    try:
        done = subprocess.run(
            ["git", "config", "user.name"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _login_of_process() -> str | None:
    """Return the login name of this process's user, None for a user without an entry in the database."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return None


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
