"""Graph: lineage as a tree for a terminal, as Mermaid for a page, as DOT for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from registry.core.version import Version
    from registry.results.queries import Lineage, LineageEdge


def tree(lineage: Lineage) -> list[str]:
    """Lines of a tree, ancestors above; the version that was asked for is marked. Who has two parents stands below both."""
    versions = versions_of(lineage)
    children = {edge.child for edge in lineage.edges}
    parents = dict.fromkeys(edge.parent for edge in lineage.edges)
    roots = [
        reference for reference in dict.fromkeys([*parents, *versions]) if reference not in children
    ]
    return [line for root in roots for line in _branch(lineage, versions, root, None, "", "", ())]


def mermaid(lineage: Lineage) -> list[str]:
    """Lines of a Mermaid graph, from parents to children."""
    names = {reference: f"v{position}" for position, reference in enumerate(all_of(lineage))}
    nodes = [
        f'  {name}["{_label(lineage, reference, "<br/>")}"]' for reference, name in names.items()
    ]
    edges = [
        f'  {names[edge.parent]} -->|"{edge.role}, {edge.evidence}"| {names[edge.child]}'
        for edge in edges_of(lineage)
    ]
    return [
        "graph TD",
        *nodes,
        *edges,
        f"  style {names[lineage.version.reference]} stroke-width:3px",
    ]


def dot(lineage: Lineage) -> list[str]:
    """Lines of a DOT graph, from parents to children."""
    bold = lineage.version.reference
    nodes = [
        f'  "{reference}" [label="{_label(lineage, reference, chr(92) + "n")}"{", style=bold" * (reference == bold)}];'
        for reference in all_of(lineage)
    ]
    edges = [
        f'  "{edge.parent}" -> "{edge.child}" [label="{edge.role}, {edge.evidence}"];'
        for edge in edges_of(lineage)
    ]
    return ["digraph lineage {", "  node [shape=box];", *nodes, *edges, "}"]


def _branch(
    lineage: Lineage,
    versions: dict[str, Version],
    reference: str,
    edge: LineageEdge | None,
    lead: str,
    below: str,
    above: tuple[str, ...],
) -> Iterator[str]:
    yield lead + _line(lineage, versions.get(reference), reference, edge)
    edges = [
        item for item in edges_of(lineage) if item.parent == reference and item.child not in above
    ]
    for position, item in enumerate(edges):
        corner, line = ("└─ ", "   ") if position == len(edges) - 1 else ("├─ ", "│  ")
        yield from _branch(
            lineage, versions, item.child, item, below + corner, below + line, (*above, reference)
        )


def _line(
    lineage: Lineage, version: Version | None, reference: str, edge: LineageEdge | None
) -> str:
    how = f" ({edge.role}, known: {edge.evidence})" if edge is not None else ""
    if version is None:
        return f"{reference} gone{how}"
    marks = "".join(
        [
            f" [{', '.join(version.aliases)}]" if version.aliases else "",
            " yanked" if version.yanked else "",
            " deleted" if version.deleted else "",
        ]
    )
    asked = reference == lineage.version.reference
    said = f" {version.kind}{marks}{how}"
    return click.style(reference, bold=True) + said + " <- this" if asked else reference + said


def _label(lineage: Lineage, reference: str, line_end: str) -> str:
    version = versions_of(lineage).get(reference)
    return f"{reference}{line_end}{version.kind if version is not None else 'gone'}"


def versions_of(lineage: Lineage) -> dict[str, Version]:
    """All versions of the graph by reference, the farthest ancestor first."""
    return {
        item.reference: item
        for item in (*reversed(lineage.ancestors), lineage.version, *lineage.descendants)
    }


def all_of(lineage: Lineage) -> list[str]:
    """All references of the graph, those of parents that are gone too."""
    return list(dict.fromkeys([*versions_of(lineage), *(edge.parent for edge in lineage.edges)]))


def edges_of(lineage: Lineage) -> list[LineageEdge]:
    """Each edge once, as the graph may be told it from both ends."""
    return list({(edge.child, edge.parent, edge.role): edge for edge in lineage.edges}.values())
