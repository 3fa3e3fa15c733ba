"""Rewriting: a weights file with some tensors replaced, renamed or left out, every other byte kept.

The order of the tensors stays where no size changes, so that a file rewritten with its own tensors is the same file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from registry.errors import NotLoadable

from .grow import copy_bytes, read_safetensors_header

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
class Values:
    """What a tensor is to be: dtype as safetensors spells it, shape, and its bytes in C order."""

    dtype: str
    shape: tuple[int, ...]
    content: bytes


def rewrite(
    source: Path,
    target: Path,
    *,
    replaced: Mapping[str, Values] | None = None,
    renamed: Mapping[str, str] | None = None,
    left_out: Collection[str] = (),
    added: Mapping[str, Values] | None = None,
) -> None:
    """Copy a weights file to `target`, another path.

    replaced and left_out are by the names in source; renamed gives new names by old ones; added tensors stand behind the others.
    Raises NotLoadable if two tensors would have one name.
    """
    replaced, renamed, added = replaced or {}, renamed or {}, added or {}
    with source.open("rb") as stream:
        begin, header = read_safetensors_header(stream)
        metadata = header.pop("__metadata__", None)
        kept = [name for name in header if name not in left_out]
        kept.sort(key=lambda name: header[name]["data_offsets"][0])
        if added or any(
            len(replaced[name].content) != _length(header[name])
            for name in kept
            if name in replaced
        ):
            kept.sort(
                key=lambda name: (
                    -_WIDTHS.get(
                        replaced[name].dtype if name in replaced else header[name]["dtype"], 1
                    )
                )
            )
        entries: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
        offset = 0
        for name in kept:
            new = replaced.get(name)
            length = len(new.content) if new is not None else _length(header[name])
            offset = _enter(entries, renamed.get(name, name), new or header[name], offset, length)
        for name, new in added.items():
            offset = _enter(entries, name, new, offset, len(new.content))
        head = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
        head += b" " * (-len(head) % 8)
        with target.open("wb") as out:
            out.write(struct.pack("<Q", len(head)) + head)
            for name in kept:
                _write(
                    stream,
                    out,
                    begin + header[name]["data_offsets"][0],
                    _length(header[name]),
                    replaced.get(name),
                )
            for new in added.values():
                out.write(new.content)


def _enter(
    entries: dict[str, Any], name: str, what: Values | Mapping[str, Any], offset: int, length: int
) -> int:
    if name in entries:
        raise NotLoadable(f"two tensors would have the name {name!r}")
    dtype, shape = (
        (what.dtype, what.shape) if isinstance(what, Values) else (what["dtype"], what["shape"])
    )
    entries[name] = {
        "dtype": dtype,
        "shape": list(shape),
        "data_offsets": [offset, offset + length],
    }
    return offset + length


def _write(stream: BinaryIO, out: BinaryIO, start: int, length: int, new: Values | None) -> None:
    if new is None:
        copy_bytes(stream, out, start, length)
    else:
        out.write(new.content)


def _length(entry: Mapping[str, Any]) -> int:
    first, last = entry["data_offsets"]
    return int(last - first)
