"""add --fix: tensors that are not called what loaders look for."""

from __future__ import annotations

import json
from typing import Any

import pytest

import registry
from registry.errors import NotLoadable
from registry.model_files.folder import Folder
from registry.model_files.weights.grow import tables
from registry.runtime.fix import renamings
from registry.runtime.loading import quiet
from tests.operations.registration.fix.making import NEW, WEIGHTS, changed, lora, saved, wrap
from tests.support import lively, plain
from tests.support.hand import parent
from tests.support.refusals import raises

NAMES = {
    "in memory": wrap,
    "another class": lambda name: name.replace("encoder.layer", "transformer.layer"),
    "the list of modules": lambda name: name.replace(
        "base_model.model.", "base_model.model.0.auto_model."
    ),
}
ONE_WAY = {
    "in memory": wrap,
    "without peft's prefix": lambda name: name.removeprefix("base_model.model."),
    "data parallel": lambda name: "module." + name,
    "behind a base layer": lambda name: name.replace(".lora_", ".base_layer.lora_"),
}


@pytest.mark.parametrize("case", ONE_WAY)
def test_a_wrappers_names_have_one_way_back(tmp_path, case):
    base = plain.base(tmp_path / "base", added=NEW)
    folder = plain.adapter(tmp_path / "adapter", base, added=NEW)
    right = list(tables(folder / WEIGHTS))
    changed(folder, renamed={name: ONE_WAY[case](name) for name in right})

    (way,) = renamings(Folder(folder), parent(base))

    assert {way.names.get(name, name) for name in tables(folder / WEIGHTS)} == set(right)
    assert way.left_out == ()


@pytest.mark.parametrize("case", NAMES)
def test_tensors_under_other_names_are_renamed(resized, copied, case):
    folder, live = copied
    names = {name: NAMES[case](name) for name in tables(folder / WEIGHTS)}
    changed(folder, renamed=names)
    spoiled = lively.encodings(lively.loaded(folder, "SentenceTransformer"))

    added = resized.add(folder, "medical", fix=True, measure=False)

    assert spoiled != live
    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert (added.parent, added.evidence) == ("base@1", "witnessed")
    assert any(line.startswith("proved: all 8 tensors") for line in added.fixed)


def test_a_whole_state_dict_keeps_what_is_the_adapters(resized, copied):
    from registry.runtime.merge import values_of

    folder, live = copied
    inner = lively.loaded(folder, "SentenceTransformer").transformers_model
    own = {
        f"base_model.model.{name}": values_of(tensor) for name, tensor in inner.state_dict().items()
    }
    changed(folder, left_out=list(tables(folder / WEIGHTS)), added=own)

    added = resized.add(folder, "medical", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert any("are the parent's, bit for bit" in line for line in added.fixed)


def test_two_adapters_in_one_file_are_refused(resized, copied):
    folder, _ = copied
    changed(
        folder,
        renamed={
            name: name.replace(".weight", ".one.weight" if "query" in name else ".two.weight")
            for name in tables(folder / WEIGHTS)
        },
    )

    with raises(NotLoadable, "adapter_model.safetensors", "'one'", "'two'"):
        resized.add(folder, "medical", fix=True)


def test_an_adapter_of_one_layer_that_could_be_either_is_refused(resized, tmp_path):
    from peft import LoraConfig

    folder, _ = saved(resized, tmp_path, lambda rows: LoraConfig(r=2, target_modules="all-linear"))
    left_out = [
        name for name in tables(folder / WEIGHTS) if "layer.0.attention.self.query" not in name
    ]
    changed(
        folder,
        left_out=left_out,
        renamed={
            name: name.replace("encoder.layer.0.", "block.") for name in tables(folder / WEIGHTS)
        },
    )
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"target_modules": r".*\.(0|1)\.attention\.self\.query"})
    )

    with pytest.raises(registry.RegistryError):
        resized.add(folder, "medical", fix=True)


def test_the_magnitudes_of_dora_are_put_where_loaders_read_them(resized, tmp_path):
    folder, live = saved(resized, tmp_path, lambda rows: lora(rows, use_dora=True))
    changed(
        folder,
        renamed={
            name: name.removesuffix(".weight")
            for name in tables(folder / WEIGHTS)
            if "magnitude" in name
        },
    )
    assert lively.encodings(lively.loaded(folder, "SentenceTransformer")) != live
    with raises(
        NotLoadable,
        "'base_model.model.encoder.layer.0.attention.self.query.lora_magnitude_vector'",
        "add --fix",
        ".lora_magnitude_vector.weight",
        check="adapter-dora",
    ):
        resized.add(folder, "medical")

    resized.add(folder, "medical", fix=True)

    assert (
        lively.encodings(lively.loaded(resized.checkout("medical@1").folder, "SentenceTransformer"))
        == live
    )


def merged_in_place(model: Any) -> None:
    """Each layer merged and put back where it was, on a model that was loaded with its adapter."""
    inner = model.transformers_model
    for name, module in list(inner.named_modules()):
        if hasattr(module, "base_layer"):
            module.merge()
            inner.get_submodule(name.rpartition(".")[0])._modules[name.rpartition(".")[2]] = (
                module.base_layer
            )
    inner._hf_peft_config_loaded = False


def adapter_taken_off(model: Any) -> None:
    """A model that never saw a file of its adapter's."""
    model.transformers_model.delete_adapter("default")


def test_a_model_merged_where_it_stands_is_saved_with_a_wrappers_names(resized, copied, tmp_path):
    model = lively.loaded(copied[0], "SentenceTransformer")
    merged_in_place(model)
    right = lively.encodings(model)
    assert lively.distance(right, copied[1]) < 1e-6
    lively.save(model, tmp_path / "merged")
    assert (
        lively.distance(
            lively.encodings(lively.loaded(tmp_path / "merged", "SentenceTransformer")), right
        )
        > 1e-3
    )

    with raises(
        NotLoadable,
        "39",
        "'base_model.model.embeddings.LayerNorm.bias'",
        "add --fix",
        check="wrapper-names",
    ):
        resized.add(tmp_path / "merged", "merged")
    resized.add(tmp_path / "merged", "merged", parent="base@1", fix=True)

    assert lively.encodings(resized.load("merged@1", device="cpu")) == right


def test_a_model_whose_untrained_adapter_was_taken_off_is_saved_with_a_wrappers_names(
    resized, tmp_path
):
    base = resized.checkout("base@1").folder
    model = lively.adapted(base, "SentenceTransformer", lora(109))
    adapter_taken_off(model)
    lively.save(model, tmp_path / "again")
    right = lively.encodings(lively.loaded(base, "SentenceTransformer"))
    assert (
        lively.distance(
            lively.encodings(lively.loaded(tmp_path / "again", "SentenceTransformer")), right
        )
        > 1e-3
    )

    with raises(
        NotLoadable,
        "8",
        "'encoder.layer.0.attention.self.query.base_layer.bias'",
        "add --fix",
        check="wrapper-names",
    ):
        resized.add(tmp_path / "again", "again")
    resized.add(tmp_path / "again", "again", parent="base@1", fix=True)

    assert lively.encodings(resized.load("again@1", device="cpu")) == right


def test_a_full_model_that_was_saved_with_a_wrapper_around_it_gets_its_own_names(
    resized, copied, tmp_path
):
    model = lively.loaded(copied[0], "SentenceTransformer")
    base = lively.encodings(lively.loaded(resized.checkout("base@1").folder, "SentenceTransformer"))
    with quiet():
        model.transformers_model.delete_adapter("default")
        model.save_pretrained(str(tmp_path / "again"))
    assert (
        lively.distance(
            lively.encodings(lively.loaded(tmp_path / "again", "SentenceTransformer")), base
        )
        > 1e-3
    )
    with raises(
        NotLoadable,
        "39",
        "'base_model.model.embeddings.LayerNorm.bias'",
        "add --fix",
        check="wrapper-names",
    ):
        resized.add(tmp_path / "again", "again")

    added = resized.add(tmp_path / "again", "again", parent="base@1", fix=True)

    assert lively.encodings(resized.load("again@1", device="cpu")) == base
    assert added.fixed[0].startswith("renamed ") and added.fixed[1].startswith("proved: all ")
