"""Two sides from folders that plain made, some with tensors of other dtypes; and what numpy says of them by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy

from registry.model_files.diff import Side, compare
from registry.model_files.folder import Folder
from registry.model_files.layout import layout
from registry.results.diff import Difference, TensorChange

Tensors = Mapping[str, tuple[str, numpy.ndarray]]
"""Name to (dtype as safetensors spells it, the array of its stored bits)."""


def side(folder: Path, base: Side | None = None) -> Side:
    files = Folder(folder)
    found = layout(files, parent_class="SentenceTransformer")
    return Side(folder.name, "full", files, found, base=base)


def differences(before: Side | Path, after: Side | Path) -> Difference:
    sides = [item if isinstance(item, Side) else side(item) for item in (before, after)]
    return compare(
        sides[0],
        sides[1],
        contents=({}, {}),
        metrics=({}, {}),
        digests=(None, None),
        progress=lambda done, whole: None,
    )


def change(found: Difference, name: str) -> TensorChange:
    return next(item for item in found.tensors if item.name == name)


def bfloat16(values: numpy.ndarray) -> numpy.ndarray:
    """float32 cut to bfloat16, as its bits: an independent way, by bytes."""
    return values.astype("<f4").view("<u2").reshape(*values.shape, 2)[..., 1].copy()


def from_bfloat16(bits: numpy.ndarray) -> numpy.ndarray:
    import torch

    return torch.from_numpy(bits.view("<i2").copy()).view(torch.bfloat16).double().numpy()


def write(path: Path, tensors: Tensors) -> None:
    """A safetensors file of any dtype."""
    header: dict[str, Any] = {}
    offset = 0
    for name, (dtype, array) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(
        len(text).to_bytes(8, "little")
        + text
        + b"".join(numpy.ascontiguousarray(array).tobytes() for _, array in tensors.values())
    )


def expected(old: numpy.ndarray, new: numpy.ndarray) -> dict[str, float]:
    """What numpy says, in float64, all at once."""
    gap = new.astype("float64") - old.astype("float64")
    return {
        "values": gap.size,
        "changed": int((old != new).sum()),
        "largest": float(abs(gap).max()),
        "mean": float(abs(gap).mean()),
        "norm": float(numpy.linalg.norm(gap)),
        "relative": float(numpy.linalg.norm(gap) / numpy.linalg.norm(old.astype("float64"))),
    }


def told(item: TensorChange) -> dict[str, float | None]:
    return {
        name: getattr(item, name)
        for name in ("values", "changed", "largest", "mean", "norm", "relative")
    }
