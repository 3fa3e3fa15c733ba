"""The closed list is what loaders read: with the files that belong alone, every class encodes as with the whole folder."""

from __future__ import annotations

import json
import shutil

import numpy
import pytest

from tests.support import small
from tests.support.hand import lay

TEXTS = ["the cat sat on the mat", "innovation in paris"]


@pytest.mark.parametrize(
    "make", [small.dense, small.sparse, small.cross, small.multi_vector, small.static, small.routed]
)
def test_a_model_encodes_the_same_from_the_files_that_belong(tmp_path, make):
    whole = make(tmp_path / "whole")
    for name in ("optimizer.pt", "vocab.txt", "trainer_state.json", "notes.md"):
        (whole / name).write_text("x")

    found = lay(whole)
    part = _copy(whole, tmp_path / "part", found.belongs)

    assert {"optimizer.pt", "vocab.txt", "trainer_state.json", "notes.md"} <= {
        path for path, _ in found.left_out
    }
    assert numpy.array_equal(_encode(part, found.model_class), _encode(whole, found.model_class))


def test_an_adapter_encodes_the_same_from_the_files_that_belong(tmp_path):
    from peft import LoraConfig
    from sentence_transformers import SentenceTransformer

    base = small.dense(tmp_path / "base")
    model = SentenceTransformer(str(base), device="cpu")
    model.add_adapter(LoraConfig(r=2, target_modules=["query"], init_lora_weights=False))
    model.save_pretrained(str(tmp_path / "whole"))

    found = lay(tmp_path / "whole")
    part = _copy(tmp_path / "whole", tmp_path / "part", found.belongs)

    assert found.is_adapter and json.loads((part / "adapter_config.json").read_text())[
        "base_model_name_or_path"
    ] == str(base)
    assert numpy.array_equal(
        _encode(part, "SentenceTransformer"), _encode(tmp_path / "whole", "SentenceTransformer")
    )


def _copy(whole, part, paths):
    for path in paths:
        (part / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole / path, part / path)
    return part


def _encode(folder, model_class):
    from registry.runtime.loading import encode, load

    model = load(folder, model_class, device="cpu")
    inputs = [[text, TEXTS[0]] for text in TEXTS] if model_class == "CrossEncoder" else TEXTS
    results = list(encode(model, inputs))
    if model_class == "SparseEncoder":
        return numpy.array([sorted(result.items()) for result in results[:1]])
    return numpy.concatenate([numpy.ravel(result) for result in results])
