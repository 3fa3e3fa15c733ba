"""collect: free the bytes nobody needs, and say what stays and why. Safe beside writers: it holds the store alone, and nobody writes an
entry while it clears what is half written.

Needed for ever is what the journal needs to be folded again. Needed while a version is not deleted: its files, probes and
vocabulary, and those of all its ancestors. What nobody needs goes once it is older than an hour, or than what was asked.
It needs no free byte: where the catalog cannot be opened or brought up for want of space, the journal is folded in memory.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..digest import Digest
from ..errors import BlobNotFound, StoreUnavailable
from ..home import WRITE_WAIT, Home
from ..plural import counted
from ..progress import Progress
from ..results import Collected, Kept
from ..store.aside import is_aside
from ..store.checkout import is_ours, place_mark

if TYPE_CHECKING:
    from ..catalog.queries import Needs

NEVER_OLD = 0.0
REASONS_SHOWN = 3
AGES = ((30 * 86400.0, "30d"), (7 * 86400.0, "7d"), (86400.0, "1d"), (3600.0, "1h"), (600.0, "10m"), (0.0, "0"))
"""Shorter ages that are tried, to say what they would free."""


def collect(home: Home, *, older_than: float, dry_run: bool, progress: Progress) -> Collected:
    """What was freed, or with dry_run would be. older_than is in seconds. Raises Busy while somebody adds."""
    with home.store_lock.exclusive(timeout=60.0):
        with home.write_lock.exclusive(WRITE_WAIT):  # the entry of an alias or a delete is staged under this lock alone
            staging = _collect_staging(home, older_than, dry_run=dry_run)
        needs = needs_of(home)
        _refuse_unknown(needs)
        needed = needs.blobs()
        blobs = size = 0
        there: dict[Digest, int] = {}
        young: list[tuple[float, int]] = []
        now = time.time()
        for count, (digest, stat) in enumerate(home.blobs.all()):
            progress("looking", count, None)
            age = now - stat.modified_ns / 1e9
            if digest in needed:
                there[digest] = stat.size
            elif older_than > NEVER_OLD and age < older_than:
                young.append((age, stat.size))
            else:
                blobs, size = blobs + 1, size + stat.size
                if not dry_run:
                    home.blobs.remove(digest)
        checkouts, checkouts_size, unpacked = _collect_checkouts(home, needs, dry_run=dry_run)
        with home.write_lock.exclusive(WRITE_WAIT):  # under which somebody may be making a new generation
            catalogs = _collect_catalogs(home, older_than, dry_run=dry_run)
    return Collected(blobs, size, checkouts, checkouts_size, staging, (*bill(needs, there), *unpacked), sum(item for _, item in young), dry_run,
                     catalogs, _shorter(young, older_than))


def needs_of(home: Home) -> Needs:
    """Who needs what now, told by a catalog that is up to date: the home's, or one in memory where the disk has no room for that."""
    from ..catalog import queries
    from ..catalog.engine import Catalog
    try:
        if home.writable:
            home.catch_up()
        with home.reading() as connection:
            home.refuse_gap(Catalog.head(connection)[0])
            return queries.needs(connection)
    except StoreUnavailable:
        passing = Catalog.passing(home.fold_into)
        try:
            with passing.reading() as connection:
                return queries.needs(connection)
        finally:
            passing.close()


def bill(needs: Needs, sizes: dict[Digest, int]) -> tuple[Kept, ...]:
    """What stays, largest first: the bytes of each version, counted once, and who needs them."""
    left = dict(sizes)
    found = []
    alive = needs.needed()
    for manifest in (item for item in needs.names if item in alive):
        own = sum(left.pop(digest, 0) for digest in needs.own.get(manifest, {}))
        found.append(Kept(own, _why(needs, manifest)))
    rest = sum(left.values())
    return tuple(sorted((item for item in (*found, Kept(rest, "manifests and facts, needed to read the journal")) if item.size),
                        key=lambda item: -item.size))


def _why(needs: Needs, manifest: str) -> str:
    own = needs.alive.get(manifest, ())
    others = needs.users(manifest)[len(own):]
    name = " and ".join(own) if own else f"{needs.names[manifest]}, which was deleted,"
    if not others:
        return f"{name} is registered" if len(own) == 1 else f"{name} are registered, and are the same model"
    shown = ", ".join(others) if len(others) <= REASONS_SHOWN else f"{', '.join(others[:REASONS_SHOWN])}, …"
    return f"{name} {'are' if len(own) > 1 else 'is'} needed by {counted(len(others), 'version')}: {shown}"


def _refuse_unknown(needs: Needs) -> None:
    """What could not be read may need anything, so nothing is freed."""
    needed = needs.needed()
    for manifest, what in needs.unknown.items():
        if manifest in needed:
            users = needs.users(manifest)
            raise BlobNotFound(f"{what} could not be read, so nobody knows which files {users[0]} needs; "
                               "to put that blob back: registry repair --from SOURCE")


def _shorter(young: Sequence[tuple[float, int]], older_than: float) -> tuple[tuple[str, int], ...]:
    """(age as it is typed, bytes that it would free more), for shorter ages that make a difference."""
    found: list[tuple[str, int]] = []
    for seconds, text in AGES:
        more = sum(size for age, size in young if age >= seconds or not seconds)
        if seconds < older_than and more and (not found or more > found[-1][1]):
            found.append((text, more))
    return tuple(found)


def _collect_checkouts(home: Home, needs: Needs, *, dry_run: bool) -> tuple[int, int, list[Kept]]:
    """Checkouts of versions that were deleted, of a place where the home no longer lies, or half made; and what those that stay take,
    and those that were moved aside, which nothing but their owner takes away."""
    count = size = 0
    kept = []
    root = home.root / "checkouts"
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        taken = size_of(folder)
        kind, _, rest = folder.name.partition("-")
        digest, _, mark = rest.partition("-")
        users = needs.alive.get(f"sha256:{digest}", ())
        if kind == "sha256" and users and mark == place_mark(home.root):
            kept.append(Kept(taken, f"the checkout of {users[0]}"))
            continue
        if is_aside(folder.name):
            kept.append(Kept(taken, f"moved aside with what is not the version's: {folder}; rm -r it when nobody needs that"))
        if not is_ours(folder.name):
            continue  # somebody else's; audit names it
        count, size = count + 1, size + taken
        if not dry_run:
            _remove(folder)
    return count, size, sorted(kept, key=lambda item: -item.size)


def _collect_catalogs(home: Home, older_than: float, *, dry_run: bool) -> int:
    """Bytes of catalogs that a newer generation took the place of, and of those that were never done."""
    from ..catalog.schema import left_behind
    size = 0
    for path in left_behind(home.root / "catalog"):
        if older_than > NEVER_OLD and path.stat().st_mtime > time.time() - older_than:
            continue
        size += path.stat().st_size
        if not dry_run:
            path.unlink(missing_ok=True)
    return size


def _collect_staging(home: Home, older_than: float, *, dry_run: bool) -> int:
    """Bytes of what died on its way in."""
    size = 0
    root = home.root / "staging"
    for item in sorted(root.iterdir()) if root.is_dir() else []:
        if older_than > NEVER_OLD and item.lstat().st_mtime > time.time() - older_than:
            continue
        size += size_of(item)
        if not dry_run:
            _remove(item)
    return size


def size_of(place: Path) -> int:
    """Bytes of a file, or of all files in a folder; a link counts as itself."""
    if not place.is_dir() or place.is_symlink():
        return place.lstat().st_size
    return sum(path.lstat().st_size for path in place.rglob("*") if not path.is_dir() or path.is_symlink())


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
