"""Weights: what safetensors files say of themselves, and the digests of their tensors. Nothing here imports torch or opens a pickle.

    tensor digest = SHA-256 of canonical JSON {"dtype", "shape"}, a zero byte, and the tensor's bytes as they lie in the file
    weights digest = digest of canonical JSON [[name, dtype, [shape], tensor digest], …] sorted by name

so other headers, shards or orders of the same tensors have the same weights digest. The reader takes less than the library
does: whatever that refuses is refused here, and names that stand twice, unknown fields and oversized headers too.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from threading import Event, Lock
from typing import Any, BinaryIO

from registry.core.digest import BLOCK, Digest, canonical, digest_of, parse_json
from registry.core.facts import Files, Tensor, Weights, read
from registry.errors import InvalidManifest, UnsafeFile

HEADER_LIMIT = 16 << 20
"""Bytes of a header."""
TENSORS_LIMIT = 25_000
"""Tensors of a file or an index; published models have up to 19,000."""
SHARDS_LIMIT = 1_000
INDEX_LIMIT = 8 << 20
"""Bytes of an index of shards."""
METADATA_LIMIT = 1_000
"""Entries of the metadata of a file."""
DIMENSIONS_LIMIT = 32
NAME_LIMIT = 512
_AGAIN = "download or copy the file again"

BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
}
"""Bits of an element, by the dtype's name in the header."""
LARGE = 16 << 20
"""Bytes of tensors from which on a second thread is worth its while."""
_PIECE = 1 << 15
"""Values that are looked at together."""
_ONES = {
    "F64": b"\0\0\0\0\0\0\xf0\x3f",
    "F32": b"\0\0\x80\x3f",
    "F16": b"\0\x3c",
    "BF16": b"\x80\x3f",
}


@dataclass(frozen=True)
class Header:
    """A tensor as a file declares it; offset is counted from the beginning of the file, length in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


@dataclass(frozen=True)
class NotFinite:
    """A tensor with values that are no numbers."""

    name: str
    count: int


def read_header(stream: BinaryIO, what: str, size: int) -> dict[str, Header]:
    """The tensors a safetensors file of `size` bytes declares, by name; their data is left unread.

    Raises UnsafeFile for whatever is not exactly the format. Source: safetensors README, "Format".
    """
    stream.seek(0)
    first = stream.read(8)
    if len(first) < 8:
        raise UnsafeFile(f"{what} is no safetensors file: it has {size} bytes")
    length = int.from_bytes(first, "little")
    if HEADER_LIMIT < length <= size - 8:
        raise UnsafeFile(f"{what} has a header of {length} bytes (at most {HEADER_LIMIT})")
    if length > size - 8:
        raise UnsafeFile(
            f"{what} is no safetensors file, or cut off: its header should have {length} bytes, the file has {size}",
            hint=_AGAIN,
        )
    text = stream.read(length)
    if not text.startswith(b"{"):
        raise UnsafeFile(f"{what} is no safetensors file: its header is no JSON object")
    try:
        value = parse_json(text.rstrip(b" "), f"the header of {what}")
    except InvalidManifest as error:
        raise UnsafeFile(str(error), hint=error.hint) from None
    return _headers(value, what, start=8 + length, size=size)


def weights_of(tensors: Iterable[Tensor]) -> Weights:
    """Weights from their tensors."""
    ordered = tuple(sorted(tensors, key=lambda tensor: tensor.name))
    digest = digest_of(
        canonical([[item.name, item.dtype, list(item.shape), item.digest] for item in ordered])
    )
    dtypes = {item.dtype for item in ordered}
    return Weights(
        digest,
        dtypes.pop() if len(dtypes) == 1 else "mixed",
        sum(math.prod(item.shape) for item in ordered),
        ordered,
    )


def tensors(
    files: Files, path: str, *, prefix: str = "", progress: Callable[[int], object] | None = None
) -> tuple[list[Tensor], list[NotFinite]]:
    """(tensors of one safetensors file with their digests, those with values that are not finite), each byte read once.

    A large file is read by two threads, since a hash lets others run. progress gets bytes, one call at a time; what it raises ends both.
    """
    with files.open(path) as stream:
        headers = sorted(
            read_header(stream, path, files.size(path)).values(), key=lambda header: header.offset
        )
    telling, stop = Lock(), Event()

    def tell(size: int) -> None:
        if stop.is_set():
            raise _Stopped
        if progress is not None:
            with telling:
                progress(size)

    def hashed(part: Sequence[Header]) -> list[tuple[Tensor, int]]:
        done = []
        with files.open(path) as stream:
            for header in part:
                digest, strange = _digest(stream, header, tell, path)
                done.append(
                    (Tensor(prefix + header.name, header.dtype, header.shape, digest), strange)
                )
        return done

    def guarded(part: Sequence[Header]) -> list[tuple[Tensor, int]]:
        try:
            return hashed(part)
        except BaseException:
            stop.set()
            raise

    first, *others = (
        _halves(headers) if sum(header.length for header in headers) >= LARGE else [headers]
    )
    with ThreadPoolExecutor(1, "hash") as pool, contextlib.ExitStack() as ended:
        ended.callback(stop.set)  # whatever ends this half ends the other
        beside = [pool.submit(guarded, part) for part in others]
        found: list[tuple[Tensor, int]] = []
        with contextlib.suppress(_Stopped):
            found += hashed(first)
        found += [item for part in beside for item in part.result()]
    return [tensor for tensor, _ in found], [
        NotFinite(tensor.name, strange) for tensor, strange in found if strange
    ]


class _Stopped(Exception):
    """The other half failed, or nobody waits any more."""


def _halves(headers: Sequence[Header]) -> list[Sequence[Header]]:
    """The tensors in two parts of about the same number of bytes."""
    total = sum(header.length for header in headers)
    middle = next(
        place
        for place, reached in enumerate(accumulate(header.length for header in headers), 1)
        if 2 * reached >= total
    )
    return [part for part in (headers[:middle], headers[middle:]) if part]


def constant_digest(dtype: str, shape: Sequence[int], number: int) -> Digest | None:
    """The digest that a tensor has whose values are all this number, 0 or 1; None for a dtype that is no real number."""
    value = _ONES[dtype] if number and dtype in _ONES else bytes(BITS.get(dtype, 0) // 8)
    if dtype not in _ONES or not shape:
        return None
    hashed = hashlib.sha256(canonical({"dtype": dtype, "shape": list(shape)}) + b"\0")
    left = math.prod(shape)
    while left:
        count = min(left, BLOCK // 8)
        hashed.update(value * count)
        left -= count
    return Digest("sha256:" + hashed.hexdigest())


def shards(files: Files, index: str) -> list[str]:
    """The weights files that an index names, checked to hold exactly the tensors it says. Raises UnsafeFile."""
    if files.size(index) > INDEX_LIMIT:
        raise UnsafeFile(f"{index} has {files.size(index)} bytes (at most {INDEX_LIMIT})")
    value = parse_json(read(files, index), index)
    weight_map = value.get("weight_map") if isinstance(value, dict) else None
    if (
        not isinstance(weight_map, dict)
        or not weight_map
        or not all(isinstance(name, str) for name in weight_map.values())
    ):
        raise UnsafeFile(f"{index} has no weight_map")
    shard_count = len(set(weight_map.values()))
    if len(weight_map) > TENSORS_LIMIT or shard_count > SHARDS_LIMIT:
        raise UnsafeFile(
            f"{index} names {len(weight_map)} tensors in {shard_count} shards "
            f"(at most {TENSORS_LIMIT} in {SHARDS_LIMIT})"
        )
    folder = index.rpartition("/")[0]
    there = set(files.paths())
    names: dict[str, set[str]] = {}
    for tensor, shard in weight_map.items():
        names.setdefault(f"{folder}/{shard}" if folder else shard, set()).add(tensor)
    for path, expected in names.items():
        if path not in there:
            raise UnsafeFile(f"{index} names the shard {path!r}, which is missing")
        with files.open(path) as stream:
            declared = set(read_header(stream, path, files.size(path)))
        if declared != expected:
            odd = sorted(declared ^ expected)[0]
            raise UnsafeFile(f"{index} and {path} disagree about the tensor {odd!r}")
    return sorted(names)


def _headers(value: Any, what: str, *, start: int, size: int) -> dict[str, Header]:
    metadata = value.pop("__metadata__", {})
    if isinstance(metadata, dict) and len(metadata) > METADATA_LIMIT:
        raise UnsafeFile(
            f"{what} has {len(metadata)} entries of metadata (at most {METADATA_LIMIT})"
        )
    if not isinstance(metadata, dict) or not all(
        isinstance(item, str) for item in metadata.values()
    ):
        raise UnsafeFile(f"{what} has metadata that is not text")
    if len(value) > TENSORS_LIMIT:
        raise UnsafeFile(f"{what} declares {len(value)} tensors (at most {TENSORS_LIMIT})")
    found = {name: _header(name, item, what, start) for name, item in value.items()}
    end = start
    for header in sorted(found.values(), key=lambda header: (header.offset, header.length)):
        if header.offset != end:
            raise UnsafeFile(
                f"{what} has {'an overlap' if header.offset < end else 'a hole'} before the tensor {header.name!r}"
            )
        end += header.length
    if end != size:
        raise UnsafeFile(
            f"{what} is cut off or has bytes after its end: it should have {end} bytes and has {size}",
            hint=_AGAIN,
        )
    return found


def _header(name: str, item: Any, what: str, start: int) -> Header:
    if not name or len(name) > NAME_LIMIT or not name.isprintable() or ".." in name.split("/"):
        raise UnsafeFile(f"{what} has a tensor with the name {name[:80]!r}")
    if (
        not isinstance(item, dict)
        or set(item) != {"dtype", "shape", "data_offsets"}
        or not isinstance(item["dtype"], str)
    ):
        raise UnsafeFile(f"{what} describes the tensor {name!r} in an unknown way")
    if item["dtype"] not in BITS:
        raise UnsafeFile(f"{what} describes the tensor {name!r} in an unknown way")
    shape, offsets = item["shape"], item["data_offsets"]
    if (
        not isinstance(shape, list)
        or len(shape) > DIMENSIONS_LIMIT
        or not all(type(length) is int and length >= 0 for length in shape)
        or not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(type(place) is int and place >= 0 for place in offsets)
    ):
        raise UnsafeFile(f"{what} gives the tensor {name!r} an impossible shape or place")
    length = math.prod(shape) * BITS[item["dtype"]] // 8
    if offsets[1] - offsets[0] != length:
        raise UnsafeFile(
            f"{what} gives the tensor {name!r} {offsets[1] - offsets[0]} bytes, its shape needs {length}"
        )
    return Header(name, item["dtype"], tuple(shape), start + offsets[0], length)


def _digest(
    stream: BinaryIO, header: Header, progress: Callable[[int], object], what: str
) -> tuple[Digest, int]:
    hashed = hashlib.sha256(canonical({"dtype": header.dtype, "shape": list(header.shape)}) + b"\0")
    stream.seek(header.offset)
    left, strange = header.length, 0
    while left:
        block = stream.read(min(BLOCK, left))
        if not block:
            raise UnsafeFile(f"{what} ended inside the tensor {header.name!r}")
        hashed.update(block)
        strange += _not_finite(block, header.dtype)
        left -= len(block)
        progress(len(block))
    return Digest("sha256:" + hashed.hexdigest()), strange


def _not_finite(block: bytes, dtype: str) -> int:
    """How many values of a block have an exponent of all ones: infinities and what is no number. Blocks hold whole values.

    The last byte of a value, little end first, has sign and exponent; in nearly all blocks none is full, and numpy need not be imported.
    """
    masks = {
        "F64": ("<u8", 0x7FF0000000000000),
        "F32": ("<u4", 0x7F800000),
        "F16": ("<u2", 0x7C00),
        "BF16": ("<u2", 0x7F80),
    }
    if dtype not in masks:
        return 0
    kind, mask = masks[dtype]
    width = BITS[dtype] // 8
    full = mask >> 8 * (width - 1)
    last = block[width - 1 :: width]
    if not any(top in last for top in range(256) if top & full == full):
        return 0
    import numpy

    values, ones = numpy.frombuffer(block, kind), numpy.array(mask, kind)
    # in pieces that stay in the processor's cache, since the comparison makes two arrays of its own
    pieces = (values[start : start + _PIECE] for start in range(0, len(values), _PIECE))
    return sum(int(numpy.count_nonzero((piece & ones) == ones)) for piece in pieces)


def names(found: Sequence[NotFinite]) -> str:
    """The tensors' names for a message, three at most."""
    return ", ".join(repr(item.name) for item in found[:3]) + (
        f" and {len(found) - 3} more" if len(found) > 3 else ""
    )


TORCH = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
