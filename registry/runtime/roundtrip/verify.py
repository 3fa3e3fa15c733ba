"""Returning: whether what lies in a folder, loaded as users do, is the live model again, bit for bit, or the base that its adapters stand on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.core.facts import Facts
from registry.errors import NotLoadable
from registry.model_files.checks.base import Problem
from registry.model_files.tokenizer.canonical_form import canonical_backend
from registry.runtime.active_adapters import fast_tokenizer
from registry.runtime.introspect import (
    Live,
    adapter_tensors,
    own_tensors,
    take_apart,
    trained_biases,
)
from registry.runtime.loading import first_line, load, rows
from registry.runtime.resize.verify_rows import bits_equal

from .encodings import CUT, circumstances, measured
from .explain import built_otherwise, ranked_otherwise, refilled, scaled_otherwise
from .value_diff import differing

_SAID_OF_IT = ("truncation_side", "padding_side", "split_special_tokens", "model_input_names")
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "model", "added_tokens")
"""Of tokenizer.json."""
_VOLATILE = (
    "_name_or_path",
    "name_or_path",
    "transformers_version",
    "dtype",
    "torch_dtype",
    "architectures",
    "use_cache",
    "_attn_implementation",
)
"""Of config.json: what another save of the same model may write otherwise."""


@dataclass(frozen=True)
class Returned:
    """A live model as it comes back from its folder."""

    model: Any
    remarks: tuple[str, ...]
    """In what it encodes otherwise although all that a folder holds is the same, a
    sentence each."""


def prove(live: Live, folder: Path, adapter: str | None) -> Returned:
    """Load the folder and compare it with the live model, on which that adapter acts
    alone, or none.

    A model on another device than the processor is compared by its tensors, classes and
    settings only. Raises NotLoadable naming what
    differs.
    """
    try:
        back = load(folder, live.model_class, device="cpu")
    except NotLoadable as error:
        said = (ranked_otherwise(live, adapter) if adapter is not None else None) or first_line(
            error.__cause__ or error
        )
        raise NotLoadable(
            f"the model cannot be kept exactly: the saved model cannot be loaded: {said}",
            hint=error.hint,
        ) from error
    problem, remarks = _compared(live, back, adapter)
    if problem is not None:
        message = f"the model cannot be kept exactly: {problem.message}"
        raise NotLoadable(message, hint=problem.hint)
    return Returned(back, remarks)


def stands_on(live: Live, folder: Path, facts: Facts) -> bool:
    """Whether transformer and tokenizer of a live model, adapters apart, are bit for
    bit those of the folder; facts are the folder's.

    Biases that an adapter trains in place are the adapter's, and no difference.
    """
    return _same_base(live, folder, facts) is not None


def whole(live: Live, folder: Path, facts: Facts) -> Returned | None:
    """What lies in the folder, where all of a live model without adapters is that, what
    is around its transformer included; else None."""
    back = _same_base(live, folder, facts)
    if back is None or live.model._get_model_config() != back._get_model_config():
        return None
    problem, remarks = _compared(live, back, None)
    return Returned(back, remarks) if problem is None else None


def together(live: Live, back: Any, adapters: Mapping[str, str]) -> str | None:
    """What differs where those adapters act on both, on the loaded model under the
    names that they map to; None where nothing does."""
    if live.model.device.type != "cpu":
        return None
    problem, _ = measured(live, take_apart(back), adapters)
    return problem.with_hint() if problem is not None else None


def _same_base(live: Live, folder: Path, facts: Facts) -> Any | None:
    """What lies in the folder, where a live model stands on it; else None."""
    if (found := rows(live.model)) is not None and facts.rows is not None and found != facts.rows:
        return None  # the commonest case, told without loading anything
    back = load(folder, facts.model_class, device="cpu")
    parts = take_apart(back)
    if type(parts.inner) is not type(live.inner) or _settings(parts.inner) != _settings(live.inner):
        return None
    if _canonical(live.model) != _canonical(back):
        return None
    apart = {
        name.replace(".base_layer.", ".")
        for adapter in live.adapters
        for name in trained_biases(live, adapter)
    }
    mine, theirs = (
        {name: tensor for name, tensor in own_tensors(part.inner).items() if name not in apart}
        for part in (live, parts)
    )
    return back if next(_tensors(mine, theirs, "parameter"), None) is None else None


def _compared(live: Live, back: Any, adapter: str | None) -> tuple[Problem | None, tuple[str, ...]]:
    """(the first thing that is not kept, what else there is to say)."""
    parts = take_apart(back)
    problem = next(_differences(live, parts, adapter), None)
    if problem is None and live.model.device.type != "cpu":
        problem = next(built_otherwise(live, parts), None)
    if problem is not None or live.model.device.type != "cpu":
        return problem, tuple(circumstances(live, parts))
    return measured(live, parts, {adapter: parts.adapters[0]} if adapter is not None else {})


def _differences(live: Live, back: Live, adapter: str | None) -> Iterator[Problem]:
    if live.inner is not None:
        yield from _tensors(own_tensors(live.inner), own_tensors(back.inner), "parameter")
        if adapter is not None:
            theirs = next(iter(back.adapters), None)
            yield from _tensors(
                adapter_tensors(live.inner, adapter),
                adapter_tensors(back.inner, theirs) if theirs else {},
                "adapter's tensor",
            )
            yield from scaled_otherwise(live, back, adapter)
        yield from refilled(live, back)
    kinds, others = (
        [type(item).__name__ for item in model.children()] for model in (live.model, back.model)
    )
    if kinds != others:
        yield Problem(
            f"the modules are {', '.join(kinds)} in memory "
            f"and {', '.join(others)} when it is loaded"
        )
    yield from _ways_to_ids(live.model, back.model)
    settings = differing(*_said_of_the_model(live.model, back.model))
    yield from (Problem(f"the model's {difference}") for difference in settings)
    for name in CUT:
        value, loaded = (getattr(model, name, None) for model in (live.model, back.model))
        if value != loaded:
            yield Problem(f"{name} is {value!r} in memory and {loaded!r} when it is loaded")
    for mine, other in zip(live.model.children(), back.model.children(), strict=False):
        name = type(mine).__name__
        if mine is not live.module:
            yield from _tensors(mine.state_dict(), other.state_dict(), f"{name}'s tensor")
        before, after = (
            module.get_config_dict() if hasattr(module, "get_config_dict") else None
            for module in (mine, other)
        )
        if before != after:
            yield from (
                Problem(f"the setting {difference}")
                for difference in differing({name: before}, {name: after})
            )


def _ways_to_ids(mine: Any, back: Any) -> Iterator[Problem]:
    """What of the tokenizer decides into which ids a text falls, and how many of them
    are read."""
    own, other = (_of_the_tokenizer(model) for model in (mine, back))
    if _canonical(mine) == _canonical(back):  # the same tokenizer in another spelling
        for settings in (own, other):
            for name in _PARTS:
                settings.pop(name, None)
    yield from (Problem(f"the tokenizer's {difference}") for difference in differing(own, other))


def _said_of_the_model(mine: Any, back: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each says of itself as a whole, prompts first; what was never set is worked
    out anew."""
    one, two = (model._get_model_config() for model in (mine, back))
    keys = [
        key
        for key, value in one.items()
        if value is not None and key not in ("__version__", "prompts", *CUT)
    ]
    prompts, others = (
        {name: text for name, text in (said.get("prompts") or {}).items() if text}
        for said in (one, two)
    )
    return {"prompts": prompts, **{key: one[key] for key in keys}}, {
        "prompts": others,
        **{key: two.get(key) for key in keys},
    }


def _of_the_tokenizer(model: Any) -> dict[str, Any]:
    said, whole = (
        {name: getattr(getattr(model[0], "tokenizer", None), name, None) for name in _SAID_OF_IT},
        _tokenizer_json(model),
    )
    return {
        "max_seq_length": getattr(model, "max_seq_length", None),
        **said,
        **{name: whole.get(name) for name in _PARTS},
    }


def _canonical(model: Any) -> dict[str, Any]:
    """Return the canonical form of the tokenizer in memory; empty without a fast
    one."""
    tokenizer = _tokenizer_json(model)
    return canonical_backend(tokenizer) if tokenizer else {}


def _tokenizer_json(model: Any) -> dict[str, Any]:
    """tokenizer.json of what is in memory; empty where there is no fast tokenizer."""
    backend = fast_tokenizer(model)
    return dict(json.loads(backend.to_str())) if backend is not None else {}


def _settings(inner: Any) -> Any:
    return (
        None
        if inner is None
        else {key: value for key, value in inner.config.to_dict().items() if key not in _VOLATILE}
    )


def _tensors(mine: dict[str, Any], theirs: dict[str, Any], what: str) -> Iterator[Problem]:
    for name, tensor in mine.items():
        other = theirs.get(name)
        if other is None:
            yield Problem(f"the {what} {name!r} is lost when it is loaded")
        elif tensor.dtype != other.dtype:
            yield Problem(
                f"the {what} {name!r} is {_said(tensor)} in memory "
                f"and {_said(other)} when it is loaded"
            )
        elif not bits_equal(tensor.cpu(), other.cpu()):
            yield Problem(f"the {what} {name!r} has other values when it is loaded")
    yield from (
        Problem(f"the {what} {name!r} is not in memory, but initialized when it is loaded")
        for name in theirs
        if name not in mine
    )


def _said(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")
