"""Unlike: in what a live model is built or set otherwise than what was loaded from its folder, the likeliest cause first.

Tensors that a folder holds are compared elsewhere. Here it is what no folder holds: classes and settings of modules, what was put in
their place by hand, hooks, buffers that are not saved, how strongly an adapter acts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from registry.model_files.checks.base import Problem
from registry.runtime.introspect import Live, own_modules
from registry.runtime.resize.verify_rows import bits_equal

from .value_diff import differing

_SILENT = frozenset(
    {
        "training",
        "p",
        "inplace",
        "gradient_checkpointing",
        "name_or_path",
        "is_parallelizable",
        "model_parallel",
        "main_input_name",
    }
)
"""Attributes of modules that say nothing of how a text is encoded."""
_IDLE = ("Dropout", "Identity")
_FEW = 4096
"""Numbers of a tensor that are compared one by one."""
_PLAIN = (bool, int, float, str, type(None))


def scaled_otherwise(live: Live, back: Live, adapter: str) -> Iterator[Problem]:
    """How strongly the layers of an adapter act, where that is not what their configuration says."""
    theirs = next(iter(back.adapters), None)
    loaded = dict(back.inner.named_modules())
    for name, module in live.inner.named_modules():
        mine, other = (
            _scaling(item, key) for item, key in ((module, adapter), (loaded.get(name), theirs))
        )
        if mine is not None and other is not None and mine != other:
            yield Problem(
                f"the adapter {adapter!r} is scaled by {mine} in {name}, but by {other} when it is "
                "loaded, as its configuration specifies (alpha / r)",
                "reset the scaling, or train with it",
            )


def ranked_otherwise(live: Live, adapter: str) -> str | None:
    """Where a LoRA has another rank than its configuration says, so that no loader makes room for its tensors."""
    from peft.utils.other import get_pattern_key

    config = (live.configs or {})[adapter]
    for name, module in live.inner.named_modules():
        ranks, patterns = getattr(module, "r", None), getattr(config, "rank_pattern", None) or {}
        said = patterns.get(get_pattern_key(patterns.keys(), name), getattr(config, "r", None))
        if isinstance(ranks, dict) and ranks.get(adapter, said) != said:
            return f"the adapter {adapter!r} has the rank {ranks[adapter]} in {name}, and its configuration says {said}"
    return None


def refilled(live: Live, back: Live) -> Iterator[Problem]:
    """Ids and the like, which no file holds and every load works out, where memory has others."""
    for name, mine, other in _pairs(live, back):
        if other is not None:
            yield from (
                problem
                for problem, tensor, loaded in _buffers(name, mine, other)
                if not tensor.is_floating_point() and tensor.shape == loaded.shape
            )
            before, after = (_tensors_of(module) for module in (mine, other))
            yield from (Problem(f"{name}.{difference}") for difference in differing(before, after))


def built_otherwise(live: Live, back: Live) -> Iterator[Problem]:
    """Modules of another class than the loaded model has, those apart that do nothing but in training."""
    for name, mine, other in _pairs(live, back):
        if other is None:
            kind = type(mine).__name__
            yield Problem(f"{name} is a {kind} in memory, but missing when it is loaded")
        elif _class(mine) != _class(other) and not type(mine).__name__.startswith(_IDLE):
            here, there = (type(item).__name__ for item in (mine, other))
            shown = (here, there) if here != there else (_class(mine), _class(other))
            yield Problem(f"{name} is a {shown[0]} in memory and a {shown[1]} when it is loaded")


def reasons(live: Live, back: Live) -> Iterator[Problem]:
    """Whatever may be why two models with the same tensors encode otherwise."""
    yield from built_otherwise(live, back)
    yield from _written_over(live, back)
    for name, mine, other in _pairs(live, back):
        if other is not None:
            yield from (problem for problem, _, _ in _buffers(name, mine, other))
            yield from _attributes(name, mine, other)
    yield from _hooks(live, back)
    if live.inner is not None and hasattr(live.inner, "config"):
        mine, other = live.inner.config.to_dict(), back.inner.config.to_dict()
        yield from (
            Problem(f"the configuration's {difference}")
            for difference in differing(_without_places(mine), _without_places(other))
        )


def _scaling(module: Any, adapter: str | None) -> float | None:
    found = getattr(module, "scaling", None)
    return found.get(adapter) if isinstance(found, dict) else None


def _pairs(live: Live, back: Live) -> Iterator[tuple[str, Any, Any]]:
    """(name, module in memory, the loaded one or None) of each module of the model, adapters apart."""
    yield "model", live.model, back.model
    for mine, other in zip(live.model.children(), back.model.children(), strict=False):
        kind = type(mine).__name__
        if mine is live.module:
            yield kind, mine, other
            theirs = own_modules(back.inner)
            yield from (
                (name or type(module).__name__, module, theirs.get(name))
                for name, module in own_modules(live.inner).items()
            )
        else:
            theirs = dict(other.named_modules())
            yield from (
                (f"{kind}.{name}" if name else kind, module, theirs.get(name))
                for name, module in mine.named_modules()
            )


def _written_over(live: Live, back: Live) -> Iterator[Problem]:
    """Methods that an object has of its own, in the place of its class's."""
    theirs = {
        (name, method)
        for name, module in back.model.named_modules()
        for method in _own_methods(module)
    }
    for name, module in live.model.named_modules():
        yield from (
            Problem(f"{name or 'model'}.{method} was replaced in memory, which no folder stores")
            for method in _own_methods(module)
            if (name, method) not in theirs
        )


def _own_methods(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not isinstance(value, type)
        and callable(getattr(type(module), name, None))
    ]


def _buffers(name: str, mine: Any, other: Any) -> Iterator[tuple[Problem, Any, Any]]:
    """Yield (problem, tensor in memory, loaded tensor) of each buffer that differs."""
    for key, tensor in mine._buffers.items():
        loaded = other._buffers.get(key)
        if (
            tensor is not None
            and loaded is not None
            and key in mine._non_persistent_buffers_set
            and not bits_equal(tensor.cpu(), loaded.cpu())
        ):
            what, hint = "other values when it is loaded", None
            if tensor.dtype != loaded.dtype:
                what = f"the dtype {loaded.dtype} and not {tensor.dtype} when it is loaded"
                hint = (
                    f"load the model with model_kwargs={{'dtype': {tensor.dtype}}}, "
                    "rather than cast it"
                )
            message = f"the buffer {name}.{key}, which is in no file, has {what}"
            yield Problem(message, hint), tensor, loaded


def _attributes(name: str, mine: Any, other: Any) -> Iterator[Problem]:
    before, after = (_attributes_of(module) for module in (mine, other))
    both = [key for key in before if key in after]
    yield from (
        Problem(f"{name}.{difference}")
        for difference in differing(
            {key: before[key] for key in both}, {key: after[key] for key in both}
        )
    )


def _attributes_of(module: Any) -> dict[str, Any]:
    found = {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and key not in _SILENT
    }
    plain = {key: value for key, value in found.items() if isinstance(value, _PLAIN)}
    functions = {
        key: getattr(value, "__qualname__", None) for key, value in found.items() if callable(value)
    }
    return plain | {key: value for key, value in functions.items() if value is not None}


def _hooks(live: Live, back: Live) -> Iterator[Problem]:
    theirs = {name: _hooks_of(module) for name, module in back.model.named_modules()}
    for name, module in live.model.named_modules():
        for hook in _hooks_of(module)[len(theirs.get(name, ())) :]:
            yield Problem(
                f"{name or 'model'} ({type(module).__name__}) has a hook in memory ({hook}), "
                "which no folder stores",
                "remove it before saving",
            )


def _tensors_of(module: Any) -> dict[str, list[Any]]:
    """What a module keeps of integers beside its parameters and buffers."""
    import torch

    return {
        key: value.tolist()
        for key, value in vars(module).items()
        if isinstance(value, torch.Tensor)
        and not value.is_floating_point()
        and value.numel() <= _FEW
    }


def _hooks_of(module: Any) -> list[str]:
    return [
        getattr(hook, "__qualname__", type(hook).__name__)
        for hooks in (module._forward_pre_hooks, module._forward_hooks)
        for hook in hooks.values()
    ]


def _without_places(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in settings.items()
        if not key.startswith("_") and key not in ("name_or_path", "transformers_version")
    }


def _class(module: Any) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"
