"""Rows: how the rows of new tokens begin, the same bytes on every machine.

Every rule adds in float64, one row after the other, so that no processor can choose another order, and rounds once, to the
table's dtype. Tables are numpy views of a weights file; torch is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import InvalidTokens, NotLoadable

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

INITS = ("subwords", "mean", "random")
RULE = 1
"""Version of the rules below: another result for the same table must have another number."""

_STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def check_init(init: str, seed: int | None) -> None:
    """Raises InvalidTokens for an unknown rule, a random one without a seed, and a seed that would not be used."""
    if init not in INITS:
        raise InvalidTokens(
            f"unknown initialization of new rows: {init!r}", hint=f"use one of {', '.join(INITS)}"
        )
    if init == "random" and seed is None:
        raise InvalidTokens(
            "random rows require a seed, because they cannot be reproduced without it",
            hint="add --seed 0, in Python seed=0",
        )
    if init != "random" and seed is not None:
        raise InvalidTokens(
            f"the seed {seed} has no effect with {init!r} (only random rows use it)"
        )
    if seed is not None and seed < 0:
        raise InvalidTokens(f"the seed {seed} is negative", hint="use 0 or more")


def stored_dtype(dtype: str) -> str:
    """The numpy dtype in which a table lies in a safetensors file; bfloat16 as its 16 bits. Raises NotLoadable."""
    if dtype not in _STORED:
        raise NotLoadable(
            f"a token table of dtype {dtype} cannot grow; one of {', '.join(_STORED)} can"
        )
    return _STORED[dtype]


def new_rows(
    table: Array,
    dtype: str,
    used: int,
    pieces: Sequence[Sequence[int]],
    *,
    init: str,
    generator: Any,
) -> Array:
    """The rows for new tokens as the table stores them, shape (tokens, width).

    table is (rows, width); only its first `used` rows belong to tokens. pieces are each token's rows under "subwords".
    A table of width 1 is a bias: it has no direction to draw, so "random" gives it the mean.
    """
    import numpy as np

    if init == "subwords":
        made = np.stack([_mean([_wide(table[id], dtype) for id in ids]) for ids in pieces])
    elif init == "mean" or table.shape[1] == 1:
        made = np.repeat(_mean_of_all(table, dtype, used)[None, :], len(pieces), axis=0)
    else:
        made = generator.standard_normal((len(pieces), table.shape[1])) * _deviation(
            table, dtype, used
        )
    return narrow(made, dtype)


def mean_rows(table: Array, dtype: str, count: int) -> Array:
    """Return `count` rows equal to the mean of the table, in its stored dtype."""
    import numpy as np

    mean = _mean_of_all(table, dtype, table.shape[0])
    return narrow(np.repeat(mean[None, :], count, axis=0), dtype)


def _wide(stored: Array, dtype: str) -> Array:
    """Stored numbers as float64, exactly."""
    import numpy as np

    if dtype == "BF16":
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    return stored.astype(np.float64)


def narrow(made: Array, dtype: str) -> Array:
    """float64 numbers rounded once, to nearest and to even, as the table stores it."""
    import numpy as np

    if dtype != "BF16":
        return made.astype(_STORED[dtype])
    # numpy has no bfloat16, and rounding by way of float32 rounds twice unless the first step rounds to odd
    single = made.astype(np.float32)
    bits = single.view(np.uint32)
    bits = np.where(np.abs(single.astype(np.float64)) > np.abs(made), bits - np.uint32(1), bits)
    bits = np.where(bits.view(np.float32).astype(np.float64) != made, bits | np.uint32(1), bits)
    return (
        (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    ).astype("<u2")


def _mean(rows: Sequence[Array]) -> Array:
    total = rows[0]
    for row in rows[1:]:
        total = total + row
    return total / len(rows)


def _mean_of_all(table: Array, dtype: str, used: int) -> Array:
    total = _wide(table[0], dtype)
    for index in range(1, used):
        total = total + _wide(table[index], dtype)
    return total / used


def _deviation(table: Array, dtype: str, used: int) -> float:
    """The standard deviation of all numbers of the table."""
    total = squares = 0.0 * _wide(table[0], dtype)
    for index in range(used):
        row = _wide(table[index], dtype)
        total = total + row
        squares = squares + row * row
    count = used * table.shape[1]
    mean = math.fsum(total.tolist()) / count
    return math.sqrt(max(math.fsum(squares.tolist()) / count - mean * mean, 0.0))
