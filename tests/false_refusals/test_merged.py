"""Adapters that were merged in memory: what is saved afterwards, and what is trained on the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer

from registry.errors import ParentMismatch
from tests.support import lively, small
from tests.support.refusals import raises

CONFIG = LoraConfig(r=2, target_modules=["query", "value"])
CLASS = "SentenceTransformer"


@pytest.fixture
def base(reg: Any, tmp_path: Path) -> Path:
    reg.add(small.dense(tmp_path / "base"), "base")
    folder: Path = reg.checkout("base@1").folder
    return folder


def unwrap(model: Any, *, merge: bool) -> Any:
    """Replace the layers of an adapter by their base layers, as scripts do in place."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            if merge:
                layer.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, layer.get_base_layer())
    return model


def merged_by_peft(base: Path, first: Path) -> Any:
    model = lively.loaded(base, CLASS)
    model[0].model = peft.PeftModel.from_pretrained(model[0].model, str(first)).merge_and_unload()
    return model


@pytest.mark.slow
def test_a_second_adapter_on_the_base_with_the_first_one_merged(
    reg: Any, base: Path, tmp_path: Path
) -> None:
    lively.save_adapter(base, CLASS, CONFIG, tmp_path / "first")
    reg.add(tmp_path / "first", "first")
    model = merged_by_peft(base, tmp_path / "first")
    model.add_adapter(CONFIG)
    lively.train(model, 0.4)
    right = lively.encodings(model)
    lively.save(model, tmp_path / "second")

    command = "registry merge first@1 --as first-merged"
    with raises(ParentMismatch, command, "--parent first-merged", check="adapter-parent"):
        reg.add(tmp_path / "second", "second", parent="first@1")
    reg.merge("first@1", "first-merged")
    added = reg.add(tmp_path / "second", "second", parent="first-merged")

    assert any("base@1" in line and "first-merged@1" in line for line in added.warnings)
    loaded = lively.encodings(reg.load("second@1", device="cpu"))
    assert lively.distance(loaded, right) < 1e-5
    saved = reg.save(model, "saved")
    assert lively.encodings(reg.load("saved@1", device="cpu")) == right
    (parent,) = saved.base.parents
    assert (parent.role, parent.reference) == ("finetuned-from", "base@1")


def test_a_model_that_is_no_merge_of_the_base_stays_refused(
    reg: Any, base: Path, tmp_path: Path
) -> None:
    tuned = lively.loaded(base, CLASS)
    tuned[0].model.embeddings.word_embeddings.weight.data += 0.01
    reg.save(tuned, "tuned")
    lively.save_adapter(base, CLASS, CONFIG, tmp_path / "adapter")

    with raises(ParentMismatch, "base@1", "tuned@1", check="parent-evidence"):
        reg.add(tmp_path / "adapter", "adapter", parent="tuned@1")


@pytest.mark.parametrize("merge", [True, False])
def test_layers_that_were_unwrapped_in_place(reg: Any, base: Path, merge: bool) -> None:
    model = unwrap(lively.adapted(base, CLASS, CONFIG), merge=merge)
    right = lively.encodings(model)

    saved = reg.save(model, "saved")

    assert saved.version.kind == "base"
    assert [parent.reference for parent in saved.version.parents] == ["base@1"] * merge
    assert lively.encodings(reg.load("saved@1", device="cpu")) == right


@pytest.mark.slow
def test_a_peft_model_whose_layers_were_merged_in_place(reg: Any, base: Path) -> None:
    model = lively.loaded(base, CLASS)
    wrapped = peft.get_peft_model(model[0].model, CONFIG)
    model[0].model = wrapped
    lively.train(model)
    wrapped.merge_and_unload()
    right = lively.encodings(model)

    saved = reg.save(model, "saved")

    assert [parent.reference for parent in saved.version.parents] == ["base@1"]
    assert lively.encodings(reg.load("saved@1", device="cpu")) == right


def test_an_adapter_that_was_deleted(reg: Any, base: Path) -> None:
    model = lively.adapted(base, CLASS, CONFIG)
    model.delete_adapter("default")
    right = lively.encodings(model)

    saved = reg.save(model, "saved")

    assert saved.version.digest == reg.resolve("base@1").digest
    assert lively.encodings(reg.load("saved@1", device="cpu")) == right
