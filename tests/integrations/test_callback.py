"""RegistryCallback in real trainings: what is registered is what was best, or it says why not."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import registry
from registry.core.provenance import check_source
from registry.errors import DigestMismatch, Invalid, InvalidName, NotFound
from registry.integrations import RegistryCallback, said
from registry.operations.registration.metrics import metrics_of
from tests.integrations import trainings
from tests.support import lively, naive, small
from tests.support.live import lora, new_ids
from tests.support.refusals import raises

CLASSES = {
    "SentenceTransformer": small.dense,
    "CrossEncoder": small.cross,
    "SparseEncoder": small.sparse,
    "MultiVectorEncoder": small.multi_vector,
}


@pytest.fixture
def reg(tmp_path):
    opened = registry.init(tmp_path / "home")
    yield opened
    opened.close()


def named_foo(model: Any) -> Any:
    model.add_adapter(lora(), "foo")
    return model


def by_peft(model: Any) -> Any:
    from peft import get_peft_model

    model[0].model = get_peft_model(model[0].model, lora(task_type="FEATURE_EXTRACTION"))
    return model


def with_magnitudes(model: Any) -> Any:
    model.add_adapter(lora(use_dora=True))
    return model


def with_words(model: Any) -> Any:
    model.add_adapter(lora(trainable_token_indices=new_ids()))
    return model


@pytest.mark.sampled(1)
@pytest.mark.parametrize("model_class", CLASSES)
def test_the_naive_flow_ends_with_the_best_checkpoint_as_a_version(reg, tmp_path, model_class):
    model = naive.grow(naive.plain(CLASSES[model_class](tmp_path / "base"), model_class))
    model.add_adapter(lora())
    callback = RegistryCallback("medical", home=tmp_path / "home", alias="prod")

    trainings.train(model, tmp_path / "out", [callback])

    version = callback.saved.version
    assert (version.reference, version.latest, version.aliases, version.parents[0].reference) == (
        "medical@1",
        True,
        ("prod",),
        "medical-base@1",
    )
    assert (
        version.source["metrics"],
        version.source["training"]["kept"],
        version.source["training"]["step"],
    ) == ({"eval_score": "1.0"}, "best", 2)
    assert check_source(version.source)["training"] == version.source["training"]
    assert (
        naive.encodings(reg.load("medical@1", device="cpu"))
        == naive.encodings(model)
        == trainings.at_best(tmp_path / "out", model_class)
    )
    assert (tmp_path / "out" / "checkpoint-2" / "adapter_model.safetensors").stat().st_size < 8000
    assert not {file.path for file in reg.show("medical@1").files} & {
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
        "training_args.bin",
    }


@pytest.mark.slow
def test_the_library_alone_leaves_checkpoints_that_nobody_can_load(tmp_path):
    model = naive.grow(naive.plain(small.dense(tmp_path / "base")))
    model.add_adapter(lora())

    trainings.train(model, tmp_path / "out", [])

    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        naive.plain(tmp_path / "out" / "checkpoint-2")


def watched(callback: type) -> Any:
    """The callback, which also keeps in `seen` what the model encodes at each save."""

    class Watching(callback):  # type: ignore[misc]
        seen: ClassVar[list[Any]] = []

        def on_save(self, args: Any, state: Any, control: Any, *, model: Any, **more: Any) -> None:
            self.seen.append(naive.encodings(model))
            model.train()
            super().on_save(args, state, control, model=model, **more)

    return Watching


def over_an_encoder(folder: Any) -> Any:
    """A CrossEncoder whose head no file has."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(3)
    model = CrossEncoder(str(folder), num_labels=1, device="cpu", local_files_only=True)
    model.add_adapter(lora())
    return model


@pytest.mark.slow
def test_a_head_that_the_library_makes_up_at_each_load_is_kept_with_the_base(reg, tmp_path):
    from transformers import TrainerCallback

    encoder = small.transformer_folder(tmp_path / "encoder", small.word_piece())
    alone, watching = over_an_encoder(encoder), watched(TrainerCallback)
    trainings.train(alone, tmp_path / "alone", [watching()], max_steps=2)
    assert (
        lively.distance(naive.encodings(alone), watching.seen[0]) > 1e-3
    )  # the best was put back in, with another head
    assert trainings.at_best(tmp_path / "alone", "CrossEncoder") != trainings.at_best(
        tmp_path / "alone", "CrossEncoder"
    )
    model, watching = over_an_encoder(encoder), watched(RegistryCallback)
    callback = watching("ranker", home=tmp_path / "home")

    trainings.train(model, tmp_path / "out", [callback])

    assert callback.saved.version.parents[0].reference == "ranker-base@1"
    assert (
        naive.encodings(reg.load("ranker@1", device="cpu"))
        == naive.encodings(model)
        == trainings.at_best(tmp_path / "out", "CrossEncoder")
    )
    assert naive.encodings(model) == watching.seen[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrap", [named_foo, by_peft, with_magnitudes], ids=["another name", "get_peft_model", "DoRA"]
)
def test_where_the_library_fails_to_reload_the_best_it_is_put_in(reg, tmp_path, wrap):
    model = wrap(naive.grow(naive.plain(small.dense(tmp_path / "base"))))
    watching = watched(RegistryCallback)
    callback = watching("medical", home=tmp_path / "home")

    trainings.train(model, tmp_path / "out", [callback])

    assert callback.saved.version.source["training"]["reloaded"] == "registry"
    assert (
        naive.encodings(reg.load("medical@1", device="cpu"))
        == naive.encodings(model)
        == watching.seen[0]
    )
    assert watching.seen[0] != watching.seen[1]


@pytest.mark.slow
def test_an_adapter_that_only_stands_beside_the_trained_one_does_not_cost_the_training(
    reg, tmp_path
):
    model = naive.grow(naive.plain(small.dense(tmp_path / "base")))
    model.add_adapter(lora(), "idle")
    model.add_adapter(lora(r=3), "busy")
    callback = RegistryCallback("medical", home=tmp_path / "home", alias="prod")

    trainings.train(model, tmp_path / "out", [callback])

    [busy] = callback.saved.versions
    assert callback.saved.version == busy
    assert any("'idle'" in line for line in callback.saved.warnings)
    assert reg.resolve("medical-busy@prod").reference == "medical-busy@1"
    with pytest.raises(NotFound):
        reg.resolve("medical-idle")
    assert (busy.reference, busy.forced, busy.source["training"]["reloaded"]) == (
        "medical-busy@1",
        (),
        "registry",
    )
    assert naive.encodings(reg.load("medical-busy@1", device="cpu")) == naive.encodings(model)


@pytest.mark.slow
def test_every_checkpoint_can_be_kept_and_none_is_latest(reg, tmp_path):
    reg.add(small.dense(tmp_path / "base"), "minilm")
    models = [with_words(naive.grow(reg.load("minilm@1", device="cpu"))) for _ in range(2)]
    callback = RegistryCallback("medical", home=tmp_path / "home", keep="all", base_name="grown")

    trainings.train(models[0], tmp_path / "out", [callback])
    trainings.train(
        models[1], tmp_path / "without", [RegistryCallback("other", home=tmp_path / "home")]
    )

    versions = sorted(reg.list("medical"), key=lambda version: version.number)
    assert [(version.checkpoint, version.latest) for version in versions] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert [version.source["training"]["step"] for version in versions] == [2, 4, 2]
    assert versions[0].source["metrics"] == {"eval_score": "1.0"}
    assert (reg.resolve("medical").number, reg.resolve("grown@1").parents[0].reference) == (
        3,
        "minilm@1",
    )
    assert naive.encodings(reg.load("medical@1", device="cpu")) == naive.encodings(models[0])
    assert naive.encodings(models[1]) == naive.encodings(models[0])


@pytest.mark.slow
def test_without_a_best_the_last_step_is_kept_and_a_full_model_too(reg, tmp_path):
    reg.add(small.dense(tmp_path / "base"), "minilm")
    model = reg.load("minilm@1", device="cpu")
    callback = RegistryCallback("tuned", home=tmp_path / "home")

    trainings.train(model, tmp_path / "out", [callback], load_best_model_at_end=False)

    version = callback.saved.version
    assert (version.kind, version.parents[0].role, version.parents[0].evidence) == (
        "base",
        "finetuned-from",
        "witnessed",
    )
    assert (version.source["training"]["kept"], version.source["training"]["step"]) == ("last", 4)
    assert naive.encodings(reg.load("tuned@1", device="cpu")) == naive.encodings(model)


@pytest.mark.slow
@pytest.mark.parametrize("model_class", ["SentenceTransformer", "CrossEncoder"])
def test_a_training_in_mixed_precision_is_kept_as_what_it_trained(reg, tmp_path, model_class):
    model = naive.plain(CLASSES[model_class](tmp_path / "base"), model_class)
    model.add_adapter(lora())
    callback = RegistryCallback("medical", home=tmp_path / "home")

    trainer = trainings.train(model, tmp_path / "out", [callback], bf16=True)

    wrapped = vars(model)["forward"]
    assert any("mixed precision of the training" in said for said in callback.saved.warnings)
    registry.save(model, "again", home=tmp_path / "home")
    assert vars(model)["forward"] is wrapped
    plain = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    assert lively.encodings(reg.load("medical@1", device="cpu")) == lively.encodings(plain)
    assert not any(
        "mixed precision" in said
        for said in registry.save(plain, "plain", home=tmp_path / "home").warnings
    )


@pytest.mark.slow
def test_a_best_checkpoint_that_was_damaged_is_not_called_best(reg, tmp_path):
    from safetensors.torch import load_file, save_file
    from transformers import TrainerCallback

    model = named_foo(naive.grow(naive.plain(small.dense(tmp_path / "base"))))

    class Damage(TrainerCallback):
        def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            file = tmp_path / "out" / "checkpoint-2" / "adapter_model.safetensors"
            save_file(dict(list(load_file(file).items())[1:]), file)

    lost = "'encoder.layer.0.attention.self.query.lora_A.weight'"
    with raises(DigestMismatch, "checkpoint-2", lost, "adapter_model.safetensors"):
        trainings.train(
            model, tmp_path / "out", [Damage(), RegistryCallback("medical", home=tmp_path / "home")]
        )

    assert [found.name for found in reg.list()] == ["medical-base"]


def test_only_the_main_process_writes(reg, tmp_path):
    callback = RegistryCallback("medical", home=tmp_path / "home", keep="all")
    state, model = SimpleNamespace(is_world_process_zero=False, global_step=1), object()

    callback.on_train_begin(None, state, None, model=model)
    callback.on_save(None, state, None, model=model)
    callback.on_train_end(None, state, None, model=model)

    assert (callback.saved, len(reg.log())) == (None, 1)


def test_what_cannot_be_meant_is_refused_before_the_training(reg, tmp_path):
    with raises(Invalid, "keep", "'some'", "best", "all"):
        RegistryCallback("medical", home=tmp_path / "home", keep="some")
    with pytest.raises(InvalidName):
        RegistryCallback("no name", home=tmp_path / "home")


def test_arguments_hold_no_place_and_no_secret(tmp_path):
    from sentence_transformers import SentenceTransformerTrainingArguments

    arguments = SentenceTransformerTrainingArguments(
        str(tmp_path),
        hub_token="secret",
        run_name=str(tmp_path / "run"),
        learning_rate=0.5,
        seed=42,
        use_cpu=True,
        report_to="none",
        warmup_steps=3,
    )

    found = said.arguments(arguments)

    assert (found["learning_rate"], found["seed"], found["warmup_steps"]) == ("0.5", 42, 3)
    assert "secret" not in str(found)
    assert str(tmp_path) not in str(found)


def test_the_run_that_is_recorded_elsewhere_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=SimpleNamespace(id="w-1")))
    assert said.run() == "w-1"
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=None))
    assert said.run() is None
    monkeypatch.setitem(
        sys.modules,
        "mlflow",
        SimpleNamespace(active_run=lambda: SimpleNamespace(info=SimpleNamespace(run_id="m-1"))),
    )
    assert said.run() == "m-1"


def test_numbers_that_are_none_are_no_metrics():
    assert said.metrics(
        {"eval_a": 0.5, "eval_b": float("nan"), "eval_runtime": 3, "epoch": 1, "eval_name": "x"}
    ) == {"eval_a": 0.5}


def test_a_metric_of_an_evaluator_whose_name_has_a_blank_is_kept_under_a_name_that_fits():
    found = said.metrics({"eval_sts dev_pearson_cosine": 0.5, "eval_a<=b\t_score": 0.25})

    assert metrics_of(found) == {"eval_a__b__score": "0.25", "eval_sts_dev_pearson_cosine": "0.5"}
