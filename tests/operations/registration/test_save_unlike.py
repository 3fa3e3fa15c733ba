"""save: a live model in a state that no load gives back is refused by what differs; where only last bits do, it says so and by how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import registry
from registry.errors import ForeignCode, Invalid, NotLoadable
from registry.runtime import loading
from registry.runtime.roundtrip import encodings
from tests.support import naive, small
from tests.support.live import lora, new_ids
from tests.support.refusals import raises


@pytest.fixture(scope="module")
def reg(tmp_path_factory):
    place = tmp_path_factory.mktemp("unlike")
    opened = registry.init(place / "home")
    opened.add(small.dense(place / "base"), "minilm", measure=False)
    opened.add(small.cross(place / "cross"), "cross", measure=False)
    opened.add(small.multi_vector(place / "multi"), "multi", measure=False)
    opened.add(
        small.dense(place / "roberta", small.byte_level(), "RobertaModel"), "roberta", measure=False
    )
    opened.add(
        small.dense(place / "modern", small.byte_level(), "ModernBertModel"),
        "modern",
        measure=False,
    )
    yield opened
    opened.close()


def layers(model: Any) -> list[Any]:
    from peft.tuners.lora import LoraLayer

    return [module for module in model.modules() if isinstance(module, LoraLayer)]


def two(model: Any) -> Any:
    naive.adapt(model, lora(), "drugs")
    return naive.adapt(model, lora(r=3), "genes", seed=4)


def off(model: Any) -> None:
    naive.adapt(model, lora()).disable_adapters()


def off_by_peft(model: Any) -> None:
    from peft import get_peft_model

    model[0].model = get_peft_model(model[0].model, lora())
    naive.train(model)[0].model.disable_adapter_layers()


def off_with_words(model: Any) -> None:
    naive.adapt(naive.grow(model), lora(trainable_token_indices=new_ids())).disable_adapters()


def half_on(model: Any) -> None:
    naive.adapt(model, lora(modules_to_save=["word_embeddings"])).disable_adapters()
    model.enable_adapters()  # the library passes over modules_to_save


def scaled(model: Any) -> None:
    for layer in layers(naive.adapt(model, lora())):
        layer.set_scale("default", 0.5)


def alpha_edited(model: Any) -> None:
    naive.adapt(model, lora()).transformers_model.peft_config["default"].lora_alpha = 99


def rank_edited(model: Any) -> None:
    naive.adapt(model, lora()).transformers_model.peft_config["default"].r = 4


def made_dora(model: Any) -> None:
    naive.adapt(model, lora()).transformers_model.peft_config["default"].use_dora = True


def activation_swapped(model: Any) -> None:
    import torch

    model.transformers_model.encoder.layer[0].intermediate.intermediate_act_fn = torch.nn.ReLU()


def heads_edited(model: Any) -> None:
    model.transformers_model.config.num_attention_heads = 4


def length_edited(model: Any) -> None:
    model.max_seq_length = 30.0


def rows_edited(model: Any) -> None:
    model.transformers_model.config.vocab_size = 5


def hooked(model: Any) -> None:
    model[1].register_forward_hook(
        lambda module, given, out: {**out, "sentence_embedding": out["sentence_embedding"] * 2 + 1}
    )


def patched(model: Any) -> None:
    layer = model.transformers_model.encoder.layer[0].output
    before = layer.forward
    layer.forward = lambda *given: before(*given) * 1.5


def another_class(model: Any) -> None:
    layer = model.transformers_model.encoder.layer[0].output
    layer.__class__ = type(
        "Twice",
        (type(layer),),
        {"forward": lambda self, *given: super(type(self), self).forward(*given) * 2},
    )


def positions_turned(model: Any) -> None:
    ids = model.transformers_model.embeddings.position_ids
    ids.copy_(ids.flip(-1))


def cased(model: Any) -> None:
    from tokenizers import normalizers

    model.tokenizer.backend_tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)


def one_layer_twice(model: Any) -> None:
    model.transformers_model.encoder.layer[1] = model.transformers_model.encoder.layer[0]


def no_json(model: Any) -> None:
    model.transformers_model.config.anything = object()


def a_part_compiled(model: Any) -> None:
    import torch

    model.transformers_model.encoder.layer[0] = torch.compile(
        model.transformers_model.encoder.layer[0], backend="eager"
    )


def one_in_another(model: Any) -> None:
    from peft import get_peft_model

    model[0].model = get_peft_model(get_peft_model(model[0].model, lora()), lora(r=3))


def without_its_name(model: Any) -> None:
    from peft import get_peft_model

    model[0].model = get_peft_model(model[0].model, lora()).base_model.model
    vars(model[0].model).pop("peft_config", None)


def scores_doubled(model: Any) -> None:
    model.activation_fn = lambda scores: scores * 2


def a_module_of_ours(model: Any) -> None:
    import torch

    model.insert(2, type("Doubled", (torch.nn.Module,), {"forward": lambda self, given: given})())


def chance(model: Any) -> None:
    model.tokenizer.backend_tokenizer.model.dropout = 0.9


def words_to_skip(model: Any) -> None:
    model[1].skiplist_words = ["dog"]


TEXT = "'The cat sat on the mat.'"
QUERY = "encoder.layer.0.attention.self.query"
REFUSED: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "switched off": (off, "minilm", ("'default'", "registry.activate(model, 'default')")),
    "switched off by peft": (
        off_by_peft,
        "minilm",
        ("'default'", "registry.activate(model, 'default')"),
    ),
    "switched off with words": (
        off_with_words,
        "minilm",
        ("'default'", "registry.activate(model, 'default')"),
    ),
    "two switched off": (
        lambda model: two(model).disable_adapters(),
        "minilm",
        ("'drugs'", "'genes'", "registry.activate(model, 'drugs')"),
    ),
    "half on": (
        half_on,
        "minilm",
        ("embeddings.word_embeddings", "'default'", "registry.activate(model, 'default')"),
    ),
    "one layer off": (
        lambda model: layers(naive.adapt(model, lora()))[1].enable_adapters(False),
        "minilm",
        (
            "encoder.layer.0.attention.self.value",
            "'default'",
            "registry.activate(model, 'default')",
        ),
    ),
    "scaled": (scaled, "minilm", ("'default'", "1.0", QUERY, "2.0")),
    "alpha": (alpha_edited, "minilm", ("'default'", "2.0", QUERY, "49.5")),
    "rank": (rank_edited, "minilm", ("'default'", "rank", "2", QUERY, "4")),
    "DoRA": (made_dora, "minilm", (f"'{QUERY}.lora_magnitude_vector.weight'",)),
    "activation": (
        activation_swapped,
        "minilm",
        (TEXT, "encoder.layer.0.intermediate.intermediate_act_fn", "ReLU", "GELUActivation"),
    ),
    "heads": (
        heads_edited,
        "minilm",
        (TEXT, "encoder.layer.0.attention.self.num_attention_heads", "2", "4"),
    ),
    "rows": (rows_edited, "minilm", ("embeddings.word_embeddings.weight", "[107, 16]", "[5, 16]")),
    "hook": (hooked, "minilm", (TEXT, "1 (Pooling)", "hooked.<locals>.<lambda>")),
    "patch": (patched, "minilm", (TEXT, "0.model.encoder.layer.0.output.forward")),
    "another class": (
        another_class,
        "minilm",
        (TEXT, "encoder.layer.0.output", "Twice", "BertOutput"),
    ),
    "positions": (positions_turned, "minilm", ("embeddings.position_ids",)),
    "normalizer": (cased, "minilm", ("normalizer.lowercase", "False", "True")),
    "shared layers": (
        one_layer_twice,
        "minilm",
        (
            "'encoder.layer.0.attention.self.query.weight'",
            "'encoder.layer.1.attention.self.query.weight'",
        ),
    ),
    "no length": (
        length_edited,
        "minilm",
        ("TypeError: 'float' object cannot be interpreted as an integer",),
    ),
    "no JSON": (no_json, "minilm", ("Object of type object is not JSON serializable",)),
    "compiled part": (
        a_part_compiled,
        "minilm",
        ("encoder.layer.0", "torch.compile", "module.compile()"),
    ),
    "peft in peft": (one_in_another, "minilm", ("add_adapter",)),
    "nameless": (
        without_its_name,
        "minilm",
        (QUERY, "model.add_adapter(config)", "model.delete_adapter(name)"),
    ),
    "activation of scores": (
        scores_doubled,
        "cross",
        ("activation_fn", "'function'", "'torch.nn.modules.activation.Sigmoid'"),
    ),
    "own module": (
        a_module_of_ours,
        "minilm",
        ("2", f"{__name__}.Doubled", "sentence-transformers"),
    ),
    "chance": (chance, "roberta", ()),  # chance decides which text differs first
    "cast rotary": (
        lambda model: model.bfloat16(),
        "modern",
        (
            "rotary_emb.full_attention_inv_freq",
            "torch.float32",
            "torch.bfloat16",
            "model_kwargs={'dtype': torch.bfloat16}",
        ),
    ),
    "skip list": (words_to_skip, "multi", ("MultiVectorMask._skiplist_ids[0]", "66", "11")),
}


@pytest.mark.sampled(8)
@pytest.mark.parametrize("state", REFUSED)
def test_a_state_that_no_load_gives_back_is_refused_by_what_differs(reg, state):
    change, base, quoted = REFUSED[state]
    model = reg.load(f"{base}@1", device="cpu")
    change(model)

    kind = ForeignCode if state == "own module" else NotLoadable
    with raises(kind, *quoted) as refused:
        reg.save(model, "refused")

    assert "\n" not in str(refused.value)
    assert "refused" not in [found.name for found in reg.list()]


def test_the_training_is_refused_at_its_begin_with_an_adapter_switched_off(reg):
    model = reg.load("minilm@1", device="cpu")
    off(model)

    with raises(NotLoadable, "'default'", "registry.activate(model, 'default')"):
        reg.training("trained").begin(model)


@pytest.mark.slow
def test_two_that_act_together_are_two_versions_and_it_says_how_they_are_loaded_together(reg):
    model = two(reg.load("minilm@1", device="cpu"))
    model.set_adapter(["genes", "drugs"])
    together, before = naive.encodings(model), naive.state(model)

    saved = reg.save(model, "pair")

    assert naive.state(model) == before
    back = reg.load(
        "minilm@1", adapters={"genes": "pair-genes@1", "drugs": "pair-drugs@1"}, device="cpu"
    )
    assert naive.encodings(back) != together
    reg.activate(back, "genes", "drugs")
    assert naive.encodings(back) == together
    (said,) = saved.warnings
    assert (
        "'genes' and 'drugs' act together in memory, and each version loads with its own adapter alone"
        in said
    )
    assert said.endswith(
        "together: registry.load('minilm@1', adapters={'genes': 'pair-genes@1', 'drugs': 'pair-drugs@1'}), "
        "then registry.activate(model, 'genes', 'drugs')"
    )


def test_two_that_act_together_and_cannot_be_loaded_so_are_said_to_be(reg):
    model = two(reg.load("minilm@1", device="cpu"))
    model.set_adapter(["drugs", "genes"])
    model.prompts = {"query": "the "}

    saved = reg.save(model, "apart")

    assert (
        "together they cannot be loaded: apart-drugs@1 has the prompt.query 'the '"
        in saved.warnings[0]
    )


@pytest.mark.slow
def test_of_several_it_says_which_acts(reg):
    model = two(reg.load("minilm@1", device="cpu"))
    model.set_adapter("drugs")

    saved = reg.save(model, "one")

    assert "of 2 adapters only 'drugs' acts in memory, which is one-drugs@1" in saved.warnings[0]
    assert naive.encodings(reg.load("one-drugs@1", device="cpu")) == naive.encodings(model)


def test_two_adapters_whose_versions_would_have_one_name_are_refused(reg):
    model = reg.load("minilm@1", device="cpu")
    naive.adapt(naive.adapt(model, lora(), "a"), lora(), "A", seed=4)

    with raises(Invalid, "'a'", "'A'"):
        reg.save(model, "case")


@pytest.mark.parametrize("adapted", [False, True])
def test_another_way_to_compute_attention_is_told_with_its_difference(reg, adapted):
    model = reg.load("minilm@1", device="cpu")
    if adapted:
        naive.adapt(model, lora())
    model.transformers_model.set_attn_implementation("eager")
    before = naive.encodings(model)

    saved = reg.save(model, f"eager-{adapted}")

    assert (
        "with the same numbers: it computes attention by 'eager', as loaded by 'sdpa'"
        in saved.warnings[0]
    )
    assert naive.encodings(model) == before
    back = reg.load(saved.version, device="cpu")
    assert 0 < np.abs(np.array(naive.encodings(back)) - np.array(before)).max() < 1e-6
    assert (
        naive.encodings(
            reg.load(saved.version, device="cpu", model_kwargs={"attn_implementation": "eager"})
        )
        == before
    )


def test_another_way_to_compute_attention_is_told_where_no_bit_of_what_was_measured_differs(reg):
    model = reg.load("cross@1", device="cpu")
    model.transformers_model.set_attn_implementation("eager")

    saved = reg.save(model, "eager-cross")

    assert "computes attention by 'eager', as loaded by 'sdpa'" in saved.warnings[0]


def test_parameters_that_require_gradients_are_told_with_their_difference(reg, tmp_path):
    base = small.dense(tmp_path / "base", architecture="LongformerModel", attention_window=4)
    reg.add(base, "longformer", measure=False)
    model = naive.adapt(reg.load("longformer@1", device="cpu"), lora())
    before = naive.encodings(model)

    saved = reg.save(model, "long-adapter")

    assert "parameters that require gradients in memory do not after loading" in saved.warnings[0]
    assert naive.encodings(model) == before
    loaded = naive.encodings(reg.load(saved.version, device="cpu"))
    assert 0 < np.abs(np.array(loaded) - np.array(before)).max() < 1e-6
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    assert naive.encodings(model) == loaded


def test_a_model_without_a_transformer_is_the_version_it_was_loaded_from(reg, tmp_path):
    reg.add(small.static(tmp_path / "static"), "static", measure=False)

    assert reg.save(reg.load("static@1", device="cpu"), "static").added[0].already


def test_numbers_that_lie_otherwise_in_memory_are_told_where_last_bits_differ_by_that(reg):
    import torch

    model = reg.load("minilm@1", device="cpu")
    for linear in [module for module in model.modules() if isinstance(module, torch.nn.Linear)]:
        linear.weight = torch.nn.Parameter(linear.weight.detach().t().contiguous().t())

    saved = reg.save(model, "turned")

    before, after = (
        list(loading.encode(item, encodings.TEXTS))
        for item in (model, reg.load(saved.version, device="cpu"))
    )
    assert np.abs(np.array(before) - np.array(after)).max() < 1e-6
    assert [
        "with the same numbers: they lie otherwise in memory" in said for said in saved.warnings
    ] == [True] * (before != after)


@pytest.mark.parametrize("way", ["around", "in place"])
def test_a_compiled_model_is_saved_as_it_is_without_that(reg, way):
    import torch

    model = naive.adapt(reg.load("minilm@1", device="cpu"), lora())
    before = naive.encodings(model)
    if way == "around":
        model[0].model = torch.compile(model[0].model, backend="eager")
    else:
        model[0].model.compile(backend="eager")

    saved = reg.save(model, f"compiled-{way[:2]}")

    assert "it is compiled in memory" in saved.warnings[0]
    assert naive.encodings(reg.load(saved.version, device="cpu")) == before
    with raises(Invalid, "OptimizedModule", "SentenceTransformer", "model._orig_mod"):
        reg.save(torch.compile(model, backend="eager"), "whole")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.train(),
        lambda model: model.requires_grad_(False),
        lambda model: model.transformers_model.gradient_checkpointing_enable(),
        lambda model: model.transformers_model.register_forward_hook(lambda *given: None),
    ],
    ids=["modes", "gradients", "checkpointing", "a hook that watches"],
)
def test_what_changes_no_encoding_is_no_matter(reg, change):
    model = naive.adapt(reg.load("minilm@1", device="cpu"), lora())
    change(model)

    saved = reg.save(model, "same")

    assert saved.warnings == ()
    assert naive.encodings(reg.load(saved.version, device="cpu")) == naive.encodings(model)
