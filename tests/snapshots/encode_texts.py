"""Encode texts with models loaded from a registry or by the plain library; a program.

Usage: encode_texts.py registry|plain FOLDER BATCH_SIZES TEXTS OUTPUT. FOLDER holds what
register_models.py wrote, and in `checkouts` a checkout of each version; BATCH_SIZES are
numbers with commas between; TEXTS is a JSON file with a list of texts, and OUTPUT the
JSON file to write: by model, for each text its token ids and its encoding as hex of
little-endian float32, by batch size. A CrossEncoder scores pairs of QUERY and the text.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CLASSES = {
    "base": "SentenceTransformer",
    "resized": "SentenceTransformer",
    "adapter": "SentenceTransformer",
    "merged": "SentenceTransformer",
    "cross": "CrossEncoder",
    "splade": "SparseEncoder",
    "autoencoder": "SparseEncoder",
}
QUERY = "What is the capital of France?"


def load_registered(folder: Path, name: str) -> Any:
    import registry

    with registry.open(folder / "home") as reg:
        return reg.load(f"{name}@1", device="cpu")


def load_plain(folder: Path, name: str) -> Any:
    import sentence_transformers

    checkout = folder / "checkouts" / name
    model_class = getattr(sentence_transformers, CLASSES[name])
    return model_class(str(checkout), device="cpu", local_files_only=True)


def encode(model: Any, texts: list[str], batch_size: int) -> Any:
    """Return a float32 array with a row for each text."""
    import numpy

    if type(model).__name__ == "CrossEncoder":
        pairs = [(QUERY, text) for text in texts]
        scores = model.predict(pairs, batch_size=batch_size, show_progress_bar=False)
        return numpy.asarray(scores, "<f4").reshape(len(texts), -1)
    if type(model).__name__ == "SparseEncoder":
        vectors = model.encode(
            texts, batch_size=batch_size, show_progress_bar=False, convert_to_sparse_tensor=False
        )
        return numpy.asarray(vectors, "<f4")
    vectors = model.encode(texts, batch_size=batch_size, show_progress_bar=False)
    return numpy.asarray(vectors, "<f4")


def token_ids(model: Any, text: str) -> list[int]:
    item = (QUERY, text) if type(model).__name__ == "CrossEncoder" else text
    ids: list[int] = model.preprocess([item])["input_ids"].flatten().tolist()
    return ids


def describe(model: Any, texts: list[str], batch_sizes: list[int]) -> dict[str, Any]:
    return {
        "ids": [token_ids(model, text) for text in texts],
        "vectors": {
            size: [row.tobytes().hex() for row in encode(model, texts, size)]
            for size in batch_sizes
        },
    }


def main(source: str, folder: Path, batch_sizes: list[int], texts: list[str]) -> dict[str, Any]:
    import torch

    load = {"registry": load_registered, "plain": load_plain}[source]
    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "mkl": torch.backends.mkl.is_available(),
        "models": {name: describe(load(folder, name), texts, batch_sizes) for name in CLASSES},
    }


if __name__ == "__main__":
    source, folder, sizes, texts, output = sys.argv[1:]
    listed = json.loads(Path(texts).read_text("utf-8"))
    result = main(source, Path(folder), [int(size) for size in sizes.split(",")], listed)
    Path(output).write_text(json.dumps(result), "utf-8")
