"""Results of operations on bytes: checkout, collect, delete, disk usage, bundles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.core.text import Shown, Told, counted
from registry.core.version import Version


@dataclass(frozen=True)
class Checkout:
    """A version as files in a folder."""

    folder: Path
    version: Version
    fresh: bool
    """False where the folder was there, ready."""


@dataclass(frozen=True)
class Kept:
    """Bytes that collect leaves, and why."""

    size: int
    why: str


@dataclass(frozen=True, repr=False)
class Collected(Shown):
    """What collect freed, or in a dry run would free."""

    blobs: int
    size: int
    """Bytes."""
    checkouts: int
    checkouts_size: int
    staging: int
    kept: tuple[Kept, ...] = ()
    young: int = 0
    """Bytes that are not needed and not yet old."""
    dry_run: bool = False
    catalogs: int = 0
    """Bytes of catalogs that a newer one took the place of."""
    shorter: tuple[tuple[str, int], ...] = ()
    """(age as `--older-than` takes it, bytes of the young that it would free)."""

    def told(self) -> Told:
        """What went, and what stays."""
        freed = self.size + self.checkouts_size + self.staging + self.catalogs
        yield "freed", f"{'would free' if self.dry_run else 'freed'} {counted(freed, 'byte')}"
        yield (
            "kept",
            f"{counted(sum(item.size for item in self.kept), 'byte')} for {counted(len(self.kept), 'reason')}",
        )


@dataclass(frozen=True)
class Deleted:
    """Versions that were forgotten, or in a dry run would be."""

    versions: tuple[Version, ...]
    freed: int
    """Bytes that collect can free because of it, checkouts not counted; what `du` said of one."""
    notes: Mapping[str, str] = field(default_factory=dict)
    young: int = 0
    """Of them, those that are not yet an hour old, which collect leaves until they are."""
    checkouts: int = 0
    """Bytes of unpacked folders that collect frees too."""


@dataclass(frozen=True)
class Usage:
    """What a version, a model or a whole registry costs on disk, in bytes."""

    reference: str | None
    """None for the whole registry."""
    own: int
    """Of its files, vocabulary and probes."""
    shared: int
    """Of those of them that other versions need too."""
    freed: int
    """What collect would free if it were deleted, its checkout not counted; of the whole registry, all that collect would free now."""
    checkouts: int
    """Of its own unpacked folder in this home; links to blobs count nothing."""
    details: Mapping[str, int]
    """For the whole registry, by what the bytes are for."""

    def to_dict(self) -> dict[str, Any]:
        """What `du --json` prints."""
        return {
            "reference": self.reference,
            "own": self.own,
            "shared": self.shared,
            "freed": self.freed,
            "checkouts": self.checkouts,
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class Bundled:
    """A bundle that was written."""

    path: Path
    versions: tuple[str, ...]
    """References, parents first; none for a whole home."""
    blobs: int
    size: int
    """Bytes of the file."""
    left_out: int
    """Blobs that the other side has."""
    entries: int
    """Of the journal of a whole home, else 0."""

    def to_dict(self) -> dict[str, Any]:
        """What `bundle --json` prints."""
        return {
            "versions": list(self.versions),
            "blobs": self.blobs,
            "size": self.size,
            "left_out": self.left_out,
            "entries": self.entries,
        }


@dataclass(frozen=True)
class Unbundled:
    """What came out of a bundle."""

    versions: tuple[Version, ...]
    """Those that were asked for, as they are here now."""
    registered: tuple[str, ...]
    already: tuple[str, ...]
    """References of what is new here and of what was here, parents first."""
    entries: int = 0
    """Of the journal of a whole home, else 0."""
    added: int = 0
    """How many of them were not here."""

    def to_dict(self) -> dict[str, Any]:
        """What `pull --json` prints of a bundle."""
        return {
            "versions": [
                {"reference": item.reference, "digest": item.digest} for item in self.versions
            ],
            "registered": list(self.registered),
            "already": list(self.already),
            "entries": self.entries,
            "added": self.added,
        }
