"""Text: values as people read them. Nothing printed here can hold a control character."""

from __future__ import annotations

from registry.core.text import plain

__all__ = ["Cell", "Moment", "Name", "Size", "plain", "size", "width"]


class Size(int):
    """A number of bytes."""


class Moment(str):
    """A time in ISO 8601, UTC."""

    __slots__ = ()


class Name(str):
    """What a table neither cuts nor wraps: a reference, a repository, a verdict."""

    __slots__ = ()


Cell = str | int | None


def size(count: int) -> str:
    """Bytes for people, e.g. 22.7 MB."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{count} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def width(text: str) -> int:
    """Columns of a terminal that printable text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1
        for character in text
    )
