"""add --convert: pickles become safetensors, and the model is the one that they hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.errors import UnsafeFile
from tests.support import plain
from tests.support.refusals import raises


@pytest.fixture
def pickled(tmp_path) -> Path:
    """A model with its weights in two pickled shards of the format before 2020."""
    import torch
    from safetensors.torch import load_file

    folder = plain.base(tmp_path / "pickled")
    tensors = load_file(str(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for number in range(2):
        shard = f"pytorch_model-0000{number + 1}-of-00002.bin"
        part = {name: tensors[name] for name in sorted(tensors)[number::2]}
        torch.save(part, folder / shard, _use_new_zipfile_serialization=False)
        weight_map |= dict.fromkeys(part, shard)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder


def test_a_refusal_names_the_command_that_converts(reg, pickled):
    with raises(UnsafeFile, f"registry add {pickled} --as old --convert"):
        reg.add(pickled, "old")


@pytest.mark.slow
def test_pickled_shards_are_the_safetensors_model(reg, pickled, tmp_path):
    added = reg.add(pickled, "old", convert=True)

    whole = plain.base(tmp_path / "whole")
    expected = reg.add(whole, "whole", measure=False)
    assert added.version.weights == expected.version.weights
    converted = added.version.source["converted"]
    assert [file["path"] for file in converted["files"]] == [
        "pytorch_model-00001-of-00002.bin",
        "pytorch_model-00002-of-00002.bin",
        "pytorch_model.bin.index.json",
    ]
    assert set(converted) == {"format", "files", "libraries"}
    stored = {path.name for path in reg.checkout("old@1").folder.rglob("*") if path.is_file()}
    assert "model.safetensors" in stored
    assert not any(name.startswith("pytorch_model") for name in stored)


@pytest.mark.slow
def test_the_file_depends_on_the_tensors_alone(reg, pickled, tmp_path):
    import torch
    from safetensors.torch import load_file

    first = reg.add(pickled, "old", convert=True, measure=False)
    other = plain.base(tmp_path / "other")
    tensors = load_file(str(other / "model.safetensors"))
    (other / "model.safetensors").unlink()
    torch.save(dict(reversed(tensors.items())), other / "pytorch_model.bin")
    second = reg.add(other, "other", convert=True, measure=False)
    assert first.digest == second.digest


@pytest.mark.slow
@pytest.mark.parametrize("key", ["optimizer", "epoch"])
def test_keys_that_are_not_tensors_are_named(reg, pickled, key):
    import torch

    for path in pickled.glob("pytorch_model*"):
        path.unlink()
    torch.save({"a": torch.ones(2), key: {"lr": 1}}, pickled / "pytorch_model.bin")
    with raises(UnsafeFile, "'pytorch_model.bin'", f"'{key}'"):
        reg.add(pickled, "old", convert=True, measure=False)


@pytest.mark.slow
def test_a_pickle_that_calls_something_is_named(reg, pickled, tmp_path):
    for path in pickled.glob("pytorch_model*"):
        path.unlink()
    call = "\x80\x02cos\nsystem\nX\x07\x00\x00\x00touch x\x85R."
    (pickled / "pytorch_model.bin").write_bytes(call.encode("latin-1"))
    with raises(UnsafeFile, "'pytorch_model.bin'", "os.system"):
        reg.add(pickled, "old", convert=True, measure=False)
    assert not list(tmp_path.rglob("x"))
