"""Words of the page: texts made harmless and short, numbers as people read them."""

from __future__ import annotations

from html import escape

from registry.core.text import counted as _counted
from registry.results.drift import SCORE, Encodings


def said(text: str, limit: int = 240) -> str:
    """A text as HTML: escaped, what does not print shown as its number, cut where it is very long."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    plain = "".join(
        one
        if one.isprintable()
        else " "
        if one in "\t\n\r"
        else one.encode("unicode_escape").decode("ascii")
        for one in text
    )
    return escape(" ".join(plain.split()) or "(blank)", quote=True)


def number(value: float | None, *, signed: bool = False) -> str:
    """A number with three digits behind the point, or more where they would all be 0."""
    if value is None:
        return "–"
    shown = f"{value:.3f}" if value == 0 or abs(value) >= 0.0005 else f"{value:.1e}"
    return f"+{shown}" if signed and value > 0 else shown.replace("-", "−")


def measured(found: Encodings, value: float | None, *, signed: bool = False) -> str:
    """A measured value: of a cosine as many digits as tell it from 1."""
    return (
        number(value, signed=signed)
        if found.measure == SCORE or value is None
        else found.said(value).replace("-", "−")
    )


def share(value: float | None) -> str:
    """A share in per cent, with as many digits as it needs."""
    if value is None:
        return "–"
    return f"{value:.1%}" if value >= 0.001 or value == 0 else f"{value:.1e}"


def counted(count: int, what: str) -> str:
    """`1 text`, `2 texts`."""
    return _counted(count, what, form=",")
