"""add --fix: an adapter that carries the whole table of its base, first shown to load wrong, then equal to the model that saved it."""

from __future__ import annotations

import re

import pytest

from registry.errors import ParentMismatch, ParentNotFound
from registry.model_files.weights.grow import tables
from registry.model_files.weights.rewrite import Values
from registry.runtime.loading import quiet
from tests.operations.registration.fix.making import (
    BUILDERS,
    NEW,
    WEIGHTS,
    changed,
    lora,
    naive,
    targeted_table,
    tokens_alone,
    trained_tokens,
)
from tests.support import lively, small
from tests.support.refusals import raises, text_of

NAIVE = [
    ("SentenceTransformer", trained_tokens),
    ("SentenceTransformer", targeted_table),
    ("SentenceTransformer", tokens_alone),
    ("CrossEncoder", lora),
    ("SparseEncoder", lora),
    ("MultiVectorEncoder", lora),
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("model_class", "configure"), NAIVE, ids=lambda item: getattr(item, "__name__", item)
)
def test_a_naive_adapter_becomes_the_base_that_was_never_saved_and_a_small_one(
    reg, tmp_path, model_class, configure
):
    base = BUILDERS[model_class](tmp_path / "base")
    live = naive(base, model_class, configure, tmp_path / "adapter")
    with pytest.raises((RuntimeError, IndexError)):
        lively.loaded(tmp_path / "adapter", model_class)
    reg.add(base, "minilm", measure=False)
    with raises(ParentMismatch, "minilm@1", "107", "add --fix", "--parent", check="adapter-table"):
        reg.add(tmp_path / "adapter", "medical", parent="minilm@1")

    added = reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True, measure=False)

    model = reg.load("medical@1", device="cpu")
    made = reg.resolve("medical-base@1")
    assert lively.encodings(model) == live
    assert (
        lively.encodings(
            lively.loaded(reg.checkout("medical@1", tmp_path / "out").folder, model_class)
        )
        == live
    )
    assert (made.kind, made.parents[0].role, made.parents[0].reference) == (
        "resized",
        "resized-from",
        "minilm@1",
    )
    assert (added.evidence, added.parent) == ("witnessed", "medical-base@1")
    assert made.probes is not None
    assert any(
        line.startswith("proved:") and "largest difference 0.0" in line for line in added.fixed
    )
    assert list(added.version.source["fix"]) == list(added.fixed)
    assert not any(
        table.shape[0] == reg.show("medical-base@1").facts.rows and table.shape[1:] == (16,)
        for table in tables(tmp_path / "out" / WEIGHTS).values()
    )


def test_a_dry_run_registers_no_parent_either(reg, tmp_path):
    base = small.dense(tmp_path / "base")
    naive(base, "SentenceTransformer", lora, tmp_path / "adapter")

    with raises(ParentNotFound, str(base), "medical-parent@1"):
        reg.add(tmp_path / "adapter", "medical", with_parents=True, fix=True, dry_run=True)

    assert reg.list() == ()


def test_old_rows_that_are_not_the_bases_are_refused_unless_they_were_trained(reg, tmp_path):
    import numpy as np

    base = small.dense(tmp_path / "base")
    naive(base, "SentenceTransformer", lora, tmp_path / "adapter")
    name, table = next(
        (name, table)
        for name, table in tables(tmp_path / "adapter" / WEIGHTS).items()
        if name.endswith("word_embeddings.weight")
    )
    values = np.array(table.view())
    values[7] += 1
    changed(tmp_path / "adapter", replaced={name: Values("F32", table.shape, values.tobytes())})
    reg.add(base, "minilm", measure=False)

    with raises(ParentMismatch, "1 of 107", "minilm@1", "--parent", "--trained-rows") as refused:
        reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True)
    assert re.search(r"\b7\b", text_of(refused.value))
    added = reg.add(
        tmp_path / "adapter",
        "medical",
        parent="minilm@1",
        fix=True,
        trained_rows=True,
        measure=False,
    )

    assert len(reg.list("medical-base")) == 1
    assert reg.resolve("medical-base@1").parents[0].role == "finetuned-from"
    assert "1 of 107 old rows are the adapter's, not the parent's" in added.fixed


def test_rows_lost_for_good_are_named(reg, tmp_path):
    base = small.dense(tmp_path / "base")
    live = naive(base, "SentenceTransformer", lora, tmp_path / "adapter")
    loose = {"ignore_mismatched_sizes": True}
    cut = lively.loaded(tmp_path / "adapter", "SentenceTransformer", model_kwargs=loose)
    assert lively.encodings(cut, lively.TEXTS[:1]) == live[:1]
    with pytest.raises(IndexError):
        cut.encode(["zorvaxin"])
    longer = lively.loaded(
        tmp_path / "adapter",
        "SentenceTransformer",
        model_kwargs=loose,
        config_kwargs={"vocab_size": 109},
    )
    assert lively.encodings(longer) == live  # who knows how many rows there were
    changed(tmp_path / "adapter", left_out=["base_model.model.embeddings.word_embeddings.weight"])
    model = lively.loaded(tmp_path / "adapter", "SentenceTransformer")
    with pytest.raises(IndexError):
        model.encode(["zorvaxin"])
    reg.add(base, "minilm", measure=False)

    with raises(ParentMismatch, "minilm@1", "'zorvaxin'", "'quelora'"):
        reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True)

    assert [model.name for model in reg.list()] == ["minilm"]


def test_rows_that_the_adapter_trained_are_not_lost_with_the_table(reg, tmp_path):
    base = small.dense(tmp_path / "base")
    live = naive(base, "SentenceTransformer", trained_tokens, tmp_path / "adapter")
    changed(
        tmp_path / "adapter",
        left_out=["base_model.model.embeddings.word_embeddings.token_adapter.base_layer.weight"],
    )
    with pytest.raises(IndexError):
        lively.loaded(tmp_path / "adapter", "SentenceTransformer")
    reg.add(base, "minilm", measure=False)

    reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True, measure=False)

    assert lively.encodings(reg.load("medical@1", device="cpu")) == live


def test_tokens_in_spare_rows_get_a_base_that_has_them(reg, tmp_path):
    import peft

    base = small.dense(tmp_path / "base", rows=112)
    model = lively.loaded(base, "SentenceTransformer")
    model.tokenizer.add_tokens(NEW)
    with quiet():
        model.add_adapter(peft.LoraConfig(r=2, target_modules=["query"]))
    lively.train(model)
    live = lively.encodings(model)
    lively.save(model, tmp_path / "adapter")
    reg.add(base, "minilm", measure=False)
    adapter = tmp_path / "adapter"
    with raises(ParentMismatch, "minilm@1", "--accept-lost-rows", *map(repr, NEW[:1])):
        reg.add(adapter, "medical", parent="minilm@1", fix=True, measure=False)

    added = reg.add(
        adapter, "medical", parent="minilm@1", fix=True, accept_lost_rows=True, measure=False
    )

    assert reg.resolve("medical@1").parents[0].evidence == "rebuilt"
    assert lively.encodings(reg.load("medical@1", device="cpu")) == live
    assert [token.content for token in reg.tokens("medical-base@1")] == NEW
    assert any(line.startswith("not proved") for line in added.fixed)


@pytest.mark.slow
def test_the_real_minilm_resized_in_memory_comes_apart_into_base_and_adapter(
    reg, tmp_path, minilm_folder
):
    live = naive(minilm_folder, "SentenceTransformer", lora, tmp_path / "adapter")
    before = (tmp_path / "adapter" / WEIGHTS).stat().st_size
    with raises(RuntimeError, "ignore_mismatched_sizes"):
        lively.loaded(tmp_path / "adapter", "SentenceTransformer")
    reg.add(minilm_folder, "minilm", measure=False)
    with raises(
        ParentMismatch,
        "'base_model.model.embeddings.word_embeddings.weight'",
        "30524",
        "minilm@1",
        "30522",
        "add --fix",
        "--parent",
        check="adapter-table",
    ):
        reg.add(tmp_path / "adapter", "medical")

    added = reg.add(tmp_path / "adapter", "medical", fix=True)

    size = {file.path: file.size for file in reg.show("medical@1").files}[WEIGHTS]
    assert lively.encodings(reg.load("medical@1", device="cpu")) == live
    assert before > 46_000_000
    assert size < 400_000
    assert reg.resolve("medical-base@1").parents[0].evidence == "path"
    assert added.version.probes is not None
    assert any("largest difference 0.0" in line for line in added.fixed)
