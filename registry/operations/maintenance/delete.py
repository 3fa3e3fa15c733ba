"""delete: forget versions. Bytes are freed by collect; a number is never used again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.core import entry as _entry, reference as _reference
from registry.core.version import Version
from registry.errors import InUse, Invalid, InvalidReference
from registry.home.home import Home
from registry.operations.shared.resolve import VersionLike, look_up_named, pointed_at
from registry.results.storage import Deleted

from .reclaim import Freed, freed_by

if TYPE_CHECKING:
    from sqlalchemy import Connection

CHILDREN_SHOWN = 5


def delete(
    home: Home,
    versions: Sequence[VersionLike],
    *,
    keep_last: int | None,
    message: str | None,
    dry_run: bool,
) -> Deleted:
    """Forget versions, children before parents. Raises InUse while an alias points there or another version descends from it.

    All are checked before the first goes. With keep_last each operand is a model's name, and all but its newest N go; those
    an alias points to, or that others descend from, are kept.
    """
    if keep_last is not None and keep_last < 0:
        raise Invalid(f"--keep-last is {keep_last}, a negative number", hint="give 0 or more")
    with home.reading() as connection:
        doomed = _children_first(connection, _chosen(connection, versions, keep_last))
        kept = _refuse_used(connection, doomed, spare=keep_last is not None)
    doomed = [version for version in doomed if version.reference not in kept]
    freed = _freed(home, doomed)
    if not dry_run:
        for version in doomed:
            home.commit(lambda connection, version=version: _decide(connection, version, message))  # type: ignore[misc]
    return Deleted(tuple(doomed), freed.size, kept, freed.young, freed.checkouts)


def _chosen(
    connection: Connection, versions: Sequence[VersionLike], keep_last: int | None
) -> list[Version]:
    from registry.catalog import queries

    if keep_last is None:
        return list(
            {
                found.reference: found
                for found in (look_up_named(connection, item, "delete") for item in versions)
            }.values()
        )
    chosen = []
    for item in versions:
        if isinstance(item, Version) or not _reference.parse(item).bare:
            raise InvalidReference(
                f"{str(item)!r} is a version (--keep-last requires the name of a model)"
            )
        chosen += queries.versions(connection, item)[keep_last:]
    return chosen


def _children_first(connection: Connection, versions: list[Version]) -> list[Version]:
    ordered: list[Version] = []
    waiting = list(versions)
    while waiting:
        parents = {
            parent.digest
            for version in waiting
            for parent in version.parents
            if version.digest != parent.digest
        }
        ready = [version for version in waiting if version.digest not in parents] or waiting
        ordered += ready
        waiting = [version for version in waiting if version not in ready]
    return ordered


def _refuse_used(connection: Connection, doomed: list[Version], *, spare: bool) -> dict[str, str]:
    """Why some must stay, by reference; raises InUse for the first of them unless they are to be spared."""
    kept: dict[str, str] = {}
    for version in reversed(doomed):
        why = _why_used(
            connection, version, [item for item in doomed if item.reference not in kept]
        )
        if why is not None and not spare:
            raise why
        if why is not None:
            kept[version.reference] = why.with_hint()
    return kept


def _why_used(connection: Connection, version: Version, doomed: Sequence[Version]) -> InUse | None:
    from registry.catalog import queries

    if version.aliases:
        return pointed_at(version)
    gone = {item.reference for item in doomed}
    others = [
        item
        for item in queries.with_manifest(connection, version.digest)
        if item.reference not in gone | {version.reference}
    ]
    children = [
        item for item in queries.children(connection, version.digest) if item.reference not in gone
    ]
    if children and not others:
        shown = ", ".join(item.reference for item in children[:CHILDREN_SHOWN]) + (
            ", …" if len(children) > CHILDREN_SHOWN else ""
        )
        return InUse(f"{version.reference} is the parent of {shown}", hint=f"delete {shown} first")
    return None


def _decide(connection: Connection, version: Version, message: str | None) -> _entry.Body | None:
    from registry.catalog import queries

    now = queries.version(connection, version.name, version.number)
    if now is None or now.deleted:
        return None
    why = _why_used(connection, now, [])
    if why is not None:
        raise why
    return _entry.Delete(version.name, version.number, message)


def _freed(home: Home, doomed: Sequence[Version]) -> Freed:
    from registry.catalog import queries

    with home.reading() as connection:
        needs = queries.needs(connection)
    return freed_by(
        home, needs, {version.reference: version.digest for version in doomed}, home.blobs.stat
    )
