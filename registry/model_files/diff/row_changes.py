"""Rows: which tokens have another row in one model than in another, adapters that train rows counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .adapter_delta import applied
from .model_view import Side
from .tensor_reader import Reader

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MERGED = 1e-4
"""Of a row's largest number: what merging an adapter into a weight may round."""


def changed_rows(before: Side, after: Side, ids: Sequence[int]) -> list[int]:
    """Those of the ids whose row differs between the two; none where a side has no table of token rows."""
    import numpy as np

    old, new = before.table, after.table
    if old is None or new is None:
        return []
    one, other = before.sources[old], after.sources[new]
    pair = [
        side.added.get(name.removesuffix(".weight")) for side, name in ((before, old), (after, new))
    ]
    same_tables = one is other or (one.identity is not None and one.identity == other.identity)
    if (same_tables and pair == [None, None]) or one.shape[1:] != other.shape[1:]:
        return []
    within = np.array([id for id in ids if id < min(one.shape[0], other.shape[0])], dtype=np.int64)
    with Reader() as reader:
        tables = [
            source if added is None else applied(source, added, reader)
            for source, added in zip((one, other), pair, strict=True)
        ]
        rows = [reader.rows(table, within).astype(np.float64) for table in tables]
    gap = np.abs(rows[1] - rows[0]).max(axis=1, initial=0.0)
    allowed = (
        _MERGED * np.abs(rows[0]).max(axis=1, initial=0.0)
        if after.kind == "merged"
        else np.zeros(len(within))
    )
    changed: list[int] = within[gap > allowed].tolist()
    return changed
