"""Listing: models, versions, and versions that have something in common."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, func, select, true

from registry.catalog import schema as t
from registry.core.digest import Digest
from registry.core.facts import Token
from registry.core.manifest import File
from registry.core.version import Model, Taken, Version
from registry.errors import ModelNotFound

from .rows import UNKNOWN, holds, latest, load, moment


def models(connection: Connection, at: int | None = None) -> list[Model]:
    """Models that have a version, by name."""
    when = moment(at)
    v, e = t.versions, t.entries
    counted = (
        select(v.c.name, func.count(), func.max(v.c.number))
        .where(holds(v, when))
        .group_by(v.c.name)
        .order_by(v.c.name)
    )
    counts = connection.execute(counted).all()
    newest = latest(connection, when)
    shown = {name: newest.get(name, highest) for name, _, highest in counts}
    kinds = {
        (row.name, row.number): (row.kind or UNKNOWN, row[3] or UNKNOWN)
        for row in connection.execute(
            select(v.c.name, v.c.number, t.manifests.c.kind, t.manifests.c["class"])
            .select_from(v.outerjoin(t.manifests, t.manifests.c.digest == v.c.manifest))
            .where(holds(v, when))
        )
    }
    last = (
        select(func.max(e.c.number))
        .where(e.c.name.is_not(None), e.c.number <= when)
        .group_by(e.c.name)
    )
    updated = {
        row.name: row.time
        for row in connection.execute(select(e.c.name, e.c.time).where(e.c.number.in_(last)))
    }
    named: dict[str, dict[str, int]] = {}
    for row in connection.execute(
        select(t.aliases).where(holds(t.aliases, when)).order_by(t.aliases.c.alias)
    ):
        named.setdefault(row.name, {})[row.alias] = row.number
    return [
        Model(
            name,
            count,
            newest.get(name),
            *kinds[name, shown[name]],
            named.get(name, {}),
            updated[name],
        )
        for name, count, _ in counts
    ]


def versions(connection: Connection, name: str, at: int | None = None) -> list[Version]:
    """The versions of a model that were not deleted, newest first. Raises ModelNotFound."""
    model = spelled(connection, name, at)
    if model is None:
        raise no_model(connection, name, at)
    return load(connection, t.versions.c.name == model, at=at)


def version(
    connection: Connection, name: str, number: int, at: int | None = None
) -> Version | None:
    """A version, a deleted one too; None where there never was one."""
    spelling = spelled(connection, name, at) or name
    found = load(
        connection,
        t.versions.c.name == spelling,
        t.versions.c.number == number,
        at=at,
        deleted=True,
    )
    return found[0] if found else None


def spelled(connection: Connection, name: str, at: int | None = None) -> str | None:
    """The name as it was first spelled, for any spelling of its case; None where no model has it."""
    return connection.scalar(
        select(t.models.c.name).where(
            t.models.c.folded == name.casefold(), t.models.c.since <= moment(at)
        )
    )


def taken(connection: Connection, name: str, number: int | None = None) -> Taken:
    """What is given away of a model's name, and of a number under it."""
    spelling, v = spelled(connection, name), t.versions
    highest = connection.scalar(select(func.max(v.c.number)).where(v.c.name == (spelling or name)))
    manifest = connection.scalar(
        select(v.c.manifest).where(v.c.name == (spelling or name), v.c.number == number).limit(1)
    )
    return Taken(spelling, (highest or 0) + 1, Digest(manifest) if manifest is not None else None)


def aliases(connection: Connection, name: str, at: int | None = None) -> dict[str, int]:
    """Aliases of a model and the numbers they point to."""
    condition = and_(
        t.aliases.c.name == (spelled(connection, name, at) or name), holds(t.aliases, moment(at))
    )
    found = connection.execute(
        select(t.aliases.c.alias, t.aliases.c.number).where(condition).order_by(t.aliases.c.alias)
    )
    return {row.alias: row.number for row in found}


def children(connection: Connection, digest: str, at: int | None = None) -> list[Version]:
    """Versions not deleted that name this manifest as a parent."""
    e, v = t.edges, t.versions
    there = select(e.c.name).where(
        e.c.parent == digest, e.c.name == v.c.name, e.c.number == v.c.number, e.c.since == v.c.since
    )
    return load(connection, there.correlate(v).exists(), at=at)


def with_evidence(connection: Connection, evidence: str, at: int | None = None) -> list[Version]:
    """Return the versions not deleted with a parent of this evidence."""
    e, v = t.edges, t.versions
    edge_exists = select(e.c.name).where(
        e.c.evidence == evidence,
        e.c.name == v.c.name,
        e.c.number == v.c.number,
        e.c.since == v.c.since,
    )
    return load(connection, edge_exists.correlate(v).exists(), at=at)


def with_manifest(
    connection: Connection, digest: str, at: int | None = None, *, deleted: bool = False
) -> list[Version]:
    """Versions that are this manifest, by name; with deleted, deleted ones after the others."""
    return load(connection, t.versions.c.manifest == digest, at=at, deleted=deleted)


def with_weights(connection: Connection, digest: str, at: int | None = None) -> list[Version]:
    """Versions with these weights: the same tensors, in whatever files."""
    return load(connection, with_facts(t.facts.c.weights == digest, at), at=at)


def with_vocabulary(connection: Connection, digest: str, at: int | None = None) -> list[Version]:
    """Versions with this token list."""
    return load(connection, with_facts(t.facts.c.vocabulary == digest, at), at=at)


def with_tokenizer(connection: Connection, digest: str, at: int | None = None) -> list[Version]:
    """Versions whose tokenizer does the same."""
    return load(connection, with_facts(t.facts.c.tokenizer == digest, at), at=at)


def with_file(connection: Connection, digest: str, at: int | None = None) -> list[Version]:
    """Versions that have a file with this content."""
    return load(
        connection,
        t.versions.c.manifest.in_(select(t.files.c.manifest).where(t.files.c.digest == digest)),
        at=at,
    )


def from_hub(
    connection: Connection, repository: str | None, commit: str, at: int | None = None
) -> list[Version]:
    """Return the versions that came from, or were published at, a commit on the Hub.

    The first registered comes first. None stands for any repository. Copies that later
    ones replaced count too, since the content of a commit does not change.
    """
    c, v = t.copies, t.versions
    there = (
        select(c.c.name)
        .where(c.c.commit == commit, c.c.since <= moment(at))
        .where(c.c.repository == repository if repository is not None else true())
        .where(c.c.name == v.c.name, c.c.number == v.c.number)
        .correlate(v)
        .exists()
    )
    return sorted(load(connection, there, at=at), key=lambda version: version.entry)


def files(connection: Connection, manifest: str) -> list[File]:
    """The files of a manifest, by path."""
    found = connection.execute(
        select(t.files.c.path, t.files.c.digest, t.files.c.size)
        .where(t.files.c.manifest == manifest)
        .order_by(t.files.c.path)
    )
    return [File(path, Digest(digest), size) for path, digest, size in found]


def tokens(connection: Connection, version: Version) -> list[Token]:
    """The tokens of a version that its root ancestor's vocabulary lacks, by id."""
    added = (
        select(t.facts.c.added_digest).where(t.facts.c.digest == version.facts).scalar_subquery()
    )
    found = connection.execute(
        select(t.tokens).where(t.tokens.c.added_digest == added).order_by(t.tokens.c.id)
    )
    return [
        Token(
            row.id,
            row.content,
            bool(row.special),
            bool(row.lstrip),
            bool(row.rstrip),
            bool(row.single_word),
            bool(row.normalized),
        )
        for row in found
    ]


def with_facts(condition: ColumnElement[bool], at: int | None) -> ColumnElement[bool]:
    """That the facts a version has meet a condition on tables.facts."""
    f, v = t.version_facts, t.versions
    return (
        select(f.c.name)
        .join(t.facts, t.facts.c.digest == f.c.facts)
        .where(f.c.name == v.c.name, f.c.number == v.c.number, holds(f, moment(at)), condition)
        .correlate(v)
        .exists()
    )


def no_model(connection: Connection, name: str, at: int | None = None) -> ModelNotFound:
    """Return the error for a missing model, with similar names as its hint."""
    import difflib

    v, when = t.versions, moment(at)
    known = list(
        connection.scalars(select(v.c.name).where(holds(v, when)).distinct().order_by(v.c.name))
    )
    if not known:
        return ModelNotFound(f"there is no model {name!r} (nothing is registered yet)")
    folded = {item.casefold(): item for item in known}
    close = (
        [item for item in known if name.casefold() in item.casefold()]
        or [folded[item] for item in difflib.get_close_matches(name.casefold(), folded)]
    )[:3]
    if close:
        return ModelNotFound(
            f"there is no model {name!r}", hint=f"did you mean {' or '.join(close)}?"
        )
    return ModelNotFound(
        f"there is no model {name!r} (models: {', '.join(known[:10])}"
        f"{', …' if len(known) > 10 else ''})"
    )
