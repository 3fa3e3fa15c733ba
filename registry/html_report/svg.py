"""Pictures of the page, as SVG that takes its colours from the page's style. Numbers are in units of each picture's own box."""

from __future__ import annotations

from collections.abc import Sequence

from registry.results.drift import SCORE, Encodings

from .words import measured, said

WIDTH, HEIGHT, EDGE = 720, 440, 34
NUMBERED = 8
"""Texts whose points carry the number they have in the list."""
_LEAST = 1.2
"""Per cent of the height that a bar of a single text has at least, so that it is seen."""


def bars(found: Encodings, median: float | None) -> str:
    """The histogram; it stretches to whatever width there is, so its labels stand beside it as text."""
    rows = found.histogram()
    most = max(count for _, _, count in rows)
    step = 100 / len(rows)
    shapes = []
    for index, (low, high, count) in enumerate(rows):
        if count:
            height = max(count / most * 96, _LEAST)
            shapes.append(
                f'<rect class="bar" x="{index * step + step * 0.06:.2f}" y="{100 - height:.2f}" width="{step * 0.88:.2f}" '
                f'height="{height:.2f}"><title>{measured(found, low)} to {measured(found, high)}: {count}</title></rect>'
            )
    low, high = rows[0][0], rows[-1][1]
    if median is not None and high > low:
        place = (median - low) / (high - low) * 100
        shapes.append(f'<line class="median" x1="{place:.2f}" x2="{place:.2f}" y1="0" y2="100"/>')
    what = f"{found.what}s"
    told = (
        f"{len(found.texts)} {what} by {found.measure}, from {measured(found, low)} to {measured(found, high)}; "
        f"the median is {measured(found, median)}"
    )
    return (
        f'<svg class="histogram" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{said(told)}">'
        f"{''.join(shapes)}</svg>"
    )


def points(found: Encodings, order: Sequence[int]) -> str:
    """Every text before and after, joined; of a CrossEncoder a point for its two scores, and the line where they are equal."""
    shown = [index for index in order if found.texts[index].before is not None]
    scores = found.measure == SCORE
    places = [
        place
        for index in shown
        for place in (found.texts[index].before, found.texts[index].after)
        if place is not None
    ]
    spread = [value for place in places for value in place] if scores else None
    lows, highs = (
        [pick(spread or [place[axis] for place in places]) for axis in (0, 1)]
        for pick in (min, max)
    )

    def at(place: tuple[float, float]) -> tuple[float, float]:
        x, y = ((place[axis] - lows[axis]) / ((highs[axis] - lows[axis]) or 1.0) for axis in (0, 1))
        return EDGE + x * (WIDTH - 2 * EDGE), HEIGHT - EDGE - y * (HEIGHT - 2 * EDGE)

    shapes = [_diagonal()] if scores else []
    labels = []
    # what moved furthest is drawn last, and so lies on top
    for rank, index in reversed(list(enumerate(shown, 1))):
        item = found.texts[index]
        if item.before is None or item.after is None:
            continue
        (x1, y1), (x2, y2) = at(item.before), at(item.after)
        far = " far" if rank <= NUMBERED and item.moved > 0 else ""
        line = (
            f'<line class="way" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
            if not scores
            else ""
        )
        old = f'<circle class="old" cx="{x1:.1f}" cy="{y1:.1f}" r="4"/>' if not scores else ""
        shapes.append(
            f'<g class="text{far}">{line}{old}<circle class="new" cx="{x2:.1f}" cy="{y2:.1f}" r="4.5"/>'
            f"<title>{said(item.text, 120)}: {measured(found, item.value, signed=True)}</title></g>"
        )
        if far:
            x, anchor = (x2 - 9, "end") if x2 > WIDTH - 2 * EDGE else (x2 + 9, "start")
            labels.append(
                f'<text x="{x:.1f}" y="{y2 + 4:.1f}" text-anchor="{anchor}">{rank}</text>'
            )
    told = (
        f"{len(shown)} pairs: score before from left to right, score after from bottom to top"
        if scores
        else f"{len(shown)} texts in one plane, a line from where each was to where it is"
    )
    return f'<svg class="plane" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said(told)}">{"".join(shapes)}{"".join(labels)}</svg>'


def _diagonal() -> str:
    return f'<line class="equal" x1="{EDGE}" y1="{HEIGHT - EDGE}" x2="{WIDTH - EDGE}" y2="{EDGE}"/>'
