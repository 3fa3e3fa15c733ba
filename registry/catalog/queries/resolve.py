"""Resolve a reference to a version; errors list the versions and aliases that exist."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, select

from registry.catalog import schema as t
from registry.core.reference import Reference
from registry.core.version import ParentVersion, Version
from registry.errors import (
    AliasNotFound,
    DigestMismatch,
    InvalidReference,
    ParentNotFound,
    VersionNotFound,
)

from .rows import holds, latest, load, moment
from .versions import aliases, no_model, spelled, version, with_manifest

SHOWN = 10
"""How many numbers, aliases or digests a message names."""


def resolve(connection: Connection, reference: Reference, at: int | None = None) -> Version:
    """The version that a reference means; its path is not looked at.

    A yanked one is found by number or digest only. Raises ModelNotFound, VersionNotFound, AliasNotFound, ParentNotFound,
    InvalidReference for a digest that several have, DigestMismatch where label and digest disagree.
    """
    name = spelled(connection, reference.name, at)
    if name is None:
        raise no_model(connection, reference.name, at)
    if reference.number is not None:
        found = _by_number(connection, name, reference.number, at)
    elif reference.alias is not None:
        found = _by_alias(connection, name, reference.alias, at)
    elif reference.digest is not None:
        found = _by_digest(connection, name, reference.digest, at)
    else:
        found = _latest(connection, name, at)
    if reference.digest is not None and not found.digest.hex.startswith(reference.digest):
        label = (
            found.reference
            if reference.alias is None
            else f"{name}@{reference.alias} ({found.reference})"
        )
        raise DigestMismatch(
            f"{label} has the digest {found.digest}, not the pinned sha256:{reference.digest}"
        )
    for _ in range(reference.up):
        found = _parent(connection, found, at)
    return found


def _by_number(connection: Connection, name: str, number: int, at: int | None) -> Version:
    found = version(connection, name, number, at)
    if found is None:
        raise VersionNotFound(
            f"{name} has no version {number} (its versions: {_numbers(connection, name, at)})"
        )
    if found.deleted:
        raise VersionNotFound(
            f"{found.reference} was deleted {_deletion(connection, found)} (versions of {name}: "
            f"{_numbers(connection, name, at)})"
        )
    return found


def _by_alias(connection: Connection, name: str, alias: str, at: int | None) -> Version:
    known = aliases(connection, name, at)
    if alias not in known:
        raise AliasNotFound(f"{name} has no alias {alias!r} (its aliases: {_few(known)})")
    found = _by_number(connection, name, known[alias], at)
    if found.yanked:
        raise VersionNotFound(
            f"{name}@{alias} is {found.reference}, which was yanked: "
            f"{found.yank_reason or 'no reason given'}",
            hint=f"to use it nevertheless, write {found.reference}",
        )
    return found


def _by_digest(connection: Connection, name: str, prefix: str, at: int | None) -> Version:
    starts = t.versions.c.manifest.startswith(f"sha256:{prefix}", autoescape=True)
    found = load(connection, t.versions.c.name == name, starts, at=at, deleted=True)
    there = [item for item in found if not item.deleted]
    different = {item.digest: item for item in there}
    if len(different) > 1:
        shown = _few([f"{item.digest.short} ({item.reference})" for item in different.values()])
        raise InvalidReference(
            f"several versions of {name} have a digest that begins with sha256:{prefix}: {shown}",
            hint="give more digits",
        )
    if not there and found:
        raise VersionNotFound(
            f"{found[0].reference}, with the digest sha256:{prefix}, was deleted "
            f"{_deletion(connection, found[0])}"
        )
    if not there:
        elsewhere = [item for item in load(connection, starts, at=at) if item.name != name]
        raise VersionNotFound(
            f"{name} has no version with the digest sha256:{prefix}"
            + ("" if elsewhere else f" (its versions: {_numbers(connection, name, at)})"),
            hint=f"use {elsewhere[0].reference}, which has it" if elsewhere else None,
        )
    return there[0]


def _latest(connection: Connection, name: str, at: int | None) -> Version:
    number = latest(connection, moment(at), t.versions.c.name == name).get(name)
    if number is None:
        known = _numbers(connection, name, at)
        if known == "none":
            raise VersionNotFound(f"{name} has no latest version: all were deleted")
        raise VersionNotFound(
            f"{name} has no latest version: all are yanked or checkpoints",
            hint=f"give a version by its number: {known}",
        )
    return _by_number(connection, name, number, at)


def _parent(connection: Connection, child: Version, at: int | None) -> Version:
    parents = {parent.role: parent for parent in child.parents}
    if not parents:
        raise ParentNotFound(f"{child.reference} has no parent (its lineage begins with it)")
    # A merged one has two parents, and its base is the one that a person means.
    parent = parents.get("base") or next(iter(parents.values()))
    found = with_manifest(connection, parent.digest, at)
    if not found:
        raise ParentNotFound(
            f"the parent of {child.reference}, {parent.reference} ({parent.digest.short}), "
            "is not registered here any more"
        )
    return _as_said(found, parent)


def _as_said(found: Sequence[Version], parent: ParentVersion) -> Version:
    """Of several versions with the parent's content the one that was named when the child was registered, else the oldest."""
    named = [item for item in found if item.reference == parent.reference]
    return named[0] if named else min(found, key=lambda item: item.entry)


def _deletion(connection: Connection, gone: Version) -> str:
    e, v = t.entries, t.versions
    row = connection.execute(
        select(e.c.time, e.c.by)
        .join(v, v.c.until == e.c.number)
        .where(and_(v.c.name == gone.name, v.c.number == gone.number, v.c.since == gone.entry))
    ).one()
    return f"at {row.time} by {row.by}"


def _numbers(connection: Connection, name: str, at: int | None) -> str:
    """The numbers a model has, runs drawn together: `1-3, 7`."""
    v = t.versions
    runs: list[list[int]] = []
    for number in connection.scalars(
        select(v.c.number).where(v.c.name == name, holds(v, moment(at))).order_by(v.c.number)
    ):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    texts = ["-".join(str(number) for number in run) for run in runs]
    return _few(texts if len(texts) <= SHOWN else texts[::-1])


def _few(items: Sequence[str] | dict[str, int]) -> str:
    shown = list(items)
    return ", ".join(shown[:SHOWN]) + (", …" if len(shown) > SHOWN else "") or "none"
