"""save: a live model of every shape is registered as it is, stays as it was, and comes back bit for bit."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import registry
from registry.errors import Invalid, InvalidName, NotLoadable, ParentMismatch, VersionNotFound
from registry.results.registration import Said
from tests.support import naive, small
from tests.support.live import TARGETS, lora, new_ids
from tests.support.refusals import raises


def tokens_only() -> Any:
    from peft import TrainableTokensConfig

    return TrainableTokensConfig(token_indices=new_ids(), target_modules=["word_embeddings"])


def ia3() -> Any:
    from peft import IA3Config

    return IA3Config(
        target_modules=["query", "value", "output.dense"], feedforward_modules=["output.dense"]
    )


def wrapped(model: Any, **options: Any) -> Any:
    """As peft's own documentation puts an adapter on."""
    from peft import get_peft_model

    model[0].model = get_peft_model(model[0].model, lora(**options))
    return naive.train(model)


def corda(model: Any) -> Any:
    """Begun from the covariance of a few texts, as peft's documentation does it."""
    import torch
    from peft.tuners.lora.config import CordaConfig

    config = lora(init_lora_weights="corda", corda_config=CordaConfig())
    texts = [model.preprocess([text]) for text in naive.TEXTS]

    def run() -> None:
        with torch.no_grad():
            for text in texts:
                model.transformers_model(
                    input_ids=text["input_ids"], attention_mask=text["attention_mask"]
                )

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(io.StringIO()):
        if (
            importlib.util.find_spec("attr") is None
        ):  # of which peft takes the decorator alone, and does not say that it needs it
            patch.setitem(sys.modules, "attr", SimpleNamespace(dataclass=dataclasses.dataclass))
        from peft.tuners.lora.corda import preprocess_corda

        preprocess_corda(model.transformers_model, config, run_model=run)
    return naive.adapt(model, config)


def lora_ga(model: Any) -> Any:
    """Begun from the gradients of a few texts, as peft's documentation does it."""
    from peft.tuners.lora.config import LoraGAConfig
    from peft.tuners.lora.loraga import preprocess_loraga

    config = lora(init_lora_weights="lora_ga", lora_ga_config=LoraGAConfig())

    def step() -> None:
        for text in naive.TEXTS:
            given = model.preprocess([text])
            model.transformers_model(
                input_ids=given["input_ids"], attention_mask=given["attention_mask"]
            )[0].square().sum().backward()

    preprocess_loraga(model.transformers_model, config, step)
    return naive.adapt(model, config)


def loftq(model: Any) -> Any:
    """What LoftQ leaves in memory, the base without what the adapter took; peft needs bitsandbytes to come there."""
    import torch
    from peft.tuners.lora import Linear

    naive.adapt(model, lora())
    config = model.transformers_model.peft_config["default"]
    config.init_lora_weights, config.loftq_config = "loftq", {"loftq_bits": 4, "loftq_iter": 1}
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, Linear):
                layer.base_layer.weight.sub_(layer.get_delta_weight("default"))
    return model


def begun(way: str) -> Any:
    """By peft's own call."""
    return lambda model: naive.adapt(model, lora(init_lora_weights=way))


def with_dense(folder: Path) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense

    model = naive.plain(small.dense(folder.with_name("without")))
    SentenceTransformer(modules=[model[0], model[1], Dense(16, 8)], device="cpu").save_pretrained(
        str(folder)
    )
    return folder


DENSE, CROSS, SPARSE, MULTI = (
    "SentenceTransformer",
    "CrossEncoder",
    "SparseEncoder",
    "MultiVectorEncoder",
)
SHAPES: dict[str, tuple[Any, str, Any]] = {
    "plain": (small.dense, DENSE, naive.train),
    "adapted": (small.dense, DENSE, lambda model: naive.adapt(model, lora())),
    "another name": (
        small.dense,
        DENSE,
        lambda model: naive.adapt(naive.grow(model), lora(), "foo"),
    ),
    "trained tokens": (
        small.dense,
        DENSE,
        lambda model: naive.adapt(naive.grow(model), lora(trainable_token_indices=new_ids())),
    ),
    "trained tokens alone": (
        small.dense,
        DENSE,
        lambda model: naive.adapt(naive.grow(model), tokens_only()),
    ),
    "whole table": (
        small.dense,
        DENSE,
        lambda model: naive.adapt(naive.grow(model), lora(modules_to_save=["word_embeddings"])),
    ),
    "table targeted": (
        small.dense,
        DENSE,
        lambda model: naive.adapt(
            naive.grow(model), lora(target_modules=[*TARGETS, "word_embeddings"])
        ),
    ),
    "DoRA": (small.dense, DENSE, lambda model: naive.adapt(naive.grow(model), lora(use_dora=True))),
    "rsLoRA with patterns": (
        small.dense,
        DENSE,
        lambda model: naive.adapt(model, lora(use_rslora=True, rank_pattern={"query": 3})),
    ),
    "IA3": (small.dense, DENSE, lambda model: naive.adapt(naive.grow(model), ia3())),
    "bf16": (
        lambda folder: small.dense(folder, dtype="bfloat16"),
        DENSE,
        lambda model: naive.adapt(naive.grow(model), lora()),
    ),
    "Dense": (with_dense, DENSE, lambda model: naive.adapt(naive.grow(model), lora())),
    "byte-level": (
        lambda folder: small.dense(folder, small.byte_level(), "RobertaModel"),
        DENSE,
        lambda model: naive.adapt(naive.grow(model), lora()),
    ),
    "cross with its head": (
        small.cross,
        CROSS,
        lambda model: naive.adapt(naive.grow(model), lora(modules_to_save=["classifier"])),
    ),
    "cross by peft": (
        small.cross,
        CROSS,
        lambda model: wrapped(naive.grow(model), task_type="SEQ_CLS"),
    ),
    "sparse": (small.sparse, SPARSE, lambda model: naive.adapt(naive.grow(model), lora())),
    "multi-vector": (
        small.multi_vector,
        MULTI,
        lambda model: naive.adapt(naive.grow(model), lora()),
    ),
    "trained biases": (small.dense, DENSE, lambda model: naive.adapt(model, lora(bias="all"))),
    "trained biases and a whole module": (
        small.cross,
        "CrossEncoder",
        lambda model: naive.adapt(model, lora(bias="all", modules_to_save=["classifier"])),
    ),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """(a home for all shapes, and what gives the name there of the base that a function builds)."""
    place = tmp_path_factory.mktemp("bases")
    reg, known = registry.init(place / "home"), {}

    def base(build: Any) -> str:
        if build not in known:
            known[build] = f"base-{len(known)}"
            reg.add(build(place / known[build]), known[build], measure=False)
        return known[build]

    yield reg, base
    reg.close()


@pytest.mark.sampled(5)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_live_model_comes_back_bit_for_bit_and_stays_as_it_was(bases, shape):
    build, model_class, change = SHAPES[shape]
    reg, base = bases
    name = shape.replace(" ", "-")
    model = change(reg.load(f"{base(build)}@1", device="cpu"))
    model.train()
    before = naive.state(model)

    saved = reg.save(model, name)

    assert naive.state(model) == before
    back = reg.load(f"{name}@1", device="cpu")
    assert naive.encodings(back) == naive.encodings(model)
    assert saved.version.model_class == type(back).__name__ == model_class
    assert {parent.evidence for parent in saved.version.parents} == {"witnessed"}
    assert saved.version.probes is not None


def test_the_library_alone_loses_what_save_keeps(tmp_path):
    model = naive.adapt(naive.grow(naive.plain(small.dense(tmp_path / "base"))), lora())
    model.save_pretrained(str(tmp_path / "naive"))
    reg = registry.init(tmp_path / "home")

    saved = reg.save(model, "medical")

    with raises(RuntimeError, "ignore_mismatched_sizes"):
        naive.plain(tmp_path / "naive")
    assert (saved.base.reference, saved.base.kind, saved.base.parents) == (
        "medical-base@1",
        "base",
        (),
    )
    assert naive.encodings(reg.load("medical@1", device="cpu")) == naive.encodings(model)


@pytest.mark.slow
def test_a_base_that_did_not_change_is_the_version_it_was(tmp_path):
    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base"), "minilm", measure=False)

    saved = reg.save(naive.adapt(naive.plain(reg.checkout("minilm@1").folder), lora()), "medical")

    assert saved.base.reference == "minilm@1"
    assert [model.name for model in reg.list()] == ["medical", "minilm"]
    assert [added.name for added in saved.added] == ["medical"]


def test_a_resized_base_is_a_child_of_what_it_was_loaded_from(tmp_path):
    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base"), "minilm", measure=False)

    saved = reg.save(
        naive.grow(reg.load("minilm@1", device="cpu")), "minilm-medical", message="two words"
    )

    (parent,) = saved.version.parents
    assert (saved.version.kind, parent.role, parent.reference, parent.evidence) == (
        "resized",
        "resized-from",
        "minilm@1",
        "witnessed",
    )
    assert [token.content for token in reg.tokens("minilm-medical@1")] == list(naive.NEW)
    assert saved.version.message == "two words"


def test_a_model_in_which_nothing_is_new_is_the_version_it_was(tmp_path):
    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base"), "minilm", measure=False)
    naive.adapt(model := reg.load("minilm@1", device="cpu"), lora())
    reg.save(model, "medical")

    assert reg.save(reg.load("minilm@1", device="cpu"), "minilm").added[0].already
    assert (
        reg.save(reg.load("minilm@1", device="cpu"), "copy").version.digest
        == reg.resolve("minilm@1").digest
    )
    assert reg.save(reg.load("medical@1", device="cpu"), "medical").added[0].already


def test_an_encoder_that_became_a_cross_encoder_keeps_its_head(tmp_path):
    from sentence_transformers import CrossEncoder

    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base"), "minilm", measure=False)
    model = naive.adapt(
        CrossEncoder(
            str(reg.checkout("minilm@1").folder), num_labels=1, device="cpu", local_files_only=True
        ),
        lora(),
    )

    saved = reg.save(model, "reranker")

    assert (saved.base.model_class, saved.base.parents[0].reference) == ("CrossEncoder", "minilm@1")
    assert naive.encodings(reg.load("reranker@1", device="cpu")) == naive.encodings(model)


@pytest.mark.slow
def test_a_checkpoint_that_becomes_the_result_is_latest_under_a_number_of_its_own(tmp_path):
    reg = registry.init(tmp_path / "home")
    model = naive.adapt(naive.plain(small.dense(tmp_path / "base")), lora())
    training = reg.training("medical")
    training.checkpoint(model, Said(1, {}, {}))

    training.end(model, Said(1, {}, {}), None)

    assert [
        (version.number, version.checkpoint, version.latest) for version in reg.list("medical")
    ] == [(2, False, True), (1, True, False)]
    assert len({version.digest for version in reg.list("medical")}) == 1
    assert reg.save(model, "medical").version.number == 2


def test_saving_again_says_already_and_writes_nothing(tmp_path):
    reg = registry.init(tmp_path / "home")
    model = naive.adapt(naive.grow(naive.plain(small.dense(tmp_path / "base"))), lora())
    first = reg.save(model, "medical")
    entries = len(reg.log())

    again = reg.save(model, "medical")

    assert [added.already for added in again.added] == [True]
    assert (again.versions, len(reg.log())) == (first.versions, entries)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("way", "begin", "base"),
    [
        ("pissa", begun("pissa"), "pissa-base@1"),
        ("olora", begun("olora"), "olora-base@1"),
        ("corda", corda, "corda-base@1"),
        ("loftq", loftq, "loftq-base@1"),
        ("lora_ga", lora_ga, "lora_ga-base@1"),
        ("mica", begun("mica"), "base-0@1"),
    ],
)
def test_a_beginning_that_takes_from_the_base_is_kept_on_the_base_that_is_left(
    bases, way, begin, base
):
    reg, base_of = bases
    model = begin(reg.load(f"{base_of(small.dense)}@1", device="cpu"))
    assert model.transformers_model.peft_config["default"].init_lora_weights == way
    before = naive.state(model)

    saved = reg.save(model, way)

    assert naive.state(model) == before
    assert saved.base.reference == base
    config = json.loads((reg.checkout(f"{way}@1").folder / "adapter_config.json").read_text())
    assert config["init_lora_weights"] is True
    assert not any(config.get(name) for name in ("loftq_config", "corda_config", "lora_ga_config"))
    assert naive.encodings(reg.load(f"{way}@1", device="cpu")) == naive.encodings(model)


def test_a_saved_model_is_the_version_that_was_saved_until_it_is_trained_further(tmp_path):
    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base"), "minilm", measure=False)
    model = naive.adapt(reg.load("minilm@1", device="cpu"), lora())
    with raises(VersionNotFound, "SentenceTransformer", "minilm@1", "registry.save(model"):
        reg.version_of(model)

    reg.save(model, "medical")

    naive.encodings(model)
    assert reg.version_of(model).reference == "medical@1"
    reg.activate(model)
    assert reg.version_of(model).reference == "minilm@1"
    reg.activate(model, "default")
    naive.train(model)
    with raises(VersionNotFound, "SentenceTransformer", "medical@1", "registry.save(model"):
        reg.version_of(model)


def test_of_several_adapters_each_is_a_version(tmp_path):
    reg = registry.init(tmp_path / "home")
    model = naive.adapt(naive.grow(naive.plain(small.dense(tmp_path / "base"))), lora(), "drugs")
    naive.adapt(model, lora(r=3), "genes")
    before = naive.state(model)
    with raises(InvalidName, "''"):
        reg.save(model, "")

    saved = reg.save(model, "medical")

    assert naive.state(model) == before
    assert [version.name for version in saved.versions] == ["medical-genes", "medical-drugs"]
    assert {version.parents[0].reference for version in saved.versions} == {"medical-base@1"}
    model.set_adapter("drugs")
    assert naive.encodings(reg.load("medical-drugs@1", device="cpu")) == naive.encodings(model)
    model.set_adapter("genes")
    assert naive.encodings(reg.load("medical-genes@1", device="cpu")) == naive.encodings(model)


def test_metrics_alias_and_run_are_kept(tmp_path):
    reg = registry.init(tmp_path / "home")

    saved = reg.save(
        naive.plain(small.dense(tmp_path / "base")),
        "minilm",
        alias="prod",
        run="run-7",
        metrics={"eval_accuracy": 0.5},
    )

    assert (saved.version.aliases, saved.version.source["run"], saved.version.source["how"]) == (
        ("prod",),
        "run-7",
        "save",
    )
    assert saved.version.source["metrics"] == {"eval_accuracy": "0.5"}


def test_a_parent_that_was_said_is_taken_where_nothing_else_tells(tmp_path):
    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base"), "minilm", measure=False)
    model = naive.adapt(naive.grow(naive.plain(tmp_path / "base")), lora())

    saved = reg.save(model, "medical", base_name="grown", parent="minilm@1")

    (parent,) = saved.base.parents
    assert (saved.base.reference, parent.reference, parent.evidence) == (
        "grown@1",
        "minilm@1",
        "given",
    )


def test_a_parent_that_contradicts_what_is_known_is_refused(tmp_path):
    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base"), "minilm", measure=False)
    reg.add(
        small.dense(tmp_path / "roberta", small.byte_level(), "RobertaModel"),
        "roberta",
        measure=False,
    )

    with raises(ParentMismatch, "minilm@1", "roberta@1", "parent="):
        reg.save(naive.grow(reg.load("minilm@1", device="cpu")), "medical", parent="roberta@1")


def merged_in_memory(model: Any) -> Any:
    from peft.tuners.tuners_utils import BaseTunerLayer

    naive.adapt(model, lora())
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.merge()
    return model


def prompted(model: Any) -> Any:
    from peft import PrefixTuningConfig, get_peft_model

    model[0].model = get_peft_model(
        model[0].model, PrefixTuningConfig(num_virtual_tokens=3, task_type="FEATURE_EXTRACTION")
    )
    return model


def finer_than_its_base(model: Any) -> Any:
    import torch

    naive.adapt(model.to(torch.bfloat16), lora())
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()
    return model


def half_of_it(model: Any) -> Any:
    import torch

    model.transformers_model.encoder.layer[1].to(torch.bfloat16)
    return model


def with_a_layer_more(model: Any) -> Any:
    import torch

    model.transformers_model.extra = torch.nn.Linear(2, 2)
    return model


@pytest.mark.parametrize(
    ("change", "quoted"),
    [
        (
            merged_in_memory,
            ("default", "encoder.layer.0.attention.self.query", "registry merge"),
        ),
        (prompted, ("'default'", "PREFIX_TUNING", "LORA", "IA3", "TRAINABLE_TOKENS")),
        (
            finer_than_its_base,
            (
                "'default'",
                "float32",
                "encoder.layer.0.attention.self.query.lora_A.weight",
                "bfloat16",
                "model.to(torch.bfloat16)",
            ),
        ),
        (half_of_it, ("'encoder.layer.1.attention.self.query.weight'", "bfloat16", "float32")),
        (with_a_layer_more, ("'extra.", "BertModel")),
        (lambda model: naive.adapt(naive.grow(model), lora(bias="all")), ("'default'", "parent=")),
    ],
    ids=[
        "merged",
        "prefix",
        "float32 on bf16",
        "two dtypes",
        "one layer more",
        "biases on a new base",
    ],
)
def test_what_cannot_be_kept_exactly_is_refused_by_name(tmp_path, change, quoted):
    reg = registry.init(tmp_path / "home")
    model = change(naive.plain(small.dense(tmp_path / "base")))

    with raises(NotLoadable, *quoted) as refused:
        reg.save(model, "medical")

    assert "\n" not in str(refused.value)
    assert reg.list() == ()


def test_what_is_no_model_is_refused(tmp_path):
    reg = registry.init(tmp_path / "home")

    with raises(
        Invalid,
        "dict",
        "SentenceTransformer",
        "CrossEncoder",
        "SparseEncoder",
        "MultiVectorEncoder",
    ):
        reg.save({}, "medical")
    with pytest.raises(InvalidName):
        reg.save(naive.plain(small.static(tmp_path / "static")), "no name")
    assert reg.save(naive.plain(tmp_path / "static"), "static").version.kind == "base"


def test_a_metric_that_cannot_be_kept_is_refused_before_the_base_is_registered(tmp_path):
    reg = registry.init(tmp_path / "home")
    model = naive.adapt(naive.plain(small.dense(tmp_path / "base")), lora())

    with raises(Invalid, "'two words'"):
        reg.save(model, "medical", metrics={"two words": 0.5})

    assert reg.list() == ()
