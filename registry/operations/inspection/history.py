"""History: log and lineage. What was done, by whom and why; what came from what, and how that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.core import point_in_time as _moment, reference as _reference
from registry.core.entry import BODIES
from registry.core.point_in_time import When
from registry.core.version import LogRow, Version
from registry.errors import AliasNotFound, EntryNotFound, Invalid, VersionNotFound
from registry.home.home import Home
from registry.operations.shared.resolve import VersionLike, entry_at, line_of, look_up
from registry.results.queries import Lineage, LineageEdge

if TYPE_CHECKING:
    from sqlalchemy import Connection


def log(
    home: Home,
    target: str | None = None,
    *,
    since: When | None = None,
    by: str | None = None,
    kind: str | Sequence[str] | None = None,
    limit: int | None = None,
    at: When | None = None,
) -> tuple[LogRow, ...]:
    """What was done, newest first: everything, to a model (a bare name), to a version, or an alias's moves (`name@alias`).

    since and at are moments, both included; by is a part of who was at work; kind one or several kinds of entries.
    """
    from registry.catalog import queries

    kinds = _kinds(kind)
    with home.reading() as connection:
        point = entry_at(connection, at)
        first = _first(connection, since)
        name, number, alias = _target(connection, target, point)
        return tuple(
            queries.log(
                connection, name, number, limit, point, alias=alias, since=first, by=by, kinds=kinds
            )
        )


def lineage(home: Home, version: VersionLike, *, at: When | None = None) -> Lineage:
    """All ancestors and all descendants, whatever their names, and the edges between them and the version."""
    from registry.catalog import queries

    with home.reading() as connection:
        point = entry_at(connection, at)
        found = look_up(connection, version, point)
        ancestors = [
            item for item in line_of(connection, found, point) if item.digest != found.digest
        ]
        descendants: dict[str, Version] = {}
        waiting = [found]
        while waiting:
            for child in queries.children(connection, waiting.pop(0).digest, point):
                if child.reference not in descendants:
                    descendants[child.reference] = child
                    waiting.append(child)
    shown = {
        item.digest: item.reference for item in reversed([found, *ancestors, *descendants.values()])
    }
    shown[found.digest] = found.reference
    edges = tuple(
        LineageEdge(
            child.reference,
            shown.get(parent.digest, parent.reference),
            parent.role,
            parent.evidence,
        )
        for child in [found, *ancestors, *descendants.values()]
        for parent in child.parents
    )
    return Lineage(found, tuple(ancestors), tuple(descendants.values()), edges)


def _target(
    connection: Connection, target: str | None, at: int | None
) -> tuple[str | None, int | None, str | None]:
    """(name, number, alias) of what a log is asked about. A deleted version has a log too, as has an alias that was taken away."""
    from registry.catalog import queries

    if target is None:
        return None, None, None
    reference = _reference.parse(target)
    if reference.up or reference.digest is not None or reference.path is not None:
        found = look_up(connection, target, at)
        return found.name, found.number, None
    name = queries.spelled(connection, reference.name, at) or look_up(connection, target, at).name
    if reference.number is not None:
        if queries.version(connection, name, reference.number, at) is None:
            look_up(connection, target, at)
            raise VersionNotFound(f"{name} has no version {reference.number}")
        return name, reference.number, None
    if reference.alias is not None and not queries.log(
        connection, name, alias=reference.alias, limit=1, at=at
    ):
        known = ", ".join(queries.aliases(connection, name, at)) or "none"
        raise AliasNotFound(
            f"{name} has never had an alias {reference.alias!r} (its aliases: {known})"
        )
    return name, None, reference.alias


def _first(connection: Connection, since: When | None) -> int:
    """The number of the first entry to be shown."""
    from registry.catalog import queries

    if since is None:
        return 1
    parsed = _moment.parse(since, earliest=True)
    if isinstance(parsed, str):
        return queries.from_time(connection, parsed)
    if parsed > (head := queries.head(connection)):
        raise EntryNotFound(f"there is no entry {parsed} (entries are numbered from 1 to {head})")
    return parsed


def _kinds(kind: str | Sequence[str] | None) -> list[str]:
    asked = [kind] if isinstance(kind, str) else list(kind or ())
    known = {name.casefold(): name for name in BODIES}
    odd = next((item for item in asked if item.casefold() not in known), None)
    if odd is not None:
        raise Invalid(f"there is no kind of entry {odd!r}", hint=f"use one of {', '.join(known)}")
    return [known[item.casefold()] for item in asked]
