"""Copying: where versions are known to be on the Hub."""

from __future__ import annotations

from sqlalchemy import Connection, and_, select

from registry.catalog import schema as t
from registry.core.version import Copy

from .rows import holds, moment
from .versions import spelled


def copies(
    connection: Connection,
    *,
    name: str | None = None,
    number: int | None = None,
    repository: str | None = None,
    manifest: str | None = None,
    at: int | None = None,
) -> list[Copy]:
    """Copies of versions not deleted: those of a model, of a number, in a repository, of a manifest under whatever name; oldest knowledge first."""
    c, v, when = t.copies, t.versions, moment(at)
    chosen = [holds(c, when)]
    source = c.join(v, and_(v.c.name == c.c.name, v.c.number == c.c.number, holds(v, when)))
    if name is not None:
        chosen.append(c.c.name == (spelled(connection, name, at) or name))
    if number is not None:
        chosen.append(c.c.number == number)
    if repository is not None:
        chosen.append(c.c.repository == repository)
    if manifest is not None:
        chosen.append(v.c.manifest == manifest)
    found = connection.execute(
        select(c.c.name, c.c.number, c.c.repository, c.c.commit, c.c.tag, c.c.since)
        .select_from(source)
        .where(*chosen)
        .order_by(c.c.since, c.c.name, c.c.number)
    )
    return [Copy(*row) for row in found]
