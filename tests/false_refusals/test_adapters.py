"""Adapters that other tools saved: names of wrappers, empty tensors, heads, PEFT alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig

from registry.errors import NotLoadable
from registry.model_files.weights.grow import tables
from registry.model_files.weights.rewrite import rewrite
from tests.support import lively, plain, small
from tests.support.hand import edit, warnings
from tests.support.refusals import raises

WEIGHTS = "adapter_model.safetensors"
CONFIG = LoraConfig(r=2, target_modules=["query", "value"])


def rename(weights: Path, change: Callable[[str], str]) -> None:
    copy = weights.with_name("renamed")
    rewrite(weights, copy, renamed={name: change(name) for name in tables(weights)})
    copy.replace(weights)


@pytest.fixture
def trained(reg: Any, tmp_path: Path) -> tuple[Path, list[Any]]:
    """Register base@1; return an adapter on its checkout, and what the live model encodes."""
    reg.add(small.dense(tmp_path / "base"), "base")
    folder = tmp_path / "adapter"
    checkout = reg.checkout("base@1").folder
    return folder, lively.save_adapter(checkout, "SentenceTransformer", CONFIG, folder)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("base_model.model.", "_fsdp_wrapped_module.base_model.model."),
        ("encoder.layer.", "encoder._fsdp_wrapped_module.layer."),
        (".attention.", "._checkpoint_wrapped_module.attention."),
        (".self.", ".self._orig_mod."),
    ],
)
def test_fix_removes_names_of_wrappers_wherever_they_are(
    reg: Any, trained: tuple[Path, list[Any]], old: str, new: str
) -> None:
    folder, right = trained
    rename(folder / WEIGHTS, lambda name: name.replace(old, new))

    with raises(NotLoadable, new.split(".")[-2], "add --fix", check="adapter-names"):
        reg.add(folder, "adapter", parent="base@1")
    reg.add(folder, "adapter", parent="base@1", fix=True)

    assert lively.encodings(reg.load("adapter@1", device="cpu")) == right


def test_fix_removes_names_of_wrappers_from_a_full_model(reg: Any, tmp_path: Path) -> None:
    folder = small.dense(tmp_path / "base")
    right = lively.encodings(lively.loaded(folder, "SentenceTransformer"))
    rename(
        folder / "model.safetensors",
        lambda name: name.replace("layer.", "layer._checkpoint_wrapped_module."),
    )

    with raises(NotLoadable, "add --fix", check="wrapper-names"):
        reg.add(folder, "base")
    reg.add(folder, "base", fix=True)

    assert lively.encodings(reg.load("base@1", device="cpu")) == right


def test_placeholders_of_deepspeed_are_named(tmp_path: Path) -> None:
    base = plain.base(tmp_path / "base")
    adapter = plain.adapter(tmp_path / "adapter", base)
    from safetensors.numpy import load_file, save_file

    tensors = {name: values.flatten()[:0] for name, values in load_file(adapter / WEIGHTS).items()}
    save_file(tensors, adapter / WEIGHTS)

    with raises(NotLoadable, "[0]", "ZeRO-3", "zero_to_fp32.py", check="empty-tensors"):
        warnings(adapter, base)


def test_an_adapter_of_float16_that_diverged(tmp_path: Path) -> None:
    base = plain.base(tmp_path / "base")
    adapter = plain.adapter(tmp_path / "adapter", base)
    from safetensors.numpy import load_file, save_file

    tensors = {
        name: values.astype("float16") for name, values in load_file(adapter / WEIGHTS).items()
    }
    next(iter(tensors.values())).fill(float("nan"))
    save_file(tensors, adapter / WEIGHTS)

    with raises(NotLoadable, "float32 or bfloat16", check="finite"):
        warnings(adapter, base)


def test_an_adapter_that_peft_alone_saved(
    reg: Any, trained: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    folder, right = trained
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in (WEIGHTS, "adapter_config.json"):
        shutil.copy(folder / name, alone / name)

    with raises(NotLoadable, "add --fix"):
        reg.add(alone, "adapter")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, alone / name)
    with raises(NotLoadable, "add --fix", check="adapter-files"):
        reg.add(alone, "adapter")
    (alone / "tokenizer.json").unlink()
    (alone / "tokenizer_config.json").unlink()
    reg.add(alone, "adapter", fix=True)

    assert lively.encodings(reg.load("adapter@1", device="cpu")) == right


@pytest.mark.sampled(1)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_trained_head_on_an_encoder_without_one(reg: Any, tmp_path: Path, layers: int) -> None:
    from sentence_transformers import CrossEncoder

    encoder = small.transformer_folder(tmp_path / "encoder", small.word_piece())
    edit(encoder / "config.json", lambda config: config.update(num_hidden_layers=layers))
    if layers != 2:
        import torch
        import transformers

        config = transformers.BertConfig.from_pretrained(encoder)
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(encoder)
    reg.add(encoder, "encoder")
    checkout = reg.checkout("encoder@1").folder
    model = CrossEncoder(str(checkout), num_labels=1, device="cpu", max_length=32)
    model.add_adapter(
        LoraConfig(
            r=2,
            target_modules=["query", "value"],
            modules_to_save=["classifier"],
            task_type="SEQ_CLS",
        )
    )
    lively.train(model)
    right = lively.encodings(model)
    lively.save(model, tmp_path / "adapter")

    reg.add(tmp_path / "adapter", "adapter", model_class="CrossEncoder")

    assert lively.encodings(reg.load("adapter@1", device="cpu")) == right


def test_a_length_beyond_the_position_table(reg: Any, tmp_path: Path) -> None:
    folder = small.dense(tmp_path / "base")
    edit(folder / "sentence_bert_config.json", lambda config: config.update(max_seq_length=64))
    edit(folder / "tokenizer_config.json", lambda config: config.update(model_max_length=64))

    with raises(NotLoadable, "max_seq_length", "64", "40", "position_embeddings"):
        reg.add(folder, "base")
