"""Text: values as a person reads them on a terminal, and as a program reads them in a pipe.

On a terminal a table is aligned, has headers and fits the window; in a pipe it is tab-separated, bare and whole, sizes are
integers and times ISO 8601. Nothing printed here can hold a control character.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

LEAST_WIDTH = 8
GAP = "  "


class Size(int):
    """A number of bytes."""


class Moment(str):
    """A time in ISO 8601, UTC."""

    __slots__ = ()


Cell = str | int | None


def plain(text: str) -> str:
    """The text with everything escaped that does not print: control characters, line ends, marks that turn its direction."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def size(count: int) -> str:
    """Bytes for people, e.g. 22.7 MB."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{count} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def table(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """The lines of a table, columns of numbers to the right. Without headers it is a list of keys and values, never cut."""
    if not sys.stdout.isatty():
        return ["\t".join(_bare(cell) for cell in row) for row in rows]
    if not rows:
        return []
    shown = [[_shown(cell) for cell in row] for row in rows]
    right = [all(isinstance(row[column], int) or row[column] is None for row in rows) for column in range(len(rows[0]))]
    lines = [[header.upper() for header in headers], *shown] if headers else shown
    widths = [max(width(line[column]) for line in lines) for column in range(len(right))]
    widths = _fit(widths) if headers else widths
    return [GAP.join(map(_cell, line, widths, right)).rstrip() for line in lines]


def width(text: str) -> int:
    """Columns of a terminal that printable text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width
    return sum(0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1 for character in text)


def _bare(cell: Cell) -> str:
    return "" if cell is None else plain(str(cell))


def _shown(cell: Cell) -> str:
    if isinstance(cell, Size):
        return size(cell)
    if isinstance(cell, Moment):
        return plain(cell[:16].replace("T", " "))
    return _bare(cell)


def _fit(widths: list[int]) -> list[int]:
    """The widths, the widest made narrower until a line fits the window."""
    from shutil import get_terminal_size
    window = get_terminal_size().columns
    while sum(widths) + len(GAP) * (len(widths) - 1) > window and max(widths) > LEAST_WIDTH:
        widths[widths.index(max(widths))] -= 1
    return widths


def _cell(text: str, columns: int, right: bool) -> str:
    if width(text) > columns:
        while width(text) > columns - 1:
            text = text[:-1]
        text += "…"
    blank = " " * (columns - width(text))
    return blank + text if right else text + blank
