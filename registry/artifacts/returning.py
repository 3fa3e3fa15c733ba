"""Returning: a folder that was written from a live model, loaded as users do, is that model again, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import NotLoadable
from .live import Live, adapter_tensors, own_tensors, take_apart
from .loading import encode, load, quiet
from .probes import encoding
from .proof import bits_equal
from .switching import activate, fast_tokenizer, untouched

TEXTS = ("The cat sat on the mat.", "Two patients take three doses, 40 mg each.", "naïve CAFÉ, 你好 and [MASK] in [SEP] brackets")
_WORDS = 8
"""Added tokens that are encoded too."""
_SAID_OF_IT = ("truncation_side", "padding_side", "split_special_tokens", "model_input_names")
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "model", "added_tokens")
"""Of tokenizer.json."""
_CUT = ("truncate_dim", "max_active_dims")
"""What cuts encodings while they are made; save_pretrained writes it, and it is compared by itself."""


def prove(live: Live, folder: Path, adapter: str | None) -> Any:
    """Load the folder and compare it with the live model, on which that adapter acts alone, or none; the loaded model.

    A model on another device than the processor is compared by its tensors only. Raises NotLoadable naming what differs.
    """
    options = _options(live)
    back = load(folder, live.model_class, device="cpu", **options)
    problem = next(_differences(live, take_apart(back), adapter), None)
    if problem is None and live.model.device.type == "cpu":
        problem = _encodes_otherwise(live, back, adapter)
    if problem is not None:
        raise NotLoadable(f"the model cannot be kept exactly: {problem}")
    return back


def is_whole(live: Live, folder: Path) -> bool:
    """Whether all of a live model without adapters is what lies in the folder, what is around its transformer included."""
    back = load(folder, live.model_class, device="cpu", **_options(live))
    if live.model._get_model_config() != back._get_model_config() or next(_differences(live, take_apart(back), None), None) is not None:
        return False
    return live.model.device.type != "cpu" or _encodes_otherwise(live, back, None) is None


def _options(live: Live) -> dict[str, Any]:
    chosen = getattr(getattr(live.inner, "config", None), "_attn_implementation", None)
    return {"model_kwargs": {"attn_implementation": chosen}} if chosen else {}


def _differences(live: Live, back: Live, adapter: str | None) -> Iterator[str]:
    if live.inner is not None:
        yield from _tensors(own_tensors(live.inner), own_tensors(back.inner), "parameter")
        if adapter is not None:
            theirs = next(iter(back.adapters), None)
            yield from _tensors(adapter_tensors(live.inner, adapter), adapter_tensors(back.inner, theirs) if theirs else {}, "adapter's tensor")
    kinds, others = ([type(item).__name__ for item in model.children()] for model in (live.model, back.model))
    if kinds != others:
        yield f"the modules are {', '.join(kinds)} in memory and {', '.join(others)} when it is loaded"
    yield from _ways_to_ids(live.model, back.model)
    yield from (f"{name} is {value!r} in memory and {getattr(back.model, name, None)!r} when it is loaded"
                for name in _CUT if (value := getattr(live.model, name, None)) != getattr(back.model, name, None))
    for mine, other in zip(live.model.children(), back.model.children(), strict=False):
        name = type(mine).__name__
        if mine is not live.module:
            yield from _tensors(mine.state_dict(), other.state_dict(), f"{name}'s tensor")
        before, after = (module.get_config_dict() if hasattr(module, "get_config_dict") else None for module in (mine, other))
        if before != after:
            yield f"the settings of {name} are {before} in memory and {after} when it is loaded"


def _ways_to_ids(mine: Any, back: Any) -> Iterator[str]:
    """What of the tokenizer decides into which ids a text falls, and how many of them are read."""
    own, other = (_of_the_tokenizer(model) for model in (mine, back))
    yield from (f"the tokenizer's {name} is {value!r:.80} in memory and {other.get(name)!r:.80} when it is loaded"
                for name, value in own.items() if value != other.get(name))


def _of_the_tokenizer(model: Any) -> dict[str, Any]:
    tokenizer, backend = getattr(model[0], "tokenizer", None), fast_tokenizer(model)
    whole = json.loads(backend.to_str()) if backend is not None else {}
    said = {name: getattr(tokenizer, name, None) for name in _SAID_OF_IT}
    return {"max_seq_length": getattr(model, "max_seq_length", None), **said, **{name: whole.get(name) for name in _PARTS}}


def _tensors(mine: dict[str, Any], theirs: dict[str, Any], what: str) -> Iterator[str]:
    for name, tensor in mine.items():
        other = theirs.get(name)
        if other is None:
            yield f"the {what} {name!r} is lost when it is loaded"
        elif tensor.dtype != other.dtype:
            yield f"the {what} {name!r} is {_said(tensor)} in memory and {_said(other)} when it is loaded"
        elif not bits_equal(tensor.cpu(), other.cpu()):
            yield f"the {what} {name!r} has other numbers when it is loaded"


def _encodes_otherwise(live: Live, back: Any, adapter: str | None) -> str | None:
    """The first text that does not come out bit for bit."""
    import numpy as np
    inputs = _inputs(live)
    with quiet(), untouched(live.model):
        activate(live.model, [adapter] if adapter is not None else [])
        live.model.eval()
        for model, name in ((model, name) for model in (live.model, back) for name in _CUT):
            if getattr(model, name, None) is not None:
                setattr(model, name, None)
        back.eval()
        for item in inputs:
            now, then = next(encode(live.model, [item])), next(encode(back, [item]))
            if now != then and not np.isfinite(encoding(live.model, item)).all():
                return f"{item!r} encodes to NaN or infinity, so its encodings are not finite; its training diverged, so take an earlier checkpoint"
            if now != then:
                return f"{item!r} encodes otherwise when it is loaded"
    return None


def _inputs(live: Live) -> Sequence[Any]:
    tokenizer = getattr(live.model[0], "tokenizer", None)
    added = sorted(getattr(tokenizer, "get_added_vocab", dict)().items(), key=lambda item: item[1])
    words = [word for word, _ in added[-_WORDS:]]
    texts = [*TEXTS, *(f"{TEXTS[0]} {word}" for word in words)]
    return [[TEXTS[1], text] for text in texts] if live.model_class == "CrossEncoder" else texts


def _said(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")
