"""Reader: blobs read for a fold, and which of them were whole: those need not be hashed again in the same breath."""

from __future__ import annotations

from registry.core.digest import Digest

from .blobs import Blobs


class Reader:
    """Reads blobs; `whole` has those whose bytes were of their digest, whoever read them."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.whole: set[Digest] = set()

    def read(self, digest: Digest) -> bytes:
        """As Blobs.read_or_miss."""
        content = self._blobs.read_or_miss(digest)
        self.whole.add(digest)
        return content
