"""Drawing: lineage as one SVG, parents above, in layers. It needs no network and no font of its own, and is readable in light and dark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from .text import width

if TYPE_CHECKING:
    from registry.core.version import Version
    from registry.results.queries import Lineage, LineageEdge

LETTER, SMALL_LETTER = 8.8, 6.8
"""Pixels that a letter takes at most, of the reference and of what stands below it."""
HEIGHT, GAP_X, GAP_Y, MARGIN, PADDING = 46.0, 28.0, 74.0, 24.0, 14.0
SWEEPS = 4
"""How often the order within layers is made better, down and up again."""

STYLE = """
svg{font-family:system-ui,-apple-system,"Segoe UI",sans-serif;background:#fff}
.box{fill:#f6f8fa;stroke:#57606a}.base .box{stroke:#0550ae}.resized .box{stroke:#116329}.adapter .box{stroke:#8250df}
.merged .box{stroke:#953800}.this .box{stroke-width:3}.gone .box{stroke-dasharray:4 3}
.name{font-size:14px;font-weight:600;fill:#1f2328}.said{font-size:11px;fill:#59636e}
.edge{fill:none;stroke:#57606a;stroke-width:1.4}.tip{fill:#57606a}
.how{font-size:11px;fill:#1f2328;paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
@media (prefers-color-scheme:dark){
svg{background:#0d1117}.box{fill:#161b22;stroke:#9198a1}.base .box{stroke:#79c0ff}.resized .box{stroke:#7ee787}
.adapter .box{stroke:#d2a8ff}.merged .box{stroke:#ffa657}.name{fill:#f0f6fc}.said{fill:#9198a1}
.edge{stroke:#9198a1}.tip{fill:#9198a1}.how{fill:#f0f6fc;stroke:#0d1117}}
"""


def svg(lineage: Lineage) -> list[str]:
    """Lines of a self-contained SVG document."""
    from .lineage_text import all_of, edges_of, versions_of

    edges, versions = edges_of(lineage), versions_of(lineage)
    layers = layered(all_of(lineage), [(edge.parent, edge.child) for edge in edges])
    widths = {
        reference: _width(reference, versions.get(reference))
        for layer in layers
        for reference in layer
    }
    places, total = placed(layers, widths)
    tall = 2 * MARGIN + len(layers) * HEIGHT + (len(layers) - 1) * GAP_Y
    title = f"Lineage of {lineage.version.reference}"
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.0f} {tall:.0f}" width="{total:.0f}" height="{tall:.0f}" '
        f'role="img" aria-labelledby="t">',
        f'<title id="t">{escape(title)}</title>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
        '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
        *(line for edge in edges for line in _curve(edge, places)),
        *(line for edge in edges for line in _how(edge, places)),
        *(
            line
            for reference in places
            for line in _box(
                lineage, reference, versions.get(reference), places[reference], widths[reference]
            )
        ),
        "</svg>",
    ]


def layered(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The nodes in layers, each below all of its parents; within a layer ordered so that few edges cross."""
    parents: dict[str, list[str]] = defaultdict(list)
    children: dict[str, list[str]] = defaultdict(list)
    for parent, child in edges:
        parents[child].append(parent)
        children[parent].append(child)
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:
        deeper = {
            child: depth[parent] + 1 for parent, child in edges if depth[parent] >= depth[child]
        }
        if not deeper:
            break
        depth |= deeper
    layers = [
        [node for node in nodes if depth[node] == level]
        for level in range(max(depth.values(), default=0) + 1)
    ]
    layers = [layer for layer in layers if layer]
    for _ in range(SWEEPS):
        for near, order in ((parents, layers), (children, layers[::-1])):
            at = {
                node: place / max(1, len(layer))
                for layer in layers
                for place, node in enumerate(layer)
            }
            for layer in order:
                layer.sort(key=lambda node: _mean([at[other] for other in near[node]], at[node]))
                at |= {node: place / len(layer) for place, node in enumerate(layer)}
    return layers


def placed(
    layers: Sequence[Sequence[str]], widths: Mapping[str, float]
) -> tuple[dict[str, tuple[float, float]], float]:
    """((centre, top) of each node in pixels, the whole width); layers are centred above each other."""
    rows = [sum(widths[node] for node in layer) + GAP_X * (len(layer) - 1) for layer in layers]
    total = max(rows, default=0.0) + 2 * MARGIN
    places: dict[str, tuple[float, float]] = {}
    for level, (layer, row) in enumerate(zip(layers, rows, strict=True)):
        left = (total - row) / 2
        for node in layer:
            places[node] = (left + widths[node] / 2, MARGIN + level * (HEIGHT + GAP_Y))
            left += widths[node] + GAP_X
    return places, total


def _mean(numbers: Sequence[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise


def _said(version: Version | None) -> str:
    if version is None:
        return "gone"
    state = ["yanked"] * version.yanked + ["deleted"] * version.deleted
    return ", ".join([version.kind, *(f"@{alias}" for alias in version.aliases), *state])


def _width(reference: str, version: Version | None) -> float:
    # an edge's label stands between two layers, and needs this much beside those of its neighbours
    return max(width(reference) * LETTER, width(_said(version)) * SMALL_LETTER, 118.0) + 2 * PADDING


def _ends(
    edge: LineageEdge, places: Mapping[str, tuple[float, float]]
) -> tuple[float, float, float, float]:
    (from_x, from_y), (to_x, to_y) = places[edge.parent], places[edge.child]
    return from_x, from_y + HEIGHT, to_x, to_y - 2


def _curve(edge: LineageEdge, places: Mapping[str, tuple[float, float]]) -> list[str]:
    from_x, from_y, to_x, to_y = _ends(edge, places)
    bend = (to_y - from_y) / 2
    return [
        f'<path class="edge" marker-end="url(#a)" d="M{from_x:.1f} {from_y:.1f}C{from_x:.1f} {from_y + bend:.1f} '
        f'{to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"/>'
    ]


def _how(edge: LineageEdge, places: Mapping[str, tuple[float, float]]) -> list[str]:
    """Role and evidence, right above the child, where edges have parted."""
    _, _, to_x, to_y = _ends(edge, places)
    from_x = places[edge.parent][0]
    x = to_x + (from_x - to_x) * 0.12
    return [
        f'<text class="how" text-anchor="middle" x="{x:.1f}" y="{to_y - 26:.1f}">{escape(edge.role)}</text>',
        f'<text class="how" text-anchor="middle" x="{x:.1f}" y="{to_y - 13:.1f}">{escape(edge.evidence)}</text>',
    ]


def _box(
    lineage: Lineage,
    reference: str,
    version: Version | None,
    place: tuple[float, float],
    wide: float,
) -> list[str]:
    (x, y), kind = place, version.kind if version is not None else "gone"
    marks = [
        kind,
        *["this"] * (reference == lineage.version.reference),
        *["gone"] * (version is not None and version.deleted),
    ]
    told = (
        f"{reference} {version.digest.short} {version.created_at} by {version.created_by}"
        if version is not None
        else f"{reference} gone"
    )
    return [
        f'<g class="{escape(" ".join(marks), quote=True)}"><title>{escape(told)}</title>',
        f'<rect class="box" x="{x - wide / 2:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{HEIGHT:.0f}" rx="7"/>',
        f'<text class="name" text-anchor="middle" x="{x:.1f}" y="{y + 20:.1f}">{escape(reference)}</text>',
        f'<text class="said" text-anchor="middle" x="{x:.1f}" y="{y + 36:.1f}">{escape(_said(version))}</text></g>',
    ]
