"""Texts: the lines of a user's file, or texts from Python, checked before anything slow begins."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from registry.core.reference import path_of
from registry.errors import FolderNotFound, Invalid, reason
from registry.util.regular_file import input_stream

Text = str | tuple[str, str]
Texts = str | os.PathLike[str] | Sequence[str | Sequence[str]]
BAD_SHOWN = 3
PAIRS = (
    'a CrossEncoder scores pairs: write ["question", "answer"] on a line, '
    "or both with a tab between"
)
"""Hint for lines that are not pairs."""


def read_texts(texts: Texts, *, pairs: bool = False) -> list[Text]:
    """The texts in order, each once; blank lines are left out. texts is a path, or the texts themselves.

    For pairs a line is a JSON array of two texts, or two texts with a tab between. Raises FolderNotFound, Invalid naming the bad lines.
    """
    given = list(lines_of(Path(texts))) if isinstance(texts, (str, os.PathLike)) else list(texts)
    found: dict[Text, None] = {}
    bad: list[str] = []
    for number, item in enumerate(given, 1):
        if isinstance(item, str) and not item.strip():
            continue
        made = _pair(item) if pairs else item if isinstance(item, str) else None
        if made is None:
            bad.append(f"line {number} ({item!r:.60})")
        else:
            found.setdefault(made)
    if bad:
        more = f" and {len(bad) - BAD_SHOWN} more" if len(bad) > BAD_SHOWN else ""
        raise Invalid(
            f"{', '.join(bad[:BAD_SHOWN])}{more} {'are' if len(bad) > 1 else 'is'} not a "
            f"{'pair of texts' if pairs else 'text'}",
            hint=PAIRS if pairs else None,
        )
    if not found:
        raise Invalid("there is no text to encode", hint="give a file with one text on a line")
    return list(found)


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, one by one, without their ends. Raises FolderNotFound, Invalid naming the line that is none."""
    try:
        with input_stream(path_of(path)) as stream:
            for number, line in enumerate(stream, 1):
                try:
                    yield (
                        line.removesuffix(b"\n")
                        .removesuffix(b"\r")
                        .decode("utf-8-sig" if number == 1 else "utf-8")
                    )
                except UnicodeDecodeError as error:
                    raise Invalid(
                        f"{str(path)!r} is not UTF-8: line {number} has the byte {line[error.start]:#04x}"
                    ) from None
    except OSError as error:
        raise FolderNotFound(f"cannot read the texts {str(path)!r}: {reason(error)}") from None


def _pair(item: str | Sequence[str]) -> Text | None:
    if isinstance(item, str):
        value: object = item.split("\t")
        if item.startswith("["):
            try:
                value = json.loads(item)
            except (ValueError, RecursionError):
                return None
    else:
        value = item
    if (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(part, str) for part in value)
    ):
        return (value[0], value[1])
    return None
