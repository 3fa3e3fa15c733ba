"""Checks of the weights: whole, finite, and those of a model as its class reads them."""

from __future__ import annotations

import re

from registry.core.text import counted
from registry.errors import NotLoadable, RegistryError, UnsafeFile
from registry.model_files.adapter.config import OWN_TENSOR, WRAPPERS
from registry.model_files.config.parse import read_if_there
from registry.model_files.layout.file_list import join
from registry.model_files.weights.safetensors import names, shards

from .base import INTEGRITY, Candidate, Problem, checks

CHECKS, check = checks()
_WRAPPED = re.compile(
    r"(^|\.)base_model\.model\.|\.base_layer\.|\.lora_[AB]\.|\.original_module\.|\.modules_to_save\."
)
_LAYER = re.compile(r"(?:.*\.)?(?:encoder\.layer|layers)\.(\d+)\.")


@check(
    "safetensors",
    "weights are safetensors",
    "protects from pickles, which run code when they are read",
    UnsafeFile,
    net=INTEGRITY,
)
def weights_are_safetensors(candidate: Candidate) -> Problem | None:
    """Every file that loaders take weights from is one whose header was read."""
    other = [path for path, _ in candidate.layout.weights if not path.endswith(".safetensors")]
    return (
        Problem(
            f"the weights {other[0]!r} are not a safetensors file",
            "save the model with save_pretrained",
        )
        if other
        else None
    )


@check(
    "shards",
    "the shard index is whole",
    "protects from layers that a loader would fill at random",
    UnsafeFile,
    net=INTEGRITY,
)
def shard_index_is_whole(candidate: Candidate) -> Problem | None:
    """The index names exactly the shards and tensors that are there."""
    if candidate.layout.index is not None:
        try:
            shards(candidate.files, candidate.layout.index)
        except RegistryError as error:
            return Problem.of(error)
    return None


@check(
    "empty-tensors",
    "tensors have values",
    "protects from the placeholders that a sharded training saves instead of weights",
    NotLoadable,
)
def tensors_have_values(candidate: Candidate) -> Problem | None:
    """No tensor has an axis of length 0."""
    tensors = candidate.inspection.facts.weights.tensors
    empty = [tensor for tensor in tensors if 0 in tensor.shape]
    if not empty:
        return None
    return Problem(
        f"{counted(len(empty), 'tensor is', 'tensors are')} empty (first: {empty[0].name!r} with "
        f"the shape {list(empty[0].shape)}), as DeepSpeed ZeRO-3 saves weights that were not "
        "gathered",
        "set stage3_gather_16bit_weights_on_model_save to true and save again, "
        "or collect the weights of the checkpoint with zero_to_fp32.py",
    )


@check(
    "finite",
    "values are finite",
    "protects from embeddings that are no numbers",
    NotLoadable,
    net=INTEGRITY,
)
def values_are_finite(candidate: Candidate) -> Problem | None:
    """No weight is infinite or not a number."""
    found = candidate.inspection.not_finite
    if not found:
        return None
    count = sum(item.count for item in found)
    weights = candidate.inspection.facts.weights
    is_float16 = candidate.layout.is_adapter and weights.dtype == "F16"
    return Problem(
        f"{counted(count, 'value')} of {names(found)} {'is' if count == 1 else 'are'} not finite "
        "(the training diverged)",
        "train the adapter in float32 or bfloat16" if is_float16 else None,
    )


@check(
    "wrapper-names",
    "no wrapper's names",
    "protects from a model that loads with random weights and a log line",
    NotLoadable,
)
def no_wrapper_names(candidate: Candidate) -> Problem | None:
    """A full model's tensors have their own names, not those they had inside an adapter."""
    if candidate.layout.is_adapter:
        return None
    wrapped = [
        tensor.name
        for tensor in candidate.inspection.facts.weights.tensors
        if _WRAPPED.search(tensor.name) or WRAPPERS.search(tensor.name)
    ]
    if not wrapped:
        return None
    adapters = any(OWN_TENSOR.search(name) for name in wrapped)
    return Problem(
        f"{counted(len(wrapped), 'tensor has a name', 'tensors have names')} of a "
        f"wrapper (first: {wrapped[0]!r}), so a loader would initialize random tensors instead",
        "merge with PeftModel.merge_and_unload() and save that model"
        if adapters
        else "to rename the tensors: add --fix",
    )


@check(
    "layers",
    "all layers are there",
    "protects from a layer that is random and another one at every load",
    NotLoadable,
)
def all_layers_are_there(candidate: Candidate) -> Problem | None:
    """The file has as many layers as config.json says, where the naming is one of the two usual ones."""
    expected, numbers = _layers(candidate)
    if expected is None or not numbers:
        return None
    missing = sorted(set(range(min(expected, 10_000))) - numbers)
    return (
        Problem(
            f"config.json specifies {expected} layers, but the weights lack layer "
            f"{', '.join(map(str, missing[:5]))}, which a loader would initialize randomly",
            "copy the whole model again",
        )
        if missing
        else None
    )


@check(
    "spare-layers",
    "all layers are used",
    "protects from trained layers that a loader leaves out with a log line",
    NotLoadable,
    judgement=True,
)
def all_layers_are_used(candidate: Candidate) -> Problem | None:
    """config.json counts as many layers as the file has."""
    expected, numbers = _layers(candidate)
    if expected is None or not numbers or max(numbers) < expected:
        return None
    return Problem(
        f"config.json specifies {expected} layers, but the weights have {max(numbers) + 1}, "
        "so a loader would drop the last ones",
        "use the config.json that was saved with these weights",
    )


def _layers(candidate: Candidate) -> tuple[int | None, set[int]]:
    """(how many layers config.json counts, the numbers of those in the file); nothing for an adapter."""
    layout = candidate.layout
    config = read_if_there(
        candidate.files, join(layout.transformer, "config.json"), set(layout.belongs)
    )
    expected = config.get("num_hidden_layers")
    numbers = {
        int(found[1])
        for tensor in candidate.inspection.facts.weights.tensors
        if (found := _LAYER.match(tensor.name))
    }
    return (expected, numbers) if type(expected) is int and not layout.is_adapter else (None, set())
