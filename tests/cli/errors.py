"""Expect errors on standard error by their values and their form. Never by prose."""

from __future__ import annotations


def is_one_error(text: str) -> bool:
    """Return whether a text is one error line and at most one hint line."""
    error, *hints = text.splitlines() or [""]
    return (
        error.startswith("error: ")
        and len(hints) <= 1
        and all(line.startswith("hint: ") for line in hints)
    )


def missing(text: str, *quoted: str) -> list[str]:
    """Return the values that a text does not quote."""
    return [value for value in quoted if value not in text]
