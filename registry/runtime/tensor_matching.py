"""Landing: which tensor of the files each parameter of a loaded model came from, told by name, shape and numbers.

Names alone do not tell: older files say `gamma`, wrappers add their own, and a prefix may stand on either side.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from registry.model_files.adapter.config import PARTS
from registry.model_files.weights.safetensors import TORCH

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_COUNTED = ".ranknum"
"""What AdaLoRA's layers count their rank in; it lies in no file."""
_NUMBERS = 32
"""Numbers compared at either end of a parameter."""
WRAPPERS = frozenset({"base_layer", "original_module", "token_adapter"})
"""Parts of a parameter's name that PEFT puts around a module."""
_WRAPPED = re.compile("|".join((*WRAPPERS, "modules_to_save", *PARTS)))
"""A name in which this is nowhere found has nothing around it."""


class Stored(NamedTuple):
    """A tensor as it lies in a weights file. A tuple, since every load makes one for each."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class StoredTensors:
    """The stored tensors by name, by the end of their names, and by shape."""

    def __init__(self, stored: Sequence[Stored]) -> None:
        self.all = stored
        self._by_name: dict[str, list[Stored]] = {}
        self._by_end: dict[str, list[tuple[str, Stored]]] = {}
        for tensor in stored:
            name = modern_name(tensor.name)
            self._by_name.setdefault(name, []).append(tensor)
            self._by_end.setdefault(_end(name), []).append((name, tensor))

    def named(self, name: str, tensor: Any) -> list[Stored]:
        """Those of this name and shape; a prefix such as `bert.` on either side is no difference."""
        shape = tuple(tensor.shape)
        return self.exactly(name, tensor) or [
            stored
            for full, stored in self._by_end.get(_end(name), ())
            if stored.shape == shape and (full.endswith("." + name) or name.endswith("." + full))
        ]

    def exactly(self, name: str, tensor: Any) -> list[Stored]:
        """Those of this very name and shape."""
        return [
            stored for stored in self._by_name.get(name, ()) if stored.shape == tuple(tensor.shape)
        ]

    def shaped(self, tensor: Any) -> list[Stored]:
        """Those of this shape, whatever their name."""
        return [stored for stored in self.all if stored.shape == tuple(tensor.shape)]


def modern_name(name: str) -> str:
    """A stored name as today's libraries have it in memory, prefixes apart."""
    if name.endswith(".gamma"):
        return name[:-5] + "weight"
    if name.endswith(".beta"):
        return name[:-4] + "bias"
    return (
        name.removeprefix("base_model.model.")
        .replace(".token_adapter.", ".")
        .replace(".base_layer.", ".")
    )


def plain_name(name: str) -> tuple[str, bool]:
    """(the name without what the libraries put around it, whether it is the adapter's own)."""
    kept: list[str] = []
    own = skip = False
    parts = name.split(".")
    if _WRAPPED.search(name) is None:
        kept, parts = parts, []
    for part in parts:
        if skip:
            skip = False  # the adapter's name
        elif part == "modules_to_save":
            own = skip = True
        elif part.startswith(PARTS):
            own = skip = True
            kept.append(part)
        elif part not in WRAPPERS:
            kept.append(part)
    # the place in the list of modules, and the attribute that holds the transformer
    first = 1 if kept[0].isdigit() else 0
    if len(kept) > first + 1 and kept[first] in ("model", "auto_model"):
        first += 1
    return ".".join(kept[first:]), own


def _end(name: str) -> str:
    return name[name.rfind(".", 0, max(name.rfind("."), 0)) + 1 :]


def same_numbers(tensor: Any, stored: Stored) -> bool:
    """Whether both ends of a parameter have the stored numbers, cast as the loader casts."""
    import torch

    dtype = getattr(torch, TORCH.get(stored.dtype, ""), None)
    if dtype is None or not tensor.is_floating_point():
        return True
    flat = tensor.detach().reshape(-1) if tensor.is_contiguous() else tensor.detach().flatten()
    count = min(_NUMBERS, flat.numel())
    length = count * dtype.itemsize
    descriptor = os.open(stored.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.pread(descriptor, length, stored.begin) + os.pread(
            descriptor, length, stored.end - length
        )
    finally:
        os.close(descriptor)
    live = torch.cat((flat[:count], flat[flat.numel() - count :])).cpu()
    expected = (
        torch.frombuffer(bytearray(content), dtype=dtype)
        if content
        else torch.empty(0, dtype=dtype)
    )
    return bool(torch.equal(expected.to(live.dtype), live))


def is_folded(table: Any, files: StoredTensors) -> bool:
    """Return whether a table is folded by the library from these model2vec files.

    The row of token `id` is `embeddings[mapping[id]] * weights[id]`. Both ends are compared.
    """
    stored = {tensor.name: tensor for tensor in files.all}
    if "embeddings" not in stored or not {"mapping", "weights"} & stored.keys():
        return False
    import torch
    from safetensors import safe_open
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    with safe_open(stored["embeddings"].path, framework="pt") as opened:
        mapping, weights = (
            opened.get_tensor(name) if name in stored else None for name in ("mapping", "weights")
        )
        folded = mapping if mapping is not None else weights
        if folded is None or len(table) != len(folded):
            return False
        ends = [
            *range(min(_NUMBERS, len(table))),
            *range(max(len(table) - _NUMBERS, 0), len(table)),
        ]
        rows = torch.tensor(ends)
        ids = (mapping.long()[rows] if mapping is not None else rows).tolist()
        embeddings = opened.get_slice("embeddings")
        embedding_rows = torch.cat([embeddings[id : id + 1] for id in ids])
    scales = weights[rows] if weights is not None else None
    expected = StaticEmbedding._fold_model2vec_weights(embedding_rows, None, scales)
    return bool(torch.equal(expected.to(table.dtype), table.detach().cpu()[rows]))


def stored_tensors(folder: Path) -> list[Stored]:
    """All tensors of a checkout's weights files; its .registry folder holds other versions."""
    found: list[Stored] = []
    for path in sorted(_weights_files(folder, depth=2)):
        with path.open("rb") as stream:
            length = struct.unpack("<Q", stream.read(8))[0]
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        found += [
            Stored(
                path,
                name,
                entry["dtype"],
                tuple(entry["shape"]),
                8 + length + entry["data_offsets"][0],
                8 + length + entry["data_offsets"][1],
            )
            for name, entry in header.items()
        ]
    return found


def _weights_files(folder: Path, *, depth: int) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".safetensors"):
                yield folder / entry.name
            elif depth and entry.name != ".registry" and entry.is_dir():
                yield from _weights_files(folder / entry.name, depth=depth - 1)


def parameters(named: Sequence[tuple[str, Any]]) -> list[tuple[str, bool, Any, bool]]:
    """(name without wrappers, whether it is an adapter's own, tensor, whether an adapter has another in its place) of each parameter
    once; named are the model's modules.
    """
    tensors: dict[int, tuple[str, Any]] = {}
    for place, module in named:
        for name, tensor in module._parameters.items():
            if tensor is not None and not tensor.is_meta and not place.endswith(_COUNTED):
                tensors.setdefault(id(tensor), (f"{place}.{name}", tensor))
    return [
        (*plain_name(name), tensor, ".original_module." in name)
        for name, tensor in tensors.values()
    ]


def not_landed(model: Any, folder: Path) -> Iterator[str]:
    """Names of the adapter's stored tensors whose numbers no parameter of the loaded model has."""
    stored = [tensor for tensor in stored_tensors(folder) if tensor.path.name == ADAPTER_WEIGHTS]
    files = StoredTensors(stored)
    landed = {
        id(match)
        for name, _, tensor, _ in parameters(list(model.named_modules()))
        for match in files.named(name, tensor)
        if same_numbers(tensor, match)
    }
    yield from (tensor.name for tensor in stored if id(tensor) not in landed)
