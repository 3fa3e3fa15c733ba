"""collect: free the bytes nobody needs, and say what stays and why. Safe beside writers: it holds the store alone.

Marked for ever is what the journal needs to be folded again. Marked while a version is not deleted: its files, probes and
vocabulary, and those of all its ancestors. What is unmarked goes once it is older than an hour, or than what was asked.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..digest import Digest
from ..home import Home
from ..progress import Progress
from ..results import Collected, Kept
from ..store.checkout import place_mark

NEVER_OLD = 0.0
REASONS_SHOWN = 3


def collect(home: Home, *, older_than: float, dry_run: bool, progress: Progress) -> Collected:
    """What was freed, or with dry_run would be. older_than is in seconds. Raises Busy while somebody adds."""
    from ..catalog import queries
    with home.store_lock.exclusive(timeout=60.0):
        home.catch_up()
        with home.reading() as connection:
            marks = queries.marks(connection)
            alive = {version.digest for model in queries.models(connection) for version in queries.versions(connection, model.name)}
        limit = time.time() - older_than
        blobs = size = young = 0
        sizes: dict[Digest, int] = {}
        for count, (digest, stat) in enumerate(home.blobs.all()):
            progress("looking", count, None)
            if digest in marks:
                sizes[digest] = stat.size
            elif older_than > NEVER_OLD and stat.modified_ns / 1e9 > limit:
                young += stat.size
            else:
                blobs, size = blobs + 1, size + stat.size
                if not dry_run:
                    home.blobs.remove(digest)
        checkouts, checkouts_size = _collect_checkouts(home, alive, dry_run=dry_run)
        staging = _collect_staging(home, older_than, dry_run=dry_run)
    return Collected(blobs, size, checkouts, checkouts_size, staging, _bill(marks, sizes), young, dry_run)


def _bill(marks: Mapping[Digest, Sequence[str]], sizes: Mapping[Digest, int]) -> tuple[Kept, ...]:
    """What stays, largest first, gathered by who needs it."""
    needed: dict[tuple[str, ...], int] = {}
    for digest, size in sizes.items():
        who = tuple(marks[digest])
        needed[who] = needed.get(who, 0) + size
    return tuple(Kept(size, _why(who)) for who, size in sorted(needed.items(), key=lambda item: -item[1]))


def _why(who: tuple[str, ...]) -> str:
    if who == ("journal",):
        return "needed to read the journal"
    names = [name for name in who if name != "journal"]
    if len(names) > REASONS_SHOWN:
        return f"needed by {', '.join(names[:REASONS_SHOWN])} and {len(names) - REASONS_SHOWN} more versions"
    return f"needed by {', '.join(names)}"


def _collect_checkouts(home: Home, alive: set[Digest], *, dry_run: bool) -> tuple[int, int]:
    """Checkouts of versions that were deleted, of a place where the home no longer lies, or half made."""
    count = size = 0
    root = home.root / "checkouts"
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        kind, _, rest = folder.name.partition("-")
        digest, _, mark = rest.partition("-")
        if kind == "sha256" and f"sha256:{digest}" in alive and mark == place_mark(home.root):
            continue
        count, size = count + 1, size + _size_of(folder)
        if not dry_run:
            _remove(folder)
    return count, size


def _collect_staging(home: Home, older_than: float, *, dry_run: bool) -> int:
    """Bytes of what died on its way in."""
    size = 0
    root = home.root / "staging"
    for item in sorted(root.iterdir()) if root.is_dir() else []:
        if older_than > NEVER_OLD and item.lstat().st_mtime > time.time() - older_than:
            continue
        size += _size_of(item)
        if not dry_run:
            _remove(item)
    return size


def _size_of(place: Path) -> int:
    if not place.is_dir() or place.is_symlink():
        return place.lstat().st_size
    return sum(path.lstat().st_size for path in place.rglob("*") if not path.is_dir() or path.is_symlink())


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
