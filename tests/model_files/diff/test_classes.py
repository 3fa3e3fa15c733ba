"""diff of every class as its library saves it, against what safetensors and numpy read; and layouts that mean the same model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest

from tests.model_files.diff.making import differences, expected, told
from tests.operations.registration.test_every_class import old_layout
from tests.support import small

BUILDERS: dict[str, Any] = {
    "dense": small.dense,
    "dense in bf16": lambda folder: small.dense(folder, dtype="bfloat16"),
    "dense in fp16": lambda folder: small.dense(folder, dtype="float16"),
    "cross": small.cross,
    "sparse": small.sparse,
    "multi-vector": small.multi_vector,
    "static": small.static,
    "router": small.routed,
    "old layout": old_layout,
}


def nudged(folder: Path, to: Path) -> dict[str, dict[str, float]]:
    """A copy with some tensors changed by torch, in their own dtype; what numpy says of each change, by the tensor's last parts."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, to)
    found = {}
    for path in sorted(to.rglob("*.safetensors")):
        old = load_file(path)
        new = {
            name: tensor * 1.25 + 0.125
            if tensor.dtype.is_floating_point and index % 3 == 0
            else tensor
            for index, (name, tensor) in enumerate(sorted(old.items()))
        }
        save_file({name: tensor.contiguous() for name, tensor in new.items()}, path)
        for name, tensor in new.items():
            if not torch.equal(tensor, old[name]):
                found[name] = expected(*(item.double().numpy() for item in (old[name], tensor)))
    return found


@pytest.mark.parametrize("kind", BUILDERS)
def test_each_tensor_is_measured_as_numpy_measures_it(tmp_path, kind):
    base = BUILDERS[kind](tmp_path / "base")
    wanted = nudged(base, tmp_path / "copy")

    found = differences(base, tmp_path / "copy")

    measured = {item.name.rpartition("/")[2]: told(item) for item in found.tensors}
    assert measured.keys() == wanted.keys()
    for name, values in wanted.items():
        assert measured[name] == pytest.approx(values, rel=1e-6), name
    assert not found.tokens
    assert numpy.isfinite([item.norm for item in found.tensors]).all()


def test_a_model_in_the_old_layout_is_the_same_model(tmp_path):
    found = differences(old_layout(tmp_path / "old"), small.dense(tmp_path / "new"))

    assert not found.tensors
    assert not found.settings
    assert found.advice.keep
