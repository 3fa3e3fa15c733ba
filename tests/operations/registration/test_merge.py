"""Merge: a full model that encodes as the adapter on its base, for each class and each kind of adapter."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.core.provenance import check_source
from registry.errors import InUse, ParentMismatch, ProbeMismatch
from tests.support import lively, small
from tests.support.refusals import raises

NEW = ("zorvaxin", "quelora")
BUILDERS = {
    "SentenceTransformer": small.dense,
    "CrossEncoder": small.cross,
    "SparseEncoder": small.sparse,
    "MultiVectorEncoder": small.multi_vector,
}


def adapters(rows: int) -> dict[str, Any]:
    """A configuration of each kind; the new tokens have the last two rows."""
    from peft import IA3Config, LoraConfig, TrainableTokensConfig

    new = [rows - 2, rows - 1]
    return {
        "lora": LoraConfig(
            r=2, target_modules="all-linear", rank_pattern={"query": 4}, alpha_pattern={"value": 3}
        ),
        "whole table": LoraConfig(
            r=2, target_modules=["query"], modules_to_save=["word_embeddings"]
        ),
        "trained tokens": LoraConfig(r=2, target_modules=["query"], trainable_token_indices=new),
        "targeted table": LoraConfig(r=2, target_modules=["query", "word_embeddings"]),
        "dora": LoraConfig(r=2, target_modules=["query"], use_dora=True),
        "ia3": IA3Config(
            target_modules=["query", "intermediate.dense"],
            feedforward_modules=["intermediate.dense"],
        ),
        "tokens alone": TrainableTokensConfig(token_indices=new),
        "head": LoraConfig(r=2, target_modules=["query"], modules_to_save=["classifier"]),
    }


CASES = [
    *(
        ("SentenceTransformer", kind)
        for kind in (
            "lora",
            "whole table",
            "trained tokens",
            "targeted table",
            "dora",
            "ia3",
            "tokens alone",
        )
    ),
    *(
        ("SparseEncoder", kind)
        for kind in ("lora", "whole table", "trained tokens", "targeted table")
    ),
    *(("CrossEncoder", kind) for kind in ("whole table", "head")),
    ("MultiVectorEncoder", "lora"),
]
"""A SparseEncoder's output is tied to its token table, which each of these takes apart in its own way."""


@pytest.fixture(scope="module")
def homes(tmp_path_factory) -> dict[str, Path]:
    """For each class a home with base@1 and resized@1."""
    made = {}
    for model_class, build in BUILDERS.items():
        folder = tmp_path_factory.mktemp(model_class)
        reg = registry.init(folder / "home")
        reg.add(build(folder / "base"), "base")
        reg.resize("base@1", "resized", list(NEW))
        reg.checkout("resized@1")
        reg.close()
        made[model_class] = folder / "home"
    return made


@pytest.fixture
def copied(homes, tmp_path):
    """A home of a class, for one test."""

    def copy(model_class: str) -> registry.Registry:
        shutil.copytree(homes[model_class], tmp_path / "home", symlinks=True)
        return registry.open(tmp_path / "home")

    return copy


def trained(reg: registry.Registry, model_class: str, kind: str, out: Path) -> list[Any]:
    """An adapter of a kind on resized@1, saved as users do; what the live model encodes."""
    base = reg.checkout("resized@1").folder
    rows = reg.show("resized@1").facts.rows
    return lively.save_adapter(base, model_class, adapters(rows)[kind], out)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("model_class", "kind"), CASES)
def test_a_merged_model_encodes_as_the_adapter_on_its_base(copied, tmp_path, model_class, kind):
    reg = copied(model_class)
    live = trained(reg, model_class, kind, tmp_path / "adapter")
    reg.add(tmp_path / "adapter", "tuned")

    merged = reg.merge("tuned@1", "whole").version

    plain = reg.checkout("whole@1").folder
    assert lively.distance(lively.encodings(lively.loaded(plain, model_class)), live) < 1e-5
    assert (merged.kind, [parent.role for parent in merged.parents], merged.model_class) == (
        "merged",
        ["adapter", "base"],
        model_class,
    )
    assert (
        0
        <= float(merged.source["merge"]["difference"])
        <= float(merged.source["merge"]["tolerance"])
        == 1e-5
    )
    assert check_source(merged.source)["merge"] == merged.source["merge"]
    assert merged.probes is not None
    assert not any("adapter" in path.name for path in plain.rglob("*"))


def test_the_weights_file_is_the_bases_but_for_what_changed(copied, tmp_path):
    from safetensors.numpy import load_file

    reg = copied("SentenceTransformer")
    trained(reg, "SentenceTransformer", "dora", tmp_path / "adapter")
    reg.add(tmp_path / "adapter", "tuned")

    reg.merge("tuned@1", "whole")

    before = load_file(reg.checkout("resized@1").folder / "model.safetensors")
    after = load_file(reg.checkout("whole@1").folder / "model.safetensors")
    assert list(before) == list(after)
    assert {name for name in before if before[name].tobytes() != after[name].tobytes()} == {
        f"encoder.layer.{layer}.attention.self.query.weight" for layer in (0, 1)
    }
    assert reg.read("whole@1:config.json") == reg.read("resized@1:config.json")
    assert reg.read("whole@1:tokenizer.json") == reg.read("tuned@1:tokenizer.json")


@pytest.mark.slow
def test_a_merged_model_has_its_place_everywhere(copied, tmp_path):
    reg = copied("SentenceTransformer")
    trained(reg, "SentenceTransformer", "lora", tmp_path / "adapter")
    reg.add(tmp_path / "adapter", "tuned")

    added = reg.merge("tuned@1", "whole", alias="prod", message="for the edge")

    assert added.plan.startswith("merged into resized@1: ")
    assert reg.resolve("whole@prod^").reference == "resized@1"
    assert [item.reference for item in reg.lineage("whole").ancestors] == [
        "tuned@1",
        "resized@1",
        "base@1",
    ]
    assert {item.reference for item in reg.lineage("resized@1").descendants} == {
        "tuned@1",
        "whole@1",
    }
    assert [token.content for token in reg.tokens("whole@1")] == list(NEW)
    assert reg.show("whole@1").to_dict()["kind"] == "merged"
    assert [item.version.reference for item in reg.find("merged")] == ["whole@1"]
    with raises(InUse, "tuned@1", "whole@1"):
        reg.delete("tuned@1")
    with raises(ParentMismatch, "whole@1", "merged"):
        reg.merge("whole@1", "twice")


@pytest.mark.slow
def test_merging_again_writes_nothing_and_gives_the_same_bytes(copied, tmp_path):
    reg = copied("SentenceTransformer")
    trained(reg, "SentenceTransformer", "lora", tmp_path / "adapter")
    reg.add(tmp_path / "adapter", "tuned")
    first = reg.merge("tuned@1", "whole")
    entries = len(reg.log())

    again = reg.merge("tuned@1", "whole")
    under_another_name = reg.merge("tuned@1", "other")

    assert (again.already, again.version.reference, first.already) == (True, "whole@1", False)
    assert len(reg.log()) == entries + 1
    assert under_another_name.digest == first.digest


def test_a_dry_run_merges_and_keeps_nothing(copied, tmp_path):
    reg = copied("SentenceTransformer")
    trained(reg, "SentenceTransformer", "ia3", tmp_path / "adapter")
    reg.add(tmp_path / "adapter", "tuned")
    entries = len(reg.log())

    said = reg.merge("tuned@1", "whole", dry_run=True)

    assert (said.version, said.number, said.kind) == (None, 1, "merged")
    assert len(reg.log()) == entries
    assert list((tmp_path / "home" / "staging").iterdir()) == []


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 1.5e-2), ("float16", 2e-3)])
def test_a_half_model_stays_half_within_its_tolerance(tmp_path, dtype, tolerance):
    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base", dtype=dtype), "base")
    from peft import LoraConfig

    lively.save_adapter(
        reg.checkout("base@1").folder,
        "SentenceTransformer",
        LoraConfig(r=2, target_modules=["query"]),
        tmp_path / "adapter",
    )
    reg.add(tmp_path / "adapter", "tuned")

    merged = reg.merge("tuned@1", "whole").version

    assert merged.dtype == {"bfloat16": "BF16", "float16": "F16"}[dtype]
    assert (
        0
        < float(merged.source["merge"]["difference"])
        <= float(merged.source["merge"]["tolerance"])
        == tolerance
    )


def test_a_merge_beyond_the_tolerance_gets_no_version(copied, tmp_path, monkeypatch):
    from registry.runtime import probes

    reg = copied("SentenceTransformer")
    trained(reg, "SentenceTransformer", "lora", tmp_path / "adapter")
    reg.add(tmp_path / "adapter", "tuned")
    monkeypatch.setitem(probes.FAIL, "float32", 1e-12)

    with raises(ProbeMismatch, "1e-12"):
        reg.merge("tuned@1", "whole", dry_run=True)

    assert list((tmp_path / "home" / "staging").iterdir()) == []


@pytest.mark.slow
def test_a_trained_dense_module_goes_along(tmp_path):
    import torch
    from peft import LoraConfig

    reg = registry.init(tmp_path / "home")
    reg.add(lively.with_dense(tmp_path / "base"), "base")
    model = lively.adapted(
        reg.checkout("base@1").folder,
        "SentenceTransformer",
        LoraConfig(r=2, target_modules=["query"]),
    )
    with torch.no_grad():
        model[2].linear.weight += 0.1
    live = lively.encodings(model)
    lively.save(model, tmp_path / "adapter")
    reg.add(tmp_path / "adapter", "tuned", parent="base@1")

    reg.merge("tuned@1", "whole")

    assert lively.distance(lively.encodings(reg.load("whole@1", device="cpu")), live) < 1e-5


def test_a_head_over_an_encoder_alone_is_written_in_the_librarys_layout(tmp_path):
    from peft import LoraConfig

    plain = small.transformer_folder(tmp_path / "encoder", small.word_piece(), "BertModel")
    reg = registry.init(tmp_path / "home")
    reg.add(plain, "encoder")
    live = lively.save_adapter(
        reg.checkout("encoder@1").folder,
        "CrossEncoder",
        LoraConfig(r=2, target_modules=["query"], modules_to_save=["classifier"]),
        tmp_path / "adapter",
    )
    reg.add(tmp_path / "adapter", "ranker", parent="encoder@1", model_class="CrossEncoder")

    merged = reg.merge("ranker@1", "whole").version

    assert merged.source["merge"]["layout"] == "library"
    assert lively.distance(lively.encodings(reg.load("whole@1", device="cpu")), live) < 1e-5


def test_the_library_drops_the_bias_of_an_output_over_trained_tokens(homes):
    """If this fails, peft was mended: the merge asks the layer itself, so nothing else changes."""
    import torch
    from peft import LoraConfig, get_peft_model

    checkout = registry.open(homes["SparseEncoder"]).checkout("resized@1").folder
    inner = lively.loaded(checkout, "SparseEncoder").transformers_model
    bias = inner.cls.predictions.decoder.bias.detach().clone()
    wrapped = get_peft_model(
        inner, LoraConfig(r=2, target_modules=["query"], trainable_token_indices=[5, 6])
    )
    output = wrapped.base_model.model.cls.predictions.decoder

    computed = output(torch.zeros(1, 16))[0]

    assert bias.abs().max() > 0.1
    assert torch.equal(computed, torch.zeros_like(bias))


@pytest.mark.slow
def test_the_real_minilm_merges_and_plain_sentence_transformers_loads_it(tmp_path, minilm_folder):
    from peft import LoraConfig

    reg = registry.init(tmp_path / "home")
    reg.add(minilm_folder, "minilm")
    config = LoraConfig(r=8, target_modules=["query", "value"])
    live = lively.save_adapter(
        reg.checkout("minilm@1").folder,
        "SentenceTransformer",
        config,
        tmp_path / "adapter",
        scale=0.02,
    )
    reg.add(tmp_path / "adapter", "medical")

    merged = reg.merge("medical@1", "medical-whole").version

    plain = lively.loaded(
        reg.checkout("medical-whole@1", tmp_path / "plain").folder, "SentenceTransformer"
    )
    assert 0 < lively.distance(lively.encodings(plain), live) < 1e-6
    assert reg.read("medical-whole@1:config.json") == reg.read("minilm@1:config.json")
    assert float(merged.source["merge"]["difference"]) < 1e-6
