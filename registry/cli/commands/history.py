"""History: log and lineage. What was done, and what came from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from registry.cli.command import at_option, command, version_argument
from registry.cli.output import json_output
from registry.cli.output.tables import table
from registry.cli.output.text import Moment, Name
from registry.cli.params import VersionReference
from registry.cli.session import Session
from registry.core.entry import BODIES as KINDS
from registry.errors import Invalid

if TYPE_CHECKING:
    from registry.core.version import LogRow

HEADERS = ["entry", "time", "by", "what", "version", ""]


@command("log")
@click.argument("target", metavar="[NAME|REF|NAME@ALIAS]", required=False, type=VersionReference())
@click.option("--since", metavar="TIME|ENTRY", help="Nothing before it; a day means its beginning.")
@click.option("--by", metavar="TEXT", help="What this person did: a part of the name is enough.")
@click.option(
    "--kind",
    multiple=True,
    type=click.Choice([kind.lower() for kind in KINDS], case_sensitive=False),
    help="Entries of this kind alone; give it again for more.",
)
@click.option("--limit", "-n", type=click.IntRange(min=1), metavar="N", help="The newest N alone.")
@click.option("--graph", is_flag=True, help="Draw beside it what was made from what.")
@at_option()
@click.pass_obj
def log(
    session: Session,
    /,
    target: str | None,
    since: str | None,
    by: str | None,
    kind: tuple[str, ...],
    limit: int | None,
    graph: bool,
    at: str | None,
) -> None:
    """Say what was done, newest first: everything, to a model, to a version, or where an alias pointed.

    \b
    Examples:
      registry log -n 20 --graph
      registry log medical@prod
      registry log --since 2026-03-01 --kind delete --by anna
    """
    if by is not None and not by.strip():
        raise Invalid("--by '' is blank", hint="give a part of a name")
    session.form("the log is printed", {"graph": graph})
    rows = session.registry.log(target, since=since, by=by, kind=kind, limit=limit, at=at)
    lines = _drawn(rows) if graph else [("", row) for row in rows]
    cells = [
        ([Name(drawn)] if graph else [])
        + (_cells(row) if row is not None else [None] * len(HEADERS))
        for drawn, row in lines
    ]
    session.put(
        [json_output.log_row(row) for row in rows],
        table(["", *HEADERS] if graph else HEADERS, cells),
        dict.fromkeys(reference for row in rows if (reference := _reference(row))),
    )
    if not rows:
        session.note("no entry of the journal matches")


@command("lineage")
@version_argument()
@click.option("--mermaid", is_flag=True, help="As a Mermaid graph.")
@click.option("--dot", is_flag=True, help="As a Graphviz graph.")
@click.option("--svg", is_flag=True, help="As an SVG picture.")
@at_option()
@click.pass_obj
def lineage(session: Session, /, version: str, at: str | None, **forms: bool) -> None:
    """Draw where a version comes from and what stands on it.

    \b
    Examples:
      registry lineage medical@prod
      registry lineage minilm@1 --svg > lineage.svg
    """
    from registry.cli.output import lineage_svg, lineage_text as graph

    form = session.form("a lineage is drawn", forms)
    found = session.registry.lineage(version, at=at)
    draw = (
        {"mermaid": graph.mermaid, "dot": graph.dot, "svg": lineage_svg.svg}[form]
        if form is not None
        else graph.tree
    )
    line = (*reversed(found.ancestors), found.version, *found.descendants)
    session.put(json_output.lineage(found), draw(found), [item.reference for item in line])


def _drawn(rows: Sequence[LogRow]) -> list[tuple[str, LogRow | None]]:
    from registry.cli.output.log_graph import timeline

    return timeline(rows)


def _cells(row: LogRow) -> list[Any]:
    return [
        row.entry,
        Moment(row.time),
        row.by,
        Name(row.kind),
        Name(_reference(row) or ""),
        _said(row),
    ]


def _reference(row: LogRow) -> str | None:
    return f"{row.name}@{row.number}" if row.number is not None else row.name


def _said(row: LogRow) -> str:
    """What an entry says beside which version it is about."""
    body: Mapping[str, Any] = row.body
    texts = {
        "Register": lambda: " ".join(
            filter(None, [str(body.get("manifest", ""))[:19], _parents(body)])
        ),
        "Alias": lambda: (
            f"{body.get('alias')}: {row.before or 'nothing'} -> {body.get('number') or 'nothing'}"
        ),
        "Yank": lambda: "undone" if body.get("undo") else str(body.get("reason") or ""),
        "Publish": lambda: (
            f"hf://{body.get('repository')}@{str(body.get('commit'))[:12]}"
            + (f" {body['tag']}" if body.get("tag") else "")
        ),
        "Annotate": lambda: ", ".join(
            _note(key, value) for key, value in body.get("notes", {}).items()
        ),
    }
    said = texts.get(row.kind, str)()
    message = body.get("message")
    return f"{said}: {message}" if said and message else message or said


def _note(key: str, value: str | None) -> str:
    return f"{key} removed" if value is None else f"{key}={value}"


def _parents(body: Mapping[str, Any]) -> str:
    return ", ".join(f"{edge['role']} {edge['reference']}" for edge in body.get("edges", ()))
