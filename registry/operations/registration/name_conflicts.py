"""Naming: what comes from elsewhere keeps its name and number, or is refused where they mean something else here, with the flag to type.

A stranger's medical@9 must not become your medical@latest: a name takes versions from where its versions came from, or from a repository
that they went to, and from others only if somebody says so. Who takes a bundle is written down nowhere, so what comes back from there is
asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.core.digest import Digest
from registry.core.version import Version
from registry.errors import NameTaken

from .commit import refuse_taken

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Origin:
    """Where something comes from, and whether versions of a name here are known to have to do with that place."""

    said: str
    has: Callable[[Connection, str], bool]


def from_repository(repository: str) -> Origin:
    """A repository of the Hub."""
    from registry.catalog import queries

    return Origin(
        f"hf://{repository}",
        lambda connection, name: any(
            copy.repository.casefold() == repository.casefold()
            for copy in queries.copies(connection, name=name)
        ),
    )


def from_store(store: str, own: str) -> Origin:
    """Another registry by its id; this one's is `own`."""
    from registry.catalog import queries

    return Origin(
        f"the registry {store[:12]}",
        lambda connection, name: (
            store == own
            or any(
                version.source.get("bundle", {}).get("store") == store
                for version in queries.versions(connection, name)
            )
        ),
    )


def refuse_name(
    connection: Connection,
    name: str,
    number: int | None,
    digest: Digest | None,
    origin: Origin,
    here: Mapping[Digest, Version],
    *,
    from_any: bool,
) -> None:
    """Raises NumberTaken or NameTaken where the version asked for would not be what its name says here.

    number and digest are None for one that gets the next number; here are versions of its line that are here already.
    """
    from registry.catalog import queries

    spelled = queries.spelled(connection, name)
    if spelled is None:
        return
    if number is not None and digest is not None:
        refuse_taken(connection, spelled, number, digest)
    if not from_any and not _related(connection, spelled, origin, here):
        raise NameTaken(
            f"{spelled} is in this registry and does not come from {origin.said}",
            hint="give this one another name with --as NAME, or, if both are versions of one "
            "model, add --from-any",
        )


def refuse_parent_name(
    connection: Connection,
    name: str,
    theirs: str,
    number: int,
    digest: Digest,
    origin: Origin,
    here: Mapping[Digest, Version],
    *,
    from_any: bool,
) -> None:
    """As refuse_name, for a parent that is called `theirs` there: it keeps its number in any case. Raises NameTaken."""
    from registry.catalog import queries

    spelled = queries.spelled(connection, name)
    if spelled is None:
        return
    hint = f"give the parent another name with --parent-as {theirs}=NAME"
    there = queries.version(connection, spelled, number)
    if there is not None and there.digest != digest:
        raise NameTaken(
            f"the parent {theirs}@{number} ({digest.short}) is another model than "
            f"{there.reference} in this registry ({there.digest.short})",
            hint=hint,
        )
    if not from_any and not _related(connection, spelled, origin, here):
        raise NameTaken(
            f"the parent {theirs}@{number} comes from {origin.said}, and {spelled} in this "
            "registry does not",
            hint=f"{hint}, or, if both are versions of one model, add --from-any",
        )


def _related(
    connection: Connection, name: str, origin: Origin, here: Mapping[Digest, Version]
) -> bool:
    """Whether a name has no versions, or some from there, or some of the line that comes."""
    from registry.catalog import queries

    if any(
        version.name.casefold() == name.casefold() for version in here.values()
    ) or not queries.versions(connection, name):
        return True
    return origin.has(connection, name)
