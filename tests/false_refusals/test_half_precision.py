"""A half precision encoder with a float32 Dense, and the reverse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig

from registry.errors import NotLoadable
from registry.model_files.weights.grow import tables
from tests.support import lively, small
from tests.support.hand import edit
from tests.support.refusals import raises

TEXTS = ("the cat sat on the mat", "a dog")


def with_dense(folder: Path, encoder: str, dense: str) -> Path:
    """Return a model whose encoder and Dense are stored in these dtypes."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    plain = small.transformer_folder(
        folder.with_name(f"{folder.name}-plain"), small.word_piece(), dtype=encoder
    )
    torch.manual_seed(1)
    modules = [Transformer(str(plain)), Pooling(16), Dense(16, 8), Normalize()]
    model = SentenceTransformer(modules=modules, device="cpu")
    model[2].to(getattr(torch, dense))
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def dtypes(folder: Path) -> set[str]:
    return {
        table.dtype for path in folder.rglob("*.safetensors") for table in tables(path).values()
    }


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("encoder", "dense"), [("float16", "float32"), ("bfloat16", "float32"), ("float32", "float16")]
)
def test_a_dense_in_another_dtype_is_loaded_as_the_library_does(
    reg: Any, tmp_path: Path, encoder: str, dense: str
) -> None:
    folder = with_dense(tmp_path / "base", encoder, dense)
    assert len(dtypes(folder)) == 2
    right = lively.encodings(lively.loaded(folder, "SentenceTransformer"), TEXTS)

    reg.add(folder, "base")

    assert lively.encodings(reg.load("base@1", device="cpu"), TEXTS) == right


def test_an_adapter_on_a_half_precision_encoder(reg: Any, tmp_path: Path) -> None:
    reg.add(with_dense(tmp_path / "base", "bfloat16", "float32"), "base")
    checkout = reg.checkout("base@1").folder
    config = LoraConfig(r=2, target_modules=["query", "value"])
    right = lively.save_adapter(checkout, "SentenceTransformer", config, tmp_path / "adapter")

    reg.add(tmp_path / "adapter", "adapter")

    assert lively.encodings(reg.load("adapter@1", device="cpu")) == right


def test_another_cast_stays_refused(reg: Any, tmp_path: Path) -> None:
    folder = small.dense(tmp_path / "base")
    edit(folder / "config.json", lambda config: config.pop("dtype", None))
    edit(
        folder / "sentence_bert_config.json",
        lambda config: config.update(model_args={"dtype": "float16"}),
    )
    import torch

    if next(lively.loaded(folder, "SentenceTransformer").parameters()).dtype != torch.float16:
        pytest.fail("the library no longer reads model_args")

    with raises(NotLoadable, "float16", "F32"):
        reg.add(folder, "base")
