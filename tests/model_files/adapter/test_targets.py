"""Which modules a configuration means: the rules of peft, compared with peft itself."""

from __future__ import annotations

import pytest

from registry.errors import NotLoadable
from registry.model_files.adapter.config import config_of
from registry.model_files.adapter.targets import (
    BASE_PREFIX,
    ENCODER_ONLY,
    check_patterns,
    is_targeted,
    live_names,
    rank_of,
)
from tests.support.refusals import raises

MODULES = [
    f"encoder.layer.{layer}.{part}"
    for layer in range(12)
    for part in (
        "attention.self.query",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    )
] + ["embeddings.word_embeddings", "pooler.dense", "classifier", "query", "notquery"]
CONFIGURATIONS = [
    {"target_modules": ["query"]},
    {"target_modules": ["query", "output.dense"]},
    {"target_modules": ["encoder.layer.3.attention.self.query"]},
    {"target_modules": ["dense"], "exclude_modules": ["output.dense"]},
    {"target_modules": ["dense"], "exclude_modules": ".*pooler.*"},
    {"target_modules": r".*layer\.(1|10)\..*(query|value)"},
    {"target_modules": ["query"], "layers_to_transform": [0, 11]},
    {"target_modules": ["query"], "layers_to_transform": 3, "layers_pattern": "layer"},
    {"target_modules": ["query"], "layers_to_transform": [3], "layers_pattern": ["h", "layer"]},
    {"target_modules": ["dense", "classifier"], "modules_to_save": ["classifier", "pooler"]},
]


@pytest.mark.parametrize("fields", CONFIGURATIONS)
def test_targets_are_those_of_peft(fields):
    from peft import LoraConfig
    from peft.tuners.tuners_utils import _ExcludedModule, check_target_module_exists

    theirs = LoraConfig(**fields)

    ours = [
        module
        for module in MODULES
        if is_targeted(config_of({"peft_type": "LORA", **fields}), module)
    ]

    found = ((module, check_target_module_exists(theirs, module)) for module in MODULES)
    assert (
        ours
        == [module for module, hit in found if hit and not isinstance(hit, _ExcludedModule)]
        != []
    )


@pytest.mark.parametrize(
    "pattern", ["query", r"layer\.1\..*", "encoder.layer.0.attention.self.query", "nothing"]
)
def test_ranks_are_those_of_peft(pattern):
    from peft.utils.other import get_pattern_key

    config = config_of({"peft_type": "LORA", "r": 8, "rank_pattern": {pattern: 2}})

    ours = [rank_of(config, module) for module in MODULES]

    assert ours == [{pattern: 2}.get(get_pattern_key([pattern], module), 8) for module in MODULES]


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(a|a)*b", "(x", ".*" * 20, "a" * 2_000, r"(?:\w+\s?){3,}x"]
)
def test_a_pattern_that_could_take_for_ever_is_refused(pattern):
    with raises(NotLoadable, "adapter_config.json", "target_modules", repr(pattern)[:80]):
        check_patterns(config_of({"peft_type": "LORA", "target_modules": pattern}))


@pytest.mark.parametrize(
    "pattern",
    [
        r".*\.layer\.(10|11)\..*(query|value)",
        r"(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|k_proj).*?)",
        r"model[.()*+]x",
    ],
)
def test_patterns_that_people_write_pass(pattern):
    check_patterns(config_of({"peft_type": "LORA", "target_modules": pattern}))


@pytest.mark.parametrize(
    ("own", "stored", "expected"),
    [
        (["encoder.q"], ["encoder.q", "pooler"], {"encoder.q": "encoder.q", "pooler": "pooler"}),
        (["encoder.q"], ["bert.encoder.q", "cls.x"], {"encoder.q": "bert.encoder.q"}),
        (["bert.encoder.q", "classifier"], ["encoder.q"], {"bert.encoder.q": "encoder.q"}),
        (["other.q"], ["encoder.q"], {"encoder.q": "encoder.q"}),
    ],
)
def test_a_prefix_on_either_side_is_seen_through(own, stored, expected):
    assert live_names(own, dict.fromkeys(stored)) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"alpha_pattern": {"query": "4"}},
        {"rank_pattern": {"query": 2.5}},
        {"rank_pattern": ["query"]},
        {"alpha_pattern": {"query": True}},
        {"exclude_modules": 5},
        {"feedforward_modules": [1]},
        {"layers_pattern": 3},
        {"layers_to_transform": "0"},
        {"layers_to_transform": ["0"]},
    ],
    ids=str,
)
def test_a_field_of_another_form_is_refused_by_its_name(fields):
    ((name, value),) = fields.items()
    with raises(NotLoadable, "adapter_config.json", name, repr(value)):
        check_patterns(config_of({"peft_type": "LORA", "target_modules": ["query"], **fields}))


@pytest.mark.slow
def test_what_a_class_with_a_head_calls_its_model_is_what_the_library_says():
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES as CLASSES

    told = {
        kind: getattr(transformers, name if isinstance(name, str) else name[0]).base_model_prefix
        for kind, name in CLASSES.items()
        if kind in BASE_PREFIX
    }

    assert len(told) > 40
    assert {kind: BASE_PREFIX[kind] for kind in told} == told


@pytest.mark.slow
def test_the_types_of_which_the_library_loads_the_encoder_alone_are_listed():
    from sentence_transformers.base.modules import transformer

    text_types = {
        config.model_type
        for config, _, _ in transformer._ENCODER_ONLY_MODELS
        if config.model_type not in ("moonshine", "whisper")
    }
    text_types -= {"t5gemma2_text"}  # an encoder by itself
    text_types |= {transformer.T5GemmaConfig.model_type, transformer.T5Gemma2Config.model_type}

    assert text_types == ENCODER_ONLY
