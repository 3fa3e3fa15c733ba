"""Written: what stands in JSON for a field of a dataclass, by the field's annotation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

_Holds = Callable[[Any], bool]


def written(kind: type[Any]) -> dict[str, _Holds]:
    """Name of a field to whether a JSON value stands for it; fields of other types than plain ones are left out."""
    return {
        item.name: _FORMS[item.type] for item in dataclasses.fields(kind) if item.type in _FORMS
    }


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return type(value) is int


def _or_none(holds: _Holds) -> _Holds:
    return lambda value: value is None or holds(value)


def _values(holds: _Holds) -> _Holds:
    return lambda value: isinstance(value, dict) and all(map(holds, value.values()))


_FORMS: dict[Any, _Holds] = {
    "str": _is_text,
    "str | None": _or_none(_is_text),
    "int": _is_number,
    "int | None": _or_none(_is_number),
    "bool": lambda value: isinstance(value, bool),
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "dict[str, Any]": lambda value: isinstance(value, dict),
    "dict[str, str]": _values(_is_text),
    "dict[str, str | None]": _values(_or_none(_is_text)),
}
