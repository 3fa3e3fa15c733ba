"""Timeline: the log as a graph, newest above. A version stands in a column, its line goes down to the version it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.core.version import LogRow


def timeline(rows: Sequence[LogRow]) -> list[tuple[str, LogRow | None]]:
    """Lines of the graph, each with the entry that stands in it, or None where lines only meet or part.

    A parent that is not among the rows has no line: it was registered before the first of them.
    """
    shown = {_reference(row): _reference(row) for row in rows if row.kind == "Register"}
    shown |= {
        str(row.body["manifest"]): _reference(row)
        for row in reversed(rows)
        if row.kind == "Register"
    }
    lanes: list[str | None] = []
    lines: list[tuple[str, LogRow | None]] = []
    for row in rows:
        if row.kind != "Register":
            lines.append((_lane_marks(lanes), row))
            continue
        own = _reference(row)
        column = _column(lanes, own)
        waiting = [place for place, lane in enumerate(lanes) if lane == own and place != column]
        if waiting:
            lines.append((_joined(lanes, column, waiting, "┘", "┴"), None))
            for place in waiting:
                lanes[place] = None
        lines.append((_lane_marks(lanes, column), row))
        parents = list(
            dict.fromkeys(
                found
                for edge in row.body.get("edges", ())
                if (found := shown.get(edge["reference"]) or shown.get(edge["digest"]))
                and found != own
            )
        )
        lanes[column] = parents[0] if parents else None
        for parent in parents[1:]:
            place = _column(lanes, parent, new=True)
            lines.append((_joined(lanes, column, [place], "┐", "┬"), None))
        while lanes and lanes[-1] is None:
            lanes.pop()
    return lines


def _reference(row: LogRow) -> str:
    return f"{row.name}@{row.number}"


def _column(lanes: list[str | None], waited_for: str, *, new: bool = False) -> int:
    """Where a version stands: the first column that waits for it, else a free one, else a new one."""
    if not new and waited_for in lanes:
        return lanes.index(waited_for)
    place = lanes.index(None) if None in lanes else len(lanes)
    lanes[place : place + 1] = [waited_for]
    return place


def _lane_marks(lanes: Sequence[str | None], column: int | None = None) -> str:
    return " ".join(
        "●" if place == column else "│" if lane is not None else " "
        for place, lane in enumerate(lanes)
    ).rstrip()


def _joined(
    lanes: Sequence[str | None], column: int, others: Sequence[int], corner: str, crossing: str
) -> str:
    """A line across, from a column to others on either side."""
    first, last = min(column, *others), max(column, *others)
    text = ""
    for place, lane in enumerate(lanes):
        if place in others:
            mark = (
                {True: corner, False: crossing}[place == last]
                if place > column
                else "╭"
                if place == first
                else crossing
            )
        elif place == column:
            mark = "├" if first == column else "┤" if last == column else "┼"
        else:
            mark = " " if lane is None else "│"
            if first < place < last:
                mark = "─" if lane is None else "┼"
        text += mark + ("─" if first <= place < last else " ")
    return text.rstrip()
