"""History: log and lineage. What was done, and what came from what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from . import values
from .commands import command, version_argument
from .parameters import VersionReference
from .session import Session
from .text import Moment, table

if TYPE_CHECKING:
    from ..version import LogRow


@command("log")
@click.argument("target", metavar="[NAME|REF]", required=False, type=VersionReference())
@click.option("--limit", "-n", type=click.IntRange(min=1), metavar="N", help="The newest N alone.")
@click.pass_obj
def log(session: Session, /, target: str | None, limit: int | None) -> None:
    """Say what was done, newest first: everything, to a model, or to a version.

    \b
    Examples:
      registry log -n 20
      registry log medical@3
    """
    rows = session.registry.log(target, limit=limit)
    cells = [(row.entry, Moment(row.time), row.by, row.kind, _reference(row), _said(row)) for row in rows]
    session.put([values.log_row(row) for row in rows], table(["entry", "time", "by", "what", "version", ""], cells),
                dict.fromkeys(reference for row in rows if (reference := _reference(row))))


@command("lineage")
@version_argument()
@click.option("--mermaid", "form", flag_value="mermaid", help="As a Mermaid graph.")
@click.option("--dot", "form", flag_value="dot", help="As a Graphviz graph.")
@click.pass_obj
def lineage(session: Session, /, version: str, form: str | None) -> None:
    """Draw where a version comes from and what stands on it.

    \b
    Examples:
      registry lineage medical@prod
      registry lineage minilm@1 --mermaid
    """
    from . import graph
    found = session.registry.lineage(version)
    draw = {"mermaid": graph.mermaid, "dot": graph.dot, None: graph.tree}[form]
    line = (*reversed(found.ancestors), found.version, *found.descendants)
    session.put(values.lineage(found), draw(found), [item.reference for item in line])


def _reference(row: LogRow) -> str | None:
    return f"{row.name}@{row.number}" if row.number is not None else row.name


def _said(row: LogRow) -> str:
    """What an entry says beside which version it is about."""
    body: Mapping[str, Any] = row.body
    texts = {
        "Register": lambda: " ".join(filter(None, [str(body.get("manifest", ""))[:19], _parents(body)])),
        "Alias": lambda: f"{body.get('alias')} " + (f"-> {body.get('number')}" if body.get("number") else "removed"),
        "Yank": lambda: "undone" if body.get("undo") else str(body.get("reason") or ""),
        "Annotate": lambda: ", ".join(_note(key, value) for key, value in body.get("notes", {}).items()),
    }
    said = texts.get(row.kind, str)()
    message = body.get("message")
    return f"{said}: {message}" if said and message else message or said


def _note(key: str, value: str | None) -> str:
    return f"{key} removed" if value is None else f"{key}={value}"


def _parents(body: Mapping[str, Any]) -> str:
    return ", ".join(f"{edge['role']} {edge['reference']}" for edge in body.get("edges", ()))
