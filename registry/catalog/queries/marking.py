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
    facts in a line could not be read, since nobody knows what they need; with partial that is left out, and no ground to delete.
    """
    found: dict[Digest, list[str]] = defaultdict(list)
    for column in (t.versions.c.manifest, t.version_facts.c.facts):
        for digest in connection.scalars(select(column).distinct()):
            found[Digest(digest)].append(JOURNAL)
    parents, own = _parents(connection), _own(connection)
    unknown = {} if partial else unreadable(connection)
    alive = select(t.versions.c.name, t.versions.c.number, t.versions.c.manifest).where(holds(t.versions, NOW))
    for name, number, manifest in connection.execute(alive.order_by(t.versions.c.name, t.versions.c.number)):
        line = _line(manifest, parents)
        for gap in sorted(line & unknown.keys()):
            raise BlobNotFound(f"{unknown[gap]} could not be read, so nobody knows which files {name}@{number} needs; "
                               "to put that blob back: registry repair --from SOURCE")
        for digest in sorted({digest for ancestor in line for digest in own[ancestor]}):
            found[Digest(digest)].append(f"{name}@{number}")
    return dict(found)


def _own(connection: Connection) -> dict[str, set[str]]:
    """What each manifest needs for itself."""
    v, vf, f = t.versions, t.version_facts, t.facts
    own: dict[str, set[str]] = defaultdict(set)
    for manifest, digest in connection.execute(select(t.files.c.manifest, t.files.c.digest)):
        own[manifest].add(digest)
    vp = t.version_probes
    probed = select(v.c.manifest, vp.c.probes).select_from(v.join(vp, (vp.c.name == v.c.name) & (vp.c.number == v.c.number)))
    for manifest, digest in connection.execute(probed):
        own[manifest].add(digest)
    joined = v.join(vf, (vf.c.name == v.c.name) & (vf.c.number == v.c.number)).join(f, f.c.digest == vf.c.facts)
    for manifest, digest in connection.execute(select(v.c.manifest, f.c.vocabulary).select_from(joined)):
        own[manifest].add(digest)
    return own


def _parents(connection: Connection) -> dict[str, set[str]]:
    parents: dict[str, set[str]] = defaultdict(set)
    for manifest, parent in connection.execute(select(t.parents.c.manifest, t.parents.c.parent)):
        parents[manifest].add(parent)
    return parents


def _line(manifest: str, parents: dict[str, set[str]]) -> set[str]:
    line, waiting = set(), [manifest]
    while waiting:
        current = waiting.pop()
        if current not in line:
            line.add(current)
            waiting.extend(parents.get(current, ()))
    return line


def unreadable(connection: Connection) -> dict[str, str]:
    """What could not be read of a manifest, by the manifest's digest."""
    v, vf, skipped = t.versions, t.version_facts, t.skipped
    facts = (select(v.c.manifest, v.c.name, v.c.number, skipped.c.digest).select_from(
        v.join(vf, (vf.c.name == v.c.name) & (vf.c.number == v.c.number)).join(skipped, skipped.c.digest == vf.c.facts)))
    manifests = select(v.c.manifest, v.c.name, v.c.number).join(skipped, skipped.c.digest == v.c.manifest)
    unknown = {row.manifest: f"the facts of {row.name}@{row.number}, {row.digest}," for row in connection.execute(facts)}
    return unknown | {row.manifest: f"the manifest of {row.name}@{row.number}, {row.manifest},"
                      for row in connection.execute(manifests)}
