"""The blobs of a bundle, into the store."""

from __future__ import annotations

from ...errors import BlobNotFound, DigestMismatch
from ...home import Home
from ...progress import Progress
from ...store.bundle import Bundle


def take_blobs(home: Home, bundle: Bundle, progress: Progress) -> None:
    """Every blob into the store, under the digest of its bytes; the first that has another one ends it."""
    total, done = sum(bundle.index.blobs.values()), 0
    for digest, size in sorted(bundle.index.blobs.items()):
        stream = bundle.open(digest)
        assert stream is not None
        with stream:
            found, length = home.blobs.add_stream(stream.read)
        if (found, length) != (digest, size):
            raise DigestMismatch(
                f"the bundle {str(bundle.path)!r} is damaged: the bytes of {digest} have another "
                "digest, nothing was registered"
            )
        done += size
        progress("unpacking", done, total)
    lost = [digest for digest in bundle.index.lacks if not home.blobs.has(digest)]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise BlobNotFound(
            f"the bundle was made for a registry that has {lost[0]}{more}, and this registry "
            "does not",
            hint="make the bundle without --have, or with --have for what this registry has",
        )
