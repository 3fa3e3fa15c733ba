"""Late-interaction models that PyLate saved before 5.0, without a model_type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig

from registry.errors import ForeignCode
from tests.support import lively, small
from tests.support.hand import edit
from tests.support.refusals import raises

PYLATE, OURS = "pylate.models.Dense.Dense", "sentence_transformers.models.Dense"
SETTINGS = {
    "query_prefix": "[Q] ",
    "document_prefix": "[D] ",
    "query_length": 16,
    "document_length": 32,
    "attend_to_expansion_tokens": False,
    "skiplist_words": ["!", ",", "."],
}


def saved_by_pylate(folder: Path, dense: str, **settings: Any) -> Path:
    import torch
    from safetensors.torch import save_file

    small.transformer_folder(folder, small.word_piece())
    torch.manual_seed(1)
    head = folder / "1_Dense"
    head.mkdir()
    save_file({"linear.weight": torch.randn(8, 16)}, head / "model.safetensors")
    config = {
        "in_features": 16,
        "out_features": 8,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (head / "config.json").write_text(json.dumps(config))
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": dense},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {}, "default_prompt_name": None, **settings})
    )
    return folder


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("dense", "settings"),
    [
        (PYLATE, {}),
        (OURS, {"similarity_fn_name": "MaxSim"}),
        (OURS, SETTINGS),
        (PYLATE, {**SETTINGS, "prompts": {"query": "find: "}, "similarity_fn_name": "MaxSim"}),
    ],
    ids=["type", "similarity", "settings", "all"],
)
def test_it_is_a_multi_vector_encoder(
    reg: Any, tmp_path: Path, dense: str, settings: dict[str, Any]
) -> None:
    folder = saved_by_pylate(tmp_path / "colbert", dense, **settings)
    right = lively.encodings(lively.loaded(folder, "MultiVectorEncoder"))

    version = reg.add(folder, "colbert").version

    assert version.model_class == "MultiVectorEncoder"
    assert lively.encodings(reg.load("colbert@1", device="cpu")) == right


def test_the_story_to_the_bit(reg: Any, tmp_path: Path) -> None:
    reg.add(saved_by_pylate(tmp_path / "colbert", PYLATE, **SETTINGS), "colbert")
    reg.resize("colbert@1", "big", list(small.NEW))
    checkout = reg.checkout("big@1").folder
    config = LoraConfig(r=2, target_modules=["query", "value"])
    right = lively.save_adapter(checkout, "MultiVectorEncoder", config, tmp_path / "adapter")

    reg.add(tmp_path / "adapter", "adapter")

    assert lively.encodings(reg.load("adapter@1", device="cpu")) == right


def test_another_class_of_pylate_stays_refused(reg: Any, tmp_path: Path) -> None:
    folder = saved_by_pylate(tmp_path / "colbert", PYLATE)
    edit(
        folder / "modules.json",
        lambda modules: modules[1].update(type="pylate.models.ColBERT.Other"),
    )

    with raises(ForeignCode, "pylate.models.ColBERT.Other"):
        reg.add(folder, "colbert")
