"""collect: free the bytes nobody needs, and say what stays and why. Safe beside writers: it holds the store alone, and nobody writes an
entry while it clears what is half written.

Needed for ever is what the journal needs to be folded again. Needed while a version is not deleted: its files, probes and
vocabulary, and those of all its ancestors. What nobody needs goes once it is older than an hour, or than what was asked.
It needs no free byte: where the catalog cannot be opened or brought up for want of space, the journal is folded in memory.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core.digest import Digest
from registry.core.progress import Progress
from registry.core.text import counted
from registry.errors import BlobNotFound, StoreUnavailable
from registry.home.home import WRITE_WAIT, Home
from registry.results.storage import Collected, Kept

from . import reclaim

if TYPE_CHECKING:
    from registry.catalog.queries import Needs

REASONS_SHOWN = 3
AGES = (
    (30 * 86400.0, "30d"),
    (7 * 86400.0, "7d"),
    (86400.0, "1d"),
    (3600.0, "1h"),
    (600.0, "10m"),
    (0.0, "0"),
)
"""Shorter ages that are tried, to say what they would free."""


def collect(home: Home, *, older_than: float, dry_run: bool, progress: Progress) -> Collected:
    """What was freed, or with dry_run would be. older_than is in seconds. Raises Busy while somebody adds."""
    with home.store_lock.exclusive(timeout=60.0):
        with home.reading():  # raises NewerFormat before anything is freed
            pass
        with home.write_lock.exclusive(
            WRITE_WAIT
        ):  # the entry of an alias or a delete is staged under this lock alone
            staging = _freed(reclaim.staged(home, older_than), dry_run=dry_run)
        needs = needs_of(home)
        _refuse_unknown(needs)
        blobs, checkouts = (
            reclaim.blobs(home, needs, older_than, progress),
            reclaim.checkouts(home, needs),
        )
        for digest in () if dry_run else blobs.old:
            home.blobs.remove(digest)
        idle = _freed(checkouts.idle, dry_run=dry_run)
        with home.write_lock.exclusive(
            WRITE_WAIT
        ):  # under which somebody may be making a new generation
            catalogs = _freed(reclaim.catalogs(home, older_than), dry_run=dry_run)
    for folder in checkouts.mixed:
        home.warn(
            f"{str(folder)!r} holds what is not the version's that was unpacked there, so it stays, though no version uses it"
        )
    kept = (*bill(needs, blobs.needed), *_unpacked(needs, checkouts))
    return Collected(
        len(blobs.old),
        sum(blobs.old.values()),
        len(checkouts.idle),
        idle,
        staging,
        kept,
        sum(size for _, size in blobs.young),
        dry_run,
        catalogs,
        _shorter(blobs.young, older_than),
    )


def needs_of(home: Home) -> Needs:
    """Return the needs of all versions. Raises BrokenChain if they are unknown."""
    from registry.catalog import queries
    from registry.catalog.reader import Catalog

    if home.writable:
        with contextlib.suppress(StoreUnavailable):  # a full disk: answered from memory
            home.catch_up()
    with home.reading() as connection:
        home.refuse_gap(Catalog.head(connection)[0])
        return queries.needs(connection)


def bill(needs: Needs, sizes: dict[Digest, int]) -> tuple[Kept, ...]:
    """What stays, largest first: the bytes of each version, counted once, and who needs them."""
    left = dict(sizes)
    found = []
    alive = needs.needed()
    for manifest in (item for item in needs.names if item in alive):
        own = sum(left.pop(digest, 0) for digest in needs.own.get(manifest, {}))
        found.append(Kept(own, _why(needs, manifest)))
    rest = sum(left.values())
    return tuple(
        sorted(
            (
                item
                for item in (*found, Kept(rest, "manifests and facts, needed to read the journal"))
                if item.size
            ),
            key=lambda item: -item.size,
        )
    )


def _why(needs: Needs, manifest: str) -> str:
    own = needs.alive.get(manifest, ())
    others = needs.users(manifest)[len(own) :]
    name = " and ".join(own) if own else f"{needs.names[manifest]}, which was deleted,"
    if not others:
        return (
            f"{name} is registered"
            if len(own) == 1
            else f"{name} are registered, and are the same model"
        )
    shown = (
        ", ".join(others)
        if len(others) <= REASONS_SHOWN
        else f"{', '.join(others[:REASONS_SHOWN])}, …"
    )
    return f"{name} {'are' if len(own) > 1 else 'is'} needed by {counted(len(others), 'version')}: {shown}"


def _refuse_unknown(needs: Needs) -> None:
    """What could not be read may need anything, so nothing is freed."""
    needed = needs.needed()
    for manifest, what in needs.unknown.items():
        if manifest in needed:
            users = needs.users(manifest)
            raise BlobNotFound(
                f"{what} could not be read, so it is unknown which files {users[0]} needs",
                hint="restore that blob: registry repair --from SOURCE",
            )


def _shorter(young: Sequence[tuple[float, int]], older_than: float) -> tuple[tuple[str, int], ...]:
    """(age as it is typed, bytes that it would free more), for shorter ages that make a difference."""
    found: list[tuple[str, int]] = []
    for seconds, text in AGES:
        more = sum(size for age, size in young if age >= seconds or not seconds)
        if seconds < older_than and more and (not found or more > found[-1][1]):
            found.append((text, more))
    return tuple(found)


def _unpacked(needs: Needs, checkouts: reclaim.Checkouts) -> list[Kept]:
    """What unpacked folders take that stay, those too that hold what is not the version's, which nobody but their owner takes away."""
    kept = [
        Kept(size, f"the checkout of {needs.alive[manifest][0]}")
        for manifest, size in checkouts.used.items()
    ]
    kept += [
        Kept(size, f"the checkout of {needs.alive[manifest][0]} from where this home lay before")
        for manifest, size in checkouts.before.items()
    ]
    kept += [
        Kept(
            size,
            f"no version uses {folder}, and it holds what is not the version's; rm -r it when nobody needs that",
        )
        for folder, size in checkouts.mixed.items()
    ]
    kept += [
        Kept(
            size,
            f"moved aside with what is not the version's: {folder}; rm -r it when nobody needs that",
        )
        for folder, size in checkouts.aside.items()
    ]
    return sorted(kept, key=lambda item: -item.size)


def _freed(places: Mapping[Path, int], *, dry_run: bool) -> int:
    """Bytes of files and folders that go."""
    for place in () if dry_run else places:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    return sum(places.values())
