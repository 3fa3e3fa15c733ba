"""Back ends: where the bytes of blobs and of the journal lie. Small, so that S3 can be one.

What an implementation promises, and tests/store/contract.py checks: a name never appears before its whole content is durable;
publish without replace never overwrites; what was published reads back the same until it is removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from registry.util.fingerprint import Stamp


@dataclass(frozen=True)
class Stat:
    """Size in bytes, and when the content was last put or touched, in nanoseconds since 1970 by the medium's clock."""

    size: int
    modified_ns: int


class Staged(Protocol):
    """Bytes on their way in, without a name. Leaving the context discards what was not published."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def write(self, block: bytes) -> None:
        """Append. Raises StoreUnavailable when the medium refuses."""
        ...

    def publish(self, name: str, *, replace: bool = False) -> bool:
        """Give the bytes their name, durably. False, and nothing done, if the name is taken and replace is not asked for."""
        ...


class Backend(Protocol):
    """Named bytes. Names are relative, with `/`."""

    def stage(self) -> Staged:
        """A place for new bytes."""
        ...

    def adopt(self, file: Path, name: str, stamp: Stamp) -> None:
        """Give a file of this machine the name, durably, in the place of what has it; the file itself is gone afterwards.

        Raises StoreUnavailable if it is not the one that had this stamp: who took that knows what the file holds.
        """
        ...

    def open(self, name: str) -> BinaryIO:
        """The bytes, seekable. Raises BlobNotFound, and Corrupt where something else than bytes has the name."""
        ...

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Some of the bytes. Raises what open raises."""
        ...

    def stat(self, name: str) -> Stat | None:
        """What is known of a name; None if it is not there."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """All names below `prefix/`, in no order."""
        ...

    def scan(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        """As list, each with what stat says of it; names that go meanwhile are left out."""
        ...

    def remove(self, name: str) -> None:
        """Forget a name; one that is not there is fine."""
        ...

    def touch(self, name: str) -> None:
        """Make a name young. Raises BlobNotFound."""
        ...

    def sync(self, prefix: str) -> None:
        """Make all names below the prefix durable, whoever put them there."""
        ...

    def local_path(self, name: str) -> Path | None:
        """Where the bytes lie on this machine's disk, if they do."""
        ...
