"""Every class, from base to resized base to adapter: what load gives encodes bit-equal to the model that was saved."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.errors import NotLoadable
from tests.support import small
from tests.support.refusals import raises

NEW = ("zorvaxin", "quelora")
TEXTS = ("the cat sat on the mat", "a dog and zorvaxin", "quelora is innovation")
PAIRS = tuple((text, "the capital of france") for text in TEXTS)


def old_layout(folder: Path) -> Path:
    """As sentence-transformers 3 wrote models with two or more modules: the transformer in a folder of its own."""
    small.dense(folder)
    transformer = folder / "0_Transformer"
    transformer.mkdir()
    for path in list(folder.iterdir()):
        if path.name in (
            "config.json",
            "model.safetensors",
            "sentence_bert_config.json",
        ) or path.name.startswith("tokenizer"):
            path.rename(transformer / path.name)
    modules = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(modules.replace('"path": ""', '"path": "0_Transformer"'))
    return folder


MODELS = {
    "dense": (small.dense, "SentenceTransformer"),
    "dense in bf16": (lambda folder: small.dense(folder, dtype="bfloat16"), "SentenceTransformer"),
    "byte-level": (
        lambda folder: small.dense(folder, small.byte_level(), "RobertaModel"),
        "SentenceTransformer",
    ),
    "unigram": (
        lambda folder: small.dense(folder, small.unigram(), "BertModel"),
        "SentenceTransformer",
    ),
    "cross": (small.cross, "CrossEncoder"),
    "sparse": (small.sparse, "SparseEncoder"),
    "multi-vector": (small.multi_vector, "MultiVectorEncoder"),
}


def encodings(model: Any) -> list[Any]:
    from registry.runtime import loading

    return list(
        loading.encode(
            model,
            [list(pair) for pair in PAIRS]
            if type(model).__name__ == "CrossEncoder"
            else list(TEXTS),
        )
    )


def loaded(folder: Path, model_class: str) -> Any:
    import sentence_transformers

    return getattr(sentence_transformers, model_class)(
        str(folder), device="cpu", local_files_only=True
    )


def adapted(folder: Path, model_class: str, out: Path) -> list[Any]:
    """Put a LoRA on a model as users do, give it weights that do something, save it; the live model's encodings."""
    import torch
    from peft import LoraConfig

    model = loaded(folder, model_class)
    model.add_adapter(
        LoraConfig(r=2, lora_alpha=4, target_modules=["query", "value"], init_lora_weights=False)
    )
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    model.eval()
    model.save_pretrained(str(out))
    return encodings(model)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", MODELS)
def test_a_line_of_every_class_loads_as_it_was_trained(tmp_path, kind):
    build, model_class = MODELS[kind]
    (tmp_path / "work").mkdir()
    base = build(tmp_path / "work" / "base")
    reg = registry.init(tmp_path / "home")

    reg.add(base, "base")
    resized = reg.resize("base@1", "resized", list(NEW))
    trained = adapted(reg.checkout("resized@1").folder, model_class, tmp_path / "work" / "adapter")
    added = reg.add(tmp_path / "work" / "adapter", "tuned")
    reg.close()
    shutil.rmtree(tmp_path / "work")
    shutil.move(tmp_path / "home", tmp_path / "moved")

    moved = registry.open(tmp_path / "moved")
    model = moved.load("tuned@1", device="cpu")
    assert (added.evidence, added.parent) == ("witnessed", "resized@1")
    assert resized.version.model_class == type(model).__name__ == model_class
    assert moved.version_of(model).reference == "tuned@1"
    assert encodings(model) == trained
    assert [token.content for token in moved.tokens("tuned@1")] == list(NEW)
    assert any("grow" in line for line in resized.warnings) == (model_class == "SparseEncoder")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", [*MODELS, "static", "old layout"])
def test_a_base_loads_bit_equal(tmp_path, kind):
    build, model_class = {
        **MODELS,
        "static": (small.static, "SentenceTransformer"),
        "old layout": (old_layout, "SentenceTransformer"),
    }[kind]
    base = build(tmp_path / "base")
    before = encodings(loaded(base, model_class))
    reg = registry.init(tmp_path / "home")

    reg.add(base, "base")

    model = reg.load("base@1", device="cpu")
    assert encodings(model) == before
    assert type(model).__name__ == model_class


@pytest.mark.parametrize("kind", ["static", "old layout"])
def test_a_resized_base_keeps_what_texts_without_new_tokens_encode_to(tmp_path, kind):
    base = {"static": small.static, "old layout": old_layout}[kind](tmp_path / "base")
    reg = registry.init(tmp_path / "home")
    reg.add(base, "base")

    reg.resize("base@1", "resized", list(NEW))

    before, after = (
        encodings(reg.load("base@1", device="cpu")),
        encodings(reg.load("resized@1", device="cpu")),
    )
    assert after[0] == before[0]
    assert after[1] != before[1]


@pytest.mark.slow
def test_an_adapter_on_a_base_in_the_old_layout_loads(tmp_path):
    reg = registry.init(tmp_path / "home")
    reg.add(old_layout(tmp_path / "base"), "base")
    trained = adapted(reg.checkout("base@1").folder, "SentenceTransformer", tmp_path / "adapter")
    shutil.rmtree(tmp_path / "base")

    added = reg.add(tmp_path / "adapter", "tuned", parent="base@1")

    assert added.version.kind == "adapter"
    assert encodings(reg.load("tuned@1", device="cpu")) == trained
    reg.checkout("tuned@1", tmp_path / "out")
    assert encodings(loaded(tmp_path / "out", "SentenceTransformer")) == trained


@pytest.mark.slow
def test_the_packaged_splade_is_a_sparse_encoder_when_that_is_said(tmp_path, splade_folder):
    reg = registry.init(tmp_path / "home")
    with raises(
        NotLoadable,
        "'BertForMaskedLM'",
        "modules.json",
        "--class SentenceTransformer",
        "--class SparseEncoder",
    ):
        reg.add(splade_folder, "splade")

    added = reg.add(splade_folder, "splade", model_class="SparseEncoder")

    reg.resize("splade@1", "grown", list(NEW))
    model = reg.load("grown@1", device="cpu")
    assert ("heads.pt" in [path for path, _ in added.left_out]) == (
        splade_folder / "heads.pt"
    ).exists()
    assert encodings(reg.load("splade@1", device="cpu")) == encodings(
        loaded(splade_folder, "SparseEncoder")
    )
    assert encodings(model)[0] == encodings(reg.load("splade@1", device="cpu"))[0]


def test_keywords_go_through_to_the_class(tmp_path):
    import torch

    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base"), "base")

    model = reg.load("base@1", device="cpu", truncate_dim=4, model_kwargs={"dtype": torch.float16})

    assert model.encode(["the cat"]).shape == (1, 4)
    assert next(model.parameters()).dtype == torch.float16


def test_a_half_base_stays_half(tmp_path):
    import torch

    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base", dtype="bfloat16"), "base")
    reg.resize("base@1", "resized", list(NEW))

    assert {parameter.dtype for parameter in reg.load("resized@1", device="cpu").parameters()} == {
        torch.bfloat16
    }
    assert reg.resolve("resized@1").dtype == "BF16"
