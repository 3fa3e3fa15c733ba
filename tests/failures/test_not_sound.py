"""What a user broke and found registered, or refused for a reason that was not so: numbers that are none, names that nobody has."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry.core import entry
from registry.errors import Invalid, NoEffect, NotLoadable, ProbeMismatch
from registry.model_files.adapter.config import KINDS
from registry.operations.shared.resolve import still_there
from registry.runtime.probes import again, parse, still
from tests.support import lively, small
from tests.support.hand import edit, rewrite
from tests.support.refusals import raises, text_of

WEIGHTS = "adapter_model.safetensors"
SENTENCE = "config_sentence_transformers.json"
SENTENCE_OF_CHECKS = "'The cat sat on the mat.'"


def times(folder: Path, factor: float, count: int | None = None) -> list[str]:
    """Multiply the first lora_B tensors, or all; their names."""
    names: list[str] = []

    def multiply(own: dict[str, Any]) -> None:
        names[:] = sorted(name for name in own if "lora_B" in name)[:count]
        own.update({name: own[name] * own[name].dtype.type(factor) for name in names})

    rewrite(folder / WEIGHTS, multiply)
    return names


def failed(report: Any) -> dict[str, str]:
    return {outcome.check: outcome.message for outcome in report.outcomes if outcome.failed}


def test_an_adapter_that_makes_no_numbers_of_texts(reg, copied):
    times(copied, 1e30)

    with raises(NotLoadable, "''", "16", "NaN") as caught:
        reg.add(copied, "medical")

    assert caught.value.exit_code == 6
    message = failed(reg.check(copied))["adapter-effect"]
    assert SENTENCE_OF_CHECKS in message and "NaN" in message
    assert "medical" not in [model.name for model in reg.list()]


@pytest.mark.slow
def test_one_that_was_let_in_unmeasured_is_told_by_save_check_and_load(reg, copied):
    times(copied, 1e30)
    reg.add(copied, "medical", measure=False)
    model = reg.load("medical@1", device="cpu")

    message = failed(reg.check("medical@1"))["adapter-effect"]
    assert SENTENCE_OF_CHECKS in message and "NaN" in message
    with raises(NotLoadable, "''", "16", "NaN"):
        reg.merge("medical@1", "merged")
    model[0].auto_model.get_input_embeddings().weight.data[5] += 1
    with raises(NotLoadable, SENTENCE_OF_CHECKS, "NaN"):
        reg.save(model, "again")


def test_a_version_that_was_registered_without_numbers_is_not_blamed_on_the_machine(reg, copied):
    times(copied, 1e30)
    version = reg.add(copied, "medical", measure=False).version
    model = reg.load(version, device="cpu")
    with still(model):
        made = tuple(
            found
            for _, found in again(
                model, parse(reg.home.blobs.read(reg.resolve("resized@1").probes))
            )
        )
    recorded = replace(parse(reg.home.blobs.read(reg.resolve("resized@1").probes)), probes=made)
    assert not any(probe.finite for probe in made if probe.shape)
    digest = reg.home.blobs.add(
        recorded.to_bytes()
    )  # as an older version of this package kept them
    reg.home.commit(lambda connection: entry.Probes(*still_there(connection, version), digest))

    with raises(ProbeMismatch, "medical@1", "''") as caught:
        reg.load("medical@1", device="cpu")

    assert "machine" not in text_of(caught.value)
    assert "--probes" not in text_of(caught.value)  # as where the machine is to blame
    outcomes = [item for item in reg.check("medical@1").outcomes if item.failed]
    assert {item.difference for item in outcomes if item.check == "probe-vectors"} == {math.inf}


def test_a_full_model_that_makes_no_numbers_of_texts(reg, tmp_path):
    folder = small.dense(tmp_path / "full")
    rewrite(
        folder / "model.safetensors",
        lambda own: own.update(
            {
                name: value * value.dtype.type(1e30)
                for name, value in own.items()
                if name.endswith("dense.weight")
            }
        ),
    )

    with raises(NotLoadable, "''", "13", "NaN"):
        reg.add(folder, "full")
    message = failed(reg.check(folder))["probe-vectors"]
    assert SENTENCE_OF_CHECKS in message and "NaN" in message


def test_a_base_of_an_older_library_takes_several_adapters_of_today_s(reg, made, tmp_path):
    from peft import LoraConfig

    base = small.dense(tmp_path / "old")

    def older(config: dict[str, Any]) -> None:
        config.update(
            word_embedding_dimension=config.pop("embedding_dimension"),
            pooling_mode_mean_tokens=True,
            pooling_mode_cls_token=False,
        )
        config.pop("pooling_mode")

    edit(base / "1_Pooling" / "config.json", older)
    reg.add(base, "old", measure=False)
    for name in ("one", "two"):
        lively.save_adapter(
            reg.checkout("old@1").folder,
            "SentenceTransformer",
            LoraConfig(r=2, target_modules=["query"]),
            tmp_path / name,
        )
        added = reg.add(tmp_path / name, name, measure=False)
        assert added.warnings == ()

    model = reg.load("old@1", adapters={"a": "one@1", "b": "two@1"}, device="cpu")

    assert reg.version_of(model).name == "one"


def test_a_dimension_that_the_encodings_do_not_have(reg, copied):
    edit(
        copied / "1_Pooling" / "config.json", lambda config: config.update(embedding_dimension=100)
    )
    assert lively.loaded(copied, "SentenceTransformer").get_embedding_dimension() == 100

    setting = ("1_Pooling/config.json", "embedding_dimension", "100")
    expected = ("16", "hidden_size", "config.json of resized@1")
    for measure in (False, True):
        with raises(NotLoadable, *setting, *expected, check="dimension"):
            reg.add(copied, "medical", measure=measure)


def test_lora_b_of_zeros_is_said_from_the_file_whatever_their_sign(reg, copied):
    names = times(copied, -0.0)

    quoted = (f" {len(names)} ", "lora_B", " 0", f"'{names[0]}'", "--allow-no-effect")
    with raises(NoEffect, *quoted, "--force adapter-trained", check="adapter-trained"):
        reg.add(copied, "medical", measure=False)


def test_one_lora_b_of_zeros_is_told(reg, copied):
    name = times(copied, -0.0, 1)[0]

    warnings = reg.add(copied, "medical", measure=False).warnings

    assert [said for said in warnings if "1 of 4 parts" in said and f"first: {name!r}" in said]


@pytest.mark.parametrize(
    ("path", "change", "error", "quoted", "check"),
    [
        (
            "adapter_config.json",
            {"peft_type": "LORAX"},
            NotLoadable,
            ["LORA", "IA3", "TRAINABLE_TOKENS"],
            "adapter-kind",
        ),
        ("adapter_config.json", {"lora_alpha": float("nan")}, NotLoadable, [], None),
        ("adapter_config.json", {"lora_dropout": float("inf")}, NotLoadable, [" 0 ", " 1"], None),
        ("adapter_config.json", {"lora_alpha": 0}, NoEffect, [], "adapter-trained"),
        (
            SENTENCE,
            {"default_prompt_name": "nope"},
            NotLoadable,
            ["'document'", "'query'"],
            "prompt-name",
        ),
        (
            SENTENCE,
            {"similarity_fn_name": "nonsense"},
            NotLoadable,
            ["cosine", "dot", "euclidean", "manhattan"],
            "similarity",
        ),
    ],
)
def test_a_setting_that_no_library_takes_is_refused_from_the_file(
    reg, copied, path, change, error, quoted, check
):
    edit(copied / path, lambda config: config.update(change))

    ((name, value),) = change.items()
    with raises(error, path, name, repr(value), *quoted, check=check):
        reg.add(copied, "medical", measure=False)


def test_the_kinds_of_adapters_are_those_of_the_library():
    from peft import PeftType

    assert sorted(KINDS) == sorted(kind.value for kind in PeftType)


def test_tokens_that_were_added_without_a_resize(reg):
    model = reg.load("base@1", device="cpu")
    rows = model.transformers_model.get_input_embeddings().weight.shape[0]
    model.tokenizer.add_tokens(["zorvaxinol"])

    with raises(NotLoadable, "1 ", str(rows), f"resize_token_embeddings({rows + 1})"):
        reg.save(model, "grown")


def test_facts_are_not_blamed_for_a_damaged_file(reg, made):
    version = reg.resolve("base@1")
    digest = next(
        file.digest for file in reg.show("base@1").files if file.path == "model.safetensors"
    )
    blob = next(
        path
        for path in (reg.home.root / "blobs").rglob("*")
        if path.name in str(digest) and path.is_file()
    )
    blob.chmod(0o644)
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)

    assert set(failed(reg.check(version, measure=False))) == {"files"}


def test_a_device_that_is_none(reg):
    with raises(Invalid, "device", "'cudaa'", "cpu", "cuda:1", "mps"):
        reg.load("base@1", device="cudaa")


def test_what_cuts_encodings_is_kept_with_a_changed_model(reg):
    model = reg.load("base@1", device="cpu", truncate_dim=4)
    model.transformers_model.get_input_embeddings().weight.data[7] += 1

    saved = reg.save(model, "cut")

    assert model.truncate_dim == 4
    again = reg.load("cut@1", device="cpu")
    assert lively.encodings(again) == lively.encodings(model)
    assert len(lively.encodings(again)[0]) == again.get_embedding_dimension() == 4
    assert [said for said in saved.added[0].warnings if "truncate_dim is 4 (there None)" in said]


def test_an_unknown_base_is_a_matter_of_lineage_and_a_merged_model_is_named_last(
    reg, copied, tmp_path
):
    reg.add(copied, "medical", measure=False)
    reg.merge("medical@1", "amerged")
    lost = tmp_path / "nowhere"
    edit(
        copied / "adapter_config.json",
        lambda config: config.update(base_model_name_or_path=str(lost)),
    )

    found = failed(reg.check(copied, measure=False))

    assert set(found) == {"lineage"}
    assert "resized@1, amerged@1" in found["lineage"]
