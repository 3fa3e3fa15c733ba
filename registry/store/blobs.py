"""Blobs: content named by its SHA-256. What is read back is what was put in, or an error says which digest it is not.

A blob found present is hashed and, if damaged, healed; and made young, so that collect leaves it to whoever adds. A blob may one
day lie as a recipe of other blobs: `open` and `size` are the only doors to bytes, and look for whole blobs first.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from registry.core.digest import Digest, digest_of, digest_of_stream, known
from registry.errors import BlobNotFound, Corrupt, DigestMismatch, StoreUnavailable
from registry.util.fingerprint import Stamp

from .backend import Backend, Stat

PREFIX = "blobs/sha256"
_SMALL = 1 << 16
"""Bytes that are read at once; a stream costs more."""
_FILE = re.compile(rf"{PREFIX}/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})", re.ASCII)


class Blobs:
    """All blobs of a back end."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def add(self, content: bytes) -> Digest:
        """The digest of content that is now stored, durably."""
        digest = digest_of(content)
        if not self._made_young(digest):
            with self._backend.stage() as staged:
                staged.write(content)
                staged.publish(_name(digest), replace=True)
        return digest

    def add_stream(
        self, read: Callable[[int], bytes], *, progress: Callable[[int], object] | None = None
    ) -> tuple[Digest, int]:
        """(digest, size) of what read(n) returns until it is empty, stored in one pass. progress gets bytes per block."""
        with self._backend.stage() as staged:
            digest, size = digest_of_stream(read, staged.write, progress)
            if not self._made_young(digest):
                staged.publish(_name(digest), replace=True)
        return digest, size

    def adopt(self, file: Path, digest: Digest, stamp: Stamp) -> None:
        """Make a file of this machine a blob, without reading it: it goes to its place, unless the blob is there already.

        Whoever calls hashed the whole of it, writing it or reading it back, is the only one who could write it, and took the stamp then.
        Raises StoreUnavailable if it was touched since.
        """
        if not self._made_young(digest):
            self._backend.adopt(file, _name(digest), stamp)

    def keep(self, digest: Digest) -> bool:
        """Whether the blob is there, whole; it is young now, so collect leaves it to whoever asked."""
        return self._made_young(digest)

    def read(self, digest: Digest) -> bytes:
        """The whole content, checked. Raises BlobNotFound, DigestMismatch."""
        with _told(digest):
            content = self._backend.read(_name(digest))
        if hashlib.sha256(content).hexdigest() != digest.hex:
            raise _damaged(digest)
        return content

    def read_or_miss(self, digest: Digest) -> bytes:
        """As read, for whoever makes much of many blobs: what the disk does not give is missing, so that one bad sector ends nothing."""
        try:
            return self.read(digest)
        except StoreUnavailable as error:
            raise BlobNotFound(str(error), hint=error.hint) from error

    def open(self, digest: Digest) -> BinaryIO:
        """The content as a stream, unchecked: whoever reads it all compares. Raises BlobNotFound, DigestMismatch where no file has its name."""
        with _told(digest):
            return self._backend.open(_name(digest))

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there."""
        return self.stat(digest) is not None

    def stat(self, digest: Digest) -> Stat | None:
        """Size and age of the blob; None if it is not there."""
        return self._backend.stat(_name(digest))

    def size(self, digest: Digest) -> int:
        """Bytes of the content. Raises BlobNotFound."""
        stat = self.stat(digest)
        if stat is None:
            raise BlobNotFound(f"the store lacks {digest}")
        return stat.size

    def verify(self, digest: Digest) -> bool:
        """Whether the blob is there and its content has its digest. What the disk does not give has none."""
        try:
            first = self._backend.read(_name(digest), 0, _SMALL)
            if len(first) < _SMALL:
                return hashlib.sha256(first).hexdigest() == digest.hex
            with self.open(digest) as stream:
                return digest_of_stream(stream.read)[0] == digest
        except (BlobNotFound, Corrupt, StoreUnavailable, OSError):
            return False

    def path(self, digest: Digest) -> Path | None:
        """Where the content lies as a file, if it does."""
        return self._backend.local_path(_name(digest)) if self.has(digest) else None

    def all(self) -> Iterator[tuple[Digest, Stat]]:
        """Every blob with its size and age, in no order. Names that are no blob's are passed over."""
        for name, stat in self._backend.scan(PREFIX):
            match = _FILE.fullmatch(name)
            if match is not None:
                yield known("sha256:" + match[2]), stat

    def strays(self) -> list[str]:
        """Names among the blobs that are none's: no digest, or one in another's folder; sorted."""
        return sorted(name for name in self._backend.list(PREFIX) if not _FILE.fullmatch(name))

    def remove(self, digest: Digest) -> None:
        """Free the blob's bytes."""
        self._backend.remove(_name(digest))

    def _made_young(self, digest: Digest) -> bool:
        """Whether the blob is there, whole; it is young now. Touched first: a look that takes long must not be overtaken."""
        if not self.has(digest):
            return False
        self._backend.touch(_name(digest))
        return self.verify(digest)


def _name(digest: Digest) -> str:
    return f"{PREFIX}/{digest.hex[:2]}/{digest.hex}"


@contextlib.contextmanager
def _told(digest: Digest) -> Iterator[None]:
    try:
        yield
    except Corrupt as error:
        raise _damaged(digest) from error


def _damaged(digest: Digest) -> DigestMismatch:
    return DigestMismatch(
        f"the stored bytes of {digest} are damaged", hint="add the same files again"
    )
