"""Static embeddings of model2vec: plain, quantized, with a mapping, with weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.support import lively, small

TEXTS = ("the cat sat on the mat", "a dog", "hearts!")
NEW = ("zorvaxin", "a cardiomab")
WIDTH, STORED_ROWS = 8, 40


def stored_tensors(kind: str, count: int) -> dict[str, Any]:
    drawn = np.random.default_rng(0)
    whole = drawn.normal(size=(count, WIDTH)).astype("float32")
    mapping = drawn.integers(0, STORED_ROWS, size=count)
    return {
        "plain": {"embeddings": whole},
        "float16": {"embeddings": whole.astype("float16")},
        "weights": {"embeddings": whole, "weights": drawn.random(count)},
        "mapping": {
            "embeddings": whole[:STORED_ROWS],
            "mapping": mapping,
            "weights": drawn.random(count).astype("float32"),
        },
        "int8": {
            "embeddings": drawn.integers(-99, 99, size=(STORED_ROWS, WIDTH)).astype("int8"),
            "mapping": mapping.astype("int32"),
            "weights": drawn.random(count),
        },
    }[kind]


def potion(folder: Path, kind: str) -> Path:
    """Return a model as model2vec publishes it: the table at the root, no other settings."""
    folder.mkdir()
    tokenizer = small.word_piece().backend_tokenizer
    tokenizer.save(str(folder / "tokenizer.json"))
    count = tokenizer.get_vocab_size()
    save_file(stored_tensors(kind, count), folder / "model.safetensors")
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True}
    (folder / "config.json").write_text(json.dumps(config))
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": path,
            "type": f"sentence_transformers.models.{name}",
        }
        for index, (path, name) in enumerate(
            [(".", "StaticEmbedding"), ("1_Normalize", "Normalize")]
        )
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


@pytest.mark.parametrize("kind", ["plain", "float16", "weights", "mapping", "int8"])
def test_it_is_added_resized_and_loaded_to_the_bit(reg: Any, tmp_path: Path, kind: str) -> None:
    folder = potion(tmp_path / "potion", kind)
    right = lively.encodings(lively.loaded(folder, "SentenceTransformer"), TEXTS)

    reg.add(folder, "potion")
    assert lively.encodings(reg.load("potion@1", device="cpu"), TEXTS) == right
    reg.resize("potion@1", "big", list(small.NEW))

    checkout = reg.checkout("big@1").folder
    bigger = lively.loaded(checkout, "SentenceTransformer")
    assert lively.encodings(bigger, TEXTS) == right
    new = lively.encodings(bigger, NEW)
    assert lively.encodings(reg.load("big@1", device="cpu"), NEW) == new
    assert np.abs(np.array(new)).max() > 0
    before, after = (load_file(path / "model.safetensors") for path in (folder, checkout))
    for name, values in before.items():
        assert after[name].dtype == values.dtype
        assert np.array_equal(after[name][: len(values)], values)
        assert len(after[name]) == len(values) + len(small.NEW)


def test_a_new_row_is_the_mean_of_its_pieces(reg: Any, tmp_path: Path) -> None:
    reg.add(potion(tmp_path / "potion", "mapping"), "potion")
    reg.resize("potion@1", "big", ["heartmat"])

    model = reg.load("big@1", device="cpu")
    ids = small.word_piece()("heartmat", add_special_tokens=False)["input_ids"]
    table = model[0].embedding.weight.detach().numpy()

    assert np.allclose(table[-1], table[ids].mean(axis=0), atol=1e-6)
