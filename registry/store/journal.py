"""The journal: what was done, one put-if-absent file an entry, each naming its predecessor's digest. The only truth."""

from __future__ import annotations

from collections.abc import Iterator

from .. import entry as _entry
from ..digest import Digest
from ..entry import Entry
from ..errors import BlobNotFound, BrokenChain, Busy, InvalidManifest, NewerFormat
from .backend import Backend

PREFIX = "journal"


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
            raise Busy(f"another process wrote entry {entry.number} at the same moment; run the command again")

    def read(self, number: int) -> Entry | None:
        """An entry, checked by itself; None if there is none. Raises BrokenChain if it is damaged, NewerFormat."""
        try:
            content = self._backend.read(_name(number))
        except BlobNotFound:
            return None
        try:
            entry = _entry.parse(content, f"journal entry {number}")
        except NewerFormat:
            raise
        except InvalidManifest as error:
            raise BrokenChain(f"the journal is damaged: {error}") from None
        if entry.number != number:
            raise BrokenChain(f"the journal is damaged: the file of entry {number} holds entry {entry.number}")
        return entry

    def follow(self, after: int, previous: Digest | None) -> Iterator[Entry]:
        """Entries after a number, each checked to name its predecessor, whose digest is `previous`. Raises BrokenChain."""
        number = after + 1
        while (entry := self.read(number)) is not None:
            if entry.previous != previous:
                raise BrokenChain(f"the journal is broken at entry {number}: it follows {entry.previous}, and entry {number - 1} is {previous}")
            yield entry
            number, previous = number + 1, entry.digest

    def sync(self) -> None:
        """Make entries durable, whoever wrote them, before anything is built on them."""
        self._backend.sync(PREFIX)


def _name(number: int) -> str:
    return f"{PREFIX}/{number:020}.json"
