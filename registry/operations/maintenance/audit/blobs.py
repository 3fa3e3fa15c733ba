"""The blobs: is each that a version needs there, of its size, and with full its bytes those of its name?"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.core.digest import BLOCK, Digest
from registry.core.progress import Progress
from registry.core.text import counted
from registry.home.home import Home
from registry.home.prefetch import processors
from registry.results.audit import Finding

from .strays import stray_among

if TYPE_CHECKING:
    from registry.catalog.queries.reachability import Needs

    from .journal import Chain

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


def check_blobs(
    home: Home,
    needs: Needs,
    chain: Chain,
    *,
    lost: bool,
    full: bool,
    begun: Begun,
    progress: Progress,
) -> Bytes:
    """All blobs, against what the versions need; with full each is hashed, or was begun to be. lost says that entries are."""
    found = Bytes(sizes={digest: stat.size for digest, stat in home.blobs.all()})
    needed = needs.blobs()
    gone = {
        **dict.fromkeys(chain.unreadable),
        **{digest: size for digest, size in needed.items() if digest not in found.sizes},
    }
    for digest in sorted(gone):
        state = "is missing" if digest not in found.sizes else "is damaged"
        _bad(
            found,
            needs,
            needed,
            digest,
            "blob-missing" if digest not in found.sizes else "blob-damaged",
            f"{needs.what(digest)} {state}",
        )
    for digest, size in needed.items():
        if digest in found.sizes and size is not None and found.sizes[digest] != size:
            _bad(
                found,
                needs,
                needed,
                digest,
                "blob-size",
                f"{needs.what(digest)} has {found.sizes[digest]} bytes and should have {size}",
            )
    if full:
        asked = [
            digest
            for digest in found.sizes
            if digest not in found.bad and digest not in chain.hashed
        ]
        for digest in damaged(home, asked, found.sizes, progress, begun):
            _bad(
                found,
                needs,
                needed,
                digest,
                "blob-damaged",
                f"{needs.what(digest)} is damaged: its bytes have another digest",
            )
    found.findings += stray_among(
        home,
        "blobs",
        ("sha256", "[0-9a-f]{2}"),
        home.blobs.strays(),
        "blob-stray",
        "is no blob: its name is no digest, or lies in the wrong folder",
        "; if a blob is missing, registry repair first",
    )
    idle = [
        digest for digest in found.sizes if digest not in needed and digest not in needs.journal
    ]
    if idle:
        taken = counted(sum(found.sizes[digest] for digest in idle), "byte")
        found.notes.append(
            f"{counted(len(idle), 'blob')}, {taken}, needed by no version; "
            + (
                "they may be those of lost entries: no registry collect before the journal is mended"
                if lost
                else "what is an hour old is freed by registry collect"
            )
        )
    return found


def _bad(
    found: Bytes,
    needs: Needs,
    needed_blobs: Container[Digest],
    digest: Digest,
    name: str,
    what: str,
) -> None:
    found.bad.add(digest)
    users = needs.users_of(digest)
    mend = (
        MEND
        if digest in needed_blobs or digest in needs.journal
        else f"registry collect --older-than 0; no version needs {digest.short}"
    )
    found.findings.append(Finding(name, what, tuple(users), mend))


Begun = Mapping[Digest, Future[bool]]
"""Blobs that are being hashed, each with whether it is whole."""


@contextlib.contextmanager
def begun(home: Home, *, full: bool, verified: Collection[Digest] = ()) -> Iterator[Begun]:
    """Large blobs are hashed from the first moment on, while the journal is read: the one needs other processors than the other."""
    if not full:
        yield {}
        return
    large = sorted(
        (-stat.size, digest)
        for digest, stat in home.blobs.all()
        if stat.size >= BLOCK and digest not in verified
    )
    is_whole: Future[bool] = Future()
    is_whole.set_result(True)
    pool = ThreadPoolExecutor(processors())
    try:
        yield {
            **dict.fromkeys(verified, is_whole),
            **{digest: pool.submit(home.blobs.verify, digest) for _, digest in large},
        }
    finally:
        pool.shutdown(cancel_futures=True)


def damaged(
    home: Home,
    digests: Iterable[Digest],
    sizes: dict[Digest, int],
    progress: Progress,
    begun: Begun | None = None,
) -> list[Digest]:
    """Those whose bytes have another digest, hashed on all processors; the largest begin, and many small ones are one piece of work."""
    begun = begun or {}
    ordered = sorted(digests, key=lambda digest: -sizes.get(digest, 0))
    pieces = [[digest] for digest in ordered if digest in begun] + _pieces(
        [digest for digest in ordered if digest not in begun], sizes
    )
    total, done = sum(sizes.get(digest, 0) for digest in ordered), 0
    bad: list[Digest] = []

    def wrong(piece: list[Digest]) -> list[Digest]:
        return [
            digest
            for digest in piece
            if not (begun[digest].result() if digest in begun else home.blobs.verify(digest))
        ]

    with ThreadPoolExecutor(processors()) as pool:
        for piece, found in zip(pieces, pool.map(wrong, pieces), strict=True):
            done += sum(sizes.get(digest, 0) for digest in piece)
            progress("hashing", done, total)
            bad += found
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
