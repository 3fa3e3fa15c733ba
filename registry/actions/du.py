"""du: what a version costs on disk, and what all of it does. Counted as collect counts, so the two agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..digest import Digest
from ..findings import Usage
from ..home import Home
from ..store import checkout as _store
from .collect import needs_of, size_of
from .common import VersionLike, resolve

if TYPE_CHECKING:
    from ..catalog.queries import Needs


def du(home: Home, version: VersionLike | None) -> tuple[Usage, ...]:
    """Of one version; or of each, by name and number, and last of the whole registry."""
    needs = needs_of(home)
    sizes = {digest: stat.size for digest, stat in home.blobs.all()}
    unpacked = _checkouts(home)
    if version is not None:
        found = resolve(home, version)
        return (_of(needs, sizes, unpacked, found.reference, str(found.digest)),)
    ordered = sorted(((reference, manifest) for manifest, references in needs.alive.items() for reference in references),
                     key=lambda item: (item[0].rpartition("@")[0], int(item[0].rpartition("@")[2])))
    return (*(_of(needs, sizes, unpacked, reference, manifest) for reference, manifest in ordered), _whole(home, needs, sizes, unpacked))


def _of(needs: Needs, sizes: dict[Digest, int], unpacked: dict[str, int], reference: str, manifest: str) -> Usage:
    own = {digest: sizes.get(digest, 0) for digest in needs.own.get(manifest, {})}
    alone = {digest for digest in needs.line_blobs(manifest) if digest not in needs.journal and needs.only_user(digest) == reference}
    freed = sum(sizes.get(digest, 0) for digest in alone)
    shared = sum(size for digest, size in own.items() if digest not in alone)
    last = needs.alive.get(manifest, ()) == [reference]
    return Usage(reference, sum(own.values()), shared, freed, unpacked.get(manifest, 0) if last else 0, {})


def _whole(home: Home, needs: Needs, sizes: dict[Digest, int], unpacked: dict[str, int]) -> Usage:
    needed = needs.blobs()
    journal = sum(sizes.get(digest, 0) for digest in needs.journal)
    versions = sum(sizes.get(digest, 0) for digest in needed) - journal
    idle = sum(sizes.values()) - versions - journal
    details = {"versions": versions, "manifests and facts": journal, "needed by nobody": idle,
               "journal": _folder(home, "journal"), "catalog": _folder(home, "catalog"), "staging": _folder(home, "staging")}
    return Usage(None, versions, 0, idle, sum(unpacked.values()), details)


def _folder(home: Home, name: str) -> int:
    return size_of(home.root / name) if (home.root / name).is_dir() else 0


def _checkouts(home: Home) -> dict[str, int]:
    """Bytes of each unpacked folder of this home, by manifest."""
    root = home.root / "checkouts"
    mark = _store.place_mark(home.root)
    found: dict[str, int] = {}
    for folder in root.iterdir() if root.is_dir() else ():
        kind, _, rest = folder.name.partition("-")
        digest, _, place = rest.partition("-")
        if kind == "sha256" and place == mark:
            found[f"sha256:{digest}"] = size_of(folder)
    return found
