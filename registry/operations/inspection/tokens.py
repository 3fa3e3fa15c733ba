"""tokens: the added tokens of a version, and for each who brought it, what it was before, and which version last trained its row."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core.facts import Token
from registry.core.point_in_time import When
from registry.core.version import Version
from registry.errors import RegistryError
from registry.home.home import Home
from registry.operations.shared.resolve import (
    VersionLike,
    entry_at,
    facts_of,
    look_up,
    reading_files,
    resolve,
)
from registry.results.queries import TokenHistory

from .diff_operands import of_version
from .text_input import lines_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.model_files.diff import Side

FEW = 5
"""A token that a corpus holds less often than this has not been learnt from it."""
_NAMED = 5


def tokens(
    home: Home,
    version: VersionLike,
    *,
    texts: str | os.PathLike[str] | Sequence[str] | None = None,
    at: When | None = None,
) -> tuple[TokenHistory, ...]:
    """The added tokens, by id; with texts (a file, or the texts) also how often each stands in them. Few is worth a warning.

    Raises FolderNotFound, Invalid for a file that is no text, BlobNotFound where the files of a version that was deleted are freed.
    """
    found = resolve(home, version, at)
    added = facts_of(home, found).vocabulary.added
    if not added:
        return ()
    with home.reading() as connection:
        point = entry_at(connection, at)
        line = _line(connection, look_up(connection, found, point), point)
    with reading_files(home, found):
        return _tokens(home, added, line, texts)


def _tokens(
    home: Home,
    added: Sequence[Token],
    line: Sequence[Version],
    texts: str | os.PathLike[str] | Sequence[str] | None,
) -> tuple[TokenHistory, ...]:
    sides = [of_version(home, item).side for item in line]
    brought = _brought(home, added, line)
    trained = _trained(added, sides, brought)
    counts = _counts(sides[0], added, texts) if texts is not None else [None] * len(added)
    if texts is not None:
        _warn_of_few(home, added, counts)
    pieces = _pieces(added, sides, brought)
    return tuple(
        TokenHistory(
            token,
            line[brought[token.id]],
            pieces.get(token.id),
            _at(line, trained[token.id]),
            count,
        )
        for token, count in zip(added, counts, strict=True)
    )


def _at(line: Sequence[Version], place: int | None) -> Version | None:
    return line[place] if place is not None else None


def _line(connection: Connection, version: Version, at: int | None) -> list[Version]:
    """The version and its ancestors, each the parent of the one before; of a merged one first the adapter, which stands on the base."""
    from registry.catalog import queries

    line = [version]
    while line[-1].parents:
        parents = line[-1].parents
        chosen = next((parent for parent in parents if parent.role == "adapter"), parents[0])
        found = queries.with_manifest(connection, chosen.digest, at, deleted=True)
        if not found:
            break
        line.append(next((item for item in found if item.reference == chosen.reference), found[0]))
    return line


def _brought(home: Home, added: Sequence[Token], line: Sequence[Version]) -> dict[int, int]:
    """By id the place in the line of the version that first had the token."""
    known = [
        {(token.id, token.content) for token in facts_of(home, item).vocabulary.added}
        for item in line
    ]
    found = {}
    for token in added:
        place = 0
        while place + 1 < len(line) and (token.id, token.content) in known[place + 1]:
            place += 1
        found[token.id] = place
    return found


def _trained(
    added: Sequence[Token], sides: Sequence[Side], brought: dict[int, int]
) -> dict[int, int | None]:
    """By id the place of the nearest version whose row for the token is not that of its parent."""
    from registry.model_files.diff.row_changes import changed_rows

    found: dict[int, int | None] = {token.id: None for token in added}
    for place in range(len(sides) - 1):
        asked = [id for id, before in brought.items() if place < before and found[id] is None]
        for id in changed_rows(sides[place + 1], sides[place], asked) if asked else ():
            found[id] = place
    return found


def _pieces(
    added: Sequence[Token], sides: Sequence[Side], brought: dict[int, int]
) -> dict[int, tuple[str, ...]]:
    """By id what the token was for the parent of the version that brought it; absent where that is not here."""
    from registry.model_files.diff.tokenization import backend, pieces

    found: dict[int, tuple[str, ...]] = {}
    for place in sorted(set(brought.values())):
        if place + 1 >= len(sides):
            continue
        side = sides[place + 1]
        tokenizer = backend(side.files, side.layout.tokenizer)
        if tokenizer is not None:
            own = [token for token in added if brought[token.id] == place]
            found.update(
                zip(
                    (token.id for token in own),
                    pieces(tokenizer, [token.content for token in own]),
                    strict=True,
                )
            )
    return found


def _counts(
    side: Side, added: Sequence[Token], texts: str | os.PathLike[str] | Sequence[str]
) -> list[int | None]:
    from registry.model_files.diff.tokenization import backend, counts

    tokenizer = backend(side.files, side.layout.tokenizer)
    if tokenizer is None:
        raise RegistryError(
            f"{side.title} has no tokenizer.json, so its tokens cannot be counted in texts"
        )
    found = counts(
        tokenizer, lines_of(Path(texts)) if isinstance(texts, (str, os.PathLike)) else texts
    )
    return [found[token.id] for token in added]


def _warn_of_few(home: Home, added: Sequence[Token], counts: Sequence[int | None]) -> None:
    few = [
        f"{token.content!r} ({count})"
        for token, count in zip(added, counts, strict=True)
        if count is not None and count < FEW
    ]
    if few:
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        home.warn(
            f"{', '.join(few[:_NAMED])}{more} occur{'s' if len(few) == 1 else ''} fewer than {FEW} times in the texts; "
            "a word seen so seldom has not been learnt"
        )
