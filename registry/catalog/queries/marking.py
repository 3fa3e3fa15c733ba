"""Marking: which blobs somebody needs, and who. What is not marked, collect frees."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection, select

from ...digest import Digest
from ...errors import BlobNotFound
from .. import tables as t
from .loading import NOW, holds

JOURNAL = "journal"
"""Who needs every manifest and facts ever registered: whoever folds the journal anew."""


def marks(connection: Connection, *, partial: bool = False) -> dict[Digest, list[str]]:
    """For each needed blob the versions that need it, and `journal` where the journal does.

    A version needs its files, probes and vocabulary, and those of all its ancestors. Raises BlobNotFound where a manifest or
    facts could not be read, since nobody knows what they need; with partial these are left out, so it is not for deleting.
    """
    if not partial:
        _refuse_gaps(connection)
    found: dict[Digest, list[str]] = defaultdict(list)
    for column in (t.versions.c.manifest, t.version_facts.c.facts):
        for digest in connection.scalars(select(column).distinct()):
            found[Digest(digest)].append(JOURNAL)
    parents, own = _parents(connection), _own(connection)
    alive = select(t.versions.c.name, t.versions.c.number, t.versions.c.manifest).where(holds(t.versions, NOW))
    for name, number, manifest in connection.execute(alive.order_by(t.versions.c.name, t.versions.c.number)):
        needed = {digest for ancestor in _line(manifest, parents) for digest in own[ancestor]}
        for digest in sorted(needed):
            found[Digest(digest)].append(f"{name}@{number}")
    return dict(found)


def _own(connection: Connection) -> dict[str, set[str]]:
    """What each manifest needs for itself."""
    v, vf, f = t.versions, t.version_facts, t.facts
    own: dict[str, set[str]] = defaultdict(set)
    for manifest, digest in connection.execute(select(t.files.c.manifest, t.files.c.digest)):
        own[manifest].add(digest)
    for manifest, digest in connection.execute(select(v.c.manifest, v.c.probes).where(v.c.probes.is_not(None))):
        own[manifest].add(digest)
    joined = v.join(vf, (vf.c.name == v.c.name) & (vf.c.number == v.c.number)).join(f, f.c.digest == vf.c.facts)
    for manifest, digest in connection.execute(select(v.c.manifest, f.c.vocabulary).select_from(joined)):
        own[manifest].add(digest)
    return own


def _parents(connection: Connection) -> dict[str, set[str]]:
    """Parents of each manifest, by the manifests and by the entries: either may be the one that could be read."""
    e, v = t.edges, t.versions
    said = select(v.c.manifest, e.c.parent).select_from(
        e.join(v, (e.c.name == v.c.name) & (e.c.number == v.c.number) & (e.c.since == v.c.since)))
    parents: dict[str, set[str]] = defaultdict(set)
    for manifest, digest in connection.execute(select(t.parents.c.manifest, t.parents.c.parent).union(said)):
        parents[manifest].add(digest)
    return parents


def _line(manifest: str, parents: dict[str, set[str]]) -> set[str]:
    line, waiting = set(), [manifest]
    while waiting:
        current = waiting.pop()
        if current not in line:
            line.add(current)
            waiting.extend(parents.get(current, ()))
    return line


def _refuse_gaps(connection: Connection) -> None:
    v, vf = t.versions, t.version_facts
    for what, column in (("manifest", v.c.manifest), ("facts", vf.c.facts)):
        joined = v.join(vf, (vf.c.name == v.c.name) & (vf.c.number == v.c.number)).join(t.skipped, t.skipped.c.digest == column)
        row = connection.execute(select(v.c.name, v.c.number, column).select_from(joined).limit(1)).first()
        if row is not None:
            raise BlobNotFound(f"the {what} of {row.name}@{row.number}, {row[2]}, could not be read, so nobody knows which files "
                               "it needs; put that blob back, then delete the folder catalog, and it is made anew")
