"""Growth: a weights file with longer token tables, every other byte kept.

The file is copied tensor by tensor. What grows is known by its name in the file; rows of tokens are never touched: new rows
take the place of spare rows behind them, then stand at the end.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from registry.errors import NotLoadable

from .row_init import stored_dtype

if TYPE_CHECKING:
    from .row_init import Array

_BLOCK = 1 << 20
_WIDTHS = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
}


@dataclass(frozen=True)
class Table:
    """A tensor of a weights file that has a row, or a number, for each token."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """Where its bytes begin in the file."""

    @property
    def rows(self) -> int:
        """How many rows it has; the axis of the tokens is the only long one before the width."""
        return self.shape[self.axis]

    @property
    def axis(self) -> int:
        """The axis of the tokens: the first, or the last of a bias that is stored as (1, rows)."""
        return len(self.shape) - 1 if len(self.shape) > 1 and set(self.shape[:-1]) == {1} else 0

    @property
    def width(self) -> int:
        """Numbers in a row; 1 for a bias."""
        width = 1
        for size in self.shape[self.axis + 1 :]:
            width *= size
        return width

    @property
    def length(self) -> int:
        """Bytes of its numbers."""
        count = _WIDTHS.get(self.dtype, 1)
        for size in self.shape:
            count *= size
        return count

    def view(self) -> Array:
        """The stored numbers, shape (rows, width), read where they lie; bfloat16 as 16-bit numbers."""
        import numpy as np

        return np.memmap(
            self.path,
            dtype=stored_dtype(self.dtype),
            mode="r",
            offset=self.begin,
            shape=(self.rows, self.width),
        )


class Growth(NamedTuple):
    """New rows of a stored tensor."""

    used: int
    """Old rows that stay; spare rows behind them are replaced."""
    content: bytes
    row_count: int
    """Number of new rows in `content`."""


def weights_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files from which a loader takes a module's weights; none where it has none. Raises NotLoadable."""
    if (folder / "model.safetensors").is_file():
        return (folder / "model.safetensors",)
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return ()
    names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    if odd := [name for name in names if Path(name).name != name]:
        raise NotLoadable(f"{index.name} names {odd[0]!r}, which is no file beside it")
    return tuple(folder / name for name in names)


def tables(path: Path) -> dict[str, Table]:
    """All tensors of a file as if they were tables, by name."""
    with path.open("rb") as stream:
        begin, header = read_safetensors_header(stream)
    return {
        name: Table(
            path, name, entry["dtype"], tuple(entry["shape"]), begin + entry["data_offsets"][0]
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }


def write(source: Path, target: Path, grown: Mapping[str, Growth]) -> int:
    """Copy a weights file with some tables longer; returns the number of bytes it grew by.

    grown holds the new rows by the names of the tensors.
    """
    with source.open("rb") as stream:
        begin, header = read_safetensors_header(stream)
        metadata = header.pop("__metadata__", None)
        # wide numbers first, as the library writes them: behind a longer table they would no longer be aligned
        order = sorted(
            header,
            key=lambda name: (
                -_WIDTHS.get(header[name]["dtype"], 1),
                header[name]["data_offsets"][0],
            ),
        )
        parts: list[tuple[int, int, bytes]] = []
        entries: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
        offset, more = 0, 0
        for name in order:
            entry = header[name]
            first, last = entry["data_offsets"]
            size = last - first
            keep, middle, resume, shape = size, b"", size, entry["shape"]
            if name in grown:
                used, middle, count = grown[name]
                table = Table(source, name, entry["dtype"], tuple(shape), 0)
                row = size // table.rows
                keep, resume = used * row, min(size, (used + count) * row)
                shape = [*shape]
                shape[table.axis] = max(table.rows, used + count)
            length = keep + len(middle) + size - resume
            entries[name] = {
                "dtype": entry["dtype"],
                "shape": shape,
                "data_offsets": [offset, offset + length],
            }
            parts.append((begin + first, keep, middle))
            parts.append((begin + first + resume, size - resume, b""))
            offset, more = offset + length, more + length - size
        head = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
        head += b" " * (-len(head) % 8)
        with target.open("wb") as out:
            out.write(struct.pack("<Q", len(head)) + head)
            for start, length, middle in parts:
                copy_bytes(stream, out, start, length)
                out.write(middle)
    return more


def same_name(stored: str, live: str) -> bool:
    """Whether a tensor's name in a file and in memory are one but for a prefix such as `bert.`."""
    return stored == live or stored.endswith("." + live) or live.endswith("." + stored)


def read_safetensors_header(stream: BinaryIO) -> tuple[int, dict[str, Any]]:
    """(where the data begins, the header's object) of a weights file of ours; what came from outside goes through weights.read_header."""
    length = struct.unpack("<Q", stream.read(8))[0]
    return 8 + length, json.loads(stream.read(length))


def copy_bytes(stream: BinaryIO, out: BinaryIO, start: int, length: int) -> None:
    """Copy `length` bytes from `start` on. Raises NotLoadable where the file ends before."""
    stream.seek(start)
    while length:
        block = stream.read(min(_BLOCK, length))
        if not block:
            raise NotLoadable(
                f"{getattr(stream, 'name', 'the weights file')} ends {length} bytes early"
            )
        out.write(block)
        length -= len(block)
