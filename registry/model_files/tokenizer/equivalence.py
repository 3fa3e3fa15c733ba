"""Decision whether two tokenizers give equal ids, and how a difference is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .pipeline import Pipeline

AS_LOADED = "as loaded"
"""Recorded where the library's backends decided, and not the files."""
_LIMIT = 60
_MANY = 4


@dataclass(frozen=True)
class Decision:
    """What the installed library found of two tokenizers."""

    is_equivalent: bool
    explain: Callable[[], str] = str
    """Returns what differs, with a text whose ids differ where one is found."""
    components: tuple[str, ...] = ()
    """Names of the components that differ; none where a tokenizer could not be
    built."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """The versions that decided."""

    @property
    def record(self) -> dict[str, Any]:
        """The decision as an entry records it."""
        return {"decided": AS_LOADED, "libraries": dict(self.libraries)}


def spoken(components: Sequence[str], candidate: Pipeline, parent: Pipeline) -> str:
    """Return the components that differ as one sentence, with values where they are
    short."""
    return differences(components, candidate.components, parent.components)


def differences(
    components: Sequence[str], candidate: Mapping[str, Any], parent: Mapping[str, Any]
) -> str:
    """Return the names of components that differ, short values with them."""
    parts = []
    for name in components:
        values = (candidate.get(name), parent.get(name))
        label = name.removeprefix("setting ")
        fields = list(_fields(*values))
        if fields:
            parts += [f"{label} {text}" for text in fields]
        elif all(len(repr(content)) <= _LIMIT and not _is_digest(content) for content in values):
            parts.append(f"{label} is {_short(candidate, name)} (there {_short(parent, name)})")
        else:
            parts.append(f"{label} differs")
    more = len(parts) - _MANY
    return "; ".join(parts[:_MANY]) + (f"; and {more} more" if more > 0 else "")


def _fields(candidate: Any, parent: Any) -> Iterator[str]:
    """Return the fields that differ in two lists of components of the same types."""
    if isinstance(candidate, Mapping) and isinstance(parent, Mapping):
        candidate, parent = [candidate], [parent]
    if not isinstance(candidate, list) or not isinstance(parent, list):
        return
    pairs = list(zip(candidate, parent, strict=False))
    if len(candidate) != len(parent) or not all(
        isinstance(part, Mapping) for pair in pairs for part in pair
    ):
        return
    if any(first.get("type") != second.get("type") for first, second in pairs):
        return
    for first, second in pairs:
        for key in sorted(first.keys() | second.keys()):
            values = (first.get(key), second.get(key))
            if values[0] == values[1]:
                continue
            if all(len(repr(content)) <= _LIMIT and not _is_digest(content) for content in values):
                yield f"{key} is {values[0]!r} (there {values[1]!r})"
            else:
                yield f"{key} differs"


def _is_digest(content: Any) -> bool:
    return isinstance(content, str) and content.startswith("sha256:")


def _short(side: Mapping[str, Any], name: str) -> str:
    return repr(side[name]) if name in side else "absent"
