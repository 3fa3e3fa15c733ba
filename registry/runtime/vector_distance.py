"""Nearness: how far two encodings of one text are apart, and how a person is shown one."""

from __future__ import annotations

import math
from typing import Any

_DIGITS = 4


def difference(one: Any, other: Any) -> float:
    """The largest difference of two encodings as a part of the other's length; of two scores the difference itself if that is small.

    Infinite for two shapes. A score near 0 has no length worth dividing by.
    """
    import numpy as np

    if one.shape != other.shape:
        return math.inf
    one, other = one.astype(np.float64), other.astype(np.float64)
    length = (
        float(np.sqrt((other * other).sum(axis=-1)).max(initial=0.0))
        if other.ndim
        else max(abs(float(other)), 1.0)
    )
    return float(np.abs(one - other).max(initial=0.0)) / (length or 1.0)


def bit_equal(one: Any, other: Any) -> bool:
    """Whether two encodings are the same numbers."""
    import numpy as np

    return one.shape == other.shape and bool(np.array_equal(one, other))


def columns(own: Any, parent: Any) -> Any:
    """An encoding whose dimensions follow the vocabulary, in the columns that its parent has too."""
    return (
        own[: parent.shape[0]]
        if own.ndim == 1 == parent.ndim and own.shape[0] > parent.shape[0]
        else own
    )


def drift(one: Any, two: Any) -> float:
    """How far two models' encodings of one text are apart: 1 - cosine, or the difference of two scores; infinite if not finite.

    Encodings with a vector for each token are compared token by token, each with the nearest one of the other.
    """
    import numpy as np

    one, two = np.asarray(one, dtype=np.float64), np.asarray(two, dtype=np.float64)
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        return math.inf
    if bit_equal(one, two):
        return 0.0
    if one.ndim == 0:
        return abs(float(one - two))
    if (
        one.shape[-1] != two.shape[-1] and one.ndim == 1
    ):  # dimensions that follow a vocabulary: what one lacks is 0 there
        longest = max(one.shape[0], two.shape[0])
        one, two = (np.pad(item, (0, longest - item.shape[0])) for item in (one, two))
    if one.shape[-1] != two.shape[-1]:
        return math.inf
    if one.ndim == 2:
        if not len(one) or not len(two):
            return 0.0 if len(one) == len(two) else 1.0
        return max(0.0, float(1 - (_directions(one) @ _directions(two).T).max(axis=1).mean()))
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(two))
    if not all(lengths):
        return 0.0 if lengths[0] == lengths[1] else 1.0
    return max(0.0, float(1 - one.dot(two) / (lengths[0] * lengths[1])))


def shown(values: Any) -> str:
    """The first numbers of an encoding, and how many there are."""
    import numpy as np

    flat = np.asarray(values).reshape(-1)
    first = " ".join(f"{value:.{_DIGITS}g}" for value in flat[:3])
    return first if flat.size <= 3 else f"{first} … ({flat.size})"


def _directions(rows: Any) -> Any:
    import numpy as np

    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths == 0, 1.0, lengths)
