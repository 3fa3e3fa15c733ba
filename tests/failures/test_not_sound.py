"""What a user broke and found registered, or refused for a reason that was not so: numbers that are none, names that nobody has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry import entry
from registry.actions.common import still_there
from registry.artifacts.adapter import KINDS
from registry.artifacts.probes import again, parse, still
from registry.errors import Invalid, NoEffect, NotLoadable, ProbeMismatch
from tests.artifacts import small
from tests.artifacts.hand import edit, rewrite
from tests.support import lively

WEIGHTS = "adapter_model.safetensors"
SENTENCE = "config_sentence_transformers.json"


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

    with pytest.raises(NotLoadable, match=r"its encodings are not finite: .* encodes to NaN or infinity") as caught:
        reg.add(copied, "medical")

    assert caught.value.exit_code == 6
    assert "its encodings are not finite" in failed(reg.check(copied))["adapter-effect"]
    assert "medical" not in [model.name for model in reg.list()]


def test_one_that_was_let_in_unmeasured_is_told_by_save_check_and_load(reg, copied):
    times(copied, 1e30)
    reg.add(copied, "medical", measure=False)
    model = reg.load("medical@1", device="cpu")

    assert "its encodings are not finite" in failed(reg.check("medical@1"))["adapter-effect"]
    with pytest.raises(NotLoadable, match="its encodings are not finite"):
        reg.merge("medical@1", "merged")
    model[0].auto_model.get_input_embeddings().weight.data[5] += 1
    with pytest.raises(NotLoadable, match="encodings are not finite"):
        reg.save(model, "again")


def test_a_version_that_was_registered_without_numbers_is_not_blamed_on_the_machine(reg, copied):
    times(copied, 1e30)
    version = reg.add(copied, "medical", measure=False).version
    model = reg.load(version, device="cpu")
    with still(model):
        made = tuple(found for _, found in again(model, parse(reg.home.blobs.read(reg.resolve("resized@1").probes))))
    recorded = replace(parse(reg.home.blobs.read(reg.resolve("resized@1").probes)), probes=made)
    assert not any(probe.finite for probe in made if probe.shape)
    digest = reg.home.blobs.add(recorded.to_bytes())  # as an older version of this package kept them
    reg.home.commit(lambda connection: entry.Probes(*still_there(connection, version), digest))

    with pytest.raises(ProbeMismatch, match=r"medical@1 makes no numbers of texts, and made none when it was registered") as caught:
        reg.load("medical@1", device="cpu")

    assert "machine" not in str(caught.value)
    assert "not finite, nor was it then" in failed(reg.check("medical@1"))["probe-vectors"]


def test_a_full_model_that_makes_no_numbers_of_texts(reg, tmp_path):
    folder = small.dense(tmp_path / "full")
    rewrite(folder / "model.safetensors", lambda own: own.update({name: value * value.dtype.type(1e30) for name, value in own.items()
                                                                  if name.endswith("dense.weight")}))

    with pytest.raises(NotLoadable, match="its encodings are not finite"):
        reg.add(folder, "full")
    assert "its encodings are not finite" in failed(reg.check(folder))["probe-vectors"]


def test_a_base_of_an_older_library_takes_several_adapters_of_today_s(reg, made, tmp_path):
    from peft import LoraConfig
    base = small.dense(tmp_path / "old")

    def older(config: dict[str, Any]) -> None:
        config.update(word_embedding_dimension=config.pop("embedding_dimension"), pooling_mode_mean_tokens=True, pooling_mode_cls_token=False)
        config.pop("pooling_mode")
    edit(base / "1_Pooling" / "config.json", older)
    reg.add(base, "old", measure=False)
    for name in ("one", "two"):
        lively.save_adapter(reg.checkout("old@1").folder, "SentenceTransformer", LoraConfig(r=2, target_modules=["query"]), tmp_path / name)
        added = reg.add(tmp_path / name, name, measure=False)
        assert added.warnings == ()

    model = reg.load("old@1", adapters={"a": "one@1", "b": "two@1"}, device="cpu")

    assert reg.version_of(model).name == "one"


def test_a_dimension_that_the_encodings_do_not_have(reg, copied):
    edit(copied / "1_Pooling" / "config.json", lambda config: config.update(embedding_dimension=100))
    assert lively.loaded(copied, "SentenceTransformer").get_embedding_dimension() == 100

    said = r"1_Pooling/config.json has the embedding_dimension 100, and the transformer makes 16 .*; set .* to 16 \(check dimension\)"
    for measure in (False, True):
        with pytest.raises(NotLoadable, match=said):
            reg.add(copied, "medical", measure=measure)


def test_lora_b_of_zeros_is_said_from_the_file_whatever_their_sign(reg, copied):
    names = times(copied, -0.0)

    said = rf"all {len(names)} tensors that training moves are still as it begins \(every lora_B is 0\), '.*lora_B.weight' first"
    with pytest.raises(NoEffect, match=said):
        reg.add(copied, "medical", measure=False)


def test_one_lora_b_of_zeros_is_told(reg, copied):
    name = times(copied, -0.0, 1)[0]

    warnings = reg.add(copied, "medical", measure=False).warnings

    assert [said for said in warnings if f"1 of 4 parts of the adapter are as training begins and change nothing, {name!r} first" in said]


@pytest.mark.parametrize(("path", "change", "error", "said"), [
    ("adapter_config.json", {"peft_type": "LORAX"}, NotLoadable, "has the peft_type 'LORAX', which no loader knows; set it to .*LORA, IA3"),
    ("adapter_config.json", {"lora_alpha": float("nan")}, NotLoadable, "has the lora_alpha nan"),
    ("adapter_config.json", {"lora_dropout": float("inf")}, NotLoadable, "has the lora_dropout inf; it is a number from 0 to 1"),
    ("adapter_config.json", {"lora_alpha": 0}, NoEffect, "has the lora_alpha 0, by which every change is multiplied"),
    (SENTENCE, {"default_prompt_name": "nope"}, NotLoadable, r"'nope', and no prompt is called so \(it has 'document', 'query'\)"),
    (SENTENCE, {"similarity_fn_name": "nonsense"}, NotLoadable, "has the similarity_fn_name 'nonsense'.*name one of cosine, dot, euclidean"),
])
def test_a_setting_that_no_library_takes_is_refused_from_the_file(reg, copied, path, change, error, said):
    edit(copied / path, lambda config: config.update(change))

    with pytest.raises(error, match=said):
        reg.add(copied, "medical", measure=False)


def test_the_kinds_of_adapters_are_those_of_the_library():
    from peft import PeftType

    assert sorted(KINDS) == sorted(kind.value for kind in PeftType)


def test_tokens_that_were_added_without_a_resize(reg):
    model = reg.load("base@1", device="cpu")
    rows = model.transformers_model.get_input_embeddings().weight.shape[0]
    model.tokenizer.add_tokens(["zorvaxinol"])

    with pytest.raises(NotLoadable, match=rf"1 token was added and has no row: the table has {rows} rows; call .*_embeddings\({rows + 1}\)"):
        reg.save(model, "grown")


def test_facts_are_not_blamed_for_a_damaged_file(reg, made):
    version = reg.resolve("base@1")
    digest = next(file.digest for file in reg.show("base@1").files if file.path == "model.safetensors")
    blob = next(path for path in (reg.home.root / "blobs").rglob("*") if path.name in str(digest) and path.is_file())
    blob.chmod(0o644)
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)

    assert set(failed(reg.check(version, measure=False))) == {"files"}


def test_a_device_that_is_none(reg):
    with pytest.raises(Invalid, match="device is 'cudaa', which is none; use cpu, cuda"):
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


def test_an_unknown_base_is_a_matter_of_lineage_and_a_merged_model_is_named_last(reg, copied, tmp_path):
    reg.add(copied, "medical", measure=False)
    reg.merge("medical@1", "amerged")
    lost = tmp_path / "nowhere"
    edit(copied / "adapter_config.json", lambda config: config.update(base_model_name_or_path=str(lost)))

    found = failed(reg.check(copied, measure=False))

    assert set(found) == {"lineage"}
    assert "if you know that it is resized@1, amerged@1" in found["lineage"]
