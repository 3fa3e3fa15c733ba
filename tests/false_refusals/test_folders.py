"""Folders with several models, and what a folder has that a version does not keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
from peft import LoraConfig

from registry.errors import NotLoadable
from tests.support import lively, plain, small
from tests.support.hand import edit
from tests.support.refusals import raises

CONFIG = LoraConfig(r=2, target_modules=["query", "value"])
CHECKPOINTS = ("checkpoint-9", "checkpoint-100", "checkpoint-200")


def test_checkpoints_are_named_in_order_with_their_commands(reg: Any, tmp_path: Path) -> None:
    for name in CHECKPOINTS:
        plain.base(tmp_path / "out" / name)
    commands = [f"registry add {tmp_path}/out/{name} --as NAME" for name in CHECKPOINTS]

    with raises(NotLoadable, ", ".join(map(repr, CHECKPOINTS)), *commands, "--prefix NAME/"):
        reg.add(tmp_path / "out", "model")


def test_one_model_below_the_root(reg: Any, tmp_path: Path) -> None:
    plain.base(tmp_path / "out" / "final")

    with raises(NotLoadable, "'final'", f"registry add {tmp_path}/out/final --as NAME"):
        reg.add(tmp_path / "out", "model")


def test_checkpoints_below_a_model_are_named_in_a_warning(reg: Any, tmp_path: Path) -> None:
    plain.base(tmp_path / "out")
    plain.base(tmp_path / "out" / "checkpoint-9")

    added = reg.add(tmp_path / "out", "model", measure=False)

    assert [line for line in added.warnings if f"{tmp_path}/out/checkpoint-9" in line]


@pytest.mark.slow
def test_a_folder_of_peft_with_named_adapters(reg: Any, tmp_path: Path) -> None:
    reg.add(small.dense(tmp_path / "base"), "base")
    checkout = reg.checkout("base@1").folder
    model = lively.loaded(checkout, "SentenceTransformer")
    wrapped = peft.get_peft_model(model[0].model, CONFIG, adapter_name="first")
    wrapped.add_adapter("second", CONFIG)
    for name in ("first", "second"):
        wrapped.set_adapter(name)
        lively.train(wrapped)
    wrapped.save_pretrained(str(tmp_path / "out"))
    commands = [
        f"registry add {tmp_path}/out/{name} --as NAME --fix" for name in ("first", "second")
    ]

    with raises(NotLoadable, "'first'", "'second'", *commands):
        reg.add(tmp_path / "out", "adapter")
    for name in ("first", "second"):
        reg.add(tmp_path / "out" / name, name, fix=True)


def test_a_setfit_folder(reg: Any, tmp_path: Path) -> None:
    folder = plain.base(tmp_path / "setfit")
    (folder / "config_setfit.json").write_text('{"labels": null}')
    (folder / "model_head.pkl").write_bytes(b"\x80\x04N.")

    added = reg.add(folder, "encoder", measure=False)

    (warning,) = (line for line in added.warnings if "SetFit" in line)
    assert "model_head.pkl" in warning and "config_setfit.json" in warning


def test_a_quantized_base_is_named_when_it_is_not_measured(reg: Any, tmp_path: Path) -> None:
    folder = plain.base(tmp_path / "base")
    quantization = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    edit(folder / "config.json", lambda config: config.update(quantization_config=quantization))

    added = reg.add(folder, "base", measure=False)

    assert [line for line in added.warnings if "bitsandbytes, 4 bits" in line]


@pytest.mark.parametrize("key", ["additional_special_tokens", "extra_special_tokens"])
def test_declared_special_tokens_without_rows(reg: Any, tmp_path: Path, key: str) -> None:
    folder = plain.base(tmp_path / "base")
    edit(folder / "tokenizer_config.json", lambda config: config.update({key: ["<img>", "[CLS]"]}))

    added = reg.add(folder, "base", measure=False)

    (warning,) = (line for line in added.warnings if "<img>" in line)
    assert "[CLS]" not in warning


@pytest.mark.slow
def test_declared_special_tokens_are_named_when_they_are_measured(reg: Any, tmp_path: Path) -> None:
    folder = small.dense(tmp_path / "base")
    edit(
        folder / "tokenizer_config.json",
        lambda config: config.update(additional_special_tokens=["<img>"]),
    )
    with raises(NotLoadable, "'<img>'", "save_pretrained"):
        reg.add(folder, "base")
    loaded = lively.loaded(folder, "SentenceTransformer")
    right = lively.encodings(loaded)
    loaded.save_pretrained(str(tmp_path / "again"))

    reg.add(tmp_path / "again", "base")

    assert lively.encodings(reg.load("base@1", device="cpu")) == right
    resized = reg.resize("base@1", "bigger", ["zorvaxin"])
    assert json.dumps("<img>") not in str(resized.warnings)
