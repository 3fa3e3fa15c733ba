"""What a trainer says of its training, as values that an entry may hold: no path of this machine, no secret, no object."""

from __future__ import annotations

import dataclasses
import enum
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from registry.core.digest import real

_PRIVATE = (
    "dir",
    "token",
    "hub",
    "run_name",
    "resume",
    "deepspeed",
    "fsdp",
    "report_to",
    "local_rank",
    "ddp",
    "logging",
    "config",
)
"""Parts of the names of arguments that hold places, secrets, or what is of this machine."""
_TIMING = ("_runtime", "_per_second", "_compilation_time")
_TEXT_LIMIT = 200
"""Of a text, and of the name of a metric."""


def metrics(found: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among what an evaluation found, without timings, under names that an entry may hold: `eval_dev_set` for `eval_dev set`."""
    return {
        _fit(key): float(value)
        for key, value in found.items()
        if key.startswith("eval_")
        and not key.endswith(_TIMING)
        and _is_number(value)
        and math.isfinite(float(value))
    }


def logged(history: Iterable[Mapping[str, Any]], step: int) -> dict[str, float]:
    """The last evaluation up to a step, from the trainer's own log; empty where there was none."""
    found = [
        entry
        for entry in history
        if entry.get("step", 0) <= step and any(key.startswith("eval_") for key in entry)
    ]
    return metrics(found[-1] if found else {})


def arguments(args: Any) -> dict[str, Any]:
    """The training arguments that are not the defaults, and the seed. Real numbers as text."""
    found = {}
    for field in dataclasses.fields(args):
        value, default = getattr(args, field.name, None), field.default
        if field.name == "seed" or (
            value != default and not any(part in field.name for part in _PRIVATE)
        ):
            plain = _plain(value)
            if plain is not None:
                found[field.name] = plain
    return found


def datasets(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Fingerprints of the data sets that a trainer hands its callbacks, where they have one: {"train": [...], "eval": [...]}."""
    found = {
        kind: list(_fingerprints(getattr(given.get(f"{kind}_dataloader"), "dataset", None)))
        for kind in ("train", "eval")
    }
    return {kind: prints for kind, prints in found.items() if prints}


def run() -> str | None:
    """The id of the run that W&B or MLflow records now; only where a training has imported them."""
    wandb, mlflow = sys.modules.get("wandb"), sys.modules.get("mlflow")
    if getattr(wandb, "run", None) is not None:
        return str(wandb.run.id)  # type: ignore[union-attr]
    active = mlflow.active_run() if mlflow is not None and hasattr(mlflow, "active_run") else None
    return str(active.info.run_id) if active is not None else None


def _fingerprints(data: Any) -> Iterator[str]:
    if isinstance(getattr(data, "_fingerprint", None), str):
        yield data._fingerprint
    for part in getattr(data, "datasets", None) or ():
        yield from _fingerprints(part)


def _fit(key: str) -> str:
    return "".join("_" if sign in "<>=! " or not sign.isprintable() else sign for sign in key)[
        :_TEXT_LIMIT
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool | int) or (
        isinstance(value, str)
        and value
        and len(value) <= _TEXT_LIMIT
        and not set(value) & set("/\\~")
    ):
        return value
    return real(value) if isinstance(value, float) and math.isfinite(value) else None


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return not isinstance(value, (bool, str))
