"""An adapter fits its parent, or is refused in one line that says what would do."""

from __future__ import annotations

import json

import pytest

from registry.errors import NotLoadable, ParentMismatch
from tests.support import plain
from tests.support.hand import edit, rewrite, warnings, zeros
from tests.support.refusals import raises

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
        lambda own: own.update(
            zeros({"base_model.model.embeddings.word_embeddings.weight": (37, 8)})
        ),
    )

    table = "'base_model.model.embeddings.word_embeddings.weight'"
    quoted = (table, "37", "minilm@1", "29", "add --fix", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-table"):
        warnings(adapter, base)


def test_a_trained_token_beyond_the_parents_rows_is_refused(adapter, base):
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(trainable_token_indices=[28, 29]),
    )
    delta = "base_model.model.embeddings.word_embeddings.token_adapter.trainable_tokens_delta"
    rewrite(adapter / "adapter_model.safetensors", lambda own: own.update(zeros({delta: (2, 8)})))

    quoted = ("29", "minilm@1", "--parent", "add --fix")
    with raises(ParentMismatch, *quoted, check="adapter-table"):
        warnings(adapter, base)


def test_a_layer_that_the_parent_lacks_is_named(adapter, base):
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: own.update(
            zeros({QUERY.replace("layer.0", "layer.7") + ".lora_A.weight": (2, 8)})
        ),
    )

    quoted = ("'encoder.layer.7.attention.self.query'", "minilm@1", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-targets"):
        warnings(adapter, base)


def test_an_adapter_of_a_wider_base_is_refused_with_both_shapes(adapter, base):
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: own.update(zeros({f"{QUERY}.lora_A.weight": (2, 12)})),
    )

    quoted = (f"'{QUERY}.lora_A.weight'", "[2, 12]", "minilm@1", "[2, 8]", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-shapes"):
        warnings(adapter, base)


def test_a_rank_that_is_not_the_configurations_is_refused(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(r=16))

    quoted = (f"'{QUERY}.lora_A.weight'", " 2 ", " 3 ", "adapter_config.json", "16")
    with raises(NotLoadable, *quoted, check="adapter-rank"):
        warnings(adapter, base)


def test_a_target_without_tensors_is_refused(adapter, base):
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(target_modules=["query", "value", "key"]),
    )

    lost = f"'{QUERY.replace('query', 'key')}.lora_A.weight'"
    quoted = (lost, " 1 ", "adapter_config.json", "minilm@1", "--parent")
    with raises(NotLoadable, *quoted, check="adapter-missing"):
        warnings(adapter, base)


def test_tensors_that_nothing_asks_for_are_refused(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(target_modules=["query"]))

    first = f"'{QUERY.replace('query', 'value')}.lora_A.weight'"
    with raises(NotLoadable, first, " 1 ", "adapter_config.json", check="adapter-over"):
        warnings(adapter, base)


def test_keys_under_another_name_are_refused(adapter, base):
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: [
            own.update({name.replace("encoder.layer", "transformer.layer"): own.pop(name)})
            for name in list(own)
        ],
    )

    quoted = ("'transformer.layer.0.attention.self.query'", " 3 ", "minilm@1", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-targets"):
        warnings(adapter, base)


def test_magnitudes_that_loaders_drop_are_refused(adapter, base):
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(use_dora=True, target_modules=["query"]),
    )
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: (
            [own.pop(name) for name in list(own) if "value" in name],
            own.update(zeros({f"{QUERY}.lora_magnitude_vector": (8,)})),
        ),
    )

    names = (f"'{QUERY}.lora_magnitude_vector'", "'.lora_magnitude_vector.weight'")
    quoted = (*names, "1 ", "adapter_model.safetensors", "add --fix")
    with raises(NotLoadable, *quoted, check="adapter-dora"):
        warnings(adapter, base)


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING", "VERA"])
def test_a_kind_that_cannot_be_loaded_is_named(adapter, base, kind):
    edit(adapter / "adapter_config.json", lambda config: config.update(peft_type=kind))

    quoted = (kind, "LORA", "IA3", "TRAINABLE_TOKENS")
    with raises(NotLoadable, *quoted, check="adapter-kind"):
        warnings(adapter, base)


def test_a_pattern_that_could_take_for_ever_is_refused(adapter, base):
    edit(adapter / "adapter_config.json", lambda config: config.update(target_modules="(a+)+b"))

    quoted = ("adapter_config.json", "target_modules", "'(a+)+b'")
    with raises(NotLoadable, *quoted, check="adapter-kind"):
        warnings(adapter, base)


def test_an_adapter_on_an_adapter_is_refused(adapter, tmp_path):
    other = plain.adapter(tmp_path / "other", "/base", added=ADDED)

    with raises(ParentMismatch, "minilm@1", "--parent", check="adapter-parent"):
        warnings(adapter, other)


def test_an_adapter_saved_without_the_model_around_it_is_refused(adapter, base):
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling/config.json"):
        (adapter / name).unlink()

    quoted = ("modules.json", "minilm@1", "Transformer, Pooling, Normalize")
    with raises(NotLoadable, *quoted, check="adapter-files"):
        warnings(adapter, base)


def test_a_cross_encoder_without_a_head_anywhere_is_refused(adapter, base):
    _as_cross_encoder(adapter)

    hints = ('modules_to_save=["classifier"]', "--force adapter-head")
    with raises(ParentMismatch, "minilm@1", "CrossEncoder", *hints, check="adapter-head"):
        warnings(adapter, base)


def test_a_cross_encoder_with_its_head_in_the_adapter_passes(adapter, base):
    _as_cross_encoder(adapter)
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(modules_to_save=["classifier"]),
    )
    head = {"base_model.model.classifier.weight": (1, 8), "base_model.model.classifier.bias": (1,)}
    rewrite(adapter / "adapter_model.safetensors", lambda own: own.update(zeros(head)))

    assert warnings(adapter, base) == ()


def test_a_rank_pattern_that_nothing_matches_is_warned_of(adapter, base):
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(alpha_pattern={"layer.9.query": 4}),
    )

    assert warnings(adapter, base) == (
        "'layer.9.query' in alpha_pattern of adapter_config.json matches no module that the adapter changes",
    )


def _as_cross_encoder(folder):
    edit(
        folder / "config_sentence_transformers.json",
        lambda settings: settings.update(model_type="CrossEncoder"),
    )
    (folder / "modules.json").write_text(
        json.dumps([{"path": "", "type": "sentence_transformers.models.Transformer"}])
    )


def test_the_naive_flow_is_told_from_other_tokens_by_the_table_it_carries(adapter, tmp_path):
    small = plain.base(tmp_path / "small")
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda own: own.update(
            zeros({"base_model.model.embeddings.word_embeddings.weight": (29, 8)})
        ),
    )

    table = "'base_model.model.embeddings.word_embeddings.weight'"
    quoted = (table, "29", "minilm@1", "27", "add --fix", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-table"):
        warnings(adapter, small)


def test_rows_of_a_base_without_added_tokens_are_said_to_be_its_own(tmp_path):
    base = plain.base(tmp_path / "base")
    adapter = plain.adapter(tmp_path / "medical", base)
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(trainable_token_indices=[5, 6]),
    )
    rows = zeros(
        {"base_model.model.embeddings.word_embeddings.token_adapter.trainable_tokens_delta": (2, 8)}
    )
    rewrite(adapter / "adapter_model.safetensors", lambda own: own.update(rows))

    quoted = ("2 ", "[5, 6]", "minilm@1", "'5 the'", "'6 patient'")
    hints = ("--parent", "--force trained-tokens")
    with raises(ParentMismatch, *quoted, *hints, check="trained-tokens"):
        warnings(adapter, base)
