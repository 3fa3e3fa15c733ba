"""Tables: rows of a token table as numbers, read where they lie in a weights file; torch is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.core.facts import Files, Tensor
from registry.errors import NotLoadable

from .safetensors import Header, read_header

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

NEARLY = 0.9999
"""Cosine above which two rows are one to the model: what comes of the default way to begin new rows has 0.9999999."""
_GLANCE = 4096
_STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def place_of(files: Files, tensor: Tensor) -> tuple[str, Header]:
    """The file and place of a tensor, whose name has its module's folder in front. Raises LookupError."""
    folder, _, name = tensor.name.rpartition("/")
    for path in files.paths():
        if path.endswith(".safetensors") and path.rpartition("/")[0] == folder:
            with files.open(path) as stream:
                header = read_header(stream, path, files.size(path)).get(name)
            if header is not None:
                return path, header
    raise LookupError(f"no file has the tensor {tensor.name!r}, which the facts list")


def read_rows(files: Files, table: Tensor, ids: Sequence[int]) -> Array:
    """The rows of a table at these ids as float64, shape (ids, width). Raises NotLoadable for a dtype that is no number."""
    import numpy as np

    if table.dtype not in _STORED:
        raise NotLoadable(
            f"rows of dtype {table.dtype} cannot be read; those of {', '.join(_STORED)} can"
        )
    path, header = place_of(files, table)
    size = header.length // max(table.shape[0], 1)
    with files.open(path) as stream:
        rows = []
        for index in ids:
            stream.seek(header.offset + index * size)
            rows.append(stream.read(size))
    found = np.frombuffer(b"".join(rows), _STORED[table.dtype]).reshape(len(ids), -1)
    if table.dtype == "BF16":
        return (found.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    return found.astype(np.float64)


def all_zero(files: Files, tensors: Sequence[Tensor]) -> frozenset[str]:
    """The names of those whose every value is 0, of either sign; what has another dtype than real numbers is left out."""
    import numpy as np

    found: set[str] = set()
    for path in (path for path in files.paths() if path.endswith(".safetensors")):
        folder = path.rpartition("/")[0]
        inside = [
            tensor
            for tensor in tensors
            if tensor.name.rpartition("/")[0] == folder and tensor.dtype in _STORED
        ]
        if not inside:
            continue
        with files.open(path) as stream:
            headers = read_header(stream, path, files.size(path))
            for tensor in inside:
                header = headers.get(tensor.name.rpartition("/")[2])
                if header is None:
                    continue
                stream.seek(header.offset)
                sizes = (
                    min(_GLANCE, header.length),
                    max(header.length - _GLANCE, 0),
                )  # mostly the first values tell
                parts = (np.frombuffer(stream.read(size), _STORED[tensor.dtype]) for size in sizes)
                if not any(
                    bool((part & 0x7FFF if tensor.dtype == "BF16" else part).any())
                    for part in parts
                ):
                    found.add(tensor.name)
    return frozenset(found)


def nearly_one(rows: Array) -> bool:
    """Whether all rows point nearly the same way, so that a model cannot tell them apart."""
    import numpy as np

    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    directions = rows / np.where(lengths == 0, 1.0, lengths)
    return (
        bool((directions @ directions.T).min() > NEARLY)
        if (lengths > 0).all()
        else bool((lengths == 0).all())
    )
