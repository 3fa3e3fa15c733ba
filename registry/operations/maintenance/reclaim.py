"""Freeing: what collect takes away, and what it would after a delete. collect, delete and du all ask here, so that they say the same."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core.digest import Digest
from registry.core.manifest import parse
from registry.core.progress import Progress, silent
from registry.errors import RegistryError
from registry.home.home import Home
from registry.operations.shared import staging as _staging
from registry.store.checkout import folder_name, folders_of, holds_other, is_ours, place_mark
from registry.store.preserve import is_aside

if TYPE_CHECKING:
    from registry.catalog.queries import Needs
    from registry.store.backend import Stat

NEVER_OLD = 0.0
HOUR = 3600.0
"""Seconds after which collect takes what nobody needs, unless it is told otherwise."""


@dataclass
class Blobs:
    """Every blob with its size: those that somebody needs, and of the others those that are old enough and those that are not."""

    needed: dict[Digest, int] = field(default_factory=dict)
    old: dict[Digest, int] = field(default_factory=dict)
    young: list[tuple[float, int]] = field(default_factory=list)
    """(age in seconds, bytes)."""


@dataclass
class Checkouts:
    """Unpacked folders with their bytes: by manifest those of versions that are here, and those that nobody uses or that were moved aside.

    Of a version that has none since the home was moved, those from before stay: repair finds bytes there. Mixed are those that nobody
    uses and that hold what is not the version's.
    """

    used: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    idle: dict[Path, int] = field(default_factory=dict)
    mixed: dict[Path, int] = field(default_factory=dict)
    aside: dict[Path, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Freed:
    """Bytes that deleting versions sets free: of files, of those that are not yet an hour old, and of checkouts."""

    size: int
    young: int
    checkouts: int


def blobs(home: Home, needs: Needs, older_than: float, progress: Progress = silent) -> Blobs:
    """All of them, by what becomes of them. older_than is in seconds; 0 takes also what a wrong clock made in the future."""
    needed, found, now = needs.blobs(), Blobs(), time.time()
    for count, (digest, stat) in enumerate(home.blobs.all()):
        progress("looking", count, None)
        age = now - stat.modified_ns / 1e9
        if digest in needed:
            found.needed[digest] = stat.size
        elif older_than > NEVER_OLD and age < older_than:
            found.young.append((age, stat.size))
        else:
            found.old[digest] = stat.size
    return found


def checkouts(home: Home, needs: Needs) -> Checkouts:
    """Those of versions that were deleted, or are unpacked again since the home was moved, and half made ones are idle, unless they are mixed.

    What is none is left out.
    """
    found, mark = Checkouts(), place_mark(home.root)
    for folder in _within(home.root / "checkouts"):
        manifest, is_whole = (
            f"sha256:{folder.name[7:71]}",
            is_ours(folder.name) and not folder.name.startswith("."),
        )
        if is_aside(folder.name):
            found.aside[folder] = size_of(folder)
        elif is_whole and manifest in needs.alive and folder.name.endswith(f"-{mark}"):
            found.used[manifest] = size_of(folder)
        elif is_whole and manifest in needs.alive and folder in _kept(home, manifest):
            found.before[manifest] = found.before.get(manifest, 0) + size_of(folder)
        elif is_whole and _is_mixed(home, manifest, folder):
            found.mixed[folder] = size_of(folder)
        elif is_ours(folder.name):
            found.idle[folder] = size_of(folder)
    return found


def staged(home: Home, older_than: float) -> dict[Path, int]:
    """What died on its way in, with its bytes. What somebody else put there is left out."""
    return {
        place: size_of(place)
        for place in _within(home.root / "staging")
        if _staging.is_ours(place.name) and _is_old(place, older_than)
    }


def catalogs(home: Home, older_than: float) -> dict[Path, int]:
    """Catalogs that a newer generation took the place of, and those that were never done, with their bytes."""
    from registry.catalog.migrate import left_behind

    return {
        path: size_of(path)
        for path in left_behind(home.root / "catalog")
        if _is_old(path, older_than)
    }


def freed_by(
    home: Home, needs: Needs, doomed: Mapping[str, str], stat: Callable[[Digest], Stat | None]
) -> Freed:
    """What collect takes once these are deleted, and not before. doomed are references with their manifests."""
    alone = {
        digest
        for manifest in doomed.values()
        for digest in needs.line_blobs(manifest)
        if digest not in needs.journal and needs.needed_only_by(digest, doomed.keys())
    }
    found = [item for item in map(stat, alone) if item is not None]
    now = time.time()
    young = sum(item.size for item in found if now - item.modified_ns / 1e9 < HOUR)
    gone = {
        manifest
        for manifest in doomed.values()
        if manifest in needs.alive and doomed.keys() >= set(needs.alive[manifest])
    }
    return Freed(
        sum(item.size for item in found), young, sum(_unpacked(home, manifest) for manifest in gone)
    )


def size_of(place: Path) -> int:
    """Bytes of a file, or of all files in a folder; a link counts as itself, and what goes away meanwhile as nothing."""
    if not place.is_dir() or place.is_symlink():
        return _size(place)
    return sum(_size(path) for path in place.rglob("*") if not path.is_dir() or path.is_symlink())


def _size(place: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return place.lstat().st_size
    return 0


def _is_old(place: Path, older_than: float) -> bool:
    if older_than <= NEVER_OLD:
        return True
    with contextlib.suppress(FileNotFoundError):
        return place.lstat().st_mtime <= time.time() - older_than
    return False


def _unpacked(home: Home, manifest: str) -> int:
    return sum(
        size_of(folder) for folder in _kept(home, manifest) if not _is_mixed(home, manifest, folder)
    )


def _is_mixed(home: Home, manifest: str, folder: Path) -> bool:
    """The version's files count as its own also where the marker was lost."""
    own: dict[str, Digest] = {}
    with contextlib.suppress(RegistryError):
        own = {file.path: file.digest for file in parse(home.blobs.read(Digest(manifest))).files}
    return holds_other(folder, own, trust_stamps=True)


def _kept(home: Home, manifest: str) -> list[Path]:
    """The checkouts of a version that stay while it does: the one that loads use, else those from where the home lay before."""
    folders = folders_of(home.root, Digest(manifest))
    return (
        folders[:1]
        if folders and folders[0].name == folder_name(home.root, Digest(manifest))
        else folders
    )


def _within(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
