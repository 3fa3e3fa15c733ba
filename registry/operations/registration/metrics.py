"""Metrics: numbers that evaluators found, as they are kept with a version. From a mapping or a file.

A file is JSON (an object, nested ones with their keys joined by `_`; of a trainer_state.json the last evaluation), or the CSV that
evaluators of sentence-transformers append a line to; then the last line counts.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from registry.core.digest import real
from registry.core.reference import path_of
from registry.errors import Invalid
from registry.operations.shared.input_file import input_text

LIMIT = 1000
"""Metrics of one version; nobody reads more, and each is a row of the catalog."""
KEY_LIMIT = 200


def metrics_of(
    given: os.PathLike[str] | str | Mapping[str, float | str] | None,
) -> dict[str, str] | None:
    """Each metric with its number as text; None where none is given. Raises Invalid for what is no finite number."""
    if given is None:
        return None
    found = dict(given) if isinstance(given, Mapping) else _read(path_of(given))
    if not found:
        raise Invalid("no metrics are given", hint="give a name and a number for each metric")
    if len(found) > LIMIT:
        raise Invalid(
            f"{len(found)} metrics are too many for one version (at most {LIMIT})",
            hint=f"give the {LIMIT} that matter",
        )
    return {_key(key): _text(key, value) for key, value in sorted(found.items())}


def _key(key: object) -> str:
    if (
        not isinstance(key, str)
        or not key
        or len(key) > KEY_LIMIT
        or not key.isprintable()
        or any(sign in key for sign in "<>=! ")
    ):
        raise Invalid(
            f"{key!r:.80} cannot be the name of a metric",
            hint="use a word without blanks or < > = !, e.g. eval_dev_spearman_cosine",
        )
    return key


def _text(key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        value = str(value)  # numbers of numpy and torch print as numbers
    try:
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Invalid(f"the metric {key} is {value!r:.80}, which is no finite number")
    return str(value) if isinstance(value, int) else real(number)


def _read(path: Path) -> dict[str, float | str]:
    text = input_text(path, "metrics file")
    if path.suffix.lower() == ".csv":
        try:
            rows = list(csv.DictReader(text.splitlines()))
        except csv.Error as error:
            raise Invalid(f"the metrics {str(path)!r} are not CSV: {error}") from None
        return {
            key: value
            for key, value in (rows[-1] if rows else {}).items()
            if key and _is_number(value)
        }
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"the metrics {str(path)!r} are not JSON: {error}",
            hint="if it is a CSV file, give it a name that ends in .csv",
        ) from None
    if isinstance(value, dict) and isinstance(value.get("log_history"), list):
        value = next(
            (
                item
                for item in reversed(value["log_history"])
                if isinstance(item, dict) and any(key.startswith("eval_") for key in item)
            ),
            {},
        )
    if not isinstance(value, dict):
        raise Invalid(
            f"the metrics {str(path)!r} are not a JSON object",
            hint='write {"eval_dev_spearman_cosine": 0.86}',
        )
    try:
        return dict(_flat(value, ""))
    except RecursionError:
        raise Invalid(f"the metrics {str(path)!r} are nested too deeply") from None


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float | str]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}_")
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            yield f"{prefix}{key}", item


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and math.isfinite(float(text))
    except ValueError:
        return False
