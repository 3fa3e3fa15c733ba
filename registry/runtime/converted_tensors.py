"""Match parameters with stored tensors that transformers renames, splits or merges.

transformers 5 makes three parameters of nomic_bert's `attn.Wqkv`, for example. The
library's own functions report which parameter a stored tensor becomes.
Source: transformers 5.23, core_model_loading.convert_and_load_state_dict_in_model.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from registry.core.facts import Files
from registry.model_files.config.parse import read_if_there
from registry.model_files.layout.file_list import join
from registry.model_files.weights.safetensors import TORCH

from .tensor_matching import WRAPPERS, Stored, same_numbers


class Conversion(NamedTuple):
    """Stored tensors from which the library makes a parameter."""

    model: Any
    """The transformers model that has the parameter."""
    name: str
    """The name of the parameter in that model."""
    key: str
    """The name of the first parameter that the same stored tensors make."""
    sources: list[tuple[str, Stored]]
    """(matched pattern of the library, stored tensor), in the order of the library."""
    converter: Any
    """A WeightConverter of transformers; None where the tensor is only renamed."""

    @property
    def source(self) -> Stored:
        """The first of the stored tensors."""
        return self.sources[0][1]

    def gives(self, tensor: Any) -> bool:
        """Return whether the conversion of the stored tensors gives these numbers."""
        import torch

        if self.converter is None:
            return same_numbers(tensor, self.source)
        converter = copy.deepcopy(self.converter)
        for pattern, stored in self.sources:
            converter.add_tensor(self.key, stored.name, pattern, read_tensor(stored))
        converted = converter.convert(self.key, model=self.model, config=self.model.config)
        expected = converted[self.name]
        expected = expected[0] if isinstance(expected, list) else expected
        return bool(torch.equal(expected.to(tensor.dtype), tensor.detach().cpu()))


def conversions(
    modules: Sequence[tuple[str, Any]], stored: Sequence[Stored]
) -> dict[int, Conversion]:
    """Return the conversions of stored tensors by the id of the resulting parameter.

    modules are those of a loaded model, with their names.
    """
    from transformers import PreTrainedModel

    by_parameter: dict[int, Conversion] = {}
    for path, module in modules:
        if isinstance(module, PreTrainedModel) and not any(
            path.startswith(f"{outer}.")
            for outer, model in modules
            if isinstance(model, PreTrainedModel)
        ):
            by_parameter |= _conversions_of(module, stored)
    return by_parameter


def _conversions_of(model: Any, stored: Sequence[Stored]) -> dict[int, Conversion]:
    from transformers import core_model_loading as library
    from transformers.conversion_mapping import get_model_conversion_mapping

    transforms = get_model_conversion_mapping(model)
    renamings = [t for t in transforms if isinstance(t, library.WeightRenaming)]
    converters = [t for t in transforms if isinstance(t, library.WeightConverter)]
    by_pattern = {pattern: c for c in converters for pattern in c.source_patterns}
    live = {
        ".".join(part for part in name.split(".") if part not in WRAPPERS): tensor
        for name, tensor in model.named_parameters(remove_duplicate=False)
    }
    by_key: dict[str, Conversion] = {}
    for tensor in sorted(stored, key=lambda s: library.dot_natural_key(s.name)):
        key, pattern = library.rename_source_key(
            tensor.name, renamings, converters, model.base_model_prefix, live
        )
        if key in live and key != tensor.name:
            converter = None if pattern is None else by_pattern[pattern]
            conversion = by_key.setdefault(key, Conversion(model, key, key, [], converter))
            conversion.sources.append((pattern or tensor.name, tensor))
    by_parameter: dict[int, Conversion] = {}
    for key, conversion in by_key.items():
        targets = conversion.converter.target_patterns if conversion.converter else [key]
        for target in targets:
            name = key.replace(targets[0], target)
            if name in live:
                by_parameter[id(live[name])] = conversion._replace(name=name)
    return by_parameter


def read_tensor(stored: Stored) -> Any:
    """Return a stored tensor with all of its numbers; torch must have the dtype."""
    import torch

    with stored.path.open("rb") as stream:
        stream.seek(stored.begin)
        content = bytearray(stream.read(stored.end - stored.begin))
    dtype = getattr(torch, TORCH[stored.dtype])
    flat = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
    return flat.reshape(stored.shape)


def parameter_shapes(files: Files, folder: str) -> Mapping[str, tuple[int, ...]] | None:
    """Return the shapes of the parameters of the model that transformers builds.

    None if the library is not installed or does not have the model type. The model is
    built on the meta device, without weights; no code of the model runs.
    """
    if (
        importlib.util.find_spec("torch") is None
        or importlib.util.find_spec("transformers") is None
    ):
        return None
    import torch
    import transformers

    settings = read_if_there(files, join(folder, "config.json"), set(files.paths()))
    if settings.get("model_type") not in transformers.CONFIG_MAPPING:
        return None
    config_class = transformers.CONFIG_MAPPING[settings["model_type"]]
    config = config_class.from_dict(settings)
    architectures = [str(name) for name in settings.get("architectures") or ()]
    classes: list[Any] = [
        getattr(transformers, name)
        for name in architectures
        if hasattr(getattr(transformers, name, None), "_from_config")
    ]
    if config_class in transformers.MODEL_MAPPING:
        classes.append(transformers.MODEL_MAPPING[config_class])
    if not classes:
        return None
    with torch.device("meta"):
        model = classes[0]._from_config(config)
    return {
        name: tuple(parameter.shape)
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }
