"""Weights: digests that only the tensors decide, and a reader that takes less than the library does."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy
import pytest

from registry.errors import UnsafeFile
from registry.model_files.folder import Folder
from registry.model_files.weights import safetensors
from tests.support import plain
from tests.support.refusals import raises

ONE = {
    "a": numpy.arange(6, dtype="float32").reshape(2, 3),
    "b": numpy.array([0.5, -1.25], dtype="float32"),
}


def read(folder: Path) -> safetensors.Weights:
    files = Folder(folder)
    found = [
        tensor
        for path in files.paths()
        if path.endswith(".safetensors")
        for tensor in safetensors.tensors(files, path)[0]
    ]
    return safetensors.weights_of(found)


def file(folder: Path, header: object, data: bytes = b"", *, length: int | None = None) -> Folder:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text) if length is None else length) + text + data
    )
    return Folder(folder)


def test_the_digest_of_two_small_tensors_is_golden(tmp_path):
    plain.write_safetensors(tmp_path / "model.safetensors", ONE)

    found = read(tmp_path)

    assert [tensor.digest for tensor in found.tensors] == [
        "sha256:84fd2112aa65b11682a507c88dc418c213f45b210f07aa9f8a9dd64abc8df04b",
        "sha256:7c000455bcf0ae920659cfdf8aebcb828f870acedea0ad3e5908250b4cad66b8",
    ]
    assert found.digest == "sha256:bf3954467c947b2e2ed1012714d85cf314d95b54a28f6fc7e7c85112872411c2"
    assert (found.dtype, found.parameters) == ("F32", 8)


def test_the_weights_of_the_real_minilm_are_golden(minilm_folder):
    found = read(minilm_folder)

    assert found.digest == "sha256:d2561f74148b30a90129d24addbabdb98ce131ff26d64fc4d2c73e31f51234c5"
    assert (len(found.tensors), found.parameters, found.dtype) == (104, 22713728, "mixed")


def test_order_metadata_and_shards_do_not_count(tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    plain.write_safetensors(tmp_path / "one" / "model.safetensors", ONE)
    plain.write_safetensors(
        tmp_path / "two" / "model.safetensors",
        dict(reversed(ONE.items())),
        {"format": "pt", "who": "me"},
    )
    plain.write_safetensors(tmp_path / "three" / "x.safetensors", {"a": ONE["a"]})
    plain.write_safetensors(tmp_path / "three" / "y.safetensors", {"b": ONE["b"]})

    assert (
        read(tmp_path / "one").digest
        == read(tmp_path / "two").digest
        == read(tmp_path / "three").digest
    )


@pytest.mark.parametrize("change", ["value", "name", "shape"])
def test_value_name_and_shape_count(tmp_path, change):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    other = {
        "value": {**ONE, "b": numpy.array([0.5, -1.0], dtype="float32")},
        "name": {"a": ONE["a"], "c": ONE["b"]},
        "shape": {"a": ONE["a"].reshape(3, 2), "b": ONE["b"]},
    }[change]
    plain.write_safetensors(tmp_path / "one" / "model.safetensors", ONE)
    plain.write_safetensors(tmp_path / "two" / "model.safetensors", other)

    assert read(tmp_path / "one").digest != read(tmp_path / "two").digest


def entry(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


DATA = b"\0" * 8
HOSTILE = {
    "no bytes at all": (b"", b"", 0),
    "header longer than the file": ({"t": entry()}, DATA, 10_000),
    "header of 2**63": ({"t": entry()}, DATA, 1 << 63),
    "header longer than allowed": ({"t": entry()}, DATA, safetensors.HEADER_LIMIT + 1),
    "cut off": ({"t": entry()}, DATA[:-1], None),
    "bytes after the end": ({"t": entry()}, DATA + b"x", None),
    "a hole before": ({"t": entry(data_offsets=[4, 12])}, DATA + b"1234", None),
    "a hole between": (
        {"t": entry(), "u": entry(data_offsets=[12, 20])},
        DATA + b"1234" + DATA,
        None,
    ),
    "an overlap": ({"t": entry(), "u": entry(data_offsets=[4, 12])}, DATA + b"1234", None),
    "the same place twice": ({"t": entry(), "u": entry()}, DATA, None),
    "offsets swapped": ({"t": entry(data_offsets=[8, 0])}, DATA, None),
    "negative offset": ({"t": entry(data_offsets=[-8, 0])}, DATA, None),
    "huge offsets": ({"t": entry(data_offsets=[0, 1 << 64])}, DATA, None),
    "offsets are text": ({"t": entry(data_offsets=["0", "8"])}, DATA, None),
    "offsets are booleans": (
        {"t": entry(shape=[], dtype="U8", data_offsets=[False, True])},
        b"x",
        None,
    ),
    "offsets are real": ({"t": entry(data_offsets=[0.0, 8.0])}, DATA, None),
    "three offsets": ({"t": entry(data_offsets=[0, 8, 8])}, DATA, None),
    "one offset": ({"t": entry(data_offsets=[8])}, DATA, None),
    "no offsets": ({"t": {"dtype": "F32", "shape": [2]}}, DATA, None),
    "shape too large": ({"t": entry(shape=[3])}, DATA, None),
    "shape too small": ({"t": entry(shape=[1])}, DATA, None),
    "shape overflows": ({"t": entry(shape=[1 << 40, 1 << 40])}, DATA, None),
    "negative shape": ({"t": entry(shape=[-2])}, DATA, None),
    "two negative lengths": ({"t": entry(shape=[-1, -2])}, DATA, None),
    "shape is text": ({"t": entry(shape="2")}, DATA, None),
    "shape is a boolean": ({"t": entry(shape=[True, 2])}, DATA, None),
    "shape is real": ({"t": entry(shape=[2.0])}, DATA, None),
    "no shape": ({"t": {"dtype": "F32", "data_offsets": [0, 8]}}, DATA, None),
    "a thousand dimensions": ({"t": entry(shape=[1] * 999 + [2])}, DATA, None),
    "unknown dtype": ({"t": entry(dtype="F31")}, DATA, None),
    "dtype is a number": ({"t": entry(dtype=32)}, DATA, None),
    "dtype is a list": ({"t": entry(dtype=["F32"])}, DATA, None),
    "no dtype": ({"t": {"shape": [2], "data_offsets": [0, 8]}}, DATA, None),
    "an unknown field": ({"t": entry(code="import os")}, DATA, None),
    "a tensor that is a list": ({"t": [1]}, DATA, None),
    "a tensor that is null": ({"t": None}, DATA, None),
    "a header that is a list": ([], b"", None),
    "a header that is null": (b"null    ", b"", None),
    "a header that is no JSON": (b"{        ", b"", None),
    "a header with a leading blank": (b" " + json.dumps({"t": entry()}).encode(), DATA, None),
    "a header that is not UTF-8": (b'{"\xff": 1}', DATA, None),
    "a header nested deeply": (b'{"t":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"", None),
    "a header with NaN": (b'{"t": NaN}', b"", None),
    "a name twice": (
        b'{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        DATA,
        None,
    ),
    "a header padded with zero bytes": (
        json.dumps({"t": entry()}).encode() + b"\0\0\0\0",
        DATA,
        None,
    ),
    "an empty name": ({"": entry()}, DATA, None),
    "a name with a zero byte": ({"a\0b": entry()}, DATA, None),
    "a name that climbs": ({"../x": entry()}, DATA, None),
    "a name of 10,000 characters": ({"x" * 10_000: entry()}, DATA, None),
    "metadata that is a list": ({"__metadata__": [], "t": entry()}, DATA, None),
    "metadata with a number": ({"__metadata__": {"a": 1}, "t": entry()}, DATA, None),
    "a pickle": (b"\x80\x04\x95\x10\x00\x00\x00", b"", 0x80),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_is_not_exactly_the_format_is_refused(tmp_path, case):
    header, data, length = HOSTILE[case]
    files = file(tmp_path / "model", header, data, length=length)

    with raises(UnsafeFile, "model.safetensors") as refused:
        safetensors.tensors(files, "model.safetensors")

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("case", HOSTILE)
def test_the_library_never_refuses_what_is_taken_here(tmp_path, case):
    from safetensors import safe_open

    header, data, length = HOSTILE[case]
    files = file(tmp_path / "model", header, data, length=length)
    try:
        with safe_open(str(files.path / "model.safetensors"), "numpy"):
            taken_by_the_library = True
    except Exception:
        taken_by_the_library = False
    try:
        safetensors.tensors(files, "model.safetensors")
        taken_here = True
    except UnsafeFile:
        taken_here = False

    assert taken_by_the_library or not taken_here


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        ("F32", b"\0\0\xc0\x7f"),
        ("F32", b"\0\0\x80\xff"),
        ("F16", b"\0\x7c"),
        ("BF16", b"\x80\xff"),
        ("F64", b"\0" * 6 + b"\xf0\x7f"),
    ],
)
@pytest.mark.parametrize("count", [3, 3_000_001])
def test_a_value_that_is_no_number_is_found_wherever_it_stands(tmp_path, dtype, bits, count):
    width = len(bits)
    data = b"\0" * (width * (count - 1)) + bits
    files = file(
        tmp_path / "model",
        {"t": {"dtype": dtype, "shape": [count], "data_offsets": [0, len(data)]}},
        data,
    )

    _, strange = safetensors.tensors(files, "model.safetensors")

    assert strange == [safetensors.NotFinite("t", 1)]


def test_large_finite_values_are_numbers(tmp_path):
    values = numpy.array([3.4e38, -3.4e38, 1e-45, 0.0, -0.0], dtype="float32")
    plain.write_safetensors(tmp_path / "model.safetensors", {"t": values})

    assert safetensors.tensors(Folder(tmp_path), "model.safetensors")[1] == []
    assert math.prod(values.shape) == 5


def test_an_index_that_names_a_missing_shard_is_refused(tmp_path):
    plain.write_safetensors(tmp_path / "model-1.safetensors", {"a": ONE["a"]})
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    )

    with raises(UnsafeFile, "model.safetensors.index.json", "'model-2.safetensors'"):
        safetensors.shards(Folder(tmp_path), "model.safetensors.index.json")


@pytest.mark.parametrize(
    ("names", "tensor"),
    [
        ({"a": "model-1.safetensors", "b": "model-1.safetensors"}, "'b'"),
        ({"c": "model-1.safetensors"}, "'a'"),
    ],
)
def test_an_index_and_its_shard_must_agree(tmp_path, names, tensor):
    plain.write_safetensors(tmp_path / "model-1.safetensors", {"a": ONE["a"]})
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))

    index = "model.safetensors.index.json"
    with raises(UnsafeFile, index, "model-1.safetensors", tensor):
        safetensors.shards(Folder(tmp_path), "model.safetensors.index.json")


@pytest.mark.parametrize("sizes", [[3], [1, 1], [5, 1, 1, 1], [1, 1, 1, 6], [2, 0, 3, 0]], ids=str)
def test_two_threads_find_what_one_finds(tmp_path, monkeypatch, sizes):
    rows = {
        f"t{place}": numpy.arange(4 * size, dtype="<f4").reshape(size, 4) + place
        for place, size in enumerate(sizes)
    }
    rows["t0"].flat[-1] = math.inf
    plain.write_safetensors(tmp_path / "model.safetensors", rows)
    alone = safetensors.tensors(Folder(tmp_path), "model.safetensors")
    monkeypatch.setattr(safetensors, "LARGE", 1)
    told = []

    together = safetensors.tensors(Folder(tmp_path), "model.safetensors", progress=told.append)

    assert together == alone
    assert [item.name for item in together[1]] == ["t0"]
    assert sum(told) == 16 * sum(sizes)


def test_what_the_told_one_raises_ends_both_threads(tmp_path):
    plain.write_safetensors(
        tmp_path / "model.safetensors",
        {name: numpy.zeros((1 << 12, 1 << 11), "<f4") for name in "ab"},
    )
    told = []

    def tell(size):
        told.append(size)
        if sum(told) > 4 << 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        safetensors.tensors(Folder(tmp_path), "model.safetensors", progress=tell)

    assert sum(told) <= 16 << 20  # of 64 MB, in blocks of 4
