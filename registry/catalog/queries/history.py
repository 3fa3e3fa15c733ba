"""History: what was done, and what could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, select

from registry.catalog import schema as t
from registry.core.digest import Digest
from registry.core.version import LogRow

from .rows import moment
from .versions import spelled


def log(
    connection: Connection,
    name: str | None = None,
    number: int | None = None,
    limit: int | None = None,
    at: int | None = None,
    *,
    alias: str | None = None,
    since: int = 1,
    by: str | None = None,
    kinds: Sequence[str] = (),
) -> list[LogRow]:
    """Entries, newest first: all, those about a model, about a version of it (an alias that came to it too), or an alias's moves.

    since is the number of the first entry, by a part of who was at work whatever its case, kinds are those of entries.
    """
    e = t.entries
    chosen = (
        select(e)
        .where(e.c.number <= moment(at), e.c.number >= since)
        .order_by(e.c.number.desc())
        .limit(limit)
    )
    if name is not None:
        chosen = chosen.where(e.c.name == (spelled(connection, name) or name))
    if number is not None:
        chosen = chosen.where(e.c.version == number)
    if alias is not None:
        chosen = chosen.where(e.c.kind == "Alias", e.c.body["alias"].as_string() == alias)
    if by is not None:
        chosen = chosen.where(e.c.by.icontains(by, autoescape=True))
    if kinds:
        chosen = chosen.where(e.c.kind.in_(kinds))
    rows = [
        LogRow(
            row.number,
            row.time,
            row.by,
            row.kind,
            row.name,
            row.version,
            row.body,
            Digest(row.digest),
        )
        for row in connection.execute(chosen)
    ]
    return _with_moves(connection, rows)


def _with_moves(connection: Connection, rows: list[LogRow]) -> list[LogRow]:
    """The rows, each move of an alias with the number it pointed to before."""
    a = t.aliases
    moves = [row for row in rows if row.kind == "Alias"]
    if not moves:
        return rows
    ended = select(a.c.until, a.c.number).where(
        a.c.until >= moves[-1].entry, a.c.until <= moves[0].entry
    )
    names = {row.name for row in moves}
    if len(names) == 1:
        ended = ended.where(a.c.name == names.pop())
    before: dict[int, int] = {row.until: row.number for row in connection.execute(ended)}
    return [
        replace(row, before=before.get(row.entry)) if row.kind == "Alias" else row for row in rows
    ]


def registry_wide(connection: Connection, kind: str) -> list[dict[str, Any]]:
    """Return the bodies of all entries of a kind that concerns no model, oldest first.

    Such entries have no name, so the index of names finds them.
    """
    return list(
        connection.scalars(
            select(t.entries.c.body)
            .where(t.entries.c.name.is_(None), t.entries.c.kind == kind)
            .order_by(t.entries.c.number)
        )
    )


def head(connection: Connection) -> int:
    """The number of the last entry; 0 where there is none."""
    return connection.scalar(select(func.max(t.entries.c.number))) or 0


def time_of(connection: Connection, number: int) -> str | None:
    """The time of an entry, no earlier than that of those before it; None where there is none."""
    return connection.scalar(select(t.entries.c.clock).where(t.entries.c.number == number))


def from_time(connection: Connection, time: str) -> int:
    """The number of the first entry not earlier than a moment; beyond the last one where there is none."""
    return (
        connection.scalar(select(func.min(t.entries.c.number)).where(t.entries.c.clock >= time))
        or head(connection) + 1
    )


def as_of(connection: Connection, time: str) -> int:
    """The number of the last entry not later than a moment, given as entries write it; 0 before the first.

    Clocks go back; so an entry counts as no earlier than those before it.
    """
    return (
        connection.scalar(select(func.max(t.entries.c.number)).where(t.entries.c.clock <= time))
        or 0
    )


def skipped(connection: Connection) -> dict[Digest, tuple[str, str]]:
    """Blobs that the fold could not read: (manifest or facts, name of the error) by digest."""
    found = connection.execute(select(t.skipped).order_by(t.skipped.c.digest))
    return {Digest(row.digest): (row.what, row.reason) for row in found}
