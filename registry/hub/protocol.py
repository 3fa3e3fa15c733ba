"""Remotes: what is asked of another registry, far away, and what it answers. Values, and the interface huggingface.py fulfils.

A repository has branches and tags, and each of its commits is a tree of files for ever. What an implementation promises: every
error is one of this package's, no token is in it, and `fetch` gives the bytes of the commit that was named, and of no other.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from registry.core.digest import BLOCK, Digest

MAIN = "main"


@dataclass(frozen=True)
class RemoteFile:
    """A file of a commit. oid is the SHA-256 of its bytes where they are kept apart (lfs), else the id of its git blob."""

    path: str
    size: int
    oid: str
    lfs: bool


@dataclass(frozen=True)
class Tree:
    """A repository at a commit."""

    repository: str
    """Its id as the remote spells it now: another one than was asked for, if it was renamed."""
    commit: str
    files: Mapping[str, RemoteFile]
    tags: tuple[str, ...] = ()
    """Words of its card, e.g. `base_model:adapter:org/base`."""


@dataclass(frozen=True)
class Refs:
    """Where the names of a repository point: commits by name."""

    branches: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Upload:
    """A file to be there: its bytes in memory, or where they lie."""

    path: str
    digest: Digest
    size: int
    source: bytes | Path = field(repr=False)

    def is_at(self, file: RemoteFile | None) -> bool:
        """Whether a file of the remote has these very bytes."""
        if file is None or file.size != self.size:
            return False
        return file.oid == (self.digest.hex if file.lfs else git_blob(self.content()))

    def content(self) -> bytes:
        """The bytes; for files that are kept as git blobs, which are small."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


@dataclass(frozen=True)
class Committed:
    """A commit that was made; url is where a person looks at it, if it waits to be merged."""

    commit: str
    url: str | None = None


class Remote(Protocol):
    """A hub. A repository is `org/name`; a revision is a branch, a tag or a commit."""

    def check_settings(self) -> None:
        """Raises Invalid where what this machine is set to makes no question possible, whichever repository it is about."""
        ...

    def tree(self, repository: str, revision: str | None = None) -> Tree:
        """The files at a revision, by default main. Raises RemoteNotFound, HubUnavailable."""
        ...

    def refs(self, repository: str) -> Refs:
        """Branches and tags. Raises RemoteNotFound, HubUnavailable."""
        ...

    def history(self, repository: str, revision: str) -> Iterator[str]:
        """All commits of a revision, newest first. Raises RemoteNotFound, HubUnavailable."""
        ...

    def create(self, repository: str, *, private: bool) -> None:
        """Make an empty repository; one that is there is left as it is. Raises HubUnavailable where that is not allowed."""
        ...

    def digests_first(self) -> bool:
        """Whether a large file is hashed before the first of its bytes is sent."""
        ...

    def commit(
        self,
        repository: str,
        uploads: Sequence[Upload],
        remove: Sequence[str],
        *,
        parent: str,
        branch: str,
        message: str,
        description: str,
        proposal: bool,
        progress: Callable[[int], object],
        hashed: Callable[[Digest], Digest | None] = lambda _: None,
    ) -> Committed:
        """Put all files at once on a branch whose head is `parent`. Raises RemoteMoved if the head is another.

        progress gets bytes. hashed tells of a file what its bytes are, if somebody looked already.
        """
        ...

    def branch(self, repository: str, name: str, commit: str) -> None:
        """Make a branch that begins at a commit."""
        ...

    def remove_branch(self, repository: str, name: str) -> None:
        """Take a branch away; one that is not there is fine."""
        ...

    def tag(self, repository: str, name: str, commit: str, *, message: str | None = None) -> None:
        """Make a tag. Raises RemoteMoved if it is there and points elsewhere."""
        ...

    def remove_tag(self, repository: str, name: str) -> None:
        """Take a tag away; one that is not there is fine."""
        ...

    def children(self, repository: str) -> tuple[str, ...]:
        """Repositories that say they are adapters on this one."""
        ...

    def fetch(
        self, repository: str, commit: str, path: str, offset: int
    ) -> Iterator[tuple[int, bytes]]:
        """Blocks of a file and where each begins: from offset on, or from 0 where the remote cannot begin in between."""
        ...


def git_blob(content: bytes) -> str:
    """The id that git gives a file with this content."""
    return git_blob_of(io.BytesIO(content), len(content))


def git_blob_of(stream: BinaryIO, size: int) -> str:
    """The id that git gives a file of so many bytes, read a block at a time."""
    hashed = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while block := stream.read(BLOCK):
        hashed.update(block)
    return hashed.hexdigest()
