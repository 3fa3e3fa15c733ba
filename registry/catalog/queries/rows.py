"""Loading: Version values from rows, many at a time, as they were after an entry.

A deleted version is shown as it was just before it was deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Table,
    and_,
    case,
    exists,
    func,
    or_,
    select,
)

from registry.catalog import schema as t
from registry.core.digest import Digest
from registry.core.version import ParentVersion, Version

NOW = 1 << 62
"""As `at`: after every entry there will ever be."""

UNREADABLE = Digest("sha256:" + "0" * 64)
"""Stands for a digest that only facts tell, where these cannot be read."""

UNKNOWN = "unknown"
"""Kind, class or dtype of a version whose manifest or facts cannot be read."""

Key = tuple[str, int, int]


def moment(at: int | None) -> int:
    """`at` as a number that every `since` and `until` can be compared with."""
    return NOW if at is None else at


def holds(table: FromClause, at: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a row of an interval table is part of the state after entry `at`."""
    return and_(table.c.since <= at, or_(table.c.until.is_(None), table.c.until > at))


def load(
    connection: Connection,
    *conditions: ColumnElement[bool],
    at: int | None = None,
    deleted: bool = False,
) -> list[Version]:
    """Versions that meet the conditions, which are on tables.versions; by name, then number, newest first.

    With deleted, those too that were deleted by then: after the others, the last registered first.
    """
    when = moment(at)
    chosen = and_(*conditions, t.versions.c.since <= when if deleted else holds(t.versions, when))
    rows = connection.execute(_main(chosen, when)).all()
    if not rows:
        return []
    edges = _edges(connection, chosen)
    names, notes = _aliases(connection, chosen, when), _texts(connection, t.notes, chosen, when)
    newest, metrics = latest(connection, when, chosen), _texts(connection, t.metrics, chosen, when)
    return [
        _version(
            row,
            edges[_key(row)],
            names[_key(row)],
            notes[_key(row)],
            metrics[_key(row)],
            newest.get(row.name),
            when,
        )
        for row in rows
    ]


def latest(
    connection: Connection, when: int, chosen: ColumnElement[bool] | None = None
) -> dict[str, int]:
    """For each model (that the chosen versions are of) its highest number neither yanked, deleted nor a checkpoint."""
    v = t.versions.alias("candidate")
    yanked = exists().where(
        t.yanks.c.name == v.c.name, t.yanks.c.number == v.c.number, holds(t.yanks, when)
    )
    found = (
        select(v.c.name, func.max(v.c.number))
        .where(holds(v, when), v.c.checkpoint == 0, ~yanked)
        .group_by(v.c.name)
    )
    if chosen is not None:
        found = found.where(v.c.name.in_(select(t.versions.c.name).where(chosen)))
    return {row[0]: row[1] for row in connection.execute(found)}


def _main(chosen: ColumnElement[bool], when: int) -> Select[Any]:
    v, m, f, w, y, e = t.versions, t.manifests, t.facts, t.weights, t.yanks, t.entries
    gone = case((v.c.until <= when, 1), else_=0)
    joined = (
        v.join(e, e.c.number == v.c.since)
        .outerjoin(t.version_facts, _same_version(t.version_facts, when))
        .outerjoin(t.version_probes, _same_version(t.version_probes, when))
        .outerjoin(y, _same_version(y, when))
        .outerjoin(m, m.c.digest == v.c.manifest)
        .outerjoin(f, f.c.digest == t.version_facts.c.facts)
        .outerjoin(w, w.c.digest == f.c.weights)
    )
    return (
        select(
            v.c.name,
            v.c.number,
            v.c.since,
            v.c.manifest,
            t.version_probes.c.probes,
            v.c.message,
            v.c.source,
            v.c.checkpoint,
            v.c.forced,
            gone.label("deleted"),
            t.version_facts.c.facts,
            m.c.kind,
            m.c["class"].label("model_class"),
            m.c.size,
            y.c.reason,
            y.c.since.label("yanked"),
            e.c.time,
            e.c.by,
            f.c.vocabulary,
            f.c.vocabulary_size,
            f.c.added,
            f.c.weights,
            w.c.parameters,
            w.c.dtype,
        )
        .select_from(joined)
        .where(chosen)
        .order_by(gone, v.c.name, v.c.number.desc(), v.c.since.desc())
    )


def _same_version(table: FromClause, when: int) -> ColumnElement[bool]:
    """What was true of the version then, or just before it was deleted: deleting ends everything that is true of it."""
    v = t.versions
    seen = case((v.c.until <= when, v.c.until - 1), else_=when)
    return and_(table.c.name == v.c.name, table.c.number == v.c.number, holds(table, seen))


def _edges(connection: Connection, chosen: ColumnElement[bool]) -> dict[Key, list[ParentVersion]]:
    e, v = t.edges, t.versions
    found: dict[Key, list[ParentVersion]] = defaultdict(list)
    joined = e.join(v, and_(e.c.name == v.c.name, e.c.number == v.c.number, e.c.since == v.c.since))
    for row in connection.execute(
        select(e).select_from(joined).where(chosen).order_by(e.c.position)
    ):
        found[_key(row)].append(
            ParentVersion(row.role, row.reference, Digest(row.parent), row.evidence)
        )
    return found


def _aliases(
    connection: Connection, chosen: ColumnElement[bool], when: int
) -> dict[Key, list[str]]:
    found: dict[Key, list[str]] = defaultdict(list)
    joined = t.versions.join(t.aliases, _same_version(t.aliases, when))
    columns = (t.versions.c.name, t.versions.c.number, t.versions.c.since, t.aliases.c.alias)
    for row in connection.execute(
        select(*columns).select_from(joined).where(chosen).order_by(t.aliases.c.alias)
    ):
        found[_key(row)].append(row.alias)
    return found


def _texts(
    connection: Connection, table: Table, chosen: ColumnElement[bool], when: int
) -> dict[Key, dict[str, str]]:
    """The notes, or the metrics, of versions: value by key."""
    found: dict[Key, dict[str, str]] = defaultdict(dict)
    joined = t.versions.join(table, _same_version(table, when))
    columns = (
        t.versions.c.name,
        t.versions.c.number,
        t.versions.c.since,
        table.c.key,
        table.c.value,
    )
    for row in connection.execute(
        select(*columns).select_from(joined).where(chosen).order_by(table.c.key)
    ):
        found[_key(row)][row.key] = row.value
    return found


def _key(row: Any) -> Key:
    return row.name, row.number, row.since


def _version(
    row: Row[Any],
    parents: Sequence[ParentVersion],
    aliases: Sequence[str],
    notes: dict[str, str],
    metrics: dict[str, str],
    newest: int | None,
    when: int,
) -> Version:
    return Version(
        name=row.name,
        number=row.number,
        digest=Digest(row.manifest),
        kind=row.kind or UNKNOWN,
        model_class=row.model_class or UNKNOWN,
        facts=Digest(row.facts),
        probes=Digest(row.probes) if row.probes else None,
        parents=tuple(parents),
        aliases=tuple(aliases),
        latest=newest == row.number and not row.deleted,
        yanked=row.yanked is not None,
        yank_reason=row.reason,
        deleted=bool(row.deleted),
        checkpoint=bool(row.checkpoint),
        message=row.message,
        notes=notes,
        source=row.source,
        forced=tuple(row.forced),
        created_at=row.time,
        created_by=row.by,
        entry=row.since,
        size=row.size or 0,
        vocabulary=Digest(row.vocabulary) if row.vocabulary else UNREADABLE,
        vocabulary_size=row.vocabulary_size or 0,
        added=row.added or 0,
        weights=Digest(row.weights) if row.weights else UNREADABLE,
        parameters=row.parameters or 0,
        dtype=row.dtype or UNKNOWN,
        metrics=metrics,
    )
