"""Bits: whether a live model and the one that was loaded from its folder encode the same bits, and if not, why not.

With the same numbers in the same modules the last bits may still differ: by another way to compute attention, and by where and in
which order numbers lie in memory. Each is tried, and said with its size; anything else is a difference.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from registry.core.digest import real
from registry.errors import NotLoadable
from registry.model_files.checks.base import Problem
from registry.runtime.active_adapters import activate, untouched
from registry.runtime.introspect import Live, adapter_tensors, own_tensors
from registry.runtime.loading import encode, first_line, quiet
from registry.runtime.probes import encoding

from .explain import reasons

TEXTS = (
    "The cat sat on the mat.",
    "Two patients take three doses, 40 mg each.",
    "naïve CAFÉ, 你好 and [MASK] in [SEP] brackets",
)
CUT = ("truncate_dim", "max_active_dims")
"""What cuts encodings while they are made; save_pretrained writes it, and it is compared by itself."""
_WORDS = 8
"""Added tokens that are encoded too."""


def measured(
    live: Live, back: Live, adapters: Mapping[str, str]
) -> tuple[Problem | None, tuple[str, ...]]:
    """(why a text does not come out bit for bit, what explains last bits that differ).

    adapters are those that act on the loaded model, and are let act on the live one, by what each calls them: live name to loaded name.
    """
    with quiet(), untouched(live.model), _uncompiled():
        activate(live.model, list(adapters))
        for model, name in ((model, name) for model in (live.model, back.model) for name in CUT):
            model.eval()
            if getattr(model, name, None) is not None:
                setattr(model, name, None)
        inputs = _inputs(live)
        now = _encoded(live.model, inputs)
        item = _first_other(inputs, now, back.model)
        if item is None:
            return None, tuple(circumstances(live, back))
        bad = next((text for text in inputs if not _finite(live.model, text)), None)
        if bad is not None:
            message = f"{bad!r} encodes to NaN or infinity, so its encodings are not finite"
            hint = "use an earlier checkpoint"
            return Problem(f"{message} (its training diverged)", hint), ()
        if _first_other(inputs, now, live.model) is not None:
            message = f"{item!r} encodes differently each time, so encodings cannot be compared"
            return Problem(f"{message} (a part of the model draws random numbers)"), ()
        apart = _apart(live.model, back.model, inputs)
        tried: list[str] = []
        with contextlib.ExitStack() as undone:
            for circumstance in (
                _attention(live, back),
                _gradients(live, back, adapters),
                _places(live, back, adapters),
            ):
                said = undone.enter_context(circumstance)
                tried += [said] if said is not None else []
                if said is not None and _first_other(inputs, now, back.model) is None:
                    told = f"in memory it encodes up to {apart} otherwise than as it is loaded, with the same numbers: {', and '.join(tried)}"
                    return None, (told, *_compiled(live))
        by = f" (by {apart})" if apart != "0.0" else ""
        reason = _reason(live, back)
        message = f"{item!r} encodes differently when it is loaded{by}: {reason.message}"
        return Problem(message, reason.hint), ()


def circumstances(live: Live, back: Live) -> Iterator[str]:
    """What may move last bits, though none that was measured did."""
    yield from _compiled(live)
    mine, other = _ways(live, back)
    if mine != other:
        yield f"in memory {_by(mine, other)}; last bits of encodings may differ by that"


def _reason(live: Live, back: Live) -> Problem:
    unknown = "the cause was not found among tensors, classes, settings, buffers and hooks"
    return next(reasons(live, back), Problem(unknown))


def _inputs(live: Live) -> Sequence[Any]:
    tokenizer = getattr(live.model[0], "tokenizer", None)
    added = sorted(getattr(tokenizer, "get_added_vocab", dict)().items(), key=lambda item: item[1])
    words = [word for word, _ in added[-_WORDS:]]
    texts = [*TEXTS, *(f"{TEXTS[0]} {word}" for word in words)]
    return [[TEXTS[1], text] for text in texts] if live.model_class == "CrossEncoder" else texts


def _encoded(model: Any, inputs: Sequence[Any]) -> list[Any]:
    """Raises NotLoadable for a model that cannot encode."""
    try:
        return [next(encode(model, [item])) for item in inputs]
    except (
        Exception
    ) as error:  # the libraries raise whatever they like, and each means the same: it cannot encode
        raise NotLoadable(
            f"the model cannot encode as it is in memory: {type(error).__name__}: {first_line(error)}"
        ) from error


def _first_other(inputs: Sequence[Any], now: Sequence[Any], back: Any) -> Any | None:
    return next(
        (
            item
            for item, before in zip(inputs, now, strict=True)
            if next(encode(back, [item])) != before
        ),
        None,
    )


def _finite(model: Any, item: Any) -> bool:
    import numpy as np

    return bool(np.isfinite(encoding(model, item)).all())


def _apart(live: Any, back: Any, inputs: Sequence[Any]) -> str:
    """The largest difference of any number of any encoding."""
    import numpy as np

    largest = 0.0
    for item in inputs:
        mine, other = (
            np.asarray(encoding(model, item), dtype=np.float64) for model in (live, back)
        )
        if mine.shape != other.shape:
            return f"its shape, {list(mine.shape)} and not {list(other.shape)}"
        largest = max(largest, float(np.abs(mine - other).max(initial=0.0)))
    return real(float(f"{largest:.2g}"))


@contextlib.contextmanager
def _uncompiled() -> Iterator[None]:
    """While this holds compiled models run as they were written."""
    import torch

    stance = getattr(torch.compiler, "set_stance", None)
    with stance("force_eager") if stance is not None else contextlib.nullcontext():
        yield


def _compiled(live: Live) -> Iterator[str]:
    outer = live.module.model if live.module is not None else None
    if hasattr(outer, "_orig_mod") or any(
        module._compiled_call_impl is not None for module in live.model.modules()
    ):
        yield "it is compiled in memory, and was compared as it is without that; what load gives is not compiled, so last bits may differ"


def _ways(live: Live, back: Live) -> tuple[str | None, str | None]:
    """How each of the two computes attention."""
    mine, other = (
        getattr(getattr(part.inner, "config", None), "_attn_implementation", None)
        for part in (live, back)
    )
    return mine, other


def _by(mine: str | None, other: str | None) -> str:
    return (
        f"it computes attention by {mine!r}, as loaded by {other!r}; to load it so too: "
        f"registry.load(…, model_kwargs={{'attn_implementation': {mine!r}}})"
    )


@contextlib.contextmanager
def _attention(live: Live, back: Live) -> Iterator[str | None]:
    """While this holds the loaded model computes attention as the live one does; None where it did before."""
    mine, other = _ways(live, back)
    if mine is None or mine == other:
        yield None
        return
    back.inner.set_attn_implementation(mine)
    try:
        yield _by(mine, other)
    finally:
        back.inner.set_attn_implementation(other)


@contextlib.contextmanager
def _gradients(live: Live, back: Live, adapters: Mapping[str, str]) -> Iterator[str | None]:
    """Let the loaded model require the gradients of the live one; None if it does.

    A product with a matrix that requires a gradient is computed in another order if the
    other factor is not contiguous (Longformer, LED, Mamba), also without autograd.
    Source: PyTorch 2.13, aten/src/ATen/native/LinearAlgebra.cpp, `should_fold`.
    """
    changed = [
        loaded
        for parameter, loaded in _parameters(live, back, adapters)
        if parameter.requires_grad != loaded.requires_grad
    ]
    if not changed:
        yield None
        return
    for loaded in changed:
        loaded.requires_grad_(not loaded.requires_grad)
    try:
        yield (
            "parameters that require gradients in memory do not after loading, "
            "and torch multiplies with them in another order"
        )
    finally:
        for loaded in changed:
            loaded.requires_grad_(not loaded.requires_grad)


@contextlib.contextmanager
def _places(live: Live, back: Live, adapters: Mapping[str, str]) -> Iterator[str]:
    """While this holds the loaded model has the live one's tensors, at their places, in the place of its own, which are equal."""
    pairs = list(_parameters(live, back, adapters))
    kept = [other.data for _, other in pairs]
    for mine, other in pairs:
        other.data = mine.data
    try:
        yield "they lie otherwise in memory than when they are read from a file, and torch adds up in another order by that"
    finally:
        for (_, other), data in zip(pairs, kept, strict=True):
            other.data = data


def _parameters(live: Live, back: Live, adapters: Mapping[str, str]) -> Iterator[tuple[Any, Any]]:
    """Parameters of the live model with their counterparts."""
    if live.inner is not None:
        mine, other = own_tensors(live.inner, views=False), own_tensors(back.inner, views=False)
        yield from ((mine[key], tensor) for key, tensor in other.items())
        for name, loaded in adapters.items():
            mine, other = (
                adapter_tensors(live.inner, name, views=False),
                adapter_tensors(back.inner, loaded, views=False),
            )
            yield from ((mine[key], tensor) for key, tensor in other.items())
    for one, two in zip(live.model.children(), back.model.children(), strict=True):
        if one is not live.module:
            yield from zip(one.parameters(), two.parameters(), strict=True)
