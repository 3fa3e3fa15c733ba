"""du: what a version costs on disk, and what all of it does. What would be freed is told by what collect frees by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.core.digest import Digest
from registry.home.home import Home
from registry.operations.shared.resolve import VersionLike, resolve
from registry.results.storage import Usage

from . import reclaim
from .collect import needs_of

if TYPE_CHECKING:
    from registry.catalog.queries import Needs
    from registry.store.backend import Stat

    Stats = dict[Digest, Stat]


def du(home: Home, version: VersionLike | None) -> tuple[Usage, ...]:
    """Of one version; or of each, by name and number, and last of the whole registry."""
    needs = needs_of(home)
    stats = dict(home.blobs.all())
    if version is not None:
        found = resolve(home, version)
        return (_of(home, needs, stats, found.reference, str(found.digest)),)
    ordered = sorted(
        (
            (reference, manifest)
            for manifest, references in needs.alive.items()
            for reference in references
        ),
        key=lambda item: (item[0].rpartition("@")[0], int(item[0].rpartition("@")[2])),
    )
    return (
        *(_of(home, needs, stats, reference, manifest) for reference, manifest in ordered),
        _whole(home, needs),
    )


def _of(home: Home, needs: Needs, stats: Stats, reference: str, manifest: str) -> Usage:
    own = {digest: stats[digest].size for digest in needs.own.get(manifest, {}) if digest in stats}
    shared = sum(
        size
        for digest, size in own.items()
        if digest in needs.journal or not needs.needed_only_by(digest, {reference})
    )
    freed = reclaim.freed_by(home, needs, {reference: manifest}, stats.get)
    return Usage(reference, sum(own.values()), shared, freed.size, freed.checkouts, {})


def _whole(home: Home, needs: Needs) -> Usage:
    blobs, checkouts = reclaim.blobs(home, needs, reclaim.HOUR), reclaim.checkouts(home, needs)
    journal = sum(size for digest, size in blobs.needed.items() if digest in needs.journal)
    versions = sum(blobs.needed.values()) - journal
    young = sum(size for _, size in blobs.young)
    unpacked, left = (
        sum(checkouts.idle.values()),
        {**reclaim.staged(home, reclaim.HOUR), **reclaim.catalogs(home, reclaim.HOUR)},
    )
    details = {
        "versions": versions,
        "manifests and facts": journal,
        "needed by nobody": sum(blobs.old.values()) + young,
        "of it not yet an hour old": young,
        "checkouts that nobody uses": unpacked + sum(checkouts.mixed.values()),
        "of those, kept for what is not a version's": sum(checkouts.mixed.values()),
        "checkouts moved aside": sum(checkouts.aside.values()),
        "journal": _folder(home, "journal"),
        "catalog": _folder(home, "catalog"),
        "staging": _folder(home, "staging"),
    }
    freed = sum(blobs.old.values()) + unpacked + sum(left.values())
    return Usage(
        None,
        versions,
        0,
        freed,
        sum(checkouts.used.values()) + sum(checkouts.before.values()),
        details,
    )


def _folder(home: Home, name: str) -> int:
    return reclaim.size_of(home.root / name) if (home.root / name).is_dir() else 0
