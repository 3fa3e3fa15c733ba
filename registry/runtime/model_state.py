"""Describe a model in memory so that any change of what it computes is detected.

The state covers each module's class, methods, attributes and hooks, the tokenizer, and
for each parameter and buffer its type, its shape and a 64-bit sum over all of its bits.
The device is not part of it.
"""

from __future__ import annotations

import enum
import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

_BLOCK = 4096
"""Words of 8 bytes for each of which there is another factor."""
_IGNORED = frozenset(
    {
        "_parameters",
        "_buffers",
        "_modules",
        "_non_persistent_buffers_set",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_is_full_backward_hook",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks",
        "_load_state_dict_post_hooks",
        "_is_hf_initialized",
        "_target_device",
        "_hf_hook",
        "training",
        "gradient_checkpointing",
        "model_card_data",
        "_model_card_vars",
        "_model_card_text",
        "_active_adapter",
        "_disable_adapters",
        "base_model_name_or_path",
        "inference_mode",
        "_name_or_path",
        "name_or_path",
        "tokenizer",
        "processor",
        "_similarity",
        "_similarity_pairwise",
        "_similarity_fn_name",
        "transformers_version",
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_forward_pre_hooks_with_kwargs",
        "_version",
        "_prompt_length_mapping",
        "_method_signature_cache",
        "_chat_template_suffix_cache",
    }
)
"""Attributes that do not change what is computed, or that are described separately.

The last three are caches that Sentence Transformers fills while it encodes.
"""
_OF_TOKENIZER = (
    "padding_side",
    "truncation_side",
    "model_max_length",
    "special_tokens_map",
    "split_special_tokens",
    "model_input_names",
    "chat_template",
    "do_lower_case",
    "add_prefix_space",
)
_DEPTH = 6
_PLAIN = frozenset({str, int, float, complex, bytes, bool, type(None)})


class TensorState(NamedTuple):
    """A parameter or buffer: its type, its shape, and the sum over its bits."""

    dtype: str
    shape: tuple[int, ...]
    total: int


@dataclass(frozen=True)
class ModelState:
    """What a model computes with, by name."""

    settings: Mapping[str, str]
    tensors: Mapping[str, TensorState]
    """Each parameter and buffer."""
    training: frozenset[str]
    """Modules in training mode, in which dropout is active."""

    def changes(self, after: ModelState) -> Iterator[str]:
        """Yield what is different in a later state of the same model."""
        for name in (self.settings.keys() | after.settings.keys()) - self.settings.keys():
            yield f"{name} was added"
        for name, text in self.settings.items():
            if name not in after.settings:
                yield f"{name} was removed"
            elif after.settings[name] != text:
                yield f"{name} is {after.settings[name]:.60}, it was {text:.60}"
        for name, before in self.tensors.items():
            tensor = after.tensors.get(name)
            if tensor is None:
                yield f"the tensor {name} was removed"
            elif tensor.dtype != before.dtype:
                yield f"the tensor {name} is {tensor.dtype}, it was {before.dtype}"
            elif tensor.shape != before.shape:
                yield f"the tensor {name} has the shape {tensor.shape}, it had {before.shape}"
            elif tensor.total != before.total:
                yield f"the values of {name} were changed"
        for name in after.tensors.keys() - self.tensors.keys():
            yield f"the tensor {name} was added"
        for name in sorted(after.training - self.training)[:1]:
            yield f"{name or 'the model'} is in training mode"


def describing(model: Any) -> Callable[[], ModelState]:
    """Begin to describe a model, and return a function that waits for the result.

    The sums are computed by another thread: NumPy does not hold the interpreter lock.
    """
    pool = ThreadPoolExecutor(1, "sums")
    sums: Future[dict[str, TensorState]] = pool.submit(_tensors, model)
    pool.shutdown(wait=False)

    def described() -> ModelState:
        settings = dict(_settings(model))
        return ModelState(settings, sums.result(), _in_training(model))

    return described


def describe(model: Any) -> ModelState:
    """Return the present state of a model."""
    return describing(model)()


def _in_training(model: Any) -> frozenset[str]:
    """Return the modules that compute otherwise in training mode, and are in it.

    Encoding ends it: the libraries call eval() then.
    """
    import torch

    kinds = (torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._NormBase)
    return frozenset(
        name for name, part in model.named_modules() if part.training and isinstance(part, kinds)
    )


def _tensors(model: Any) -> dict[str, TensorState]:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: _described(tensor) for name, tensor in tensors}


def _described(tensor: Any) -> TensorState:
    dtype = str(tensor.dtype).removeprefix("torch.")
    sum_of_bits = 0 if tensor.device.type == "meta" else total(tensor)
    return TensorState(dtype, tuple(tensor.shape), sum_of_bits)


def total(tensor: Any) -> int:
    """Return a sum over all bits of a tensor, modulo 2 to the 64th.

    Each word of 8 bytes has an odd factor of its own within a block, and so has each
    block, so that every change of one word, and an exchange of two, changes the sum.
    """
    import numpy
    import torch

    flat = tensor.detach().cpu().contiguous().flatten()
    if flat.is_quantized or flat.numel() == 0:
        flat = flat.int_repr() if flat.is_quantized else flat
    content = flat.view(torch.uint8).numpy()
    blocks, words = divmod(content.size // 8, _BLOCK)
    size = blocks * _BLOCK * 8
    sums = content[:size].view(numpy.uint64).reshape(blocks, _BLOCK) @ _factors(_BLOCK)
    checksum = int((sums * _factors(blocks)[:blocks]).sum(dtype=numpy.uint64))
    tail = content[size : size + words * 8].view(numpy.uint64)
    checksum += 3 * int((tail * _factors(_BLOCK)[:words]).sum(dtype=numpy.uint64))
    return (checksum + 5 * int.from_bytes(content[size + words * 8 :], "little")) % 2**64


@functools.cache
def _factors(count: int) -> Any:
    """Return odd numbers of 64 bits, always the same ones."""
    import numpy

    size = max(1, 1 << (count - 1).bit_length()) if count else 1
    words = numpy.arange(1, size + 1, dtype=numpy.uint64)
    words = (words ^ (words >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return (words ^ (words >> numpy.uint64(31))) | numpy.uint64(1)


def _settings(model: Any) -> Iterator[tuple[str, str]]:
    """Yield each setting by its name, as text."""
    classes: set[type[Any]] = set()
    configs: dict[int, str] = {}
    for name, module in model.named_modules():
        label = name or "model"
        classes.add(type(module))
        yield label, _name_of(type(module))
        for key, attribute in module.__dict__.items():
            if key in _IGNORED or (key.endswith("_hooks") and not attribute):
                continue
            if type(attribute) in _PLAIN:
                yield f"{label}.{key}", repr(attribute)
            elif hasattr(attribute, "model_type") and hasattr(attribute, "to_dict"):
                if id(attribute) not in configs:
                    configs[id(attribute)] = f"the configuration of {label}"
                    for field, part in vars(attribute).items():
                        if field not in _IGNORED:
                            yield f"{label}.{key}.{field}", _text(part, set())
                yield f"{label}.{key}", configs[id(attribute)]
            else:
                yield f"{label}.{key}", _text(attribute, set())
    for kind in classes:
        yield _name_of(kind), _methods(kind)
    yield "model.similarity_fn_name", str(getattr(model, "similarity_fn_name", None))
    for name, module in model.named_children():
        tokenizer = getattr(module, "tokenizer", None)
        if tokenizer is not None:
            yield from _of_tokenizer(f"{name}.tokenizer", tokenizer)


def _of_tokenizer(label: str, tokenizer: Any) -> Iterator[tuple[str, str]]:
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    yield label, _name_of(type(tokenizer))
    for key in _OF_TOKENIZER:
        yield f"{label}.{key}", repr(getattr(tokenizer, key, None))
    if not hasattr(backend, "get_added_tokens_decoder"):
        yield f"{label}.vocabulary", str(len(tokenizer))
        return
    yield f"{label}.vocabulary", str(backend.get_vocab_size(True))
    yield (
        f"{label}.added tokens",
        repr(sorted(map(str, backend.get_added_tokens_decoder().items()))),
    )
    for part in ("normalizer", "pre_tokenizer", "post_processor", "model"):
        component = getattr(backend, part)
        content = component.__getstate__() if component is not None else b""
        yield f"{label}.{part}", f"{hash(content):x}"


def _name_of(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _methods(kind: type[Any]) -> str:
    """Return the identities of a class's own and inherited methods, up to those of
    PyTorch.
    """
    functions = (
        (name, id(attribute))
        for base in kind.__mro__
        if not base.__module__.startswith(("torch.", "builtins"))
        for name, attribute in vars(base).items()
        if isinstance(attribute, (types.FunctionType, property, classmethod, staticmethod))
    )
    return f"methods {hash(tuple(functions)):x}"


def _text(attribute: Any, memo: set[int], depth: int = 0) -> str:
    """Return a attribute as text that is equal only for equal values."""
    import torch

    if type(attribute) in _PLAIN:
        return repr(attribute)
    if isinstance(attribute, torch.device):
        return "device"
    if isinstance(attribute, torch.dtype):
        return repr(str(attribute).removeprefix("torch."))  # a configuration may hold its name
    if isinstance(attribute, (torch.Size, enum.Enum)):
        return str(attribute)
    if hasattr(attribute, "get_vocab"):
        return "tokenizer"  # described separately
    if isinstance(attribute, torch.Tensor):
        return str(_described(attribute))
    if isinstance(attribute, torch.nn.Module):
        return f"module {id(attribute):x}"
    if isinstance(attribute, type):
        return _name_of(attribute)
    if isinstance(attribute, types.MethodType):
        return f"method {id(attribute.__func__):x} of {id(attribute.__self__):x}"
    if isinstance(attribute, functools.partial):
        return _text((attribute.func, attribute.args, attribute.keywords), memo, depth)
    if inspect.isroutine(attribute):
        return f"function {getattr(attribute, '__qualname__', '')} {id(attribute):x}"
    if id(attribute) in memo or depth > _DEPTH:
        return _name_of(type(attribute))
    memo.add(id(attribute))
    if isinstance(attribute, Mapping):
        pairs = sorted((str(key), _text(part, memo, depth + 1)) for key, part in attribute.items())
        return f"{{{', '.join(f'{key}: {text}' for key, text in pairs if key not in _IGNORED)}}}"
    if isinstance(attribute, (list, tuple)):
        return f"[{', '.join(_text(part, memo, depth + 1) for part in attribute)}]"
    if isinstance(attribute, (set, frozenset)):
        return f"{{{', '.join(sorted(_text(part, memo, depth + 1) for part in attribute))}}}"
    if hasattr(attribute, "tobytes"):
        return f"{type(attribute).__name__} {hash(attribute.tobytes()):x}"
    attributes = getattr(attribute, "__dict__", None)
    text = _text(attributes, memo, depth + 1) if attributes is not None else ""
    return f"{_name_of(type(attribute))}{text}"
