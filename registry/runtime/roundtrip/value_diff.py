"""Shortened: two values that differ, cut to the part that does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 60
_BEFORE = 20
"""Characters of a long value, and those of them before the first that differs."""


class _Nothing:
    def __repr__(self) -> str:
        return "absent"


_NOTHING = _Nothing()


def differing(mine: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Each value of a nested mapping that is not the same in both: `key.key is 1 in memory and 2 when it is loaded`."""
    for key in [*mine, *(key for key in other if key not in mine)]:
        yield from _differ(
            mine.get(key, _NOTHING), other.get(key, _NOTHING), f"{path}.{key}" if path else str(key)
        )


def pair(mine: Any, other: Any) -> tuple[str, str]:
    """Both values as they can be told apart in a message, of long ones the part around the first character that differs."""
    one, two = repr(mine), repr(other)
    if max(len(one), len(two)) <= _SHOWN:
        return one, two
    same = next(
        (index for index, (a, b) in enumerate(zip(one, two, strict=False)) if a != b),
        min(len(one), len(two)),
    )
    begin = max(0, same - _BEFORE)
    return _window(one, begin), _window(two, begin)


def _differ(mine: Any, other: Any, path: str) -> Iterator[str]:
    if mine == other:
        return  # told at once, a vocabulary being tens of thousands of values
    if (
        isinstance(mine, Mapping)
        and isinstance(other, Mapping)
        and mine.get("type") == other.get("type")
    ):
        yield from differing(mine, other, path)
    elif isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        for index, (one, two) in enumerate(zip(mine, other, strict=True)):
            yield from _differ(one, two, f"{path}[{index}]")
    else:
        one, two = pair(mine, other)
        yield f"{path} is {one} in memory and {two} when it is loaded"


def _window(text: str, begin: int) -> str:
    return (
        ("…" if begin else "")
        + text[begin : begin + _SHOWN]
        + ("…" if len(text) > begin + _SHOWN else "")
    )
