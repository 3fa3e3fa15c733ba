"""The blobs: is each that a version needs there, of its size, and with full its bytes those of its name?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING

from ...digest import BLOCK, Digest
from ...findings import Finding
from ...home import Home
from ...plural import counted
from ...progress import Progress

if TYPE_CHECKING:
    from ...catalog.queries.needing import Needs
    from ...store.blobs import Blobs
    from .chain import Chain

MEND = "registry repair --from SOURCE; the folder it was added from, another home, a bundle or the Hub may have it"
PIECE = 500
"""Small blobs that one thread hashes before it asks for more work."""


@dataclass
class Bytes:
    """What looking at the blobs brought."""

    sizes: dict[Digest, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bad: set[Digest] = field(default_factory=set)
    """Missing, of a wrong size, or damaged."""


def check_blobs(home: Home, needs: Needs, chain: Chain, *, full: bool, progress: Progress) -> Bytes:
    """All blobs, against what the versions need."""
    found = Bytes(sizes={digest: stat.size for digest, stat in home.blobs.all()})
    needed = needs.blobs()
    lost = {**dict.fromkeys(chain.unreadable), **{digest: size for digest, size in needed.items() if digest not in found.sizes}}
    for digest in sorted(lost):
        state = "is missing" if digest not in found.sizes else "is damaged"
        _bad(found, needs, digest, "blob-missing" if digest not in found.sizes else "blob-damaged", f"{needs.what(digest)} {state}")
    for digest, size in needed.items():
        if digest in found.sizes and size is not None and found.sizes[digest] != size:
            _bad(found, needs, digest, "blob-size", f"{needs.what(digest)} has {found.sizes[digest]} bytes and should have {size}")
    if full:
        for digest in damaged(home, (item for item in found.sizes if item not in found.bad and item not in chain.hashed), found.sizes, progress):
            _bad(found, needs, digest, "blob-damaged", f"{needs.what(digest)} is damaged: its bytes have another digest")
    found.findings += [Finding("blob-stray", f"{name!r} is no blob: its name is no digest, or lies in the wrong folder", (),
                               f"rm {quote(str(home.root / name))}; if a blob is missing, registry repair first") for name in home.blobs.strays()]
    idle = [digest for digest in found.sizes if digest not in needed and digest not in needs.journal]
    if idle:
        taken = counted(sum(found.sizes[digest] for digest in idle), "byte")
        found.notes.append(f"{counted(len(idle), 'blob')}, {taken}, needed by no version; registry collect frees what is an hour old")
    return found


def _bad(found: Bytes, needs: Needs, digest: Digest, name: str, what: str) -> None:
    found.bad.add(digest)
    users = needs.users_of(digest)
    mend = MEND if digest in needs.blobs() or digest in needs.journal else f"registry collect --older-than 0; no version needs {digest.short}"
    found.findings.append(Finding(name, what, tuple(users), mend))


class Reader:
    """Reads blobs for a fold, and remembers which were whole: they need not be hashed again in the same breath."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.whole: set[Digest] = set()

    def read(self, digest: Digest) -> bytes:
        """As Blobs.read_or_miss."""
        content = self._blobs.read_or_miss(digest)
        self.whole.add(digest)
        return content


def damaged(home: Home, digests: Iterable[Digest], sizes: dict[Digest, int], progress: Progress) -> list[Digest]:
    """Those whose bytes have another digest, hashed on all processors; the largest begin, and many small ones are one piece of work."""
    pieces = _pieces(sorted(digests, key=lambda digest: -sizes.get(digest, 0)), sizes)
    total, done = sum(sizes.get(digest, 0) for piece in pieces for digest in piece), 0
    bad: list[Digest] = []
    with ThreadPoolExecutor(processors()) as pool:
        asked = pool.map(lambda piece: [digest for digest in piece if not home.blobs.verify(digest)], pieces)
        for piece, wrong in zip(pieces, asked, strict=True):
            done += sum(sizes.get(digest, 0) for digest in piece)
            progress("hashing", done, total)
            bad += wrong
    return bad


def _pieces(ordered: list[Digest], sizes: dict[Digest, int]) -> list[list[Digest]]:
    pieces: list[list[Digest]] = []
    left = 0
    for digest in ordered:
        if left <= 0 or len(pieces[-1]) >= PIECE:
            pieces.append([])
            left = BLOCK
        pieces[-1].append(digest)
        left -= sizes.get(digest, 0)
    return pieces


def processors() -> int:
    """How many this process may use."""
    count: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(count(0)) if count is not None else os.cpu_count() or 1
