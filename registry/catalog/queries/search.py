"""Finding: versions that a text matches, and by what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, func, select

from registry.catalog import schema as t
from registry.core.filters import OPERATORS, parse_asked
from registry.core.version import Version

from .rows import holds, load, moment

_Key = tuple[str, int]


def find(connection: Connection, text: str, at: int | None = None) -> list[tuple[Version, str]]:
    """Versions and why they match: name, kind, class, alias, added token, note, message, or the beginning of a digest.

    A comparison such as `eval_loss < 0.3` finds those whose metric, or note that is a number, meets it. Case is ignored for
    ASCII letters. By name, newest first.
    """
    found: dict[_Key, list[str]] = {}
    for key, why in _hits(connection, text, moment(at)):
        reasons = found.setdefault(key, [])
        if why not in reasons:
            reasons.append(why)
    if not found:
        return []
    names = {name for name, _ in found}
    return [
        (version, ", ".join(found[version.name, version.number]))
        for version in load(connection, t.versions.c.name.in_(names), at=at)
        if (version.name, version.number) in found
    ]


def numbers_called(connection: Connection, at: int | None = None) -> list[str]:
    """The names under which versions that there are have a number, as metric or note, sorted."""
    found: set[str] = set()
    for table in (t.metrics, t.notes):
        asked = (
            _asked(_with(table, moment(at)), moment(at), table.c.key)
            .where(table.c.real.is_not(None))
            .distinct()
        )
        found.update(key for _, _, key in connection.execute(asked))
    return sorted(found)


def _hits(connection: Connection, text: str, when: int) -> Iterator[tuple[_Key, str]]:
    for query, why in _searches(text, when):
        for name, number, what in connection.execute(query):
            yield (name, number), why.format(what)


def _searches(text: str, when: int) -> Iterator[tuple[Select[Any], str]]:
    """(query for name, number and what matched; the reason, with a place for what matched)."""
    asked = parse_asked(text)
    if asked is not None:
        for table, what in ((t.metrics, "metric {0}"), (t.notes, "note {0}")):
            met = OPERATORS[asked.operator](table.c.real, asked.number)
            yield (
                _asked(_with(table, when), when, table.c.key + "=" + table.c.value).where(
                    table.c.key == asked.key, met
                ),
                what,
            )
        if asked.operator != "=":
            return
    v, m, f, vf = t.versions, t.manifests, t.facts, t.version_facts
    facts = v.join(
        vf, and_(vf.c.name == v.c.name, vf.c.number == v.c.number, holds(vf, when))
    ).join(f, f.c.digest == vf.c.facts)
    manifests = v.join(m, m.c.digest == v.c.manifest)
    prefix = _digest_prefix(text)
    if prefix is not None:
        for source, column, what in (
            (v, v.c.manifest, "digest"),
            (facts, f.c.digest, "facts"),
            (facts, f.c.weights, "weights"),
            (facts, f.c.vocabulary, "vocabulary"),
            (facts, f.c.tokenizer, "tokenizer"),
        ):
            yield (
                _asked(source, when, column).where(column.startswith(prefix, autoescape=True)),
                what,
            )
        yield (
            (
                _asked(
                    manifests.join(t.files, t.files.c.manifest == m.c.digest), when, t.files.c.path
                ).where(t.files.c.digest.startswith(prefix, autoescape=True))
            ),
            "file {0}",
        )
    yield _asked(v, when, v.c.name).where(v.c.name.icontains(text, autoescape=True)), "name"
    yield _asked(manifests, when, m.c.kind).where(m.c.kind == text.lower()), "kind"
    yield (
        _asked(manifests, when, m.c["class"]).where(func.lower(m.c["class"]) == text.lower()),
        "class",
    )
    alias = t.aliases.c.alias
    yield (
        _asked(_with(t.aliases, when), when, alias).where(alias.icontains(text, autoescape=True)),
        "alias {0}",
    )
    yield (
        (
            _asked(
                facts.join(t.tokens, t.tokens.c.added_digest == f.c.added_digest),
                when,
                t.tokens.c.content,
            )
            .where(t.tokens.c.content.icontains(text, autoescape=True))
            .order_by(t.tokens.c.id)
        ),
        "token {0!r}",
    )
    note = t.notes.c.key + "=" + t.notes.c.value
    yield (
        _asked(_with(t.notes, when), when, note).where(note.icontains(text, autoescape=True)),
        "note {0}",
    )
    yield (
        _asked(v, when, v.c.message).where(v.c.message.icontains(text, autoescape=True)),
        "message",
    )


def _asked(source: FromClause, when: int, column: ColumnElement[Any]) -> Select[Any]:
    v = t.versions
    return select(v.c.name, v.c.number, column).select_from(source).where(holds(v, when))


def _with(table: FromClause, when: int) -> FromClause:
    v = t.versions
    return v.join(
        table, and_(table.c.name == v.c.name, table.c.number == v.c.number, holds(table, when))
    )


def _digest_prefix(text: str) -> str | None:
    """What a digest begins with, if the text can be that: sha256: and hex digits, or eight hex digits alone."""
    digits = text.lower().removeprefix("sha256:")
    if not digits or len(digits) > 64 or any(digit not in "0123456789abcdef" for digit in digits):
        return None
    return f"sha256:{digits}" if text.lower().startswith("sha256:") or len(digits) >= 8 else None
