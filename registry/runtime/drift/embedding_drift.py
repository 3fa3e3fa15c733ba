"""Moving: the same texts encoded by two loaded models, and how far each one moved. With torch, unlike its neighbours.

The measures: a dense or sparse vector's cosine, of a sparse one by token rather than by place; of a multi-vector encoding, for each
token vector the best cosine on the other side, averaged, both ways, averaged, which is 1 for equal encodings and is how such models
compare texts; of a CrossEncoder the change of its score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.results.drift import COSINE, MAXSIM, SCORE, MovedText
from registry.runtime.loading import quiet
from registry.runtime.verify_loaded import refuse_no_row

from .projection import Place, project

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Text = str | tuple[str, str]
BATCH = 32
NEAREST = 5
_COMPARED = {"MultiVectorEncoder": 200}
_COMPARED_ELSE = 2000
"""Texts among which neighbours are looked for: every pair is compared."""
_SHOWN = 300
"""Texts in the plane, those that moved furthest among them."""


@dataclass(frozen=True)
class Encoded:
    """What a model makes of texts."""

    model_class: str
    values: Any
    """(texts, width); of a sparse one a list of (places, weights); of a multi-vector one a list of (tokens, width); or scores."""
    similarity: str
    names: Sequence[str] | None = None
    """Of a sparse one whose dimensions are tokens: the tokens."""


def encode(model: Any, texts: Sequence[Text], progress: Any) -> Encoded:
    """The texts encoded, in batches. progress gets how many texts are done."""
    import numpy as np

    kind, found = type(model).__name__, []
    with quiet():
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            try:
                found.append(_batch(model, kind, batch))
            except (IndexError, RuntimeError) as error:
                refuse_no_row(model, batch, error)
                raise
            progress(min(start + BATCH, len(texts)))
    similarity = str(getattr(model, "similarity_fn_name", None) or "cosine")
    if kind in ("SparseEncoder", "MultiVectorEncoder"):
        return Encoded(
            kind,
            [item for batch in found for item in batch],
            similarity,
            _names(model) if kind == "SparseEncoder" else None,
        )
    return Encoded(kind, np.concatenate(found).astype(np.float64), similarity)


def first_not_finite(encoded: Encoded) -> int | None:
    """Number of the first text whose encoding has a NaN or an infinity; None where all are numbers."""
    import numpy as np

    rows = (item[1] if isinstance(item, tuple) else item for item in encoded.values)
    return next((number for number, row in enumerate(rows) if not np.isfinite(row).all()), None)


def measure(
    texts: Sequence[Text], before: Encoded, after: Encoded
) -> tuple[str, list[MovedText], int, int, str | None]:
    """(what was measured, each text, how many nearest were looked at, among how many texts, what the plane shows)."""
    if before.model_class == "CrossEncoder":
        return SCORE, *_scores(texts, before.values, after.values)
    one, other, kept = _in_one_space(before, after)
    values = (
        [_cosine(a, b) for a, b in zip(one, other, strict=True)] if kept else [None] * len(texts)
    )
    distances = [_distance(a, b) for a, b in zip(one, other, strict=True)]
    moved = [1 - value if value is not None else 0.0 for value in values]
    compared = min(len(texts), _COMPARED.get(before.model_class, _COMPARED_ELSE))
    count = min(NEAREST, compared - 1) if compared > NEAREST + 1 else 0
    near = [
        _nearest(side[:compared], count, encoded.similarity)
        for side, encoded in ((one, before), (other, after))
    ]
    shown = sorted(sorted(range(len(texts)), key=lambda index: (-moved[index], index))[:_SHOWN])
    places: Mapping[int, tuple[Place | None, Place | None]] = {}
    axes = None
    if kept:
        places, axes = project(*([_point(side[index]) for index in shown] for side in (one, other)))
    made, numbers = [], {index: number for number, index in enumerate(shown)}
    for index, text in enumerate(texts):
        place = places.get(numbers.get(index, -1), (None, None))
        old, new = (set(side[index]) if count and index < compared else set() for side in near)
        left, entered = tuple(sorted(old - new)), tuple(sorted(new - old))
        made.append(
            MovedText(
                _said(text),
                values[index],
                max(moved[index], 0.0),
                place[0],
                place[1],
                left,
                entered,
                distances[index],
            )
        )
    return (
        MAXSIM if before.model_class == "MultiVectorEncoder" else COSINE,
        made,
        count,
        compared if count else 0,
        axes,
    )


def _batch(model: Any, kind: str, texts: list[Text]) -> Any:
    if kind == "CrossEncoder":
        import numpy as np

        scores = np.asarray(model.predict(texts, show_progress_bar=False), dtype=np.float64)
        return scores.reshape(len(texts), -1)
    if kind == "SparseEncoder":
        import numpy as np

        vectors = (
            model.encode(
                texts,
                show_progress_bar=False,
                convert_to_sparse_tensor=False,
                convert_to_tensor=True,
            )
            .float()
            .cpu()
            .numpy()
        )
        return [(places := np.flatnonzero(row), row[places].astype(np.float64)) for row in vectors]
    if kind == "MultiVectorEncoder":
        return [
            item.astype("float64")
            for item in model.encode(texts, show_progress_bar=False, convert_to_numpy=True)
        ]
    return model.encode(texts, show_progress_bar=False)


def _names(model: Any) -> Sequence[str] | None:
    """The tokens that the dimensions of a sparse model are, where they are."""
    if not any(
        type(module).__name__ in ("SpladePooling", "SparseStaticEmbedding")
        for module in model.modules()
    ):
        return None
    vocabulary = model.tokenizer.get_vocab()
    names = [""] * (max(vocabulary.values()) + 1)
    for token, place in vocabulary.items():
        names[place] = token
    return names


def _in_one_space(before: Encoded, after: Encoded) -> tuple[list[Any], list[Any], bool]:
    """(before, after, whether they can be compared number by number); sparse ones as dense rows of the dimensions that are used."""
    if before.model_class != "SparseEncoder":
        widths = {item.shape[-1] for encoded in (before, after) for item in encoded.values}
        return list(before.values), list(after.values), len(widths) == 1
    import numpy as np

    keys: dict[object, int] = {}
    rows: list[list[tuple[list[int], Array]]] = []
    by_name = before.names is not None and after.names is not None
    for encoded in (before, after):
        names = encoded.names if by_name else None
        rows.append(
            [
                (
                    [keys.setdefault(_key(place, names), len(keys)) for place in places.tolist()],
                    weights,
                )
                for places, weights in encoded.values
            ]
        )
    made = []
    for side in rows:
        vectors = np.zeros((len(side), len(keys)))
        for index, (places, weights) in enumerate(side):
            vectors[index, places] = weights
        made.append(list(vectors))
    return made[0], made[1], True


def _key(place: int, names: Sequence[str] | None) -> object:
    return names[place] if names is not None and place < len(names) and names[place] else place


def _cosine(one: Array, other: Array) -> float | None:
    """Of two vectors; of two matrices of token vectors the mean of both ways' MaxSim. Two zeros are alike."""
    import numpy as np

    a, b = (_unit(item.reshape(1, -1) if item.ndim == 1 else item) for item in (one, other))
    if not len(a) or not len(b):
        return 1.0 if len(a) == len(b) else 0.0
    if np.array_equal(one, other):
        return 1.0
    between = a @ b.T
    return float((between.max(axis=1).mean() + between.max(axis=0).mean()) / 2)


def _distance(one: Array, other: Array) -> float | None:
    """From the one to the other, in the length of the first; None for those of two shapes."""
    import numpy as np

    if one.shape != other.shape:
        return None
    gap, length = float(np.linalg.norm(other - one)), float(np.linalg.norm(one))
    return gap / length if length else float(gap > 0)


def median_lengths(before: Encoded, after: Encoded) -> tuple[float, float] | None:
    """Of the vectors of each; None where a text has several vectors, or scores."""
    import numpy as np

    if before.model_class in ("CrossEncoder", "MultiVectorEncoder"):
        return None
    one, other = (
        [np.linalg.norm(item[1] if isinstance(item, tuple) else item) for item in side.values]
        for side in (before, after)
    )
    return float(np.median(one)), float(np.median(other))


def _unit(rows: Array) -> Array:
    import numpy as np

    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    made: Array = np.divide(
        rows, lengths, out=np.zeros_like(rows, dtype=np.float64), where=lengths > 0
    )
    return made


def _nearest(items: Sequence[Any], count: int, similarity: str) -> list[list[int]]:
    """For each its nearest others, by the model's own similarity."""
    import numpy as np

    if not count:
        return []
    if items[0].ndim == 2:
        units = [_unit(item) for item in items]
        scores = np.array(
            [
                [
                    float((a @ b.T).max(axis=1, initial=-1.0).mean()) if len(a) and len(b) else -1.0
                    for b in units
                ]
                for a in units
            ]
        )
    else:
        rows = np.stack(items)
        rows = rows if similarity == "dot" else _unit(rows)
        scores = rows @ rows.T
        if similarity in ("euclidean", "manhattan"):
            scores = 2 * scores - (rows**2).sum(axis=1)
    np.fill_diagonal(scores, -np.inf)
    # rounded, so that texts equally near stand in the order of their numbers on both sides
    return np.argsort(-np.round(scores, 6), axis=1, kind="stable")[:, :count].tolist()  # type: ignore[no-any-return]


def _point(item: Array) -> Array:
    return item.mean(axis=0) if item.ndim == 2 else item


def _scores(
    texts: Sequence[Text], before: Array, after: Array
) -> tuple[list[MovedText], int, int, str | None]:
    """Of a CrossEncoder: the change of the label that changed most; in the plane score before, score after."""
    import numpy as np

    if before.shape != after.shape:
        return [MovedText(_said(text), None, 0.0) for text in texts], 0, 0, None
    gap = after - before
    most = np.abs(gap).argmax(axis=1)
    made = []
    for index, text in enumerate(texts):
        label = int(most[index])
        place = float(before[index, label]), float(after[index, label])
        change = float(gap[index, label])
        made.append(MovedText(_said(text), change, abs(change), place, place, distance=abs(change)))
    return made, 0, 0, "score before, score after"


def _said(text: Text) -> str:
    return text if isinstance(text, str) else " | ".join(text)
