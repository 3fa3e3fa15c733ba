"""Helpers: entries of a long journal, and the rows of the manifests and facts that they name, read and checked by other processes.

Reading, hashing and parsing them takes as long as folding, and Python does one thing at a time; so for a long journal this
program is started again, as often as there are processors, eight times at most: they share what there is to do, and one that waits for
the disk keeps nobody waiting. Each helper reads every so many entries, a few hundred in advance.

A helper judges nothing. What it gives was whole: an entry whose digest is right, a blob whose bytes have its name, in their one form.
Whatever it finds wanting, newer or unreadable it leaves out, as does one that could not start or was killed; then the ordinary way is
gone here, and says what is wrong. So helpers change how long it takes, and nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import marshal
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from registry.catalog.blob_rows import rows_of_facts, rows_of_manifest
from registry.core import entry as _entry
from registry.core.digest import Digest, known
from registry.core.entry import Entry, FactsUpdate, Register
from registry.errors import RegistryError
from registry.store.blobs import Blobs
from registry.store.journal import Journal
from registry.store.local import LocalBackend
from registry.store.verified_reader import Reader
from registry.util.gc_pause import uncollected

if TYPE_CHECKING:
    from registry.catalog.apply import Made
    from registry.store.backend import Backend

WORTH = 2000
"""Entries from which on it takes less time to start helpers than they spare."""
PIECE = 64
"""Entries that a helper is asked for at once."""
IN_ADVANCE = 8
"""Pieces that each helper may be in advance, so that neither waits for the other; it is what bounds the memory."""
MOST = 8
"""Helpers; more would give more than one process can fold."""
_PIPE = 1 << 20
"""Bytes that Linux keeps between two processes, where anybody may ask for as many."""
_GREETING = b"registry helper 2\n"
_NUMBER = 8


class Helped:
    """What helpers have read. Entries are asked for in their order; `made` has the rows of those that were asked for last."""

    def __init__(
        self,
        journal: Journal,
        reader: Reader,
        helpers: list[_Helper],
        last: int,
        meanwhile: Callable[[], bool],
    ) -> None:
        """Helpers are asked in turn; without any, or without their answer, entries are read here.

        meanwhile is called as long as one has to be waited for, until it says that there is nothing more to do.
        """
        from registry.catalog.apply import Made

        self._read = journal.read
        self._whole = reader.whole
        self._meanwhile = meanwhile
        self._helpers = helpers
        self._pieces = -(-last // PIECE)
        self._entries: dict[int, Any] = {}
        self._next = self._asked = 0
        self._manifests: dict[str, Any] = {}
        self._facts: dict[str, Any] = {}
        self.made: Made = Made(self._manifests, self._facts)

    def entry(self, number: int) -> Entry | None:
        """As Journal.read."""
        while self._helpers and number > self._next * PIECE and self._next < self._pieces:
            self._take()
        values = self._entries.pop(number, None)
        return _entry.together(values) if values is not None else self._read(number)

    def _take(self) -> None:
        while self._asked < min(self._pieces, self._next + IN_ADVANCE * len(self._helpers)):
            self._helpers[self._asked % len(self._helpers)].ask(self._asked)
            self._asked += 1
        helper = self._helpers[self._next % len(self._helpers)]
        while not helper.has_answered() and self._meanwhile():
            pass
        self._entries, manifests, facts = helper.answer()
        self._next += 1
        for kept, given in ((self._manifests, manifests), (self._facts, facts)):
            kept.clear()
            kept.update(given)
        self._whole.update(map(known, manifests), map(known, facts))


class _Helper:
    """One other process, at its other end."""

    def __init__(self, root: Path) -> None:
        """Start it for the home that lies there. Raises OSError."""
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); import registry; del sys.path[0]; "
            "from registry.home.prefetch import serve; serve(sys.argv[2])"
        )
        # isolated, so that neither the working directory nor the environment says what it runs
        words = [
            sys.executable,
            "-IS",
            "-c",
            code,
            os.fspath(Path(__file__).parents[2]),
            os.fspath(root.absolute()),
        ]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._greeted = False
        with contextlib.suppress(OSError, AttributeError):
            # whole answers wait here; else on a busy machine each part of one would wait for both processes to have their turn
            fcntl.fcntl(self._from, fcntl.F_SETPIPE_SZ, _PIPE)
        self._poll = select.poll()
        self._poll.register(self._from, select.POLLIN | select.POLLHUP)

    def ask(self, piece: int) -> None:
        """For a piece; the answer is not waited for."""
        with contextlib.suppress(OSError):
            self._to.write(piece.to_bytes(_NUMBER, "little"))
            self._to.flush()

    def has_answered(self) -> bool:
        """Whether an answer has come, or the end."""
        return bool(self._poll.poll(0))

    def answer(self) -> tuple[dict[int, Any], dict[str, Any], dict[str, Any]]:
        """(entries, rows of manifests, rows of facts) of the piece that was asked for first; nothing from one that has ended."""
        with contextlib.suppress(OSError, ValueError, EOFError):
            self._greeted = self._greeted or self._from.read(len(_GREETING)) == _GREETING
            length = int.from_bytes(self._from.read(_NUMBER), "little") if self._greeted else 0
            if length and len(content := self._from.read(length)) == length:
                entries, manifests, facts = marshal.loads(content)
                return entries, manifests, facts
        return {}, {}, {}

    def end(self) -> None:
        """Whatever it is at."""
        self._process.kill()
        with self._process, contextlib.suppress(OSError):
            self._to.close()


@contextlib.contextmanager
def helped(
    journal: Journal,
    backend: Backend,
    reader: Reader,
    last: int,
    meanwhile: Callable[[], bool] = lambda: False,
) -> Iterator[Helped]:
    """A reader of a journal up to an entry. What its helpers found whole is noted in `reader`; they end with the block."""
    helpers: list[_Helper] = []
    try:
        if last >= WORTH and type(backend) is LocalBackend and sys.executable and processors() > 1:
            with contextlib.suppress(OSError):
                helpers.extend(_Helper(backend.root) for _ in range(min(processors(), MOST)))
        yield Helped(journal, reader, helpers, last, meanwhile)
    finally:
        for helper in helpers:
            helper.end()


def processors() -> int:
    """How many this process may use."""
    count: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(count(0)) if count is not None else os.cpu_count() or 1


# the other process


def serve(root: str) -> None:
    """Answer what is asked on standard input, until that ends; whoever asks may end, or kill this, at any moment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    backend = LocalBackend(Path(root))
    journal, blobs = Journal(backend), Blobs(backend)
    answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    # a thread of its own, since what waits for a reader keeps nobody from reading on
    writer = threading.Thread(target=_write, args=(answers, sys.stdout.buffer), daemon=True)
    writer.start()
    answers.put(_GREETING)
    with uncollected():
        while len(asked := sys.stdin.buffer.read(_NUMBER)) == _NUMBER and writer.is_alive():
            content = marshal.dumps(_piece(journal, blobs, int.from_bytes(asked, "little")))
            answers.put(len(content).to_bytes(_NUMBER, "little") + content)
    answers.put(None)
    writer.join()


def _write(answers: queue.SimpleQueue[bytes | None], stream: BinaryIO) -> None:
    with contextlib.suppress(OSError):
        for content in iter(functools.partial(answers.get), None):
            stream.write(content)
            stream.flush()


def _piece(
    journal: Journal, blobs: Blobs, piece: int
) -> tuple[dict[int, Any], dict[str, Any], dict[str, Any]]:
    entries: dict[int, Any] = {}
    manifests: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for number in range(piece * PIECE + 1, piece * PIECE + PIECE + 1):
        with contextlib.suppress(RegistryError, OSError):
            entry = journal.read(number)
            if entry is None:
                continue
            entries[number] = _entry.apart(entry)
            if isinstance(entry.body, Register):
                _make(manifests, entry.body.manifest, blobs, rows_of_manifest)
            if isinstance(entry.body, Register | FactsUpdate):
                _make(facts, entry.body.facts, blobs, rows_of_facts)
    return entries, manifests, facts


_sent: set[Digest] = set()


def _make(made: dict[str, Any], digest: Digest, blobs: Blobs, rows_of: Any) -> None:
    """Once: whoever folds knows what came before."""
    if digest not in _sent:
        with contextlib.suppress(RegistryError, OSError):
            made[str(digest)] = rows_of(digest, blobs.read(digest))
            _sent.add(digest)
