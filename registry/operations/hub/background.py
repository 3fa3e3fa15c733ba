"""Ahead: what is needed later is imported, or hashed, on a thread while something else is waited for. Who needs it sooner waits for its end."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from registry.core.digest import Digest, digest_of_stream
from registry.core.manifest import File
from registry.errors import RegistryError
from registry.store.blobs import Blobs

READING = (
    "registry.model_files.layout",
    "registry.model_files.facts",
    "registry.model_files.checks",
    "registry.runtime.probes",
)
"""What it takes to understand a folder."""
TURN = 0.0005
"""Seconds after which the importing thread gives way; Python's own 5 ms would make whoever reads from a line wait at each block."""
LARGE = 1 << 20
"""Bytes from which on a file is worth a thread."""
BLOCK = 8 << 20
"""Bytes that are hashed at once: the thread has to wait for its turn after each."""
_BUSY = threading.Lock()


def import_ahead(*modules: str) -> None:
    """Begin to import; what fails is said where it is needed."""
    missing = [module for module in modules if module not in sys.modules]
    if missing and _BUSY.acquire(blocking=False):
        threading.Thread(target=_import, args=(missing,), name="import", daemon=True).start()


def _import(modules: Sequence[str]) -> None:
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(min(TURN, before))
        for module in modules:
            with contextlib.suppress(
                Exception
            ):  # whatever it is: the import where the module is needed meets it again and says it
                importlib.import_module(module)
    finally:
        sys.setswitchinterval(before)
        _BUSY.release()


class Hashing:
    """What the bytes of large blobs are, found on threads while the Hub's client is imported and the Hub is asked."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._found: dict[Digest, Future[Digest | None]] = {}
        self._stopped = threading.Event()

    def begin(self, files: Sequence[File]) -> None:
        """Hash the large ones among these, one after the other."""
        wanted = [
            file.digest for file in files if file.size >= LARGE and file.digest not in self._found
        ]
        self._found |= {digest: Future() for digest in wanted}
        if not wanted:
            return
        try:
            threading.Thread(target=self._run, args=(wanted,), name="hash", daemon=True).start()
        except RuntimeError:  # no thread can be had
            self._give_up(wanted)

    def of(self, digest: Digest) -> Digest | None:
        """What a blob's bytes were found to be; None for one that was not hashed, or could not be read."""
        future = self._found.get(digest)
        return future.result() if future is not None else None

    def close(self) -> None:
        """Nobody asks any more."""
        self._stopped.set()

    def _run(self, digests: Sequence[Digest]) -> None:
        try:
            for digest in digests:
                self._found[digest].set_result(self._hash(digest))
        finally:
            self._give_up(digests)

    def _give_up(self, digests: Sequence[Digest]) -> None:
        """Whoever sends these reads them: nobody waits for a thread that died, or never began."""
        for digest in digests:
            if not self._found[digest].done():
                self._found[digest].set_result(None)

    def _hash(self, digest: Digest) -> Digest | None:
        def read(_: int) -> bytes:
            return b"" if self._stopped.is_set() else stream.read(BLOCK)

        try:
            with self._blobs.open(digest) as stream:
                found, _ = digest_of_stream(read)
        except (RegistryError, OSError):
            return None  # whoever sends it reads it, and says what is wrong
        return None if self._stopped.is_set() else found
