"""Texts: the lines of a user's file, or texts from Python, checked before anything slow begins."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import FolderNotFound, Invalid

Text = str | tuple[str, str]
Texts = str | os.PathLike[str] | Sequence[str | Sequence[str]]
BAD_SHOWN = 3


def read_texts(texts: Texts, *, pairs: bool = False) -> list[Text]:
    """The texts in order, each once; blank lines are left out. texts is a path, or the texts themselves.

    For pairs a line is a JSON array of two texts, or two texts with a tab between. Raises FolderNotFound, Invalid naming the bad lines.
    """
    given = _lines(Path(texts)) if isinstance(texts, (str, os.PathLike)) else list(texts)
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
        form = 'no pair; a CrossEncoder scores pairs: ["question", "answer"] on a line, or both with a tab between' if pairs else "no text"
        raise Invalid(f"{', '.join(bad[:BAD_SHOWN])}{more} {'are' if len(bad) > 1 else 'is'} {form}")
    if not found:
        raise Invalid("there is no text to encode; give a file with one text on a line")
    return list(found)


def _lines(path: Path) -> list[str]:
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise FolderNotFound(f"cannot read the texts {str(path)!r}: {(error.strerror or str(error)).lower()}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b"\n") + 1
        raise Invalid(f"{str(path)!r} is not UTF-8: line {line} has the byte {content[error.start]:#04x}") from None
    return [line.removesuffix("\r") for line in text.split("\n")]


def _pair(item: str | Sequence[str]) -> Text | None:
    if isinstance(item, str):
        value: object = item.split("\t")
        if item.startswith("["):
            try:
                value = json.loads(item)
            except ValueError:
                return None
    else:
        value = item
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return (value[0], value[1])
    return None
