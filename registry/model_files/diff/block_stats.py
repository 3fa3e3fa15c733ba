"""Sums: by how much two runs of values differ. Blocks of float32 are added up in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.model_files.weights.safetensors import BITS

from .tensor_reader import BLOCK, Reader, dot
from .tensor_source import Source, Stored, width_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_RUN = 4 << 20
"""Values that one thread compares before it gives back what it read."""


@dataclass
class Sums:
    """What two runs of values differ by."""

    values: int = 0
    changed: int = 0
    largest: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    before: float = 0.0
    """Sum of the squares of the values before."""
    changed_rows: int = 0
    not_finite: int = 0
    """Changed values that are NaN or infinite on a side."""

    def add(self, other: Sums) -> None:
        """Take another run's into this."""
        self.values += other.values
        self.changed += other.changed
        self.largest = max(self.largest, other.largest)
        self.total += other.total
        self.squares += other.squares
        self.before += other.before
        self.changed_rows += other.changed_rows
        self.not_finite += other.not_finite


def runs(count: int, width: int = 1) -> Iterator[tuple[int, int]]:
    """(start, count) of pieces that are worth a thread's while, whole rows of `width` values each."""
    step = max(_RUN // width, 1) * width
    for start in range(0, count, step):
        yield start, min(step, count - start)


def compare_run(
    reader: Reader,
    before: Source,
    after: Source,
    start: int,
    count: int,
    width: int | None,
    progress: Callable[[int], object],
) -> Sums:
    """How `count` values from `start` on differ, both sides at the same place; with a width, changed rows are counted."""
    found, step = Sums(), max(BLOCK // (width or 1), 1) * (width or 1)
    same_dtype = (
        isinstance(before, Stored) and isinstance(after, Stored) and before.dtype == after.dtype
    )
    for place in range(start, start + count, step):
        length = min(step, start + count - place)
        if same_dtype and _equal(
            reader.raw(before, place, length),  # type: ignore[arg-type]
            reader.raw(after, place, length),  # type: ignore[arg-type]
        ):
            old = reader.numbers(before, place, length)
            found.add(Sums(length, before=dot(old)))
            continue
        old, new = reader.numbers(before, place, length), reader.numbers(after, place, length)
        found.add(difference(old, new, width))
    size = count * (BITS[before.dtype] + BITS[after.dtype]) // 8
    reader.count(size)
    reader.release(before, start, count)
    reader.release(after, start, count)
    progress(size)
    return found


def compare_rows(
    reader: Reader, before: Source, after: Source, pairs: Array, progress: Callable[[int], object]
) -> Sums:
    """How the rows pairs[:, 0] of a table differ from the rows pairs[:, 1] of another."""
    width, found = width_of(before), Sums()
    step = max(BLOCK // max(width, 1), 1)
    for start in range(0, len(pairs), step):
        some = pairs[start : start + step]
        found.add(
            difference(
                reader.rows(before, some[:, 0]).reshape(-1),
                reader.rows(after, some[:, 1]).reshape(-1),
                width,
            )
        )
        size = len(some) * width * (BITS[before.dtype] + BITS[after.dtype]) // 8
        reader.count(size)
        progress(size)
    for source in (before, after):
        reader.release(source, 0, source.shape[0] * width)
    return found


def difference(old: Array, new: Array, width: int | None = None) -> Sums:
    """How two flat arrays differ. What is not finite counts as changed where it is not the same, and has no size."""
    import numpy as np

    changed = np.not_equal(old, new)
    count = int(np.count_nonzero(changed))
    found = Sums(old.size, count, before=dot(old))
    if count:
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.subtract(new, old)
        found.squares = dot(gap)
        np.abs(gap, out=gap)
        if not np.isfinite(gap.max()):
            changed &= ~(np.isnan(old) & np.isnan(new))
            found.changed = int(np.count_nonzero(changed))
            found.not_finite = int(
                np.count_nonzero(changed & ~(np.isfinite(old) & np.isfinite(new)))
            )
            gap = np.append(gap[np.isfinite(gap)], 0)
        found.largest, found.total = float(gap.max()), float(gap.sum())
        if width:
            found.changed_rows = int(np.count_nonzero(changed.reshape(-1, width).any(axis=1)))
    return found


def _equal(one: Array, other: Array) -> bool:
    """Whether the bytes are equal; where the first few differ, the rest is not looked at."""
    import numpy as np

    return bool(
        np.array_equal(one[:16].view(np.uint8), other[:16].view(np.uint8))
        and np.array_equal(one.view(np.uint8), other.view(np.uint8))
    )


def total(parts: Sequence[Sums]) -> Sums:
    """All of them in one."""
    found = Sums()
    for part in parts:
        found.add(part)
    return found
