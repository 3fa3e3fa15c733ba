"""Validation of the character map of a Precompiled normalizer.

The tokenizers library reads it without bounds checks: a damaged map ends in a panic at
load, in a panic at some text, or in an allocation of the size that it states. Source:
spm_precompiled, lib.rs: four bytes with the size of a double array, the array, and the
replacements, each ended by a zero byte.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

_IS_VALUE, _HAS_LEAF = 1 << 31, 1 << 8


def damaged_charsmap(normalizer: object) -> str | None:
    """Return what is wrong with the character maps in a normalizer's JSON, or None."""
    for encoded in _charsmaps(normalizer):
        if not isinstance(encoded, str) or not encoded:
            return f"it is {encoded!r}"
        try:
            content = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            return "it is not base64"
        problem = _problem(content)
        if problem is not None:
            return problem
    return None


def _charsmaps(normalizer: object) -> Iterator[Any]:
    if not isinstance(normalizer, Mapping):
        return
    if normalizer.get("type") == "Precompiled":
        yield normalizer.get("precompiled_charsmap")
    parts = normalizer.get("normalizers")
    for part in parts if isinstance(parts, list) else ():
        yield from _charsmaps(part)


def _problem(content: bytes) -> str | None:
    import numpy as np

    size = int.from_bytes(content[:4], "little")
    if len(content) < 4 or size % 4 or not 4 <= size <= len(content) - 4:
        return f"it states an array of {size} bytes (it has {len(content)} bytes)"
    units = np.frombuffer(content, "<u4", size // 4, 4).astype(np.int64)
    replacements = np.frombuffer(content, np.uint8, offset=4 + size)
    try:
        content[4 + size :].decode("utf-8")
    except UnicodeDecodeError:
        return "its replacements are not UTF-8"
    indexes = np.flatnonzero(units < _IS_VALUE)
    nodes = units[indexes]
    children = indexes ^ (nodes >> 10 << ((nodes & (1 << 9)) >> 6))
    if ((children | 0xFF) >= len(units)).any():
        return "an index of its array is out of range"
    values = units[children[(nodes & _HAS_LEAF) != 0]] & (_IS_VALUE - 1)
    if (values >= len(replacements)).any():
        return "the index of a replacement is out of range"
    if ((replacements[values] & 0xC0) == 0x80).any():
        return "the index of a replacement is inside a character"
    return None
