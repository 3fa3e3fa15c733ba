"""Splitting: a live model becomes folders, one for its base and one for each adapter, and stays as it was.

The base is written from a skeleton without memory of its own that is handed the live tensors; what adapters put around them is
left out. An adapter is written by its own key names, so that plain loaders apply all of it. Both keep what sentence-transformers
writes around a transformer: modules, tokenizer, prompts, card.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from registry.errors import NotLoadable, RegistryError
from registry.model_files.adapter.config import CONFIG, WEIGHTS
from registry.runtime.resize.verify_rows import bits_equal

from .active_adapters import fast_tokenizer, untouched
from .introspect import Live, adapter_tensors, begins_from_the_base, own_tensors, trained_biases
from .loading import quiet

_BEGINNINGS = ("loftq_config", "corda_config", "lora_ga_config")
"""What an adapter that has begun needs no more; it may name files of this machine."""


def write_base(live: Live, folder: Path) -> None:
    """Save the model without its adapters. Raises NotLoadable where the tensors in memory are not those of its class."""
    with quiet(), untouched(live.model), _writing():
        if live.inner is None:
            live.model.save_pretrained(str(folder), create_model_card=False)
        else:
            _write_around(live, _skeleton(live.inner).save_pretrained, folder)
        _write_card(live, folder, generate=not live.adapters)


def write_adapter(live: Live, adapter: str, base: Path, folder: Path) -> None:
    """Save one adapter as a folder that loads on the model in `base`."""

    def save(place: str, **options: Any) -> None:
        _write_tensors(live, adapter, Path(place))
        _write_config(live, adapter, base, Path(place))

    with quiet(), untouched(live.model), _writing():
        _write_around(live, save, folder)
        _write_card(live, folder, generate=True)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """While this holds what the libraries raise for what they cannot write is a NotLoadable with their reason."""
    try:
        yield
    except (RegistryError, OSError):
        raise
    except Exception as error:  # the libraries raise whatever they like, and each means the same: it cannot be written
        raise NotLoadable(
            f"the model cannot be kept exactly: the library cannot write it: {' '.join(str(error).split()):.300}"
        ) from error


def _skeleton(inner: Any) -> Any:
    """The transformer's class anew, on no device, handed the live tensors."""
    import torch

    with torch.device("meta"):
        made = type(inner)._from_config(copy.deepcopy(inner.config))
    tensors = own_tensors(inner)
    found = made.load_state_dict(tensors, strict=False, assign=True)
    lost = [*found.missing_keys, *found.unexpected_keys]
    if lost:
        raise NotLoadable(
            f"a {type(inner).__name__} with this configuration has no tensor {lost[0]!r} "
            f"({len(lost)} in all), so no loader would restore it",
            hint="undo what was added to the model",
        )
    made.tie_weights()
    for name, tensor in made.state_dict().items():
        if name in tensors and not bits_equal(tensor, tensors[name]):
            raise NotLoadable(
                f"{name!r} has values of its own in memory, but the configuration ties it to "
                "another tensor, whose values a loader would use",
                hint="set tie_word_embeddings to the intended value",
            )
    if hasattr(inner, "generation_config"):
        made.generation_config = copy.deepcopy(inner.generation_config)
    if "_weight_conversions" in inner.__dict__ and not getattr(
        inner, "_hf_peft_config_loaded", False
    ):
        made._weight_conversions = (
            inner._weight_conversions
        )  # so that a file has the names its class had on disk
    return made


def _write_around(live: Live, save: Callable[..., Any], folder: Path) -> None:
    """save_pretrained of a copy of the model's outside, with `save` in the transformer's place."""
    outside = _outside(live.model)
    module = copy.copy(live.module)
    module.__dict__["_modules"] = {
        name: item for name, item in live.module._modules.items() if name != "model"
    }
    module.__dict__["model"] = _Saver(save)
    outside.__dict__["_modules"] = {
        name: module if item is live.module else item for name, item in live.model._modules.items()
    }
    if module not in outside._modules.values():  # inside a Router
        raise NotLoadable(
            "the transformer is inside another module",
            hint="save the model with save_pretrained and add that folder",
        )
    _forget_last_use(live.model)
    outside.save_pretrained(str(folder), create_model_card=False)


def _forget_last_use(model: Any) -> None:
    """A tokenizer keeps how it cut and filled up its last texts, and saves that; the same model would be another version for it."""
    tokenizer, backend = getattr(model[0], "tokenizer", None), fast_tokenizer(model)
    if backend is not None and {
        getattr(tokenizer, side, "right") for side in ("padding_side", "truncation_side")
    } == {"right"}:
        backend.no_truncation()
        backend.no_padding()


class _Saver:
    """Stands where a Transformer module has its model, while that is saved."""

    def __init__(self, save: Callable[..., Any]) -> None:
        self.save_pretrained = save


def _outside(model: Any) -> Any:
    """A copy of the model object that shares its modules, so that what saving notes down is noted in the copy."""
    outside = copy.copy(model)
    card = copy.copy(model.model_card_data)
    for name, value in vars(card).items():
        if isinstance(value, (list, dict)):
            setattr(card, name, copy.copy(value))
    card.local_files_only = True  # a card asks the Hub for the base it was made from
    outside.model_card_data = card
    return outside


def _write_card(live: Live, folder: Path, *, generate: bool) -> None:
    """The card that the library would write. A base that was never saved keeps the card it came with, or has none."""
    outside = _outside(live.model)
    trained = "generated_from_trainer" in (outside.model_card_data.tags or [])
    if generate or (outside._model_card_text and not trained):
        outside._create_model_card(str(folder))


def _write_tensors(live: Live, adapter: str, folder: Path) -> None:
    from safetensors.torch import save_file

    tensors = adapter_tensors(live.inner, adapter) | trained_biases(live, adapter)
    if not tensors:
        raise NotLoadable(
            f"the adapter {adapter!r} has no tensors in the model", hint="add it to the model again"
        )
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {
            f"base_model.model.{name}": tensor.contiguous().clone()
            for name, tensor in tensors.items()
        },
        folder / WEIGHTS,
        metadata={"format": "pt"},
    )


def _write_config(live: Live, adapter: str, base: Path, folder: Path) -> None:
    """The configuration with the base's place, and without what would make a loader begin the adapter from the base again."""
    from peft.utils.other import ModulesToSaveWrapper

    config = copy.deepcopy((live.configs or {})[adapter])
    config.base_model_name_or_path, config.revision, config.inference_mode = str(base), None, True
    if config.peft_type == "ADALORA":
        config.rank_pattern = (
            None  # by which peft cuts the tensors that it saves; here they are whole
        )
    if begins_from_the_base(config):
        config.init_lora_weights = True
        for name in _BEGINNINGS:
            if getattr(config, name, None):
                setattr(config, name, None)
    if getattr(config, "modules_to_save", None):
        whole = [
            name
            for name, module in live.inner.named_modules()
            if isinstance(module, ModulesToSaveWrapper) and adapter in module.modules_to_save
        ]
        config.modules_to_save = [
            item for item in config.modules_to_save if any(name.endswith(item) for name in whole)
        ] or None
    config.save_pretrained(str(folder))
    if not (folder / CONFIG).is_file():
        raise NotLoadable(f"peft wrote no {CONFIG} for the adapter {adapter!r}")
