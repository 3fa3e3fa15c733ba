"""Order: by what lists are sorted, and what an expression like `eval_loss < 0.3` asks. Words alone, so that a glance can use them."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.errors import Invalid

from .version import Model, Version

OF_VERSIONS = ("number", "created", "size", "added", "parameters")
"""What versions can be sorted by beside metrics and notes."""
OF_MODELS = ("name", "updated", "versions")
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
"""What each operator of a comparison does with numbers, and with columns."""
_SHOWN = 8
_ASKED = re.compile(
    r"\s*([^\s<>=!]+)\s*(<=|>=|!=|==?|<|>)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*",
    re.ASCII | re.IGNORECASE,
)
_UNFINISHED = re.compile(
    r"\s*([a-z_][^\s<>=!]*)\s*(<=|>=|!=|==|<|>)\s*[^\s<>=!]*\s*|\s*(<=|>=|!=|==|<|>)\s*[+-]?[\d.]+\s*",
    re.ASCII | re.IGNORECASE,
)
_MALFORMED = re.compile(
    r"\s*[a-z_][^\s<>=!≤≥]*\s*([<>=!≤≥][<>=!≤≥\s]*?)\s*[+-]?\.?\d.*|\s*[+-]?\.?\d[\d.]*\s*[<>=!≤≥]+\s*[a-z_].*",
    re.IGNORECASE,
)
"""Nearly a comparison: an operator that is none, more behind the number, or the number first. A lone `=` or `!` may be part of a text."""


@dataclass(frozen=True)
class Asked:
    """A metric or note, an operator (< <= > >= = !=), and the number it is compared with."""

    key: str
    operator: str
    number: float

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {self.number:g}"


def parse_asked(text: str) -> Asked | None:
    """The comparison that a text is, e.g. `eval_dev_spearman_cosine >= 0.8`; None for any other text."""
    found = _ASKED.fullmatch(text)
    if found is None or not math.isfinite(number := float(found[3])):
        return None
    return Asked(found[1], "=" if found[2] == "==" else found[2], number)


def refuse_malformed(text: str) -> None:
    """Raises Invalid for a text that begins as a comparison and lacks its number, or its key, or is nearly one."""
    found = _UNFINISHED.fullmatch(text)
    if found is not None:
        lacking = "a number after" if found[1] else "the name of a metric or note before"
        raise Invalid(
            f"{text!r} lacks {lacking} {found[2] or found[3]!r}",
            hint="write a comparison like 'eval_loss < 0.3'",
        )
    found = _MALFORMED.fullmatch(text)
    if found is not None and found[1] not in ("=", "!"):
        raise Invalid(
            f"{text!r} is not a comparison",
            hint="write the name of a metric or note, one of "
            f"{' '.join(OPERATORS)}, and a number, like 'eval_loss < 0.3'",
        )


def near(name: str, names: Sequence[str]) -> str:
    """The end of a sentence that says a name is unknown: those like it, else what there are."""
    import difflib

    folded = {other.casefold(): other for other in names}
    like = [
        other for key, other in folded.items() if name.casefold() in key or key in name.casefold()
    ]
    like = like or [
        folded[key] for key in difflib.get_close_matches(name.casefold(), folded, n=_SHOWN)
    ]
    shown = ", ".join(like[:_SHOWN] or names[:_SHOWN]) + (
        ", …" if not like and len(names) > _SHOWN else ""
    )
    return f"; is it one of these: {shown}" if like else f"; there are: {shown}" if names else ""


def number_of(version: Version, key: str) -> float | None:
    """What a version has under a key: a metric, else a note that is a number; None where it has neither."""
    for text in (version.metrics.get(key), version.notes.get(key)):
        try:
            number = float(text) if text is not None else math.nan
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return None


def sort_versions(
    versions: Sequence[Version], key: str, *, ascending: bool = False
) -> tuple[Version, ...]:
    """The versions by a column, a metric or a note: the highest first, and those without it last.

    Raises Invalid, whose hint lists the keys, if no version has it.
    """
    columns = {
        "number": lambda item: item.number,
        "created": lambda item: item.entry,
        "size": lambda item: item.size,
        "added": lambda item: item.added,
        "parameters": lambda item: item.parameters,
    }
    found = [
        (columns[key](item) if key in columns else number_of(item, key), item) for item in versions
    ]
    if versions and all(number is None for number, _ in found):
        known = sorted(
            {
                name
                for item in versions
                for name in (*item.metrics, *item.notes)
                if number_of(item, name) is not None
            }
        )
        shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
        raise Invalid(
            f"no version of {versions[0].name} has a number called {key!r}",
            hint=f"use one of {', '.join(OF_VERSIONS)}{f', {shown}' if shown else ''}",
        )
    there = sorted(
        ((number, item) for number, item in found if number is not None),
        key=lambda pair: pair[0],
        reverse=not ascending,
    )
    return (*(item for _, item in there), *(item for number, item in found if number is None))


def sort_models(models: Sequence[Model], key: str, *, ascending: bool = False) -> tuple[Model, ...]:
    """The models by name, newest change or number of versions; names from A on, others with the highest first. Raises Invalid."""
    if key not in OF_MODELS:
        raise Invalid(
            f"models cannot be sorted by {key!r}",
            hint=f"use one of {', '.join(OF_MODELS)}, or name a model to sort its versions "
            "by a metric",
        )
    if key == "name":
        return tuple(sorted(models, key=lambda item: item.name, reverse=ascending))
    columns = {
        "updated": lambda item: item.updated_at or "",
        "versions": lambda item: item.versions,
    }
    return tuple(sorted(models, key=columns[key], reverse=not ascending))
