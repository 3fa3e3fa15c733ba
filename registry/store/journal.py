"""The journal: what was done, one put-if-absent file an entry, each naming its predecessor's digest. The only truth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from registry.core import entry as _entry
from registry.core.digest import Digest
from registry.core.entry import Entry
from registry.errors import (
    BlobNotFound,
    BrokenChain,
    Busy,
    Corrupt,
    InvalidManifest,
    NewerFormat,
    RegistryError,
)

from .backend import Backend

PREFIX = "journal"
Read = Callable[[int], Entry | None]
REACH = 100_000
"""A file whose number exceeds the number of files by more is not an entry."""
_FILE = re.compile(rf"{PREFIX}/([0-9]{{20}})\.json", re.ASCII)


class Journal:
    """The entries of a back end, from 1 on without a gap."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def append(self, entry: Entry) -> None:
        """Write an entry. One that is there with its own id is a success; raises Busy if another has its number."""
        with self._backend.stage() as staged:
            staged.write(entry.to_bytes())
            if staged.publish(_name(entry.number)):
                return
        there = self.read(entry.number)
        if there is None or there.id != entry.id:
            raise Busy(
                f"another process wrote entry {entry.number} at the same moment",
                hint="run the command again",
            )

    def read(self, number: int) -> Entry | None:
        """An entry, checked by itself; None if there is none. Raises BrokenChain if it is damaged, NewerFormat."""
        try:
            content = self._backend.read(_name(number))
        except BlobNotFound:
            return None
        except Corrupt as error:
            raise BrokenChain(f"the journal is damaged: {error}", hint=error.hint) from None
        try:
            entry = _entry.parse(content, f"journal entry {number}")
        except NewerFormat:
            raise
        except InvalidManifest as error:
            raise BrokenChain(f"the journal is damaged: {error}", hint=error.hint) from None
        if entry.number != number:
            raise BrokenChain(
                f"the journal is damaged: the file of entry {number} holds entry {entry.number}"
            )
        return entry

    def follow(
        self, after: int, previous: Digest | None, read: Read | None = None
    ) -> Iterator[Entry]:
        """Entries after a number, each checked to name its predecessor, whose digest is `previous`. Raises BrokenChain.

        They are read by this journal's own `read`, or by one that gives the same sooner.
        """
        number, read = after + 1, read or self.read
        while (entry := read(number)) is not None:
            if entry.previous != previous:
                raise BrokenChain(
                    f"the journal is broken at entry {number}: it follows {entry.previous}, and entry {number - 1} is {previous}"
                )
            yield entry
            number, previous = number + 1, entry.digest

    def has(self, number: int) -> bool:
        """Whether an entry of that number is there, whatever is in it."""
        return self._backend.stat(_name(number)) is not None

    def last(self) -> int:
        """The highest number that a file has, whatever is in it or before it; 0 without any."""
        last = _name(
            0
        )  # names of entries are of one length, so they stand in the order of their numbers
        for name in self._backend.list(PREFIX):
            if name > last and _FILE.fullmatch(name):
                last = name
        return int(last[-25:-5])

    def end(self) -> int:
        """Return the highest number of a file that may be an entry; 0 without any.

        A chain in which so many entries are missing could not be read, and a number can
        have 20 digits.
        """
        numbers = self._numbers()
        return max((number for number in numbers if number <= len(numbers) + REACH), default=0)

    def _numbers(self) -> list[int]:
        return [
            int(match[1])
            for name in self._backend.list(PREFIX)
            if (match := _FILE.fullmatch(name)) is not None
        ]

    def walk(
        self, until: int, read: Read | None = None
    ) -> Iterator[tuple[int, Entry | RegistryError | None]]:
        """Every number from 1 to until: its entry, or what is wrong with its file, or None where that is missing. `read` is as in follow."""
        read = read or self.read
        for number in range(1, until + 1):
            try:
                yield number, read(number)
            except RegistryError as error:
                yield number, error

    def strays(self) -> list[str]:
        """Return the sorted names in the journal that cannot be entries."""
        last = _name(self.end())
        return sorted(
            name for name in self._backend.list(PREFIX) if not _FILE.fullmatch(name) or name > last
        )

    def replace(self, entry: Entry) -> None:
        """Put the whole entry in the place of its damaged file. Only repair does this, for bytes whose digest the next entry names."""
        with self._backend.stage() as staged:
            staged.write(entry.to_bytes())
            staged.publish(_name(entry.number), replace=True)

    def sync(self) -> None:
        """Make entries durable, whoever wrote them, before anything is built on them."""
        self._backend.sync(PREFIX)


def _name(number: int) -> str:
    return f"{PREFIX}/{number:020}.json"
