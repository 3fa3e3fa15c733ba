"""Glance: the questions asked a hundred times a day, answered by sqlite3 alone, read-only; SQLAlchemy would cost 0.2 s.

Every answer is None where a glance does not suffice: no catalog of this revision, one that is behind the journal, something
that is not there, or that takes a warning. The caller then takes the long way, which knows how to say it. The answers are
the same values that `queries` gives; a test compares them.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from registry.core.digest import Digest
from registry.core.reference import Reference, parse
from registry.core.version import Copy, Model, ParentVersion, Taken, Version
from registry.errors import InvalidReference

from .connection import connect_readonly
from .migrate import newest

Answer = TypeVar("Answer")

NUMBERS_OFFERED = 100
"""How many versions of a model completion offers."""

_UNKNOWN = "unknown"
_NO_DIGEST = Digest("sha256:" + "0" * 64)
_LATEST = """
    (SELECT max(number) FROM versions AS other WHERE other.name = v.name AND until IS NULL AND NOT checkpoint AND NOT EXISTS
     (SELECT 1 FROM yanks WHERE yanks.name = other.name AND yanks.number = other.number AND yanks.until IS NULL))
"""
_VERSIONS = """
    SELECT v.*, e.time, e.by, vf.facts, vp.probes AS measured, m.kind, m.class, m.size, y.reason, y.since AS yanked, f.vocabulary, f.vocabulary_size,
           f.added, f.weights, w.parameters, w.dtype
    FROM versions AS v JOIN entries AS e ON e.number = v.since
    LEFT JOIN version_facts AS vf ON vf.name = v.name AND vf.number = v.number AND vf.until IS NULL
    LEFT JOIN version_probes AS vp ON vp.name = v.name AND vp.number = v.number AND vp.until IS NULL
    LEFT JOIN yanks AS y ON y.name = v.name AND y.number = v.number AND y.until IS NULL
    LEFT JOIN manifests AS m ON m.digest = v.manifest
    LEFT JOIN facts AS f ON f.digest = vf.facts LEFT JOIN weights AS w ON w.digest = f.weights
    WHERE v.name = ? AND v.until IS NULL AND (? IS NULL OR v.number = ?) ORDER BY v.number DESC
"""
_WANTED = "name = ? AND until IS NULL AND (? IS NULL OR number = ?)"
_MODELS = f"""
    SELECT v.name, counted.versions, {_LATEST} AS latest, m.kind, m.class,
           (SELECT time FROM entries WHERE number = (SELECT max(number) FROM entries WHERE name = v.name)) AS updated
    FROM (SELECT name, count(*) AS versions, max(number) AS highest FROM versions WHERE until IS NULL GROUP BY name) AS counted
    JOIN versions AS v ON v.name = counted.name AND v.until IS NULL
     AND v.number = coalesce({_LATEST.replace("v.name", "counted.name")}, counted.highest)
    LEFT JOIN manifests AS m ON m.digest = v.manifest ORDER BY v.name
"""


@dataclass(frozen=True)
class Glimpse:
    """What it takes to find a ready checkout."""

    name: str
    number: int
    manifest: Digest
    kind: str
    model_class: str
    base: Digest | None
    """Manifest of the base that an adapter is loaded on."""


def complete(home: Path, text: str) -> list[str] | None:
    """References that begin with a text: models; after a whole name or its `@`, aliases and the newest numbers too."""
    return _ask(home, lambda connection: _completions(connection, text))


def complete_files(home: Path, text: str) -> list[str] | None:
    """The files of a version that begin so, behind its reference and a colon; none where the text has no colon behind a reference."""
    reference, _, begun = text.rpartition(":")
    found = resolve(home, reference) if reference else None
    asked = (
        "SELECT path FROM files WHERE manifest = ? AND substr(path, 1, length(?)) = ? ORDER BY path"
    )
    return (
        []
        if found is None
        else _ask(
            home,
            lambda connection: [
                f"{reference}:{row['path']}"
                for row in connection.execute(asked, (found.manifest, begun, begun))
            ],
        )
    )


def list_models(home: Path) -> list[Model] | None:
    """All models, as queries.models gives them."""
    return _ask(home, _models)


def list_versions(home: Path, name: str) -> list[Version] | None:
    """The versions of a model, as queries.versions gives them."""
    return _ask(home, lambda connection: _versions(connection, name))


def with_manifest(home: Path, digest: str) -> list[Version] | None:
    """Versions that are this manifest, as queries.with_manifest gives them; deleted ones apart."""
    return _ask(home, lambda connection: _with_manifest(connection, digest))


def copies(
    home: Path,
    *,
    name: str | None = None,
    repository: str | None = None,
    manifest: str | None = None,
) -> list[Copy] | None:
    """Copies of versions not deleted, as queries.copies gives them."""
    return _ask(home, lambda connection: _copies(connection, name, repository, manifest))


def knows(home: Path, names: Sequence[str], manifests: Sequence[str]) -> bool | None:
    """Whether one of these names was ever a model's, whatever its case, or one of these manifests is a version's."""
    return _ask(
        home,
        lambda connection: (
            any(_spelled(connection, name) is not None for name in names)
            or any(_is_registered(connection, digest) for digest in manifests)
        ),
    )


def taken(home: Path, name: str, number: int | None = None) -> Taken | None:
    """What is given away of a model's name, and of a number under it, as queries.taken gives it."""
    return _ask(home, lambda connection: _taken(connection, name, number))


def resolve(home: Path, text: str) -> Glimpse | None:
    """The version that a reference without `^` and path means, unless it was yanked."""
    reference = _plain(text)
    return (
        None
        if reference is None
        else _ask(home, lambda connection: _resolve(connection, reference))
    )


def version(home: Path, text: str) -> Version | None:
    """What resolve finds, as queries.version gives it."""
    reference = _plain(text)
    return (
        None if reference is None else _ask(home, lambda connection: _whole(connection, reference))
    )


def _plain(text: str) -> Reference | None:
    try:
        reference = parse(text)
    except InvalidReference:
        return None
    return None if reference.up or reference.path is not None else reference


def _completions(connection: sqlite3.Connection, text: str) -> list[str]:
    name, at, selector = text.partition("@")
    names = [
        row["name"]
        for row in connection.execute(
            "SELECT DISTINCT name FROM versions WHERE until IS NULL ORDER BY name"
        )
    ]
    offered = [] if at else [item for item in names if item.startswith(text)]
    model = next((item for item in names if item.casefold() == name.casefold()), None)
    if model is None:
        return offered
    aliases = [*sorted(_aliases(connection, model)[model]), "latest"]
    numbers = [
        str(row["number"])
        for row in connection.execute(
            "SELECT number FROM versions WHERE name = ? AND until IS NULL ORDER BY number DESC",
            (model,),
        )
    ]
    fitting = [
        *(item for item in aliases if item.startswith(selector)),
        *[number for number in numbers if number.startswith(selector)][:NUMBERS_OFFERED],
    ]
    return [*offered, *(f"{name}@{item}" for item in fitting)]


def _models(connection: sqlite3.Connection) -> list[Model]:
    aliases = _aliases(connection)
    return [
        Model(
            row["name"],
            row["versions"],
            row["latest"],
            row["kind"] or _UNKNOWN,
            row["class"] or _UNKNOWN,
            aliases[row["name"]],
            row["updated"],
        )
        for row in connection.execute(_MODELS)
    ]


def _resolve(connection: sqlite3.Connection, reference: Reference) -> Glimpse | None:
    model = _spelled(connection, reference.name)
    if model is None:
        return None
    number = reference.number
    if reference.alias is not None:
        number = _aliases(connection, model)[model].get(reference.alias)
    elif reference.bare:
        number = _latest(connection, model)
    if number is None and (reference.digest is None or reference.alias is not None):
        return None
    return _glimpse(connection, model, number, reference.digest or "")


def _glimpse(
    connection: sqlite3.Connection, model: str, number: int | None, digest: str
) -> Glimpse | None:
    rows = connection.execute(
        """
        SELECT v.name, v.number, v.manifest, m.kind, m.class, p.parent,
               EXISTS (SELECT 1 FROM yanks WHERE yanks.name = v.name AND yanks.number = v.number AND until IS NULL) AS yanked
        FROM versions AS v JOIN manifests AS m ON m.digest = v.manifest
        LEFT JOIN parents AS p ON p.manifest = v.manifest AND p.role = 'base' AND m.kind = 'adapter'
        WHERE v.name = ? AND v.until IS NULL AND (? IS NULL OR v.number = ?) AND substr(v.manifest, 8, length(?)) = ?
        LIMIT 2""",
        (model, number, number, digest, digest),
    ).fetchall()
    if len(rows) != 1 or rows[0]["yanked"]:
        return None
    row = rows[0]
    return Glimpse(
        row["name"],
        row["number"],
        Digest(row["manifest"]),
        row["kind"],
        row["class"],
        Digest(row["parent"]) if row["parent"] else None,
    )


def _whole(connection: sqlite3.Connection, reference: Reference) -> Version | None:
    found = _resolve(connection, reference)
    return (
        None
        if found is None
        else next(iter(_versions(connection, found.name, found.number) or ()), None)
    )


def _versions(
    connection: sqlite3.Connection, name: str, number: int | None = None
) -> list[Version] | None:
    model = _spelled(connection, name)
    if model is None:
        return None
    wanted = (model, number, number)
    parents: dict[tuple[int, int], list[ParentVersion]] = defaultdict(list)
    for row in connection.execute(
        "SELECT * FROM edges WHERE name = ? AND (? IS NULL OR number = ?) ORDER BY position", wanted
    ):
        parent = ParentVersion(
            row["role"], row["reference"], Digest(row["parent"]), row["evidence"]
        )
        parents[row["number"], row["since"]].append(parent)
    aliases: dict[int, list[str]] = defaultdict(list)
    for alias, pointed in sorted(_aliases(connection, model)[model].items()):
        aliases[pointed].append(alias)
    notes: dict[int, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(f"SELECT * FROM notes WHERE {_WANTED} ORDER BY key", wanted):
        notes[row["number"]][row["key"]] = row["value"]
    metrics: dict[int, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(f"SELECT * FROM metrics WHERE {_WANTED} ORDER BY key", wanted):
        metrics[row["number"]][row["key"]] = row["value"]
    latest = _latest(connection, model)
    return [
        _version(
            row,
            parents[row["number"], row["since"]],
            aliases[row["number"]],
            notes[row["number"]],
            metrics[row["number"]],
            latest,
        )
        for row in connection.execute(_VERSIONS, wanted)
    ]


def _with_manifest(connection: sqlite3.Connection, digest: str) -> list[Version]:
    rows = connection.execute(
        "SELECT name, number FROM versions WHERE manifest = ? AND until IS NULL ORDER BY name, number DESC",
        (digest,),
    ).fetchall()
    return [
        version
        for row in rows
        for version in _versions(connection, row["name"], row["number"]) or ()
    ]


def _is_registered(connection: sqlite3.Connection, digest: str) -> bool:
    return (
        connection.execute(
            "SELECT 1 FROM versions WHERE manifest = ? AND until IS NULL LIMIT 1", (digest,)
        ).fetchone()
        is not None
    )


def _taken(connection: sqlite3.Connection, name: str, number: int | None) -> Taken:
    spelled = _spelled(connection, name)
    (highest,) = connection.execute(
        "SELECT max(number) FROM versions WHERE name = ?", (spelled or name,)
    ).fetchone()
    found = connection.execute(
        "SELECT manifest FROM versions WHERE name = ? AND number = ? LIMIT 1",
        (spelled or name, number),
    ).fetchone()
    return Taken(
        spelled, (highest or 0) + 1, Digest(found["manifest"]) if found is not None else None
    )


def _copies(
    connection: sqlite3.Connection, name: str | None, repository: str | None, manifest: str | None
) -> list[Copy]:
    model = (_spelled(connection, name) or name) if name is not None else None
    found = connection.execute(
        """
        SELECT c.name, c.number, c.repository, c."commit", c.tag, c.since
        FROM copies AS c JOIN versions AS v ON v.name = c.name AND v.number = c.number AND v.until IS NULL
        WHERE c.until IS NULL AND (? IS NULL OR c.name = ?) AND (? IS NULL OR c.repository = ?) AND (? IS NULL OR v.manifest = ?)
        ORDER BY c.since, c.name, c.number""",
        (model, model, repository, repository, manifest, manifest),
    )
    return [Copy(*row) for row in found]


def _version(
    row: sqlite3.Row,
    parents: list[ParentVersion],
    aliases: list[str],
    notes: dict[str, str],
    metrics: dict[str, str],
    latest: int | None,
) -> Version:
    return Version(
        name=row["name"],
        number=row["number"],
        digest=Digest(row["manifest"]),
        kind=row["kind"] or _UNKNOWN,
        model_class=row["class"] or _UNKNOWN,
        facts=Digest(row["facts"]),
        probes=Digest(row["measured"]) if row["measured"] else None,
        parents=tuple(parents),
        aliases=tuple(aliases),
        latest=row["number"] == latest,
        yanked=row["yanked"] is not None,
        yank_reason=row["reason"],
        deleted=False,
        checkpoint=bool(row["checkpoint"]),
        message=row["message"],
        notes=notes,
        source=json.loads(row["source"]),
        forced=tuple(json.loads(row["forced"])),
        created_at=row["time"],
        created_by=row["by"],
        entry=row["since"],
        size=row["size"] or 0,
        vocabulary=Digest(row["vocabulary"]) if row["vocabulary"] else _NO_DIGEST,
        vocabulary_size=row["vocabulary_size"] or 0,
        added=row["added"] or 0,
        weights=Digest(row["weights"]) if row["weights"] else _NO_DIGEST,
        parameters=row["parameters"] or 0,
        dtype=row["dtype"] or _UNKNOWN,
        metrics=metrics,
    )


def _latest(connection: sqlite3.Connection, model: str) -> int | None:
    row = connection.execute(
        f"SELECT {_LATEST} AS latest FROM (SELECT ? AS name) AS v", (model,)
    ).fetchone()
    return None if row["latest"] is None else int(row["latest"])


def _aliases(connection: sqlite3.Connection, model: str | None = None) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    asked = "SELECT name, alias, number FROM aliases WHERE until IS NULL AND (? IS NULL OR name = ?) ORDER BY alias"
    for row in connection.execute(asked, (model, model)):
        found[row["name"]][row["alias"]] = row["number"]
    return found


def _spelled(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute(
        "SELECT name FROM models WHERE folded = ?", (name.casefold(),)
    ).fetchone()
    return None if row is None else str(row["name"])


def _ask(home: Path, question: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
    """The answer of one state of the home's catalog; None where there is none, where it is behind or cannot be read."""
    _, path = newest(home / "catalog")
    if path is None:
        return None
    try:
        with contextlib.closing(connect_readonly(path, timeout=1.0)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            return question(connection) if _is_up_to_date(connection, home) else None
    except sqlite3.Error:
        return None


def _is_up_to_date(connection: sqlite3.Connection, home: Path) -> bool:
    (head,) = connection.execute("SELECT max(number) FROM entries").fetchone()
    return (
        bool(head)
        and _has_entry(home, 1)
        and _has_entry(home, head)
        and not _has_entry(home, head + 1)
    )


def _has_entry(home: Path, number: int) -> bool:
    return (home / "journal" / f"{number:020}.json").exists()
