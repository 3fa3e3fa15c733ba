"""A back end in memory, for tests and for trying what a store would become."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from registry.errors import BlobNotFound, StoreUnavailable
from registry.util.fingerprint import Stamp, stamp_of

from .backend import Stat


class MemoryBackend:
    """Bytes that end with the process. Safe for threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._content: dict[str, tuple[bytes, int]] = {}

    def stage(self) -> _Staged:
        """A growing buffer."""
        return _Staged(self)

    def adopt(self, file: Path, name: str, stamp: Stamp) -> None:
        """Read the file, and take it away."""
        with file.open("rb") as stream:
            if stamp_of(os.fstat(stream.fileno())) != stamp:
                raise StoreUnavailable(f"{str(file)!r} was changed after it was inspected")
            self._publish(name, stream.read(), replace=True)
        file.unlink()

    def open(self, name: str) -> BinaryIO:
        """The bytes as a stream. Raises BlobNotFound."""
        return io.BytesIO(self.read(name))

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Some of the bytes. Raises BlobNotFound."""
        with self._guard:
            if name not in self._content:
                raise BlobNotFound(f"the store lacks {name}")
            content = self._content[name][0]
        return content[offset:] if length is None else content[offset : offset + length]

    def stat(self, name: str) -> Stat | None:
        """Size and time; None if it is not there."""
        with self._guard:
            found = self._content.get(name)
        return None if found is None else Stat(len(found[0]), found[1])

    def list(self, prefix: str) -> Iterator[str]:
        """All names below the prefix, as of now."""
        with self._guard:
            names = [name for name in self._content if name.startswith(f"{prefix}/")]
        return iter(names)

    def scan(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        """The same with size and time."""
        return ((name, stat) for name in self.list(prefix) if (stat := self.stat(name)) is not None)

    def remove(self, name: str) -> None:
        """Forget the name."""
        with self._guard:
            self._content.pop(name, None)

    def touch(self, name: str) -> None:
        """Make the name young. Raises BlobNotFound."""
        with self._guard:
            if name not in self._content:
                raise BlobNotFound(f"the store lacks {name}")
            self._content[name] = self._content[name][0], time.time_ns()

    def sync(self, prefix: str) -> None:
        """Nothing lasts here, so there is nothing to sync."""

    def local_path(self, name: str) -> Path | None:
        """None: memory is no place on a disk."""
        return None

    def _publish(self, name: str, content: bytes, replace: bool) -> bool:
        with self._guard:
            if name in self._content and not replace:
                return False
            self._content[name] = content, time.time_ns()
            return True


class _Staged:
    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._buffer.clear()

    def write(self, block: bytes) -> None:
        """Append to the buffer."""
        self._buffer += block

    def publish(self, name: str, *, replace: bool = False) -> bool:
        """Give the buffer's content the name."""
        return self._backend._publish(name, bytes(self._buffer), replace)
