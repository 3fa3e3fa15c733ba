"""Plane: two sets of vectors in one plane, by the two directions in which all of them together vary most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Place = tuple[float, float]


def project(
    before: Sequence[Array], after: Sequence[Array]
) -> tuple[dict[int, tuple[Place, Place]], str | None]:
    """(for each number its two places, what the axes are). Principal components by numpy's SVD of the centred vectors.

    A direction is turned so that its largest part is positive, so that the same vectors give the same picture.
    """
    import numpy as np

    count = len(before)
    if count < 2:
        return {}, None
    rows = np.stack([*before, *after]).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    rows -= rows.mean(axis=0)
    left, sizes, directions = np.linalg.svd(rows, full_matrices=False)
    places = np.zeros((2 * count, 2))
    for axis in range(min(2, len(sizes))):
        sign = 1.0 if directions[axis][np.abs(directions[axis]).argmax()] >= 0 else -1.0
        places[:, axis] = left[:, axis] * sizes[axis] * sign
    whole = float((sizes**2).sum())
    share = f", {float((sizes[:2] ** 2).sum()) / whole:.0%} of the variance" if whole else ""
    points = [(float(x), float(y)) for x, y in places]
    return {
        index: (points[index], points[count + index]) for index in range(count)
    }, f"the two principal components{share}"
