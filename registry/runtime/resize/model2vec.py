"""New rows of model2vec files with a table folded from several tensors.

The row of token `id` is `embeddings[mapping[id]] * weights[id]`. New tokens get stored
rows of their own behind the embeddings, so the rows of old tokens keep their bytes.
Source: sentence_transformers 6.2, StaticEmbedding._fold_model2vec_weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import NotLoadable
from registry.model_files.weights.grow import Growth, Table, tables, weights_files
from registry.model_files.weights.row_init import narrow

if TYPE_CHECKING:
    from registry.model_files.weights.row_init import Array

EMBEDDINGS, MAPPING, WEIGHTS = "embeddings", "mapping", "weights"
_WHOLE_NUMBERS = {"I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "<u1"}


def folded_tables(folder: Path) -> Mapping[str, Table]:
    """Return the tensors of a model2vec file with a mapping or weights, or nothing."""
    stored = {name: table for path in weights_files(folder) for name, table in tables(path).items()}
    is_folded = EMBEDDINGS in stored and (MAPPING in stored or WEIGHTS in stored)
    return stored if is_folded else {}


def growths(stored: Mapping[str, Table], rows: Array, used: int) -> dict[str, Growth]:
    """Return what each tensor gets for new rows, shape (tokens, width), of float32.

    `used` is the number of rows of the folded table that belong to tokens.
    """
    import numpy as np

    count, table = len(rows), stored[EMBEDDINGS]
    scales = np.ones(count)
    numbers = rows.astype(np.float64)
    if table.dtype in _WHOLE_NUMBERS:
        if WEIGHTS not in stored:
            raise NotLoadable(f"a token table of dtype {table.dtype} without weights cannot grow")
        limit = np.iinfo(_WHOLE_NUMBERS[table.dtype]).max
        scales = np.abs(numbers).max(axis=1) / limit
        scales[scales == 0] = 1.0
        numbers = np.rint(numbers / scales[:, None]).astype(_WHOLE_NUMBERS[table.dtype])
    else:
        numbers = narrow(numbers, table.dtype)
    is_mapped = MAPPING in stored
    grown = {EMBEDDINGS: Growth(table.rows if is_mapped else used, numbers.tobytes(), count)}
    if is_mapped:
        ids = np.arange(table.rows, table.rows + count)
        ids = ids.astype(_WHOLE_NUMBERS[stored[MAPPING].dtype])
        grown[MAPPING] = Growth(used, ids.tobytes(), count)
    if WEIGHTS in stored:
        grown[WEIGHTS] = Growth(used, narrow(scales, stored[WEIGHTS].dtype).tobytes(), count)
    return grown
