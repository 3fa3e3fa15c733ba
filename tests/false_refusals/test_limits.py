"""Small files that would cost much: one line with the value and the limit, before the cost."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotLoadable, RegistryError, UnsafeFile
from registry.model_files.adapter.config import ENTRIES_LIMIT, PATTERN_LIMIT, TOKENS_LIMIT
from registry.model_files.config.parse import CONFIGURATION_LIMIT, parse
from registry.model_files.weights.safetensors import (
    HEADER_LIMIT,
    INDEX_LIMIT,
    METADATA_LIMIT,
    SHARDS_LIMIT,
    TENSORS_LIMIT,
)
from tests.support import plain
from tests.support.hand import edit, lay
from tests.support.refusals import raises

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def write_header(path: Path, header: dict[str, Any], *, padding: int = 0) -> None:
    content = json.dumps(header).encode() + b" " * padding
    path.write_bytes(struct.pack("<Q", len(content)) + content)


@pytest.mark.parametrize(
    ("header", "padding", "value", "limit"),
    [
        ({str(number): EMPTY for number in range(25_001)}, 0, 25_001, TENSORS_LIMIT),
        ({"__metadata__": {str(number): "" for number in range(1_001)}}, 0, 1_001, METADATA_LIMIT),
        ({}, 16 << 20, (16 << 20) + 2, HEADER_LIMIT),
    ],
)
def test_headers_of_weights(
    tmp_path: Path, header: dict[str, Any], padding: int, value: int, limit: int
) -> None:
    from registry.model_files.weights.safetensors import read_header

    path = tmp_path / WEIGHTS
    write_header(path, header, padding=padding)

    with path.open("rb") as stream, raises(UnsafeFile, str(value), f"at most {limit}"):
        read_header(stream, WEIGHTS, path.stat().st_size)


@pytest.mark.parametrize(
    ("tensors", "shards", "limit"),
    [(25_001, 1, TENSORS_LIMIT), (1_001, 1_001, SHARDS_LIMIT), (200_000, 1_000, INDEX_LIMIT)],
)
def test_indexes_of_shards(tmp_path: Path, tensors: int, shards: int, limit: int) -> None:
    folder = plain.base(tmp_path / "base")
    (folder / WEIGHTS).unlink()
    names = {f"layer.{number}": f"shard-{number % shards:021}.bin" for number in range(tensors)}
    (folder / INDEX).write_text(json.dumps({"weight_map": names}))

    with raises(UnsafeFile, INDEX, str(limit)):
        lay(folder)


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("layers_to_transform", list(range(ENTRIES_LIMIT + 1)), ENTRIES_LIMIT),
        ("target_modules", ["query"] * (ENTRIES_LIMIT + 1), ENTRIES_LIMIT),
        ("rank_pattern", {str(key): 1 for key in range(ENTRIES_LIMIT + 1)}, ENTRIES_LIMIT),
        ("target_modules", "q" * (PATTERN_LIMIT + 1), PATTERN_LIMIT),
        ("trainable_token_indices", [0] * (TOKENS_LIMIT + 1), TOKENS_LIMIT),
    ],
)
def test_configurations_of_adapters(field: str, value: Any, limit: int) -> None:
    from registry.model_files.adapter.config import config_of

    with raises(NotLoadable, field, str(limit + 1), f"at most {limit}"):
        config_of({"peft_type": "LORA", field: value})


def test_modules(tmp_path: Path) -> None:
    folder = plain.base(tmp_path / "base")
    edit(folder / "modules.json", lambda modules: modules.extend(modules[-1:] * 1_000))

    with raises(NotLoadable, "modules.json", "at most 1000"):
        lay(folder)


@pytest.mark.parametrize("name", ["config.json", "modules.json", "1_Pooling/config.json"])
def test_sizes_of_configurations(tmp_path: Path, name: str) -> None:
    folder = plain.base(tmp_path / "base")
    path = folder / name
    path.write_bytes(path.read_bytes() + b" " * CONFIGURATION_LIMIT)

    with raises(NotLoadable, name, f"at most {CONFIGURATION_LIMIT}"):
        lay(folder)
        from tests.support.hand import warnings

        warnings(folder)


@pytest.mark.parametrize("make", [lambda deep: "[" * deep, lambda deep: '{"a":' * deep])
@pytest.mark.parametrize("name", ["config.json", "modules.json", "tokenizer.json", INDEX])
def test_deep_json(tmp_path: Path, name: str, make: Callable[[int], str]) -> None:
    folder = plain.base(tmp_path / "base")
    if name == INDEX:
        (folder / WEIGHTS).unlink()
    (folder / name).write_text(make(100_000))

    with pytest.raises(RegistryError, match="deep"):
        from tests.support.hand import warnings

        warnings(folder)


def test_a_repeated_key_among_many_is_named_in_linear_time() -> None:
    keys = [*map(str, range(200_000)), "199999"]
    content = "{" + ",".join(f'"{key}":0' for key in keys) + "}"

    with raises(NotLoadable, "199999"):
        parse(content.encode(), "config.json")
