"""Naming: alias, annotate, yank. Each is one entry of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.core import entry as _entry, reference as _reference
from registry.core.digest import real
from registry.core.version import Version
from registry.errors import (
    AliasMoved,
    AliasNotFound,
    InUse,
    Invalid,
    InvalidName,
    InvalidReference,
    ModelNotFound,
    Refused,
)
from registry.home.home import Home
from registry.operations.shared.resolve import (
    VersionLike,
    look_up,
    look_up_named,
    pointed_at,
    resolve,
)
from registry.results.registration import AliasMove

if TYPE_CHECKING:
    from sqlalchemy import Connection

KEY_LIMIT = 128
VALUE_LIMIT = 10_000


def alias(
    home: Home,
    version: VersionLike,
    name: str | None,
    *,
    expect: VersionLike | None = None,
    message: str | None = None,
) -> AliasMove:
    """Point an alias at a version. Raises AliasMoved unless it points at `expect` now, InUse for a yanked version."""
    if name is None:
        raise InvalidName(
            "no alias is given",
            hint="write it after the version, as in: registry alias minilm@4 prod",
        )
    _reference.check_alias(name)
    move: list[AliasMove] = []

    def decide(connection: Connection) -> _entry.Body | None:
        target = look_up_named(connection, version, "alias")
        before = _points_at(connection, target.name, name)
        _refuse_unexpected(connection, f"{target.name}@{name}", before, expect)
        if target.yanked:
            raise InUse(
                f"{target.reference} was yanked, so no alias may point to it",
                hint=f"registry yank --undo {target.reference}",
            )
        move.append(AliasMove(target.name, name, before, target.reference))
        return (
            None
            if before == target.reference
            else _entry.Alias(target.name, name, target.number, message)
        )

    home.commit(decide)
    return move[0]


def remove_alias(
    home: Home,
    reference: VersionLike,
    *,
    expect: VersionLike | None = None,
    message: str | None = None,
) -> AliasMove:
    """Take an alias away; reference is `name@alias`. Raises AliasNotFound."""
    parsed = _reference.parse(reference) if isinstance(reference, str) else None
    if parsed is None or parsed.alias is None or parsed.up or parsed.path or parsed.digest:
        raise InvalidReference(
            f"{str(reference)!r} is not an alias",
            hint="write NAME@ALIAS, as in: registry alias --remove minilm@prod",
        )
    alias_name = parsed.alias
    move: list[AliasMove] = []

    def decide(connection: Connection) -> _entry.Body:
        from registry.catalog import queries

        model = queries.spelled(connection, parsed.name)
        if model is None:
            raise ModelNotFound(f"there is no model {parsed.name!r}")
        before = _points_at(connection, model, alias_name)
        if before is None:
            known = ", ".join(queries.aliases(connection, model)) or "none"
            raise AliasNotFound(f"{model} has no alias {alias_name!r} (its aliases: {known})")
        _refuse_unexpected(connection, f"{model}@{alias_name}", before, expect)
        move.append(AliasMove(model, alias_name, before, None))
        return _entry.Alias(model, alias_name, None, message)

    home.commit(decide)
    return move[0]


def annotate(home: Home, version: VersionLike, notes: Mapping[str, str | float | None]) -> Version:
    """Set notes; None removes one. Numbers are kept in their shortest form. Raises Invalid for a key or value that cannot be kept."""
    if not notes:
        raise Invalid(
            "no notes are given",
            hint="write KEY=VALUE, as in: registry annotate minilm@4 owner=anna",
        )
    texts = {_checked_key(key): _checked_value(key, value) for key, value in notes.items()}

    def decide(connection: Connection) -> _entry.Body | None:
        target = look_up(connection, version)
        changed = {key: value for key, value in texts.items() if target.notes.get(key) != value}
        return _entry.Annotate(target.name, target.number, changed) if changed else None

    pinned = resolve(home, version)
    version = pinned
    home.commit(decide)
    return resolve(home, pinned)


def yank(
    home: Home, version: VersionLike, *, reason: str | None = None, undo: bool = False
) -> Version:
    """Hide a version from latest and aliases, or show it again. Raises InUse while an alias points there."""
    if not undo and not (reason or "").strip():
        raise Invalid(
            "a yank requires a reason, which is shown to users of the version",
            hint="add --reason TEXT",
        )
    target: list[Version] = []

    def decide(connection: Connection) -> _entry.Body | None:
        found = look_up_named(connection, version, "yank")
        target.append(found)
        if not undo and found.aliases:
            raise pointed_at(found)
        if found.yanked == (not undo):
            return None
        return _entry.Yank(found.name, found.number, None if undo else reason, undo)

    home.commit(decide)
    with home.reading() as connection:
        return look_up(connection, target[0])


def _points_at(connection: Connection, model: str, alias_name: str) -> str | None:
    from registry.catalog import queries

    number = queries.aliases(connection, model).get(alias_name)
    return None if number is None else f"{model}@{number}"


def _refuse_unexpected(
    connection: Connection, alias_reference: str, before: str | None, expect: VersionLike | None
) -> None:
    if expect is None:
        return
    expected = look_up(connection, expect).reference
    if before != expected:
        raise AliasMoved(
            f"{alias_reference} points to {before or 'nothing'}, not to {expected} (it was moved "
            "meanwhile)"
        )


def _checked_key(key: str) -> str:
    if not key or len(key) > KEY_LIMIT or not key.isprintable() or key != key.strip() or "=" in key:
        raise InvalidName(
            f"{key!r} cannot be the key of a note",
            hint=f"use 1 to {KEY_LIMIT} printable characters without '='",
        )
    return key


def _checked_value(key: str, value: str | float | None) -> str | None:
    if value is None:
        return None
    text = (
        value if isinstance(value, str) else str(value) if isinstance(value, int) else real(value)
    )
    if len(text) > VALUE_LIMIT:
        raise Refused(
            f"the note {key!r} has {len(text)} characters (at most {VALUE_LIMIT}, because notes "
            "are kept permanently)"
        )
    return text
