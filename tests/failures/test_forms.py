"""Settings of another form than they have: "false" in quotation marks is true to a loader. First what the library makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import NotLoadable, ParentMismatch
from tests.support import lively, small
from tests.support.hand import edit
from tests.support.refusals import raises

ADAPTER, SENTENCE, POOLING, WHOLE, TOKENIZER, ROUTER = (
    "adapter_config.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "router_config.json",
)


def spoil(folder: Path, file: str, **values: object) -> None:
    edit(folder / file, lambda config: config.update(values))


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        (ADAPTER, "use_rslora", "false"),
        (ADAPTER, "use_rslora", 1),
        (ADAPTER, "use_dora", "false"),
        (WHOLE, "model_type", None),
    ],
)
def test_the_library_takes_another_form_for_another_value_and_it_is_refused_here(
    reg, copied, library, file, name, value
):
    spoil(copied, file, **{name: value})
    assert library(copied) > 1e-3

    with raises(NotLoadable, file, name, repr(value)):
        reg.add(copied, "medical", measure=False)


@pytest.mark.parametrize(
    ("file", "name", "value", "quoted"),
    [
        (SENTENCE, "max_seq_length", "32", ["'32'", " 0 ", "null"]),
        (POOLING, "pooling_mode", 1, [" 1"]),
        (POOLING, "embedding_dimension", None, ["None", " 0"]),
        (WHOLE, "prompts", ["query: "], ["['query: ']"]),
        (WHOLE, "truncate_dim", "8", ["'8'", " 0 ", "null"]),
        (TOKENIZER, "model_max_length", 30.0, ["30.0", " 0 ", "null"]),
        (ADAPTER, "lora_alpha", None, ["None"]),
        (ADAPTER, "lora_alpha", 10**400, ["1" + "0" * 70]),
        (ADAPTER, "alpha_pattern", None, ["None"]),
        (ADAPTER, "bias", "every", ["'every'", "none", "all", "lora_only"]),
    ],
)
def test_what_the_library_fails_on_is_refused_from_the_file(reg, copied, file, name, value, quoted):
    spoil(copied, file, **{name: value})
    with pytest.raises(Exception, match="."):  # whatever a library says of it
        lively.encodings(lively.loaded(copied, "SentenceTransformer"))

    check = None if file == ADAPTER else "setting-forms"
    with raises(NotLoadable, file, name, *quoted, check=check):
        reg.add(copied, "medical", measure=False)
    assert not reg.check(copied, measure=False).passed


def test_a_module_of_a_full_model_is_looked_at_too(reg, tmp_path):
    folder = small.dense(tmp_path / "model")
    spoil(folder, POOLING, include_prompt="false")

    with raises(NotLoadable, POOLING, "include_prompt", "'false'", check="setting-forms"):
        reg.add(folder, "model")


def test_a_late_interaction_model_whose_queries_are_not_to_be_filled_up_is(reg, tmp_path):
    plain, quoted = (small.multi_vector(tmp_path / name) for name in ("plain", "quoted"))
    spoil(plain, WHOLE, query_length=32, do_query_expansion=False)
    spoil(quoted, WHOLE, query_length=32, do_query_expansion="false")
    one, other = (
        lively.loaded(folder, "MultiVectorEncoder").encode_query(["the cat"])[0]
        for folder in (plain, quoted)
    )
    assert one.shape != other.shape

    form = ("'false'", "true", "null")
    with raises(NotLoadable, WHOLE, "do_query_expansion", *form, check="setting-forms"):
        reg.add(quoted, "quoted", measure=False)
    assert reg.add(plain, "plain", measure=False).warnings == ()


def test_a_router_is_asked_for_what_it_is_made_with(reg, tmp_path):
    folder = small.routed(tmp_path / "routed")
    edit(
        folder / ROUTER,
        lambda config: config["parameters"].update(default_route=None, allow_empty_key="false"),
    )
    assert (
        lively.loaded(folder, "SparseEncoder")[0].default_route == "query"
    )  # with false there is none

    form = ("'false'", "true")
    with raises(NotLoadable, ROUTER, "allow_empty_key", *form, check="setting-forms"):
        reg.add(folder, "routed", measure=False)


def test_a_length_that_cuts_nothing_is_one(reg, tmp_path):
    folder = small.dense(tmp_path / "endless", small.byte_level(), "ModernBertModel")
    spoil(folder, SENTENCE, max_seq_length=10**30)

    reg.add(folder, "endless")

    assert lively.encodings(reg.load("endless@1", device="cpu")) == lively.encodings(
        lively.loaded(folder, "SentenceTransformer")
    )


def test_an_adapter_that_only_generated_text_switches_on_changes_nothing_and_is_refused(
    reg, made, copied
):
    spoil(copied, ADAPTER, alora_invocation_tokens=[7])
    base = lively.encodings(lively.loaded(made.resized, "SentenceTransformer"))
    assert (
        lively.distance(lively.encodings(lively.loaded(copied, "SentenceTransformer")), base) == 0
    )

    with raises(NotLoadable, ADAPTER, "alora_invocation_tokens", "[7]", check="adapter-kind"):
        reg.add(copied, "medical", measure=False)


def test_biases_that_were_trained_and_are_not_in_the_file_are_missed(reg, copied, library):
    spoil(copied, ADAPTER, bias="lora_only")
    assert library(copied) == 0  # the base's biases stay, without a word

    lost = "'base_model.model.encoder.layer.0.attention.self.query.bias'"
    quoted = (lost, " 3 ", ADAPTER, "resized@1", "--parent")
    with raises(NotLoadable, *quoted, check="adapter-missing"):
        reg.add(copied, "medical", measure=False)


def test_an_empty_object_switches_a_variant_on(reg, copied, library):
    spoil(copied, ADAPTER, kasa_config={})
    assert library(copied) > 1e-3

    with raises(ParentMismatch, ADAPTER, "kasa_config", "--parent", check="adapter-init"):
        reg.add(copied, "medical", measure=False)


def test_an_adapter_that_is_subtracted_is_told(reg, copied):
    spoil(copied, ADAPTER, lora_alpha=-8)

    assert (
        "the lora_alpha in adapter_config.json is -8: what was learnt is subtracted from the base"
        in reg.add(copied, "medical").warnings
    )


def test_a_pattern_from_the_beginning_of_a_name_is_one_that_matches(reg, copied, library):
    spoil(copied, ADAPTER, alpha_pattern={"^encoder.layer.0.attention.self.query": 64})
    assert library(copied) > 1e-3

    assert reg.add(copied, "medical").warnings == ()


def test_a_length_that_is_said_no_more_is_told(reg, tmp_path):
    folder = small.dense(tmp_path / "longer")
    spoil(folder, "tokenizer_config.json", model_max_length=None)

    assert any(
        "it reads 40 tokens (there 32)" in said
        for said in reg.add(folder, "longer", parent="base@1").warnings
    )


@pytest.mark.parametrize(
    ("values", "quoted", "check"),
    [
        ({"layers_pattern": "layer"}, ["layers_pattern", "layers_to_transform"], "adapter-kind"),
        ({"arrow_config": {}}, ["arrow_config", "--adapter"], "adapter-kind"),
        ({"rank_pattern": None}, ["rank_pattern", "None", " 0"], None),
    ],
)
def test_what_is_no_adapter_by_itself_is_refused_from_the_file(reg, copied, values, quoted, check):
    spoil(copied, ADAPTER, **values)
    with pytest.raises(Exception, match="."):  # whatever a library says of it
        lively.loaded(copied, "SentenceTransformer")

    with raises(NotLoadable, ADAPTER, *quoted, check=check):
        reg.add(copied, "medical", measure=False)
