"""The line: each stage compared with the one it came from, both loaded here and now, text by text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from registry.core.version import Version
from registry.errors import RegistryError
from registry.operations.registration.measure import SWITCHED, not_its_base
from registry.results.check import FAILED, OK, UNMEASURED, Outcome

from .check_list import MERGED, RESIZED
from .model_checks import Models
from .stages import Stage


def line(
    models: Models,
    stage: Stage,
    version: Version,
    ancestors: Sequence[Version],
    texts: Sequence[str],
) -> Iterator[Outcome]:
    """The comparison that fits how a version came from its parent. Ancestors are nearest first; texts are the user's."""
    here = {item.digest: item for item in ancestors}
    parents = {
        parent.role: here[parent.digest] for parent in version.parents if parent.digest in here
    }
    try:
        if version.kind == "merged":
            yield from _merged(models, version, parents.get("adapter"), texts)
        elif version.kind == "adapter":
            yield from _switched_off(models, stage, version, parents.get("base"), texts)
        elif "resized-from" in parents:
            yield from _resized(models, stage, version, parents["resized-from"], texts)
        elif "finetuned-from" in parents:
            yield Outcome(
                RESIZED,
                "line",
                version.reference,
                UNMEASURED,
                parents["finetuned-from"].reference,
                message="its old rows or other weights were trained, so it encodes otherwise on purpose",
            )
    except RegistryError as error:
        check = {"merged": MERGED, "adapter": SWITCHED}.get(version.kind, RESIZED)
        yield Outcome(check, "line", version.reference, FAILED, message=error.with_hint())


def _resized(
    models: Models, stage: Stage, version: Version, parent: Version, texts: Sequence[str]
) -> Iterator[Outcome]:
    from registry.runtime.probes import few, ids_of, still
    from registry.runtime.vector_distance import columns

    child, old = models.of_version(version), models.of_version(parent)
    new = {token.id for token in stage.facts.vocabulary.added} - _ids_of(old)
    with still(child), still(old):
        for text in _all(texts):
            own, other = ids_of(child, text), ids_of(old, text)
            if set(own) & new:
                continue
            if own != other:
                yield Outcome(
                    RESIZED,
                    "line",
                    version.reference,
                    FAILED,
                    _named(text, parent),
                    few(other),
                    few(own),
                    message="a text without new tokens has other token ids than in the parent",
                )
            elif own:
                yield _bit_equal(
                    RESIZED,
                    version,
                    _named(text, parent),
                    columns(_encoding(child, text), _encoding(old, text)),
                    _encoding(old, text),
                )


def _switched_off(
    models: Models, stage: Stage, version: Version, base: Version | None, texts: Sequence[str]
) -> Iterator[Outcome]:
    from registry.runtime.adapter_effect import without_adapter
    from registry.runtime.probes import ids_of, still

    reason = _not_comparable(stage)
    if base is None or reason:
        yield Outcome(
            SWITCHED,
            "line",
            version.reference,
            UNMEASURED,
            base.reference if base else "",
            message=reason or "its base is not here",
        )
        return
    model, old = models.of_version(version), models.of_version(base)
    with still(model), still(old), without_adapter(model):
        for text in _all(texts):
            if ids_of(model, text):
                yield _bit_equal(
                    SWITCHED,
                    version,
                    _named(text, base),
                    _encoding(model, text),
                    _encoding(old, text),
                )


def _merged(
    models: Models, version: Version, adapter: Version | None, texts: Sequence[str]
) -> Iterator[Outcome]:
    from registry.runtime.probes import FAIL, dtype_of, ids_of, still
    from registry.runtime.vector_distance import difference, shown

    if adapter is None:
        yield Outcome(
            MERGED,
            "line",
            version.reference,
            UNMEASURED,
            message="the adapter it was merged from is not here",
        )
        return
    model, unmerged = models.of_version(version), models.of_version(adapter)
    tolerance = max(FAIL.get(dtype_of(one), FAIL["bfloat16"]) for one in (model, unmerged))
    with still(model), still(unmerged):
        for text in _all(texts):
            if not ids_of(model, text):
                continue
            one, other = _encoding(model, text), _encoding(unmerged, text)
            amount = difference(one, other)
            yield Outcome(
                MERGED,
                "line",
                version.reference,
                OK if amount <= tolerance else FAILED,
                _named(text, adapter),
                shown(other),
                shown(one),
                amount,
                tolerance,
            )


def _bit_equal(check: str, version: Version, subject: str, one: Any, other: Any) -> Outcome:
    from registry.runtime.vector_distance import bit_equal, difference, shown

    return Outcome(
        check,
        "line",
        version.reference,
        OK if bit_equal(one, other) else FAILED,
        subject,
        shown(other),
        shown(one),
        difference(one, other),
        0.0,
    )


def _encoding(model: Any, text: str) -> Any:
    from registry.runtime.probes import encoding

    return encoding(model, text)


def _ids_of(model: Any) -> set[int]:
    """The ids that a model's tokenizer has."""
    return set(model.tokenizer.get_vocab().values())


def _not_comparable(stage: Stage) -> str | None:
    """Why a model with its adapter switched off need not be its base; None where it must be."""
    if stage.parent is None:
        return "its base is not here"
    if SWITCHED in stage.forced:
        return f"what stands around the transformer is its own ({SWITCHED} was forced)"
    return not_its_base(stage.files, stage.facts, stage.parent.facts, stage.forced)


def _all(texts: Sequence[str]) -> tuple[str, ...]:
    from registry.runtime.probes import TEXTS

    return tuple(dict.fromkeys([*TEXTS, *texts]))


def _named(text: str, other: Version) -> str:
    shown = text if len(text) <= 40 else f"{text[:32]}… ({len(text)} characters)"
    return f"{shown} (beside {other.reference})"
