"""Plural: so many of a thing, as people say it."""

from __future__ import annotations


def counted(count: int, what: str, many: str | None = None, *, form: str = "") -> str:
    """`1 token`, `2 tokens`; `many` is the plural that does not end in s, `form` how the number is written, "," with its thousands apart."""
    return f"{count:{form}} {what if count == 1 else many or what + 's'}"
