"""Needing: which versions need which blobs, asked blob by blob, so that a hundred thousand versions on one base cost no square of that.

A version needs the files, probes and vocabularies of itself and of all its ancestors, while it is not deleted. Every manifest and
facts blob ever registered is needed by whoever folds the journal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from registry.catalog import schema as t
from registry.core.digest import Digest

from .rows import NOW, holds


@dataclass(frozen=True)
class Needs:
    """Who needs what."""

    alive: Mapping[str, Sequence[str]]
    """Manifest to the references of the versions, not deleted, that it is."""
    names: Mapping[str, str]
    """Manifest to the first reference that it ever had."""
    parents: Mapping[str, Sequence[str]]
    own: Mapping[str, Mapping[Digest, int | None]]
    """Manifest to its own blobs, each with its size where the manifest says one."""
    journal: Mapping[Digest, str]
    """Manifests and facts to what they are."""
    paths: Mapping[Digest, str]
    unknown: Mapping[str, str]
    """Manifest to what could not be read of it, so that nobody knows all it needs."""
    _children: dict[str, list[str]] = field(default_factory=dict)
    _owners: dict[Digest, list[str]] = field(default_factory=dict)
    _few: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    def blobs(self) -> dict[Digest, int | None]:
        """Every blob that a version needs, and those the journal does, with sizes where they are known."""
        found: dict[Digest, int | None] = dict.fromkeys(self.journal)
        for manifest in self.needed():
            for digest, size in self.own.get(manifest, {}).items():
                found[digest] = size if size is not None else found.get(digest)
        return found

    def needed(self) -> set[str]:
        """The manifests of versions that are not deleted, and of all their ancestors."""
        return _closed(self.alive, self.parents)

    def users(self, manifest: str) -> list[str]:
        """References of the versions whose line a manifest is in: those it is, then those that stand on it."""
        self._below(manifest)
        below = _closed([manifest], self._children)
        return [
            *self.alive.get(manifest, ()),
            *sorted(name for item in below - {manifest} for name in self.alive.get(item, ())),
        ]

    def line_blobs(self, manifest: str) -> set[Digest]:
        """Every blob of a manifest and of all its ancestors."""
        return {
            digest
            for item in _closed([manifest], self.parents)
            for digest in self.own.get(item, {})
        }

    def needed_only_by(self, digest: Digest, references: Set[str]) -> bool:
        """Whether a blob is needed, and by no version but these."""
        found = [self._few_users(manifest, len(references) + 1) for manifest in self.owners(digest)]
        return any(found) and all(references >= set(users) for users in found)

    def _few_users(self, manifest: str, enough: int) -> list[str]:
        """As users, but at most so many: whether there are more is all that is asked."""
        if (manifest, enough) not in self._few:
            found: list[str] = []
            seen, waiting = {manifest}, [manifest]
            while waiting and len(found) < enough:
                item = waiting.pop()
                found += self.alive.get(item, ())
                below = [child for child in self._below(item) if child not in seen]
                seen.update(below)
                waiting += below
            self._few[manifest, enough] = found[:enough]
        return self._few[manifest, enough]

    def _below(self, manifest: str) -> Sequence[str]:
        if not self._children:
            for child, parents in self.parents.items():
                for parent in parents:
                    self._children.setdefault(parent, []).append(child)
        return self._children.get(manifest, ())

    def owners(self, digest: Digest) -> list[str]:
        """The manifests that a blob is of, itself included where it is one."""
        if not self._owners:
            for manifest, blobs in self.own.items():
                for item in blobs:
                    self._owners.setdefault(item, []).append(manifest)
        return [*self._owners.get(digest, ()), *([digest] if digest in self.names else [])]

    def users_of(self, digest: Digest) -> list[str]:
        """References of the versions that need a blob."""
        return list(
            dict.fromkeys(name for manifest in self.owners(digest) for name in self.users(manifest))
        )

    def what(self, digest: Digest) -> str:
        """What a blob is, for a message: `model.safetensors of minilm@1 (sha256:…)`."""
        owner = next(
            (self.names[manifest] for manifest in self.owners(digest) if manifest in self.names),
            None,
        )
        name = self.paths.get(digest) or self.journal.get(digest) or "a blob"
        return f"{name}{f' of {owner}' if owner and digest not in self.journal else ''} ({digest})"


def needs(connection: Connection) -> Needs:
    """Who needs what, now."""
    v, vf, f = t.versions, t.version_facts, t.facts
    alive: dict[str, list[str]] = defaultdict(list)
    names: dict[str, str] = {}
    journal: dict[Digest, str] = {}
    open_ = holds(v, NOW)
    for row in connection.execute(
        select(v.c.name, v.c.number, v.c.manifest, open_.label("open")).order_by(v.c.since)
    ).all():
        reference = f"{row.name}@{row.number}"
        names.setdefault(row.manifest, reference)
        journal[Digest(row.manifest)] = f"the manifest of {names[row.manifest]}"
        if row.open:
            alive[row.manifest].append(reference)
    joined = v.join(vf, (vf.c.name == v.c.name) & (vf.c.number == v.c.number)).outerjoin(
        f, f.c.digest == vf.c.facts
    )
    own, paths = _files(connection)
    for row in connection.execute(
        select(v.c.manifest, vf.c.facts, f.c.vocabulary).select_from(joined)
    ).all():
        journal[Digest(row.facts)] = f"the facts of {names[row.manifest]}"
        if row.vocabulary is not None:
            _own(own, row.manifest, row.vocabulary)
            paths.setdefault(Digest(row.vocabulary), "the vocabulary")
    vp = t.version_probes
    for row in connection.execute(
        select(v.c.manifest, vp.c.probes).select_from(
            v.join(vp, (vp.c.name == v.c.name) & (vp.c.number == v.c.number))
        )
    ):
        _own(own, row.manifest, row.probes)
        paths.setdefault(Digest(row.probes), "the probes")
    parents: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(select(t.parents.c.manifest, t.parents.c.parent)).all():
        parents[row.manifest].append(row.parent)
    return Needs(dict(alive), names, dict(parents), own, journal, paths, _unreadable(connection))


def _files(connection: Connection) -> tuple[dict[str, dict[Digest, int | None]], dict[Digest, str]]:
    own: dict[str, dict[Digest, int | None]] = {}
    paths: dict[Digest, str] = {}
    same: dict[str, Digest] = {}
    for manifest, path, text, size in connection.execute(
        select(t.files.c.manifest, t.files.c.path, t.files.c.digest, t.files.c.size)
    ).all():
        digest = same.setdefault(text, Digest(text))
        own.setdefault(manifest, {})[digest] = size
        paths.setdefault(digest, path)
    return own, paths


def _own(own: dict[str, dict[Digest, int | None]], manifest: str, digest: str) -> None:
    own.setdefault(manifest, {}).setdefault(Digest(digest), None)


def _closed(begin: Iterable[str], towards: Mapping[str, Sequence[str]]) -> set[str]:
    found, waiting = set(begin), list(begin)
    while waiting:
        for item in towards.get(waiting.pop(), ()):
            if item not in found:
                found.add(item)
                waiting.append(item)
    return found


def _unreadable(connection: Connection) -> dict[str, str]:
    """What could not be read of a manifest, by the manifest's digest."""
    v, vf, skipped = t.versions, t.version_facts, t.skipped
    facts = select(v.c.manifest, v.c.name, v.c.number, skipped.c.digest).select_from(
        v.join(vf, (vf.c.name == v.c.name) & (vf.c.number == v.c.number)).join(
            skipped, skipped.c.digest == vf.c.facts
        )
    )
    manifests = select(v.c.manifest, v.c.name, v.c.number).join(
        skipped, skipped.c.digest == v.c.manifest
    )
    unknown = {
        row.manifest: f"the facts of {row.name}@{row.number}, {row.digest},"
        for row in connection.execute(facts)
    }
    return unknown | {
        row.manifest: f"the manifest of {row.name}@{row.number}, {row.manifest},"
        for row in connection.execute(manifests)
    }
