"""Fetching: a file of a commit, whole and checked, into a partial file that outlives a killed process.

A partial file is named by repository, commit, path and digest, so that nothing else is ever appended to it. What it holds is hashed
again before it goes on; only a file with the right digest gets its final name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from registry.core.digest import BLOCK, Digest, digest_of
from registry.errors import DigestMismatch, HubUnavailable, Refused, StoreUnavailable, reason
from registry.util.fingerprint import Stamp, stamp_of

from .protocol import Remote

Count = Callable[[int], object]


@dataclass(frozen=True)
class Wanted:
    """A file to be fetched. Without a digest nothing can be compared but the size, and whoever asked does that later."""

    repository: str
    commit: str
    path: str
    size: int
    digest: Digest | None

    def __str__(self) -> str:
        return f"{self.path!r} of hf://{self.repository}@{self.commit[:12]}"

    @property
    def key(self) -> str:
        """A name for its partial file."""
        return digest_of(
            "\0".join((self.repository, self.commit, self.path, self.digest or "")).encode()
        ).hex[:40]


@dataclass(frozen=True)
class Fetched:
    """A whole file: where it lies, the digest of what was written there, and its stamp since when nobody writes there."""

    place: Path
    digest: Digest
    stamp: Stamp


def fetch(remote: Remote, wanted: Wanted, folder: Path, *, progress: Count) -> Fetched:
    """The whole file in `folder`, new or from an earlier run; that one is hashed again, since a power cut may have spoilt it.

    It is read-only then, and may be moved on without being read again. progress gets bytes, those that were there already too.

    Raises DigestMismatch where the remote sends other bytes than it was asked for, StoreUnavailable for a full disk.
    """
    whole, part = folder / wanted.key, folder / f"{wanted.key}.part"
    try:
        if whole.exists():
            whole.chmod(0o600)
            whole.replace(part)
        begun = part.exists() and part.stat().st_size > 0
        try:
            return _filled(remote, wanted, part, whole, progress)
        except DigestMismatch:
            if not begun:
                raise
            progress(-wanted.size)  # what an earlier try left may be at fault
            return _filled(remote, wanted, part, whole, progress)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot store {wanted} in {str(folder)!r}: {reason(error)}",
            hint=f"free some space and {HubUnavailable.AGAIN}",
        ) from error


def read(remote: Remote, repository: str, commit: str, path: str, *, limit: int) -> bytes:
    """The content of a small file, in memory. Raises Refused beyond `limit` bytes."""
    found = bytearray()
    for start, block in remote.fetch(repository, commit, path, 0):
        del found[start:]
        found += block
        if len(found) > limit:
            raise Refused(
                f"{path!r} of hf://{repository}@{commit[:12]} has more than the {limit} bytes that are read of it"
            )
    return bytes(found)


def _filled(remote: Remote, wanted: Wanted, part: Path, whole: Path, progress: Count) -> Fetched:
    with _opened(part) as out:
        hashed, position = hashlib.sha256(), 0
        while block := out.read(BLOCK):
            hashed.update(block)
            position += len(block)
        if position > wanted.size:
            hashed, position = _restart(out)
        progress(position)
        if position < wanted.size:
            for start, block in remote.fetch(
                wanted.repository, wanted.commit, wanted.path, position
            ):
                if start != position:
                    progress(-position)
                    hashed, position = _restart(out)
                out.write(block)
                hashed.update(block)
                position += len(block)
                progress(len(block))
                if position > wanted.size:
                    break
        out.flush()
        digest = Digest(f"sha256:{hashed.hexdigest()}")
        _refuse_other(wanted, position, digest, part)
        part.replace(
            whole
        )  # first: a partial file must stay one that can be written, whatever happens here
        os.fchmod(out.fileno(), 0o400)
        stamp = stamp_of(os.fstat(out.fileno()))
    if stamp[0] != wanted.size:
        raise StoreUnavailable(
            f"{wanted} has {stamp[0]} bytes on the disk, {wanted.size} were written (the disk may "
            "be failing)"
        )
    return Fetched(whole, digest, stamp)


def _refuse_other(wanted: Wanted, size: int, digest: Digest, part: Path) -> None:
    if size < wanted.size:
        raise HubUnavailable(
            f"the Hub sent {size} of the {wanted.size} bytes of {wanted}", hint=HubUnavailable.AGAIN
        )
    if size == wanted.size and wanted.digest in (None, digest):
        return
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    if size != wanted.size:
        raise DigestMismatch(
            f"{wanted} has more than the expected {wanted.size} bytes, the download was deleted"
        )
    raise DigestMismatch(
        f"{wanted} has the digest {digest}, expected {wanted.digest}, the download was deleted",
        hint="run the command again to download it again",
    )


def _opened(part: Path) -> BinaryIO:
    """The partial file, to be read to its end and then written on."""
    return os.fdopen(
        os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "r+b"
    )


def _restart(out: BinaryIO) -> tuple[hashlib._Hash, int]:
    out.seek(0)
    out.truncate()
    return hashlib.sha256(), 0
