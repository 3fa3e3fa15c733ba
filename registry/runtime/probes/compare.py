"""Differing: whether two measurements of the same texts agree, as far as noise can explain."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from registry.core.digest import real
from registry.errors import ProbeMismatch

from .probe import Probe, Probes, dense
from .record import again, dtype_of, ids_again

WARN = 1e-6
"""Above this a difference is more than was ever seen between processors and batches; below FAIL it is told, not refused."""
FAIL = {"float32": 1e-5, "float64": 1e-5, "float16": 2e-3, "bfloat16": 1.5e-2}
_OTHER_DEVICE = 1e-2
"""Another device than the recording one multiplies otherwise; its noise was not measured, so this is wide."""


@dataclass(frozen=True)
class Difference:
    """One probe that comes out otherwise, by more than noise can explain."""

    text: str
    what: str
    amount: float
    tolerance: float

    def __str__(self) -> str:
        return f"{self.text!r:.60}: {self.what}"


def unmeasured(model: Any, recorded: Probes, kwargs: Mapping[str, Any]) -> str | None:
    """Why a comparison would say nothing of this model; None where it says something. kwargs are what the user loaded it with."""
    if type(model).__name__ != recorded.model_class:
        return f"the probes are those of a {recorded.model_class}, this is a {type(model).__name__}"
    if kwargs.get("backend", "torch") != "torch":
        return (
            f"backend {kwargs['backend']!r} computes otherwise than torch, in which it was recorded"
        )
    if "quantization_config" in (kwargs.get("model_kwargs") or {}):
        return "it was quantised while it was loaded"
    if dtype_of(model) != recorded.dtype:
        return f"it was recorded in {recorded.dtype} and is loaded in {dtype_of(model)}"
    if str(model.device.type) != recorded.device:
        return f"it was recorded on {recorded.device}, and no tolerance is known for {model.device.type}"
    if kwargs.get("truncate_dim") is not None or kwargs.get("max_active_dims") is not None:
        return "its encodings are cut while it is used"
    changed = next(
        (
            key
            for key in ("processor_kwargs", "tokenizer_kwargs", "config_kwargs")
            if kwargs.get(key)
        ),
        None,
    )
    return f"{changed} change what the model reads" if changed else None


def compare(model: Any, recorded: Probes) -> tuple[Difference, ...]:
    """What comes out otherwise now. Ids must be equal; encodings to 1e-5 of their length.

    A model that was loaded in a coarser dtype, or on another device, than the recorded one has a wider tolerance.
    """
    dtype = dtype_of(model)
    tolerance = max(
        FAIL.get(dtype, FAIL["bfloat16"]) if dtype != recorded.dtype else FAIL["float32"],
        _OTHER_DEVICE if str(model.device.type) != recorded.device else 0.0,
    )
    found = (measure(before, now, tolerance) for before, now in again(model, recorded))
    return tuple(item for item in found if item is not None and item.amount > tolerance)


def other_ids(
    model: Any, recorded: Probes, ids: Container[int]
) -> tuple[tuple[Difference, ...], frozenset[int]]:
    """Return the probes with other token ids now, and the `ids` that probes contain.

    Only probes that contain one of `ids` are compared.
    """
    differences, contained = [], set[int]()
    for before in recorded.probes:
        common = {id for id in before.ids if id in ids}
        if not common:
            continue
        contained |= common
        now = ids_again(model, before)
        if now != before.ids:
            text = " | ".join(before.text)
            changed = f"token ids were {few(before.ids)} and are {few(now)}"
            differences.append(Difference(text, changed, math.inf, 0.0))
    return tuple(differences), frozenset(contained)


def largest(before: Probes, now: Probes) -> Difference | None:
    """The probe of two recordings of the same texts that differs most, also where that is tolerated; None without any encoding.

    Tolerated is what the coarser dtype of the two explains. Raises ProbeMismatch where the recordings are of other texts.
    """
    if [(probe.text, probe.prompt) for probe in before.probes] != [
        (probe.text, probe.prompt) for probe in now.probes
    ]:
        raise ProbeMismatch("the two recordings are of different texts, so they cannot be compared")
    tolerance = max(FAIL.get(recorded.dtype, FAIL["bfloat16"]) for recorded in (before, now))
    found = [measure(*pair, tolerance) for pair in zip(before.probes, now.probes, strict=True)]
    return max(
        (item for item in found if item is not None), key=lambda item: item.amount, default=None
    )


def measure(before: Probe, now: Probe, tolerance: float) -> Difference | None:
    """How two measurements of one text differ, also where that is tolerated; None where equal ids are all that was recorded."""
    text = " | ".join(before.text)
    if before.ids != now.ids:
        return Difference(
            text, f"token ids were {few(before.ids)} and are {few(now.ids)}", math.inf, 0.0
        )
    if before.shape is None:
        return None
    if before.shape != now.shape:
        return Difference(
            text, f"the encoding had shape {before.shape} and has {now.shape}", math.inf, 0.0
        )
    import numpy as np

    old, new = dense(before), dense(now)
    if not np.isfinite(new).all():
        return Difference(
            text,
            "the encoding is not finite"
            if before.finite
            else "the encoding is not finite, nor was it then",
            math.inf,
            0.0,
        )
    length = float(np.sqrt((old * old).sum(axis=-1)).max(initial=0.0)) or 1.0
    # a score near 0 has no length worth dividing by
    amount = float(np.abs(old - new).max(initial=0.0)) / (
        max(length, 1.0) if len(before.text) > 1 else length
    )
    said = f"the encoding differs by {real(float(f'{amount:.2g}'))} (tolerated: {real(tolerance)})"
    return Difference(text, said, amount, tolerance)


def few(ids: tuple[int, ...]) -> str:
    """Ids for a message."""
    return str(list(ids)) if len(ids) <= 12 else f"{list(ids[:12])} and {len(ids) - 12} more"
