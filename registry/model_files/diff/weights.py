"""Weights: which tensors differ between two sides, and by how much. Equal digests mean that nothing is read."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry.results.diff import TensorChange

from .adapter_delta import applied
from .block_stats import Sums, compare_rows, compare_run, runs, total
from .model_view import Side, matched
from .tensor_reader import Reader
from .tensor_source import Source

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_WORKERS = 4
_ROUNDING = {"F64": 1e-6, "F32": 1e-6, "F16": 1e-3, "BF16": 8e-3}
"""Of a norm: what rounding each number of a sum once, to its dtype, can amount to; libraries add in float32 at most."""


@dataclass(frozen=True)
class _Rows:
    """Which rows of two tables belong together: the first `count`, or those of `pairs`, (n, 2); and how many are new."""

    count: int
    new: int
    pairs: Array | None = None


@dataclass(frozen=True)
class _Task:
    name: str
    before: Source
    after: Source
    rows: _Rows | None = None
    """None for tensors of one shape that have no row for each token."""


def compare(
    before: Side, after: Side, reader: Reader, progress: Callable[[int], object]
) -> tuple[list[TensorChange], int, set[str]]:
    """(changes by name, how many tensors are the same, modules whose adapter's product was formed to compare them).

    A weight that differs, and that an adapter of either side adds to, is compared again with that added: a merged model is what
    its adapter was, but for rounding.
    """
    old = {**before.sources, **before.others}
    new = {**after.sources, **after.others}
    names = matched(old, new)
    changes = [
        TensorChange(name, "removed", (old[name].dtype, None), (old[name].shape, None))
        for name in old.keys() - names.keys()
    ]
    changes += [
        TensorChange(name, "added", (None, new[name].dtype), (None, new[name].shape))
        for name in new.keys() - set(names.values())
    ]
    by_token = _ByToken(before, after)
    tasks = [
        _Task(name, old[name], new[other], by_token.rows(old[name], new[other]))
        for name, other in names.items()
        if not _known_equal(old[name], new[other]) or by_token.moved(old[name], new[other])
    ]
    formed = set()
    for task, change in zip(tasks, _run(tasks, reader, progress), strict=True):
        added = (
            _with_adapters(task, before, after, reader)
            if change is not None and change.changed and not change.new_rows
            else None
        )
        if added is not None:
            formed.add(task.name.rpartition(".")[0])
            change = _but_for_rounding(next(_run([added], reader, progress)))  # noqa: PLW2901  # the same tensor, seen whole
        changes += [change] if change is not None else []
    same = len(names) - sum(change.kind not in ("added", "removed") for change in changes)
    return sorted(changes, key=lambda change: change.name), same, formed


def _with_adapters(task: _Task, before: Side, after: Side, reader: Reader) -> _Task | None:
    """The task with what adapters add to its tensor; None where none does."""
    module, _, parameter = task.name.rpartition(".")
    found = [side.added.get(module) if parameter == "weight" else None for side in (before, after)]
    if found == [None, None]:
        return None
    old, new = (
        source if added is None else applied(source, added, reader)
        for source, added in zip((task.before, task.after), found, strict=True)
    )
    return replace(task, before=old, after=new)


def _but_for_rounding(change: TensorChange | None) -> TensorChange | None:
    """The change, called merged where it is what storing a sum in its dtype rounds."""
    if change is None or change.relative is None or change.not_finite:
        return change
    coarsest = max(_ROUNDING.get(dtype or "", 0.0) for dtype in change.dtypes)
    return replace(change, kind="merged") if change.relative <= coarsest else change


def _known_equal(old: Source, new: Source) -> bool:
    return old is new or (old.identity is not None and old.identity == new.identity)


class _ByToken:
    """The rows of tables that have one for each token, brought together by token."""

    def __init__(self, before: Side, after: Side) -> None:
        self._sizes = (before.rows, after.rows)
        self._equal = before.vocabulary_digest == after.vocabulary_digest
        self._sides = before, after
        self._found: _Rows | None = None

    def rows(self, old: Source, new: Source) -> _Rows | None:
        """How rows of two tensors belong together; None where they have one shape and no row for each token."""
        if not old.shape or not new.shape or old.shape[1:] != new.shape[1:]:
            return None
        if self._are_tables(old, new) and not self._equal:
            return self._pairs()
        if old.shape == new.shape and not self._are_tables(old, new):
            return None
        return _Rows(min(old.shape[0], new.shape[0]), max(new.shape[0] - old.shape[0], 0))

    def moved(self, old: Source, new: Source) -> bool:
        """Whether two equal tensors differ all the same, because their tokens stand in another order."""
        return not self._equal and self._are_tables(old, new) and self._pairs().pairs is not None

    def _are_tables(self, old: Source, new: Source) -> bool:
        return (
            None not in self._sizes
            and bool(old.shape)
            and bool(new.shape)
            and (old.shape[0], new.shape[0]) == self._sizes
        )

    def _pairs(self) -> _Rows:
        if self._found is None:
            import numpy as np

            old, new = (side.tokens for side in self._sides)
            limit_old, limit_new = (size or 0 for size in self._sizes)
            there = {token.content: token.id for token in new if token.id < limit_new}
            pairs = [
                (token.id, there[token.content])
                for token in old
                if token.content in there and token.id < limit_old
            ]
            straight = all(one == other == place for place, (one, other) in enumerate(pairs))
            fresh = len(there.keys() - {token.content for token in old})
            self._found = _Rows(
                len(pairs),
                fresh,
                None if straight else np.array(pairs, dtype=np.int64).reshape(-1, 2),
            )
        return self._found


def _run(
    tasks: list[_Task], reader: Reader, progress: Callable[[int], object]
) -> Iterator[TensorChange | None]:
    """Every task's change, computed by a few threads: numpy lets go of the interpreter while it works."""
    with ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1)) as pool:
        waiting = [
            (task, [pool.submit(part) for part in _parts(task, reader, progress)]) for task in tasks
        ]
        try:
            for task, parts in waiting:
                yield _change(task, total([part.result() for part in parts]))
        finally:
            pool.shutdown(cancel_futures=True)


def _parts(
    task: _Task, reader: Reader, progress: Callable[[int], object]
) -> Iterator[Callable[[], Sums]]:
    """The work of one tensor in pieces for threads."""
    before, after, rows = task.before, task.after, task.rows
    if rows is not None and rows.pairs is not None:
        pairs = rows.pairs
        yield lambda: compare_rows(reader, before, after, pairs, progress)
        return
    if rows is None and before.shape != after.shape:
        return
    width = math.prod(before.shape[1:]) if rows is not None else None
    count = (
        rows.count * (width or 1)
        if rows is not None and width is not None
        else math.prod(before.shape)
    )
    for start, length in runs(count, width or 1):
        yield lambda start=start, length=length: compare_run(  # type: ignore[misc]
            reader, before, after, start, length, width if rows is not None else None, progress
        )


def _change(task: _Task, sums: Sums) -> TensorChange | None:
    before, after, rows = task.before, task.after, task.rows
    resized = before.shape != after.shape or (rows is not None and rows.new > 0)
    moved = rows is not None and rows.pairs is not None
    if not sums.changed and not resized and before.dtype == after.dtype and not moved:
        return None
    kind = (
        "resized"
        if resized
        else "changed"
        if sums.changed
        else "dtype"
        if before.dtype != after.dtype
        else "moved"
    )
    return TensorChange(
        task.name,
        kind,
        (before.dtype, after.dtype),
        (before.shape, after.shape),
        sums.values,
        sums.changed,
        sums.largest,
        sums.total,
        math.sqrt(sums.squares),
        math.sqrt(sums.before),
        rows.count if rows is not None else None,
        sums.changed_rows if rows is not None else None,
        rows.new if rows is not None else None,
        sums.not_finite,
    )
