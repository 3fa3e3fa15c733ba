"""Live: what a model in memory is made of: the transformer's own tensors, and each adapter's, by the names that files give them.

Nothing of the model is changed or copied: what is given out are views of its tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.core.text import counted
from registry.errors import ForeignCode, Invalid, NotLoadable
from registry.model_files.adapter.config import LEARN_A_PROMPT, LEAVES_THE_BASE, SHARE_TENSORS

from .loading import CLASSES
from .verify_loaded import input_embeddings

_OURS = "sentence_transformers."
_OF_ANOTHER_PART = re.compile(r"\.(lora_[AB]|modules_to_save|original_module)\.")
"""In the name of a bias that is kept with a part of the adapter."""
_LOADABLE_TYPES = "train an adapter of type LORA, IA3 or TRAINABLE_TOKENS"
_WRAPS = ("_orig_mod", "module")
"""Where what is put around a whole model keeps it: torch.compile, data parallel."""


@dataclass(frozen=True)
class Live:
    """A model in memory, taken apart; `module` is its Transformer, None for a model without one."""

    model: Any
    module: Any = None
    inner: Any = None
    """The transformers model, whatever peft has put around it."""
    configs: Mapping[str, Any] | None = None
    """Each adapter's configuration by name; the live ones, not to be changed."""

    @property
    def model_class(self) -> str:
        """Which of the four classes it is."""
        return type(self.model).__name__

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters, in the order in which they were put on."""
        return tuple(self.configs or ())


def take_apart(model: Any) -> Live:
    """The parts of a live model. Raises Invalid for an object of another class."""
    if type(model).__name__ not in CLASSES:
        raise Invalid(
            f"a {type(model).__name__} cannot be registered from memory",
            hint=f"pass {_inside(model)}",
        )
    from peft import PeftMixedModel, PeftModel
    from sentence_transformers.base.modules import Transformer

    module = next((item for item in model.modules() if isinstance(item, Transformer)), None)
    if module is None:
        return Live(model)
    outer = getattr(module.model, "_orig_mod", module.model)  # under torch.compile
    inner = (
        outer.get_base_model()
        if isinstance(outer, PeftModel)
        else outer.base_model.model
        if isinstance(outer, PeftMixedModel)
        else outer
    )
    inner = getattr(inner, "_orig_mod", inner)
    configs = dict(getattr(outer, "peft_config", None) or {})
    if configs and next(_wrappers(inner), None) is None:
        # its layers were merged or unwrapped in place, which leaves the configurations
        configs = {name: config for name, config in configs.items() if _has_no_layers(config)}
    return Live(model, module, inner, configs)


def _has_no_layers(config: Any) -> bool:
    """Return whether this type of adapter needs no layers in the transformer."""
    kind = getattr(config.peft_type, "value", str(config.peft_type))
    return kind in (*LEARN_A_PROMPT, *SHARE_TENSORS) or config.is_prompt_learning


def _wrappers(inner: Any) -> Iterator[tuple[str, Any]]:
    """Yield the modules that adapters put around modules of a transformer, by name."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    for name, module in inner.named_modules():
        if isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper)):
            yield name, module


def own_tensors(inner: Any, *, views: bool = True) -> dict[str, Any]:
    """The tensors of a transformer as if no adapter had ever been put on it: name to a view, or to the very tensor."""
    found = (
        (f"{name}.{key}" if name else key, tensor)
        for name, module in own_modules(inner).items()
        for key, tensor in _lasting(module)
    )
    return {name: tensor.detach() if views else tensor for name, tensor in found}


def own_modules(inner: Any) -> dict[str, Any]:
    """The modules of a transformer as if no adapter had ever been put on it, by name, itself under the empty one."""
    return dict(_own(inner, "")) if inner is not None else {}


def adapter_tensors(inner: Any, adapter: str, *, views: bool = True) -> dict[str, Any]:
    """The tensors of one adapter by the names that every loader applies: name, without a prefix, to a view, or to the very tensor.

    The magnitudes of DoRA end with `.weight`, which peft leaves out and loaders look for.
    """
    return {
        name: tensor.detach() if views else tensor for name, tensor in _of_adapter(inner, adapter)
    }


def trained_biases(live: Live, adapter: str) -> dict[str, Any]:
    """Biases of the base that an adapter trains in place: the name in a wrapped model to a view."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    kind = getattr((live.configs or {})[adapter], "bias", "none")
    if kind not in ("all", "lora_only"):
        return {}
    inside = tuple(
        f"{name}."
        for name, module in live.inner.named_modules()
        if isinstance(module, BaseTunerLayer)
    )
    return {
        name: tensor.detach()
        for name, tensor in live.inner.named_parameters()
        if name.endswith(".bias")
        and (kind == "all" or name.startswith(inside))
        and not _OF_ANOTHER_PART.search(name)
    }


def refuse_what_cannot_be_kept(live: Live) -> None:
    """Raises NotLoadable naming what of a live model no folder could bring back exactly, ForeignCode for a module of other code."""
    strange = (
        (name, type(module))
        for name, module in live.model.named_children()
        if not type(module).__module__.startswith(_OURS)
    )
    name, kind = next(strange, (None, None))
    if kind is not None:
        raise ForeignCode(
            f"the module {name} is a {kind.__module__}.{kind.__qualname__}, code that is not part of sentence-transformers; only "
            "models that need no code of their own can be registered"
        )
    backend = live.model.get_backend()
    if backend != "torch":
        raise NotLoadable(
            f"the model runs on the backend {backend!r}, whose weights cannot be registered",
            hint="load it with the torch backend and save that",
        )
    away = [name for name, tensor in live.model.named_parameters() if tensor.device.type == "meta"]
    if away:
        raise NotLoadable(
            f"the parameter {away[0]!r} is not in memory ({len(away)} parameters are not)",
            hint="load the model without offloading and save that",
        )
    if live.inner is not None and getattr(live.inner, "hf_quantizer", None) is not None:
        raise NotLoadable(
            "the model is quantized, so its weights would be loaded with other values",
            hint="save it before it is quantized",
        )
    _refuse_tokens_without_rows(live)
    _refuse_compiled_parts(live)
    _refuse_strange_adapters(live)
    if not live.adapters:
        return
    if live.module not in list(live.model.children()):
        raise NotLoadable(
            "the adapter is inside a Router, which sentence-transformers saves but cannot load",
            hint="merge it into its base and save the merged model",
        )
    _refuse_merged(live)
    for name in live.adapters:
        _refuse_adapter(live, name)


def begins_from_the_base(config: Any) -> bool:
    """Whether a LoRA began in a way that may have changed the base's own weights, and that a loader would repeat."""
    return getattr(config, "init_lora_weights", None) not in LEAVES_THE_BASE


def _inside(model: Any) -> str:
    """What to give in the place of an object that is no model of a class that can be registered."""
    inner, said = model, "model"
    while type(inner).__name__ not in CLASSES:
        part = next((part for part in _WRAPS if part in getattr(inner, "_modules", {})), None)
        if part is None:
            around = ", with adapters added by model.add_adapter(config), not by wrapping the model"
            return f"one of {', '.join(CLASSES)}{around if hasattr(model, 'peft_config') else ''}"
        inner, said = inner._modules[part], f"{said}.{part}"
    return f"the {type(inner).__name__} in it, {said}"


def _own(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    while isinstance(module, (AuxiliaryTrainingWrapper, BaseTunerLayer)):
        module = (
            module.original_module
            if isinstance(module, AuxiliaryTrainingWrapper)
            else module.base_layer
        )
    yield name, module
    for key, child in module._modules.items():
        if child is not None:
            yield from _own(child, f"{name}.{key}" if name else key)


def _lasting(module: Any) -> Iterator[tuple[str, Any]]:
    buffers = {
        name: tensor
        for name, tensor in module._buffers.items()
        if name not in module._non_persistent_buffers_set
    }
    yield from (
        (name, tensor)
        for name, tensor in (*module._parameters.items(), *buffers.items())
        if tensor is not None
    )


def _of_adapter(inner: Any, adapter: str) -> Iterator[tuple[str, Any]]:
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import ModulesToSaveWrapper

    for name, module in inner.named_modules():
        if isinstance(module, ModulesToSaveWrapper):
            if adapter in module.modules_to_save:
                yield from (
                    (f"{name}.{key}", tensor)
                    for key, tensor in module.modules_to_save[adapter]
                    .state_dict(keep_vars=True)
                    .items()
                )
        elif isinstance(module, BaseTunerLayer) and not getattr(module, "tied_adapter", None):
            for part in module.adapter_layer_names:
                held: Any = getattr(module, part, None)
                item = held[adapter] if hasattr(held, "keys") and adapter in held else None
                if isinstance(item, torch.nn.Module):
                    yield from (
                        (f"{name}.{part}.{key}", tensor)
                        for key, tensor in item.state_dict(keep_vars=True).items()
                    )
                elif item is not None:
                    yield f"{name}.{part}", item


def _refuse_tokens_without_rows(live: Live) -> None:
    tokenizer = getattr(live.module, "tokenizer", None)
    table = getattr(input_embeddings(live.inner), "weight", None)
    added: dict[str, int] = getattr(tokenizer, "get_added_vocab", dict)()
    if table is None:
        return
    over, rows = [index for index in added.values() if index >= table.shape[0]], table.shape[0]
    if over:
        verb = "has" if len(over) == 1 else "have"
        raise NotLoadable(
            f"{counted(len(over), 'token was', 'tokens were')} added and {verb} no row: "
            f"the table has {rows} rows",
            hint=f"call model.transformers_model.resize_token_embeddings({max(over) + 1}) "
            "before saving",
        )


def _refuse_compiled_parts(live: Live) -> None:
    name = next(
        (
            name
            for name, module in (live.inner.named_modules() if live.inner is not None else ())
            if hasattr(module, "_orig_mod")
        ),
        None,
    )
    if name is not None:
        raise NotLoadable(
            f"{name} is wrapped by torch.compile, which gives its tensors other names",
            hint="compile it in place with module.compile(), or save before compiling",
        )


def _refuse_strange_adapters(live: Live) -> None:
    from peft import PeftMixedModel, PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    if isinstance(live.inner, (PeftModel, PeftMixedModel)):
        raise NotLoadable(
            "one PEFT model is nested in another, and no folder can store both",
            hint="add the second adapter to the first model with add_adapter",
        )
    if live.adapters or live.inner is None:
        return
    for name, module in _wrappers(live.inner):
        if isinstance(module, BaseTunerLayer) and not module.merged and not _adapters_of(module):
            continue  # model.delete_adapter leaves a layer that does nothing
        raise NotLoadable(
            f"the model contains layers of an adapter ({name}), but no configuration of an adapter",
            hint="add adapters with model.add_adapter(config) "
            "and remove them with model.delete_adapter(name)",
        )


def _adapters_of(layer: Any) -> set[str]:
    """Return the names of the adapters that a layer has tensors of."""
    parts: list[Any] = [getattr(layer, name, None) for name in layer.adapter_layer_names]
    return {name for part in parts if hasattr(part, "keys") for name in part}


def _refuse_merged(live: Live) -> None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in live.inner.named_modules():
        if isinstance(module, BaseTunerLayer) and module.merged:
            raise NotLoadable(
                f"the adapter {', '.join(module.merged_adapters)} is merged into the base in "
                f"memory ({name}), and unmerging it would change the base by rounding",
                hint="finish with merge_and_unload() and save that"
                if hasattr(live.module.model, "merge_and_unload")
                else "load it again unmerged and save that, then: registry merge NAME@1 --as MERGED",
            )


def _refuse_adapter(live: Live, name: str) -> None:
    config = (live.configs or {})[name]
    kind = getattr(config.peft_type, "value", str(config.peft_type))
    if kind in LEARN_A_PROMPT or config.is_prompt_learning:
        raise NotLoadable(
            f"the adapter {name!r} is of type {kind}, which sentence-transformers cannot load",
            hint=_LOADABLE_TYPES,
        )
    if kind in SHARE_TENSORS:
        raise NotLoadable(
            f"the adapter {name!r} is of type {kind}, whose tensors a loader initializes again",
            hint=_LOADABLE_TYPES,
        )
    if getattr(config, "layer_replication", None):
        raise NotLoadable(
            f"the adapter {name!r} copied layers of its base "
            f"(layer_replication {config.layer_replication!r:.80}), "
            "so the base alone is a different model",
            hint="save the model with its copied layers, register it, "
            "and train the adapter on that",
        )
    base = live.inner.dtype
    other = next(
        (
            (key, tensor)
            for key, tensor in adapter_tensors(live.inner, name).items()
            if tensor.is_floating_point() and tensor.dtype != base
        ),
        None,
    )
    if other is not None:
        key, tensor = other
        raise NotLoadable(
            f"the adapter {name!r} has {_said(tensor.dtype)} weights ({key}) "
            f"on a {_said(base)} base, and loaders cast them",
            hint=f"to save the result of that cast: model.to(torch.{_said(base)}) before saving",
        )


def _said(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
