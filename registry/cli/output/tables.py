"""Tables: rows as a person reads them on a terminal, and as a program reads them in a pipe.

On a terminal a table is aligned, has headers and fits the window; in a pipe it is tab-separated, bare and whole, sizes are
integers and times ISO 8601. What fits nowhere wraps or goes, in an order that each table names; a name, a number or a time is never cut.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cached_property

from .text import Cell, Moment, Name, Size, plain, size, width

GAP = "  "
LONGEST_WORD = 20
"""A word of prose that is longer may be broken, so that its column can be this narrow."""
LEAST = 10
INDENT = " " * 4


def table(
    headers: Sequence[str], rows: Sequence[Sequence[Cell]], spare: Sequence[str] = ()
) -> list[str]:
    """The lines of a table, columns of numbers to the right. Without headers it is a list of keys and values, never cut.

    In a narrow window columns without content go first. Then prose wraps, then the columns in `spare` go, in that order, then prose
    stands below its row. What then is too wide still is left to the terminal.
    """
    if not sys.stdout.isatty():
        return ["\t".join(_bare(cell) for cell in row) for row in rows]
    if not rows:
        return []
    columns = [
        Column(header.upper(), cells)
        for header, cells in zip(
            headers or [""] * len(rows[0]), zip(*rows, strict=True), strict=True
        )
    ]
    return _fitted(columns, [name.upper() for name in spare]) if headers else _lines(columns, [])


class Column:
    """A column of a table: its cells as they are shown, and how wide it is."""

    def __init__(self, header: str, cells: Sequence[Cell]) -> None:
        self.header = header
        self.cells = [_shown(cell) for cell in cells]
        self.numbers = all(isinstance(cell, int) or cell is None for cell in cells)
        self.prose = not self.numbers and not any(
            isinstance(cell, (Name, Moment, int)) for cell in cells
        )
        self.empty = not any(self.cells)
        self.natural = self.width = max(map(width, [header, *self.cells]))

    @cached_property
    def least(self) -> int:
        """How narrow it can be."""
        if not self.prose:
            return self.natural
        words = max((width(word) for cell in self.cells for word in cell.split()), default=0)
        return min(self.natural, max(min(words, LONGEST_WORD), width(self.header), LEAST))


def _fitted(columns: list[Column], spare: list[str]) -> list[str]:
    """The lines of a table that is made to fit the window, as far as it can."""
    from shutil import get_terminal_size

    window, below = get_terminal_size().columns, list[Column]()
    if not _fit(columns, window, shrink=False):
        columns = [column for column in columns if not column.empty]
    while not _fit(columns, window):
        gone = next((column for name in spare for column in columns if column.header == name), None)
        if gone is None:
            gone = next((column for column in columns[:0:-1] if column.prose), None)
            below[:0] = [gone] if gone is not None else []
        if gone is None:
            break
        columns.remove(gone)
    return _lines(columns, below, window)


def _fit(columns: Sequence[Column], window: int, *, shrink: bool = True) -> bool:
    """Whether the columns fit side by side, the widest of prose made narrower for it."""
    for column in columns:
        column.width = column.natural
    while (over := sum(column.width + len(GAP) for column in columns) - len(GAP) - window) > 0:
        wide = [column for column in columns if column.width > column.least] if shrink else []
        if not wide:
            return False
        widest = max(wide, key=lambda column: column.width)
        widest.width -= min(over, widest.width - widest.least) if len(wide) == 1 else 1
    return True


def _lines(columns: Sequence[Column], below: Sequence[Column], window: int = 0) -> list[str]:
    lines = (
        [_line([column.header for column in columns], columns)]
        if any(column.header for column in columns)
        else []
    )
    for place in range(len(columns[0].cells)):
        cells = [list(wrapped(column.cells[place], column.width)) for column in columns]
        lines += [
            _line([cell[row] if row < len(cell) else "" for cell in cells], columns)
            for row in range(max(map(len, cells)))
        ]
        said = "; ".join(
            f"{column.header.lower()}: {column.cells[place]}"
            if column.header
            else column.cells[place]
            for column in below
            if column.cells[place]
        )
        lines += [INDENT + line for line in wrapped(said, window - len(INDENT))] if said else []
    return lines


def _line(cells: Sequence[str], columns: Sequence[Column]) -> str:
    parts = []
    for cell, column in zip(cells, columns, strict=True):
        blank = " " * (column.width - width(cell))
        parts.append(blank + cell if column.numbers else cell + blank)
    return GAP.join(parts).rstrip()


def wrapped(text: str, columns: int) -> Iterator[str]:
    """The lines of a text in so many columns, broken between words, within one only where it is longer than a line."""
    if width(text) <= columns:
        yield text
        return
    line, columns = "", max(columns, 1)
    for word in text.split():
        if line and width(line) + 1 + width(word) > columns:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
        while width(line) > columns:
            part = _beginning(line, columns)
            yield part
            line = line[len(part) :]
    yield line


def _beginning(text: str, columns: int) -> str:
    """As much of a text as fits, one character at least."""
    end = min(len(text), columns)
    while end > 1 and width(text[:end]) > columns:
        end -= 1
    return text[:end]


def _bare(cell: Cell) -> str:
    return "" if cell is None else plain(str(cell))


def _shown(cell: Cell) -> str:
    if isinstance(cell, Size):
        return size(cell)
    if isinstance(cell, Moment):
        return plain(cell[:16].replace("T", " "))
    return _bare(cell)
