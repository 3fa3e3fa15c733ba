"""An adapter fits its parent, or is refused in one line that says what would do."""

from __future__ import annotations

import json

import pytest

from registry.errors import NotLoadable, ParentMismatch
from tests.artifacts.hand import edit, rewrite, warnings, zeros
from tests.support import plain

ADDED = ("zorvaxin", "quelora")
QUERY = "base_model.model.encoder.layer.0.attention.self.query"


@pytest.fixture
def base(tmp_path):
    return plain.base(tmp_path / "resized", added=ADDED)


@pytest.fixture
def adapter(tmp_path, base):
    return plain.adapter(tmp_path / "medical", base, added=ADDED)


def test_an_adapter_that_fits_passes_without_a_warning(adapter, base):
    assert warnings(adapter, base) == ()


def test_an_adapter_without_a_known_parent_is_not_compared(adapter):
    assert warnings(adapter) == ()


def test_a_table_resized_in_memory_only_is_refused_with_both_row_counts(adapter, base):
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: own.update(zeros({"base_model.model.embeddings.word_embeddings.weight": (37, 8)})),
    )

    with pytest.raises(ParentMismatch, match=r"with 37 rows, and minilm@1 has 29: the table was resized in memory .* --parent"):
        warnings(adapter, base)


def test_a_trained_token_beyond_the_parents_rows_is_refused(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(trainable_token_indices=[28, 29]))
    delta = "base_model.model.embeddings.word_embeddings.token_adapter.trainable_tokens_delta"
    rewrite(adapter / "adapter_model.safetensors", lambda own: own.update(zeros({delta: (2, 8)})))

    with pytest.raises(ParentMismatch, match="trains the token with the id 29, and minilm@1 has 29 rows"):
        warnings(adapter, base)


def test_a_layer_that_the_parent_lacks_is_named(adapter, base):
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: own.update(zeros({QUERY.replace("layer.0", "layer.7") + ".lora_A.weight": (2, 8)})),
    )

    with pytest.raises(ParentMismatch, match=r"changes 'encoder.layer.7.attention.self.query', and minilm@1 has no such module"):
        warnings(adapter, base)


def test_an_adapter_of_a_wider_base_is_refused_with_both_shapes(adapter, base):
    rewrite(adapter / "adapter_model.safetensors", lambda own: own.update(zeros({f"{QUERY}.lora_A.weight": (2, 12)})))

    with pytest.raises(ParentMismatch, match=r"has the shape \[2, 12\], and on minilm@1 it would be \[2, 8\]"):
        warnings(adapter, base)


def test_a_rank_that_is_not_the_configurations_is_refused(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(r=16))

    with pytest.raises(NotLoadable, match=r"has the rank 2 \(and 3 more\), and adapter_config.json says 16"):
        warnings(adapter, base)


def test_a_target_without_tensors_is_refused(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(target_modules=["query", "value", "key"]))

    with pytest.raises(
        NotLoadable, match=r"lacks '.*key.lora_A.weight' \(and 1 more\), which adapter_config.json asks for on minilm@1"
    ):
        warnings(adapter, base)


def test_tensors_that_nothing_asks_for_are_refused(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(target_modules=["query"]))

    with pytest.raises(
        NotLoadable, match=r"holds '.*value.lora_A.weight' \(and 1 more\), which adapter_config.json does not ask for"
    ):
        warnings(adapter, base)


def test_keys_under_another_name_are_refused(adapter, base):
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: [own.update({name.replace("encoder.layer", "transformer.layer"): own.pop(name)}) for name in list(own)],
    )

    with pytest.raises(ParentMismatch, match="'transformer.layer.0.attention.self.query' .* no such module"):
        warnings(adapter, base)


def test_magnitudes_that_loaders_drop_are_refused(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(use_dora=True, target_modules=["query"]))
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: (
            [own.pop(name) for name in list(own) if "value" in name],
            own.update(zeros({f"{QUERY}.lora_magnitude_vector": (8,)})),
        ),
    )

    with pytest.raises(NotLoadable, match=r"registry add --fix renames them .* '.lora_magnitude_vector.weight'"):
        warnings(adapter, base)


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING", "VERA"])
def test_a_kind_that_cannot_be_loaded_is_named(adapter, base, kind):
    edit(adapter / "adapter_config.json", lambda config: config.update(peft_type=kind))

    with pytest.raises(NotLoadable, match=f"type {kind} cannot be loaded"):
        warnings(adapter, base)


def test_a_pattern_that_could_take_for_ever_is_refused(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(target_modules="(a+)+b"))

    with pytest.raises(NotLoadable, match="take for ever"):
        warnings(adapter, base)


def test_an_adapter_on_an_adapter_is_refused(adapter, tmp_path):
    other = plain.adapter(tmp_path / "other", "/base", added=ADDED)

    with pytest.raises(ParentMismatch, match="minilm@1 is an adapter too"):
        warnings(adapter, other)


def test_an_adapter_saved_without_the_model_around_it_is_refused(adapter, base):
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling/config.json"):
        (adapter / name).unlink()

    with pytest.raises(NotLoadable, match="no modules.json, and minilm@1 is made of Transformer, Pooling, Normalize"):
        warnings(adapter, base)


def test_a_cross_encoder_without_a_head_anywhere_is_refused(adapter, base):
    _as_cross_encoder(adapter)

    with pytest.raises(ParentMismatch, match="neither the adapter nor minilm@1 holds the CrossEncoder's head.*modules_to_save"):
        warnings(adapter, base)


def test_a_cross_encoder_with_its_head_in_the_adapter_passes(adapter, base):
    _as_cross_encoder(adapter)
    edit(adapter / "adapter_config.json", lambda config: config.update(modules_to_save=["classifier"]))
    head = {"base_model.model.classifier.weight": (1, 8), "base_model.model.classifier.bias": (1,)}
    rewrite(adapter / "adapter_model.safetensors", lambda own: own.update(zeros(head)))

    assert warnings(adapter, base) == ()


def test_a_rank_pattern_that_nothing_matches_is_warned_of(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(alpha_pattern={"layer.9.query": 4}))

    assert warnings(adapter, base) == (
        "'layer.9.query' in alpha_pattern of adapter_config.json matches no module that the adapter changes",
    )


def _as_cross_encoder(folder):
    edit(folder / "config_sentence_transformers.json", lambda settings: settings.update(model_type="CrossEncoder"))
    (folder / "modules.json").write_text(json.dumps([{"path": "", "type": "sentence_transformers.models.Transformer"}]))


def test_the_naive_flow_is_told_from_other_tokens_by_the_table_it_carries(adapter, tmp_path):
    small = plain.base(tmp_path / "small")
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: own.update(zeros({"base_model.model.embeddings.word_embeddings.weight": (29, 8)})),
    )

    with pytest.raises(ParentMismatch, match="with 29 rows, and minilm@1 has 27: the table was resized in memory"):
        warnings(adapter, small)


def test_rows_of_a_base_without_added_tokens_are_said_to_be_its_own(tmp_path):
    base = plain.base(tmp_path / "base")
    adapter = plain.adapter(tmp_path / "medical", base)
    edit(adapter / "adapter_config.json", lambda config: config.update(trainable_token_indices=[5, 6]))
    rows = zeros({"base_model.model.embeddings.word_embeddings.token_adapter.trainable_tokens_delta": (2, 8)})
    rewrite(adapter / "adapter_model.safetensors", lambda own: own.update(rows))

    with pytest.raises(ParentMismatch, match=r"trains the rows of 2 ids, \[5, 6\], and minilm@1 has no added tokens: '5 .*' are of its own"):
        warnings(adapter, base)
