"""Tokens: which entries of a vocabulary were added, removed, moved to another id, or got other flags."""

from __future__ import annotations

from collections.abc import Sequence

from registry.core.facts import Token
from registry.results.diff import TokenChange


def compare(before: Sequence[Token], after: Sequence[Token]) -> list[TokenChange]:
    """The changes, by the id after, what was removed at the end by the id before. A token is known by its content."""
    old, new = ({token.content: token for token in tokens} for tokens in (before, after))
    found = []
    for token in after:
        there = old.get(token.content)
        if there is None:
            found.append(TokenChange(token.content, "added", None, token))
        elif there.id != token.id:
            found.append(TokenChange(token.content, "moved", there, token))
        elif there != token:
            found.append(TokenChange(token.content, "flags", there, token))
    return found + [
        TokenChange(token.content, "removed", token, None)
        for token in before
        if token.content not in new
    ]
