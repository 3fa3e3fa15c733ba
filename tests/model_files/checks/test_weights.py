"""Weights are whole, finite, and those of a model as its class reads them."""

from __future__ import annotations

import numpy
import pytest

from registry.errors import NotLoadable, UnsafeFile
from tests.support import plain
from tests.support.hand import edit, rewrite, warnings
from tests.support.refusals import raises


@pytest.fixture
def base(tmp_path):
    return plain.base(tmp_path / "base")


def test_a_model_made_by_hand_passes(base):
    assert warnings(base) == ()


@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
def test_a_value_that_is_not_finite_is_counted_and_named(base, value):
    rewrite(
        base / "model.safetensors",
        lambda own: own.update({"pooler.dense.bias": numpy.full(8, value, "float32")}),
    )

    with raises(NotLoadable, "8 ", "'pooler.dense.bias'", check="finite"):
        warnings(base)


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.pooler.dense.weight",
        "encoder.layer.0.attention.self.query.base_layer.weight",
    ],
)
def test_names_of_an_adapters_wrapper_in_a_full_model_are_refused(base, name):
    rewrite(
        base / "model.safetensors", lambda own: own.update({name: numpy.ones((8, 8), "float32")})
    )

    quoted = ("1 ", f"'{name}'", "add --fix")
    with raises(NotLoadable, *quoted, check="wrapper-names"):
        warnings(base)


def test_a_layer_that_a_loader_would_make_up_is_named(base):
    edit(base / "config.json", lambda config: config.update(num_hidden_layers=3))

    with raises(NotLoadable, "config.json", " 3 ", "layer 1, 2", check="layers"):
        warnings(base)


def test_a_truncated_file_is_refused(base):
    path = base / "model.safetensors"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])

    with raises(UnsafeFile, "model.safetensors", str(size), str(size - 1)):
        warnings(base)
