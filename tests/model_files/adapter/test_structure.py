"""Whether an adapter's tensors are those that its configuration means on its parent."""

from __future__ import annotations

import pytest

from registry.model_files.adapter.config import config_of
from registry.model_files.adapter.structure import Fault, faults

TABLE = "embeddings.word_embeddings.weight"
BASE = {
    TABLE: (30, 8),
    "embeddings.position_embeddings.weight": (16, 8),
    "embeddings.LayerNorm.weight": (8,),
    **{
        f"encoder.layer.{layer}.{part}": shape
        for layer in range(2)
        for part, shape in (
            ("attention.self.query.weight", (8, 8)),
            ("attention.self.query.bias", (8,)),
            ("intermediate.dense.weight", (16, 8)),
            ("intermediate.dense.bias", (16,)),
            ("output.dense.weight", (8, 16)),
            ("output.dense.bias", (8,)),
        )
    },
}
QUERIES = [f"encoder.layer.{layer}.attention.self.query" for layer in range(2)]
LORA = {
    f"{module}.{part}": shape
    for module in QUERIES
    for part, shape in (("lora_A.weight", (4, 8)), ("lora_B.weight", (8, 4)))
}
QUERY = {"peft_type": "LORA", "r": 4, "target_modules": ["query"]}


def look(fields, own, base=BASE, table=TABLE):
    """The faults of an adapter whose tensors are named as peft names them."""
    return faults(
        config_of(fields),
        {f"base_model.model.{name}": shape for name, shape in own.items()},
        base,
        table,
    )


@pytest.mark.parametrize(
    ("fields", "own"),
    [
        (QUERY, LORA),
        ({**QUERY, "target_modules": "all-linear"}, LORA),
        (
            {**QUERY, "target_modules": r".*layer\.1\..*query"},
            {name: shape for name, shape in LORA.items() if "layer.1" in name},
        ),
        (
            {**QUERY, "layers_to_transform": [0]},
            {name: shape for name, shape in LORA.items() if "layer.0" in name},
        ),
        (
            {**QUERY, "rank_pattern": {r"layer.1.attention.self.query": 2}},
            {**LORA, f"{QUERIES[1]}.lora_A.weight": (2, 8), f"{QUERIES[1]}.lora_B.weight": (8, 2)},
        ),
        (
            {**QUERY, "use_dora": True},
            {**LORA, **{f"{module}.lora_magnitude_vector.weight": (8,) for module in QUERIES}},
        ),
        (
            {**QUERY, "lora_bias": True},
            {**LORA, **{f"{module}.lora_B.bias": (8,) for module in QUERIES}},
        ),
        (
            {**QUERY, "bias": "lora_only"},
            {**LORA, **{f"{module}.bias": (8,) for module in QUERIES}},
        ),
        (
            {**QUERY, "modules_to_save": ["classifier"]},
            {**LORA, "classifier.weight": (1, 8), "classifier.bias": (1,)},
        ),
        ({**QUERY, "modules_to_save": ["word_embeddings"]}, {**LORA, TABLE: (30, 8)}),
        (
            {**QUERY, "trainable_token_indices": {"_embeddings": [5, 7]}},
            {
                **LORA,
                **{
                    f"embeddings.{name}.token_adapter.trainable_tokens_delta": (2, 8)
                    for name in ("word_embeddings", "position_embeddings")
                },
            },
        ),
        (
            {**QUERY, "trainable_token_indices": [28, 29]},
            {**LORA, "embeddings.word_embeddings.token_adapter.trainable_tokens_delta": (2, 8)},
        ),
        (
            {"peft_type": "TRAINABLE_TOKENS", "token_indices": [28, 29]},
            {"embeddings.word_embeddings.trainable_tokens_delta": (2, 8)},
        ),
        (
            {**QUERY, "target_modules": ["word_embeddings"]},
            {
                "embeddings.word_embeddings.lora_embedding_A": (4, 30),
                "embeddings.word_embeddings.lora_embedding_B": (8, 4),
            },
        ),
        (QUERY, {**LORA, TABLE: (30, 8)}),
        (
            {
                "peft_type": "IA3",
                "target_modules": ["query", "output.dense"],
                "feedforward_modules": ["output.dense"],
            },
            {
                **{f"{module}.ia3_l": (8, 1) for module in QUERIES},
                **{f"encoder.layer.{layer}.output.dense.ia3_l": (1, 16) for layer in range(2)},
            },
        ),
        (
            {"peft_type": "LOHA", "r": 4, "target_modules": ["query"]},
            {f"{QUERIES[0]}.hada_w1_a": (8, 4)},
        ),
    ],
)
def test_an_adapter_that_fits_has_no_fault(fields, own):
    assert look(fields, own) == []


@pytest.mark.parametrize(
    ("fields", "own", "expected"),
    [
        (QUERY, {**LORA, TABLE: (38, 8)}, Fault("table", f"base_model.model.{TABLE}", 38, 30)),
        (
            {**QUERY, "modules_to_save": ["word_embeddings"]},
            {**LORA, TABLE: (38, 8)},
            Fault("table", f"base_model.model.{TABLE}", 38, 30),
        ),
        (
            QUERY,
            {**LORA, "encoder.layer.2.attention.self.query.lora_A.weight": (4, 8)},
            Fault("module", "encoder.layer.2.attention.self.query"),
        ),
        (
            QUERY,
            {**LORA, f"{QUERIES[0]}.lora_A.weight": (4, 12)},
            Fault("shape", f"base_model.model.{QUERIES[0]}.lora_A.weight", (4, 12), (4, 8)),
        ),
        (
            {**QUERY, "r": 8},
            LORA,
            Fault("rank", f"base_model.model.{QUERIES[0]}.lora_A.weight", 4, 8),
        ),
        (
            {**QUERY, "target_modules": ["query", "output.dense"]},
            LORA,
            Fault("missing", "base_model.model.encoder.layer.0.output.dense.lora_A.weight"),
        ),
        (
            {**QUERY, "use_dora": True},
            LORA,
            Fault("missing", f"base_model.model.{QUERIES[0]}.lora_magnitude_vector.weight"),
        ),
        (
            {**QUERY, "trainable_token_indices": [29]},
            LORA,
            Fault(
                "missing",
                "base_model.model.embeddings.word_embeddings.token_adapter.trainable_tokens_delta",
            ),
        ),
        (
            QUERY,
            {**LORA, "encoder.layer.0.output.dense.lora_A.weight": (4, 16)},
            Fault("over", "base_model.model.encoder.layer.0.output.dense.lora_A.weight"),
        ),
        (
            QUERY,
            {**LORA, f"{QUERIES[0]}.bias": (8,)},
            Fault("over", f"base_model.model.{QUERIES[0]}.bias"),
        ),
        (
            QUERY,
            {**LORA, f"{QUERIES[0]}.lora_A.default.weight": (4, 8)},
            Fault("over", f"base_model.model.{QUERIES[0]}.lora_A.default.weight"),
        ),
        (
            {"peft_type": "LOHA", "r": 4, "target_modules": ["query"]},
            {"decoder.query.hada_w1_a": (8, 4)},
            Fault("module", "decoder.query"),
        ),
    ],
)
def test_the_first_fault_of_an_adapter_that_does_not_fit(fields, own, expected):
    assert look(fields, own)[0] == expected


def test_one_layer_of_all_linear_that_is_missing_is_seen():
    own = {name: shape for name, shape in LORA.items() if "layer.0" in name}

    found = look({**QUERY, "target_modules": "all-linear"}, own)

    assert found[0] == Fault("missing", f"base_model.model.{QUERIES[1]}.lora_A.weight")


def test_a_parent_saved_with_its_head_fits_an_adapter_without_the_prefix():
    base = {f"bert.{name}": shape for name, shape in BASE.items()} | {"cls.predictions.bias": (30,)}

    assert look(QUERY, LORA, base, f"bert.{TABLE}") == []


def test_an_adapter_with_the_prefix_fits_a_parent_saved_without():
    own = {f"bert.{name}": shape for name, shape in LORA.items()} | {"classifier.weight": (1, 8)}

    assert look({**QUERY, "modules_to_save": ["classifier"]}, own) == []


def test_a_tied_output_need_not_lie_in_the_parents_file():
    own = {
        **LORA,
        "cls.predictions.decoder.lora_A.weight": (4, 8),
        "cls.predictions.decoder.lora_B.weight": (30, 4),
    }

    assert look({**QUERY, "target_modules": ["query", "decoder"]}, own) == []


@pytest.mark.parametrize(
    ("first", "second", "kinds"),
    [
        ((4, 8, 1), (8, 1, 1), []),
        ((4, 2, 1), (8, 4, 1), []),
        ((4, 6, 1), (8, 4, 1), ["shape"]),
        ((4, 8, 1), (8, 4, 1), ["rank"]),
        ((4, 16, 1), (8, 1, 1), ["shape", "rank"]),
    ],
    ids=["four-groups", "no-groups", "three-groups", "four-and-none", "more-groups-than-rank"],
)
def test_a_lora_on_a_convolution_with_groups_has_their_shapes(first, second, kinds):
    base = {**BASE, "attention.query.weight": (8, 2, 1)}
    own = {"attention.query.lora_A.weight": first, "attention.query.lora_B.weight": second}
    fields = {**QUERY, "target_modules": r"attention\.query"}

    assert [fault.kind for fault in look(fields, own, base)] == kinds
