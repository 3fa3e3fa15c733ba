"""What differs between the tensors of two folders, against values that numpy computes independently."""

from __future__ import annotations

import json
import shutil

import numpy
import pytest

from registry.model_files.diff.tensor_reader import Reader, wide
from registry.model_files.diff.tensor_source import Stored
from registry.model_files.weights.safetensors import Header
from tests.model_files.diff.making import (
    bfloat16,
    change,
    differences,
    expected,
    from_bfloat16,
    told,
    write,
)
from tests.support import plain
from tests.support.hand import rewrite, tensors

TABLE = "embeddings.word_embeddings.weight"
QUERY = "encoder.layer.0.attention.self.query.weight"
DTYPES = {
    "F64": lambda values: values.astype("<f8"),
    "F32": lambda values: values.astype("<f4"),
    "F16": lambda values: values.astype("<f2"),
    "BF16": bfloat16,
}
BACK = {**{dtype: lambda bits: bits.astype("float64") for dtype in DTYPES}, "BF16": from_bfloat16}


@pytest.fixture
def base(tmp_path):
    return plain.base(tmp_path / "base")


@pytest.fixture
def copy(base, tmp_path):
    return shutil.copytree(base, tmp_path / "copy")


def retype(folder, dtypes):
    """The folder's tensors as these dtypes, the first for those before `m`; what numpy reads of them."""
    found = tensors(folder / "model.safetensors")
    made = {
        name: (dtypes[name > "m"], DTYPES[dtypes[name > "m"]](array))
        for name, array in found.items()
    }
    write(folder / "model.safetensors", made)
    return {name: BACK[dtype](bits) for name, (dtype, bits) in made.items()}


def test_equal_folders_do_not_differ(base, copy):
    found = differences(base, copy)

    assert found.same
    assert found.same_tensors == len(tensors(base / "model.safetensors"))
    assert found.advice.keep


@pytest.mark.parametrize("before", DTYPES)
@pytest.mark.parametrize("after", DTYPES)
def test_a_changed_tensor_is_measured_as_numpy_measures_it(base, copy, before, after):
    rewrite(
        copy / "model.safetensors",
        lambda found: found.update(
            {QUERY: found[QUERY] * 1.01 + numpy.eye(8, dtype="float32") * 0.3}
        ),
    )
    old, new = retype(base, (before, before)), retype(copy, (after, after))

    found = differences(base, copy)

    assert told(change(found, QUERY)) == pytest.approx(expected(old[QUERY], new[QUERY]), rel=1e-6)
    assert change(found, QUERY).dtypes == (before, after)
    assert not found.advice.keep


def test_a_tensor_of_many_blocks_is_measured_whole(tmp_path):
    random = numpy.random.default_rng(5)
    long = random.normal(size=(3000, 71)).astype("float32")
    other = long.copy()
    other[1234, 7:30] += 1.5
    other[2999, 70] = 0
    folders = [plain.base(tmp_path / name) for name in ("one", "two")]
    for folder, array in zip(folders, (long, other), strict=True):
        rewrite(
            folder / "model.safetensors",
            lambda found, array=array: found.update({"extra.weight": array}),
        )

    found = differences(*folders)

    assert told(change(found, "extra.weight")) == pytest.approx(expected(long, other), rel=1e-6)
    assert [item.name for item in found.tensors] == ["extra.weight"]


def test_values_too_small_or_large_to_be_squared_in_float32_are_measured_all_the_same(base, copy):
    rewrite(base / "model.safetensors", lambda found: found.update({QUERY: found[QUERY] * 1e-24}))
    rewrite(copy / "model.safetensors", lambda found: found.update({QUERY: found[QUERY] * 1e25}))
    old, new = (
        tensors(base / "model.safetensors")[QUERY],
        tensors(copy / "model.safetensors")[QUERY],
    )

    assert told(change(differences(base, copy), QUERY)) == pytest.approx(
        expected(old, new), rel=1e-5
    )
    assert change(differences(copy, base), QUERY).before == pytest.approx(
        float(numpy.linalg.norm(new.astype("float64"))), rel=1e-5
    )


def test_the_same_values_in_another_dtype_are_no_change_of_values(base, copy):
    rewrite(
        base / "model.safetensors",
        lambda found: [
            found.update({name: array.astype("float16").astype("float32")})
            for name, array in list(found.items())
        ],
    )
    shutil.copy(base / "model.safetensors", copy / "model.safetensors")
    retype(copy, ("F16", "F16"))

    found = differences(base, copy)

    assert {item.kind for item in found.tensors} == {"dtype"}
    assert found.advice.keep
    assert "F16 instead of F32" in found.advice.line


def test_modules_add_up_their_tensors(base, copy):
    bias = QUERY.replace("weight", "bias")
    rewrite(
        copy / "model.safetensors",
        lambda found: found.update({QUERY: found[QUERY] + 1, bias: found[bias] - 2}),
    )
    old, new = tensors(base / "model.safetensors"), tensors(copy / "model.safetensors")

    (module,) = differences(base, copy).modules

    both = [numpy.concatenate([found[QUERY].reshape(-1), found[bias]]) for found in (old, new)]
    assert module.name == QUERY.removesuffix(".weight")
    assert {
        name: getattr(module, name)
        for name in ("values", "changed", "largest", "mean", "norm", "relative")
    } == pytest.approx(expected(*both), rel=1e-6)


def test_added_and_removed_tensors_are_named(base, copy):
    rewrite(
        copy / "model.safetensors",
        lambda found: found.update({"head.weight": found.pop("pooler.dense.weight")}),
    )

    found = differences(base, copy)

    assert {(item.name, item.kind) for item in found.tensors} == {
        ("head.weight", "added"),
        ("pooler.dense.weight", "removed"),
    }
    assert found.advice.everything


def test_a_grown_table_tells_old_rows_from_new_ones(tmp_path, base):
    grown = plain.base(tmp_path / "grown", added=("zorvaxin", "quelora"))

    table = change(differences(base, grown), TABLE)

    rows = len(plain.WORDS)
    assert (table.kind, table.rows, table.changed_rows, table.new_rows, table.alike) == (
        "resized",
        rows,
        0,
        2,
        True,
    )
    assert table.shapes == ((rows, 8), (rows + 2, 8))


def test_a_grown_table_with_changed_old_rows_says_how_many(tmp_path, base):
    grown = plain.base(tmp_path / "grown", added=("zorvaxin",))
    rewrite(
        grown / "model.safetensors",
        lambda found: (
            found[TABLE].setflags(write=False)
            or found.update({TABLE: numpy.concatenate([found[TABLE][:3] + 1, found[TABLE][3:]])})
        ),
    )

    found = differences(base, grown)

    table = change(found, TABLE)
    assert (table.changed_rows, table.changed, table.new_rows) == (3, 24, 1)
    assert found.advice.everything


def test_rows_that_moved_with_their_tokens_are_the_same_rows(tmp_path, base):
    order = [*plain.WORDS[:5], *reversed(plain.WORDS[5:])]
    other = plain.base(tmp_path / "other", words=order)
    places = [plain.WORDS.index(word) for word in order]
    shutil.copy(base / "model.safetensors", other / "model.safetensors")
    rewrite(other / "model.safetensors", lambda found: found.update({TABLE: found[TABLE][places]}))

    found = differences(base, other)

    assert {item.kind for item in found.tokens} == {"moved"}
    assert [(item.name, item.kind) for item in found.tensors] == [(TABLE, "moved")]
    assert found.advice.keep


def test_tokens_that_moved_without_their_rows_change_the_rows_of_those_tokens(tmp_path, base):
    order = [*plain.WORDS[:-2], plain.WORDS[-1], plain.WORDS[-2]]
    other = plain.base(tmp_path / "other", words=order)
    shutil.copy(base / "model.safetensors", other / "model.safetensors")

    found = differences(base, other)

    assert [(item.content, item.before.id, item.after.id) for item in found.tokens] == [
        (",", 26, 25),
        (".", 25, 26),
    ]
    assert change(found, TABLE).changed_rows == 2
    assert found.advice.everything


def test_names_of_other_library_versions_are_the_same_tensors(base, copy):
    def older(found):
        for name in list(found):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            )
            found[f"bert.{old}"] = found.pop(name)
        found["bert.embeddings.position_ids"] = numpy.arange(4, dtype="float32")

    rewrite(copy / "model.safetensors", older)

    assert not differences(base, copy).tensors
    assert not differences(copy, base).tensors


def test_shards_are_one_model(base, copy):
    found = tensors(copy / "model.safetensors")
    names = sorted(found)
    parts = {
        "model-00001-of-00002.safetensors": names[:9],
        "model-00002-of-00002.safetensors": names[9:],
    }
    for path, own in parts.items():
        plain.write_safetensors(copy / path, {name: found[name] for name in own})
    index = {
        "metadata": {},
        "weight_map": {name: path for path, own in parts.items() for name in own},
    }
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    (copy / "model.safetensors").unlink()

    assert differences(base, copy).same_tensors == len(found)
    assert not differences(base, copy).tensors


@pytest.mark.parametrize(
    ("dtype", "name"), [("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2")]
)
def test_eight_bit_numbers_are_what_torch_takes_them_for(dtype, name):
    import torch

    codes = torch.arange(256, dtype=torch.int16).to(torch.uint8)

    numpy.testing.assert_array_equal(
        wide(codes.numpy(), dtype), codes.view(getattr(torch, name)).float().numpy()
    )


def test_values_that_are_no_numbers_are_counted_and_have_no_size(base, copy):
    def spoil(found):
        query = found[QUERY].copy()
        query[0, :3] = numpy.nan, numpy.inf, 9
        found[QUERY] = query

    rewrite(copy / "model.safetensors", spoil)
    old = tensors(base / "model.safetensors")[QUERY]

    spoiled = change(differences(base, copy), QUERY)

    assert (spoiled.changed, spoiled.not_finite) == (3, 2)
    assert (spoiled.largest, spoiled.norm) == pytest.approx((9 - old[0, 2], 9 - old[0, 2]))
    assert numpy.isfinite(change(differences(copy, base), QUERY).before)


def test_what_is_no_number_on_both_sides_is_the_same(base, copy):
    def spoil(third):
        def change(found):
            query = found[QUERY].copy()
            query[0, :3] = numpy.nan, numpy.inf, third
            found[QUERY] = query

        return change

    rewrite(base / "model.safetensors", spoil(8))
    rewrite(copy / "model.safetensors", spoil(9))

    spoiled = change(differences(base, copy), QUERY)

    assert (spoiled.changed, spoiled.not_finite, spoiled.largest) == (1, 0, 1)


def test_a_file_that_lies_on_no_disk_is_read_too():
    import io

    class InMemory:
        def open(self, path):
            return io.BytesIO(numpy.arange(6, dtype="<f4").tobytes())

    stored = Stored(InMemory(), "x", Header("x", "F32", (3, 2), 0, 24))

    with Reader() as reader:
        assert reader.rows(stored, numpy.array([2, 0])).tolist() == [[4, 5], [0, 1]]
