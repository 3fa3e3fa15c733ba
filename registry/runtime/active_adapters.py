"""Switching: which adapters of a live model are active, said so that every wrapper obeys.

The libraries' own calls leave modules half on or half off: enable_adapters passes over modules_to_save, set_adapter fails where a
wrapper does not know the name, and a module that is switched on becomes trainable. Here each wrapper is told by itself, and what
was frozen stays frozen.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

from registry.errors import Invalid, NotLoadable

from .introspect import take_apart

_UNWRAPPED = "_original_forward"
_FLAGS = ("_active_adapter", "_disable_adapters")


def wrappers(inner: Any) -> list[Any]:
    """Every module that an adapter has put around one of the model's own."""
    kinds = _wrapper_kinds()
    return [module for module in inner.modules() if isinstance(module, kinds)]


def activate(model: Any, adapters: Sequence[str]) -> None:
    """Let exactly these adapters act, none for the base alone. What is trainable stays as it was.

    Raises Invalid for a name that is not on the model, NotLoadable for two that cannot act at once; then nothing is switched.
    """
    live = take_apart(model)
    unknown = [name for name in adapters if name not in live.adapters]
    if unknown:
        raise Invalid(
            f"this model has no adapter {unknown[0]!r}{'' if live.adapters else ' (it has none)'}",
            hint=f"use one of {', '.join(live.adapters)}" if live.adapters else None,
        )
    if live.inner is None or not live.adapters:
        return
    layers = _layers(live.inner)
    chosen = [
        (wrapper, [name for name in adapters if name in _known(wrapper)])
        for wrapper in wrappers(live.inner)
    ]
    _refuse_two_at_once(chosen)
    trainable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    for wrapper, names in chosen:
        wrapper._disable_adapters = not names
        if names:
            wrapper.set_adapter(names, inference_mode=True)
        elif adapters and wrapper in layers:
            wrapper._active_adapter = list(
                adapters
            )  # it acts for none of them; active_adapters() of the library asks the first one it meets
    for parameter, before in trainable:
        if parameter.requires_grad != before:
            parameter.requires_grad_(before)


def active(model: Any) -> tuple[str, ...]:
    """The adapters that act now, in the order in which they were put on."""
    live = take_apart(model)
    acting = {
        name
        for wrapper in (wrappers(live.inner) if live.inner is not None else ())
        for name in _acts(wrapper, _known(wrapper))
    }
    return tuple(name for name in live.adapters if name in acting)


def acting(model: Any) -> tuple[str, ...]:
    """The adapters that act now, in the order in which they do.

    Raises NotLoadable where none does, or not the same everywhere: no load gives a model back like that.
    """
    live = take_apart(model)
    kinds = _wrapper_kinds()
    named = (
        [
            (name, wrapper, _known(wrapper))
            for name, wrapper in live.inner.named_modules()
            if isinstance(wrapper, kinds)
        ]
        if live.adapters
        else []
    )
    parts = [(name, _acts(wrapper, known), known) for name, wrapper, known in named if known]
    together = tuple(dict.fromkeys(adapter for _, acts, _ in parts for adapter in acts))
    if parts and not together:
        many = len(live.adapters) > 1
        raise NotLoadable(
            f"the adapter{'s' if many else ''} {_names(live.adapters)} {'are' if many else 'is'} "
            f"switched off in memory, but load returns {'each' if many else 'it'} switched on",
            hint=f"remove {'them' if many else 'it'} to save the base alone, "
            f"or switch {'one' if many else 'it'} on: "
            f"registry.activate(model, {live.adapters[0]!r})",
        )
    for name, acts, known in parts:
        if set(acts) != known & set(together):
            raise NotLoadable(
                "adapters are active in parts of the model only, which no load can restore: "
                f"{_names(acts) or 'none'} in {name}, elsewhere {_names(together)}",
                hint=f"to activate one everywhere: registry.activate(model, {together[0]!r})",
            )
    return together


def computes_in_mixed_precision(model: Any) -> bool:
    """Whether a training's mixed precision is wrapped around the model still. Source: accelerate 1.15, Accelerator.prepare_model."""
    return _UNWRAPPED in vars(model)


def _take_off_mixed_precision(model: Any) -> None:
    unwrapped = vars(model).pop(_UNWRAPPED, None)
    if unwrapped is not None:
        vars(model).pop("forward", None)
        if getattr(unwrapped, "__func__", None) is not type(model).forward:
            model.forward = unwrapped


@contextlib.contextmanager
def untouched(model: Any) -> Iterator[None]:
    """While this holds the model may be switched, run and read; afterwards it is as it was: modes, adapters, gradients, random numbers.

    A training's mixed precision is off meanwhile, so that the model computes as one that was loaded does.
    """
    import torch

    live = take_apart(model)
    flags = [
        (wrapper, {name: wrapper.__dict__.get(name) for name in _FLAGS})
        for wrapper in (wrappers(live.inner) if live.inner is not None else ())
    ]
    modes = [(module, module.training) for module in model.modules()]
    settings = [(module, dict(module.__dict__)) for module in (model, *model.children())]
    trainable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    backend = fast_tokenizer(model)
    lengths = (backend.truncation, backend.padding) if backend is not None else None
    drawn = random.getstate()
    with torch.random.fork_rng(devices=_devices(model)):
        try:
            _take_off_mixed_precision(model)
            yield
        finally:
            random.setstate(drawn)
            if backend is not None and lengths is not None:
                _restore_lengths(backend, *lengths)
            for wrapper, before in flags:
                for name, value in before.items():
                    wrapper.__dict__.pop(name, None) if value is None else wrapper.__dict__.update(
                        {name: value}
                    )
            for module, values in settings:
                module.__dict__.clear()
                module.__dict__.update(values)
            for module, training in modes:
                module.training = training
            for parameter, before in trainable:
                if parameter.requires_grad != before:
                    parameter.requires_grad_(before)


def _wrapper_kinds() -> tuple[type[Any], ...]:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return BaseTunerLayer, AuxiliaryTrainingWrapper


def _acts(wrapper: Any, known: set[str]) -> list[str]:
    """The adapters that a wrapper knows and lets act. What passes the question on has a switch that nothing reads."""
    told = getattr(wrapper, "token_adapter", wrapper)
    return [] if told.disable_adapters else [name for name in told.active_adapters if name in known]


def _names(adapters: Sequence[str]) -> str:
    return " and ".join(map(repr, adapters))


def _layers(inner: Any) -> set[Any]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {module for module in inner.modules() if isinstance(module, BaseTunerLayer)}


def _known(wrapper: Any) -> set[str]:
    """The adapters that a wrapper has something of."""
    return {
        name
        for part in wrapper.adapter_layer_names
        for name in getattr(_at(wrapper, part), "keys", tuple)()
    }


def _at(wrapper: Any, path: str) -> Any:
    for part in path.split("."):
        wrapper = getattr(wrapper, part, None)
    return wrapper


def _refuse_two_at_once(chosen: Sequence[tuple[Any, list[str]]]) -> None:
    from peft.utils.other import AuxiliaryTrainingWrapper

    for wrapper, names in chosen:
        if len(names) > 1 and isinstance(wrapper, AuxiliaryTrainingWrapper):
            raise NotLoadable(
                f"the adapters {' and '.join(map(repr, names))} both replace a complete module, "
                "or rows of one, so only one of them can be active",
                hint="activate one of them",
            )


def fast_tokenizer(model: Any) -> Any:
    """The fast tokenizer, which keeps the lengths of its last use; None where there is none."""
    tokenizer = getattr(model[0], "tokenizer", None)
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    return backend if hasattr(backend, "no_truncation") else None


def _restore_lengths(backend: Any, truncation: Any, padding: Any) -> None:
    backend.no_truncation() if truncation is None else backend.enable_truncation(**truncation)
    backend.no_padding() if padding is None else backend.enable_padding(**padding)


def _devices(model: Any) -> list[Any]:
    return sorted(
        {
            parameter.device.index or 0
            for parameter in model.parameters()
            if parameter.device.type == "cuda"
        }
    )
