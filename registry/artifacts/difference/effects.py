"""Effects: what adapters add to the weights of their base, as norms. A product is never formed.

With P of (out, r) and Q of (r, in), |PQ|² is the sum over the element-wise product of PᵀP and QQᵀ, both (r, r). The difference
of two products is one of twice the rank.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ...differences import Effect
from .side import LowRank, Side
from .values import Reader, Source, Summed

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def effects(before: Side, after: Side, reader: Reader, formed: set[str]) -> list[Effect]:
    """Of each module that an adapter of either side changes otherwise than that of the other, the largest change first.

    formed are modules whose weights were compared with the product in them.
    """
    old, new = before.low_ranks, after.low_ranks
    found = []
    for module in (old.keys() | new.keys()) - formed:
        one, other = old.get(module), new.get(module)
        if one is not None and other is not None and one.identity is not None and one.identity == other.identity:
            continue
        effect = _effect(module, one, other, _weight(before, after, module), reader)
        if effect is not None:
            found.append(effect)
    found += _scaled(before, after, reader)
    return sorted(found, key=lambda effect: (-effect.change, effect.module))


def _effect(module: str, one: LowRank | None, other: LowRank | None, weight: Source | None, reader: Reader) -> Effect | None:
    import numpy as np
    old, new = (matrices(pair, reader) if pair is not None else None for pair in (one, other))
    norms = [0.0 if pair is None else _norm(*pair) for pair in (old, new)]
    if old is None or new is None:
        change = max(norms)
    elif old[0].shape[0] != new[0].shape[0] or old[1].shape[1] != new[1].shape[1]:
        change = math.hypot(*norms)
    elif all(np.array_equal(*pair) for pair in zip(old, new, strict=True)):
        return None
    else:
        change = _norm(np.hstack([new[0], -old[0]]), np.vstack([new[1], old[1]]))
    return Effect(module, norms[0], norms[1], change, math.sqrt(reader.squares(weight)) if weight is not None else None)


def matrices(pair: LowRank, reader: Reader) -> tuple[Array, Array]:
    """(scaling * B as (out, rank), A as (rank, in))."""
    a, b = reader.whole(pair.a), reader.whole(pair.b)
    return pair.scaling * b.reshape(b.shape[0], -1), a.reshape(a.shape[0], -1)


def summed(weight: Source, pair: LowRank, reader: Reader) -> Source:
    """The weight with what the adapter adds."""
    b, a = matrices(pair, reader)
    if isinstance(weight, Summed):
        return weight
    return Summed(weight, b.T, a.T) if pair.embedding or pair.turned else Summed(weight, a, b)


def _norm(p: Array, q: Array) -> float:
    return math.sqrt(max(float(((p.T @ p) * (q @ q.T)).sum()), 0.0))


def _weight(before: Side, after: Side, module: str) -> Source | None:
    return next((side.full.sources[f"{module}.weight"] for side in (before, after) if f"{module}.weight" in side.full.sources), None)


def _scaled(before: Side, after: Side, reader: Reader) -> list[Effect]:
    """IA3: a weight's rows, or its columns, times numbers: the change is that of the weight itself."""
    found = []
    for module in before.scales.keys() | after.scales.keys():
        weight = _weight(before, after, module)
        if weight is None or len(weight.shape) != 2:
            continue
        scales = [side.scales.get(module) for side in (before, after)]
        factors = [None if scale is None else reader.whole(scale.values) for scale in scales]
        shape = next(item.shape for item in factors if item is not None)
        axis = 1 if shape[0] != 1 else 0
        squares = (reader.whole(weight) ** 2).sum(axis=axis)
        old, new = (1.0 if item is None else item.reshape(-1) for item in factors)
        changes = [math.sqrt(float((squares * (one - other) ** 2).sum())) for one, other in ((old, 1.0), (new, 1.0), (new, old))]
        if changes[2]:
            found.append(Effect(module, changes[0], changes[1], changes[2], math.sqrt(float(squares.sum()))))
    return found
