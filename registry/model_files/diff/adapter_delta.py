"""Effects: what adapters do to the weights of their base, as norms.

Of LoRA alone no product is formed: with P of (out, r) and Q of (r, in), |PQ|² is the sum over the element-wise product of PᵀP and
QQᵀ, both (r, r), and the difference of two products is one of twice the rank. What multiplies the weight itself (IA3, DoRA) is
formed in blocks, and so is whatever else stands beside it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.results.diff import Effect

from .block_stats import compare_run, runs, total
from .model_view import Added, LowRank, Scale, Side
from .tensor_reader import BLOCK, Reader
from .tensor_source import Factored, Patched, Source, Stored, Summed, width_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def effects(before: Side, after: Side, reader: Reader, formed: set[str]) -> list[Effect]:
    """Of each module that an adapter of either side changes otherwise than that of the other, the largest change first, what is not computed last.

    formed are modules whose weights were compared with what adapters do to them.
    """
    old, new = before.added, after.added
    found = []
    for module in (old.keys() | new.keys()) - formed:
        one, other = old.get(module), new.get(module)
        if (
            one is not None
            and other is not None
            and one.identity is not None
            and one.identity == other.identity
        ):
            continue
        effect = _effect(
            module, one, other, before.full.weight(module), after.full.weight(module), reader
        )
        if effect is not None:
            found.append(_known(effect, before, after))
    return sorted(
        found, key=lambda effect: (effect.change is None, -(effect.change or 0.0), effect.module)
    )


def _known(effect: Effect, before: Side, after: Side) -> Effect:
    """The effect without the norms that are not what is there: a side also does, or only, what is not computed here."""
    old, new = (effect.module in side.not_computed for side in (before, after))
    return replace(
        effect,
        before=None if old else effect.before,
        after=None if new else effect.after,
        change=None if old or new else effect.change,
    )


def _effect(
    module: str,
    one: Added | None,
    other: Added | None,
    before: Source | None,
    after: Source | None,
    reader: Reader,
) -> Effect | None:
    weight = before or after
    if (
        isinstance(one, LowRank | None)
        and isinstance(other, LowRank | None)
        and not _multiplies(one)
        and not _multiplies(other)
    ):
        norms = _of_products(one, other, reader)
    else:
        assert weight is not None  # side.added has none that multiplies what is not there
        norms = _of_weights(one, other, before or weight, after or weight, reader)
    if norms is None:
        return None
    return Effect(module, *norms, math.sqrt(reader.squares(weight)) if weight is not None else None)


def applied(weight: Source, added: Added, reader: Reader) -> Source:
    """The weight with what the adapter does to it.

    Source of DoRA: peft 0.21, tuners/lora/dora.py, get_weight_norm; variants.py, merge_safe.
    """
    if not isinstance(weight, Stored | Patched):
        return weight
    if isinstance(added, Scale):
        return Factored(weight, reader.whole(added.values).reshape(-1), added.by_row)
    b, a = matrices(added, reader)
    turned = added.embedding or added.turned
    summed = Summed(weight, b.T, a.T) if turned else Summed(weight, a, b)
    return (
        summed
        if added.magnitude is None
        else _to_lengths(
            summed, reader.whole(added.magnitude).reshape(-1), reader, by_row=not turned
        )
    )


def _multiplies(added: Added | None) -> bool:
    return isinstance(added, Scale) or (added is not None and added.magnitude is not None)


def matrices(pair: LowRank, reader: Reader) -> tuple[Array, Array]:
    """(scaling * B as (out, rank), A as (rank, in))."""
    a, b = reader.whole(pair.a), reader.whole(pair.b)
    return pair.scaling * b.reshape(b.shape[0], -1), a.reshape(a.shape[0], -1)


def _to_lengths(summed: Summed, lengths: Array, reader: Reader, *, by_row: bool) -> Factored:
    """Each row, or column, brought to a length; one of nothing but zeros stays that."""
    import numpy as np

    found, width = np.zeros(len(lengths)), width_of(summed)
    step = max(BLOCK // width, 1)
    for first in range(0, summed.shape[0], step):
        count = min(step, summed.shape[0] - first)
        squares = reader.numbers(summed, first * width, count * width).reshape(count, width) ** 2
        if by_row:
            found[first : first + count] = squares.sum(axis=1)
        else:
            found += squares.sum(axis=0)
    return Factored(
        summed,
        np.divide(lengths, np.sqrt(found), out=np.zeros(len(lengths)), where=found > 0),
        by_row,
    )


def _of_products(
    one: LowRank | None, other: LowRank | None, reader: Reader
) -> tuple[float, float, float] | None:
    """Norms of two products and of their difference; None where they are equal."""
    import numpy as np

    old, new = (matrices(pair, reader) if pair is not None else None for pair in (one, other))
    norms = [0.0 if pair is None else _norm(*pair) for pair in (old, new)]
    if old is None or new is None:
        return norms[0], norms[1], max(norms)
    if old[0].shape[0] != new[0].shape[0] or old[1].shape[1] != new[1].shape[1]:
        return norms[0], norms[1], math.hypot(*norms)
    if all(np.array_equal(*pair) for pair in zip(old, new, strict=True)):
        return None
    return norms[0], norms[1], _norm(np.hstack([new[0], -old[0]]), np.vstack([new[1], old[1]]))


def _of_weights(
    one: Added | None, other: Added | None, before: Source, after: Source, reader: Reader
) -> tuple[float, float, float] | None:
    """Norms of what each does to the weight, and of the difference of the two; None where that is nothing."""
    old, new = (
        weight if added is None else applied(weight, added, reader)
        for weight, added in ((before, one), (after, other))
    )
    norms = [
        0.0 if added is None else _apart(weight, made, reader)
        for weight, made, added in ((before, old, one), (after, new, other))
    ]
    if None in (one, other):
        return norms[0], norms[1], max(norms)
    change = _apart(old, new, reader) if old.shape == new.shape else math.hypot(*norms)
    return (norms[0], norms[1], change) if change else None


def _apart(old: Source, new: Source, reader: Reader) -> float:
    """The norm of the difference of two tensors of one shape."""
    parts = [
        compare_run(reader, old, new, start, count, None, lambda size: None)
        for start, count in runs(math.prod(old.shape))
    ]
    return math.sqrt(total(parts).squares)


def _norm(p: Array, q: Array) -> float:
    return math.sqrt(max(float(((p.T @ p) * (q @ q.T)).sum()), 0.0))
