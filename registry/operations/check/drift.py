"""Against: how far a model has drifted from another version, and whether its metrics meet what is asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from registry.core.filters import OPERATORS, Asked, parse_asked
from registry.core.version import Version
from registry.errors import Invalid
from registry.results.check import FAILED, OK, Outcome

from .check_list import DRIFT, METRIC
from .model_checks import Models, text_of
from .stages import Stage

if TYPE_CHECKING:
    from registry.runtime.probes import Probe, Probes


def requirements(texts: Sequence[str]) -> tuple[Asked, ...]:
    """The texts as requirements. Raises Invalid."""
    found = []
    for text in texts:
        asked = parse_asked(text)
        if asked is None:
            raise Invalid(
                f"{text!r} is not a requirement",
                hint="write a metric, an operator and a number, as in 'eval_dev_spearman_cosine "
                ">= 0.85'",
            )
        found.append(asked)
    return tuple(found)


def required(stage: Stage, asked: Sequence[Asked]) -> Iterator[Outcome]:
    """Whether the metrics that were kept with a version meet what is asked; one that was not kept does not."""
    metrics = stage.metrics
    for item in asked:
        text = metrics.get(item.key)
        value = _real(text)
        if value is None:
            known = ", ".join(sorted(metrics)) or "none"
            said = (
                f"{stage.name} has no metric {item.key!r}; it has: {known}"
                if text is None
                else f"{text!r} is no number"
            )
            yield Outcome(
                METRIC,
                "metric",
                stage.name,
                FAILED,
                str(item),
                f"{item.operator} {item.number:g}",
                text or "",
                message=said,
            )
        else:
            yield Outcome(
                METRIC,
                "metric",
                stage.name,
                OK if OPERATORS[item.operator](value, item.number) else FAILED,
                str(item),
                f"{item.operator} {item.number:g}",
                text or "",
            )


def drift(
    models: Models, stage: Stage, other: Version, recorded: Sequence[Probes], most: float | None
) -> Iterator[Outcome]:
    """1 - cosine between what both make of each text; of a CrossEncoder how far its scores are apart.

    Encodings with a vector for each token are compared token by token, each with the nearest one of the other.
    """
    from registry.runtime.probes import still
    from registry.runtime.vector_distance import drift as apart, shown

    model, _ = models.of(stage)
    against = models.of_version(other)
    if type(model).__name__ != type(against).__name__:
        yield Outcome(
            DRIFT,
            "drift",
            stage.name,
            FAILED,
            other.reference,
            type(against).__name__,
            type(model).__name__,
            message="models of two classes have no encodings that could be compared",
        )
        return
    with still(model), still(against):
        for probe in _texts(model, recorded):
            text: Any = probe.text if len(probe.text) > 1 else probe.text[0]
            one, two = (_encoding(item, text, probe.prompt) for item in (model, against))
            if (
                type(model).__name__ != "SparseEncoder" and one.shape[-1:] != two.shape[-1:]
            ):  # only a vocabulary's dimensions can be told apart
                yield Outcome(
                    DRIFT,
                    "drift",
                    stage.name,
                    FAILED,
                    other.reference,
                    f"{two.shape[-1]} numbers",
                    f"{one.shape[-1]} numbers",
                    message="encodings of two dimensions cannot be compared",
                )
                return
            amount = apart(one, two)
            good = most is None or amount <= most
            yield Outcome(
                DRIFT,
                "drift",
                stage.name,
                OK if good else FAILED,
                f"{text_of(probe)} (beside {other.reference})",
                shown(two),
                shown(one),
                amount,
                most,
            )


def _texts(model: Any, recorded: Sequence[Probes]) -> tuple[Probe, ...]:
    """The encoded probes of both, each text once; the fixed texts where neither has any."""
    from registry.runtime import probes

    found: dict[tuple[tuple[str, ...], str | None], Probe] = {}
    for item in recorded:
        for probe in item.probes:
            if probe.shape is not None:
                found.setdefault((probe.text, probe.prompt), probe)
    return tuple(found.values()) or tuple(
        probe for probe in probes.record(model).probes if probe.shape is not None
    )


def _encoding(model: Any, text: Any, prompt: str | None) -> Any:
    from registry.runtime.probes import encoding

    return encoding(model, text, prompt or "")


def _real(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
