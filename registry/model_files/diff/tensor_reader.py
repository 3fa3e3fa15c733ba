"""Values: the numbers of stored tensors, by memory map and in blocks, whatever their dtype.

What was read is given back to the system, so that the memory needed does not grow with the model.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

from registry.model_files.weights.safetensors import BITS

from .tensor_source import Factored, Patched, Source, Stored, Summed, width_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

BLOCK = 1 << 16
"""Values of a block: with its neighbours it fits into a processor's cache."""
_PAGE = mmap.PAGESIZE
_STORED = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "u1",
    "F8_E5M2": "u1",
    "F8_E4M3": "u1",
    "F8_E8M0": "u1",
}
_TINY, _HUGE = 1e-30, 1e30
"""Between these a sum of float32 squares is exact enough; beyond, it is made again in float64."""


class Reader:
    """Opens each file once. `read` counts the bytes that were looked at."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], _Map] = {}
        self._lock = threading.Lock()
        self.read = 0

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exception: object) -> None:
        for opened in self._open.values():
            opened.close()

    def numbers(self, source: Source, start: int, count: int) -> Array:
        """`count` values from the one numbered `start` on, flat, as float32 or float64. Valid until release()."""
        if isinstance(source, Stored):
            return wide(self.raw(source, start, count), source.dtype)
        if isinstance(source, Patched):
            return self._patched(source, start, count)
        return (
            self._summed(source, start, count)
            if isinstance(source, Summed)
            else self._factored(source, start, count)
        )

    def raw(self, source: Stored, start: int, count: int) -> Array:
        """The same as it is stored, bfloat16 as its 16 bits."""
        import numpy as np

        size = BITS[source.dtype] // 8
        content = self._map(source).at(source.header.offset + start * size, count * size)
        return np.frombuffer(content, _STORED[source.dtype])

    def rows(self, source: Source, ids: Array) -> Array:
        """Rows of a table by their numbers, (len(ids), width), as float32 or float64."""
        import numpy as np

        width = width_of(source)
        if isinstance(source, Stored) and self._map(source).mapped:
            # a view of the whole table costs nothing: only the rows that are taken are read
            return wide(
                self.raw(source, 0, source.shape[0] * width).reshape(-1, width)[ids], source.dtype
            )
        made = [self.numbers(source, row * width, width) for row in ids.tolist()]
        return np.stack(made) if made else np.empty((0, width), np.float32)

    def whole(self, source: Source) -> Array:
        """The tensor in its shape, as float64; for small ones."""
        import numpy as np

        count = int(np.prod(source.shape, dtype=np.int64))
        self.count(count * BITS[source.dtype] // 8)
        return self.numbers(source, 0, count).astype(np.float64).reshape(source.shape)

    def squares(self, source: Source) -> float:
        """Sum of the squares of all values."""
        import numpy as np

        count, found = int(np.prod(source.shape, dtype=np.int64)), 0.0
        for start in range(0, count, BLOCK):
            found += dot(self.numbers(source, start, min(BLOCK, count - start)))
        self.count(count * BITS[source.dtype] // 8)
        return found

    def release(self, source: Source, start: int, count: int) -> None:
        """Give back to the system what a run of values took."""
        stored = source
        while not isinstance(stored, Stored):
            stored = stored.under
        size = BITS[stored.dtype] // 8
        self._map(stored).release(stored.header.offset + start * size, count * size)

    def count(self, size: int) -> None:
        """Count bytes that were read."""
        with self._lock:
            self.read += size

    def _map(self, source: Stored) -> _Map:
        key = (id(source.files), source.path)
        found = self._open.get(key)
        if found is None:
            with self._lock:
                found = self._open.get(key) or self._open.setdefault(
                    key, _Map(source.files.open(source.path))
                )
        return found

    def _patched(self, source: Patched, start: int, count: int) -> Array:
        import numpy as np

        width = width_of(source)
        found = np.array(self.numbers(source.under, start, count))
        for place, row in enumerate(source.ids):
            first, last = max(row * width, start), min((row + 1) * width, start + count)
            if first < last:
                found[first - start : last - start] = self.numbers(
                    source.delta, place * width + first - row * width, last - first
                )
        return found

    def _summed(self, source: Summed, start: int, count: int) -> Array:
        """The product is formed for the rows that are asked for, in float64."""
        width = width_of(source)
        first, last = start // width, -(-(start + count) // width)
        product = (source.b[first:last] @ source.a).reshape(-1)
        found: Array = (
            self.numbers(source.under, start, count)
            + product[start - first * width : start - first * width + count]
        )
        return found

    def _factored(self, source: Factored, start: int, count: int) -> Array:
        import numpy as np

        places = np.arange(start, start + count)
        width = width_of(source)
        found: Array = (
            self.numbers(source.under, start, count)
            * source.factors[places // width if source.by_row else places % width]
        )
        return found


class _Map:
    """A file in memory; one that lies on no disk is read where it is asked."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock = stream, threading.Lock()
        self._map: mmap.mmap | None = None
        with contextlib.suppress(io.UnsupportedOperation, OSError, ValueError, AttributeError):
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    @property
    def mapped(self) -> bool:
        """Whether it is in memory without being read."""
        return self._map is not None

    def at(self, offset: int, length: int) -> memoryview | bytes:
        """Some of its bytes."""
        if self._map is not None:
            return memoryview(self._map)[offset : offset + length]
        with self._lock:
            self._stream.seek(offset)
            return self._stream.read(length)

    def release(self, offset: int, length: int) -> None:
        """Pages wholly within are dropped; they are read again if somebody asks."""
        if self._map is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        first = -(-offset // _PAGE) * _PAGE
        size = (offset + length - first) // _PAGE * _PAGE
        if size > 0:
            self._map.madvise(mmap.MADV_DONTNEED, first, size)

    def close(self) -> None:
        with contextlib.suppress(
            BufferError
        ):  # a view of it is still alive, and ends it when it ends
            if self._map is not None:
                self._map.close()
        self._stream.close()


def dot(values: Array) -> float:
    """Sum of the squares of what is finite."""
    import numpy as np

    with np.errstate(over="ignore"):
        found = float(np.dot(values, values))
    if _TINY < found < _HUGE or (values.dtype != np.float32 and np.isfinite(found)):
        return found
    exact = values.astype(np.float64)
    exact = exact[np.isfinite(exact)]
    return float(np.dot(exact, exact))


def wide(stored: Array, dtype: str) -> Array:
    """Stored numbers as float32, or float64 where that is needed; exactly, integers above 2^53 apart."""
    import numpy as np

    if dtype == "F32":
        return stored
    if dtype == "BF16":
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype in ("F8_E5M2", "F8_E4M3", "F8_E8M0"):
        return _eight(dtype)[stored]
    return stored.astype(
        np.float32 if dtype in ("F16", "I8", "U8", "BOOL", "I16", "U16") else np.float64, copy=False
    )


@cache
def _eight(dtype: str) -> Array:
    """The 256 numbers of an 8-bit dtype. Source: OCP 8-bit Floating Point Specification; OCP Microscaling Formats for E8M0."""
    import numpy as np

    codes = np.arange(256, dtype=np.uint16)
    if dtype == "F8_E5M2":
        return (codes << np.uint16(8)).view(np.float16).astype(np.float32)
    if dtype == "F8_E8M0":
        return np.append(np.ldexp(np.ones(255), np.arange(255) - 127), np.nan).astype(np.float32)
    sign, exponent, mantissa = (
        np.where(codes & 0x80, -1.0, 1.0),
        (codes >> 3 & 0xF).astype(int),
        (codes & 0x7).astype(float),
    )
    made = (
        np.where(exponent > 0, np.ldexp(1 + mantissa / 8, exponent - 7), np.ldexp(mantissa / 8, -6))
        * sign
    )
    made[[0x7F, 0xFF]] = np.nan
    return made.astype(np.float32)
