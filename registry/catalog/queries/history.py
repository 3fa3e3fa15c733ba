"""History: what was done, and what could not be read."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from ...digest import Digest
from ...version import LogRow
from .. import tables as t
from .listing import spelled
from .loading import moment


def log(connection: Connection, name: str | None = None, number: int | None = None, limit: int | None = None,
        at: int | None = None) -> list[LogRow]:
    """Entries, newest first: all, those about a model, or those about a version of it (an alias that came to it too)."""
    e = t.entries
    chosen = select(e).where(e.c.number <= moment(at)).order_by(e.c.number.desc()).limit(limit)
    if name is not None:
        chosen = chosen.where(e.c.name == (spelled(connection, name) or name))
    if number is not None:
        chosen = chosen.where(e.c.version == number)
    return [LogRow(row.number, row.time, row.by, row.kind, row.name, row.version, row.body, Digest(row.digest))
            for row in connection.execute(chosen)]


def as_of(connection: Connection, time: str) -> int:
    """The number of the last entry not later than a moment, given as entries write it; 0 before the first.

    Clocks go back; so an entry counts as no earlier than those before it.
    """
    return connection.scalar(select(func.max(t.entries.c.number)).where(t.entries.c.clock <= time)) or 0


def skipped(connection: Connection) -> dict[Digest, tuple[str, str]]:
    """Blobs that the fold could not read: (manifest or facts, name of the error) by digest."""
    found = connection.execute(select(t.skipped).order_by(t.skipped.c.digest))
    return {Digest(row.digest): (row.what, row.reason) for row in found}
