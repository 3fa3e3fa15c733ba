"""Configurations are parsed strictly, and a fault is named with its place."""

from __future__ import annotations

import pytest

from registry.artifacts.configuration import parse, read_object
from registry.artifacts.folder import Folder
from registry.errors import NotLoadable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n}', "config.json is not JSON: .* in line 2 column 1"),
        (b"\xff", "byte 0 is not UTF-8"),
        (b'{"a": {"b": 1, "b": 1}}', "key 'b' stands twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xef\xbb\xbf{}", "config.json"),
        (b"", "is not JSON"),
    ],
)
def test_what_is_no_json_is_refused(content, message):
    with pytest.raises(NotLoadable, match=message):
        parse(content, "config.json")


def test_a_configuration_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("[]")

    with pytest.raises(NotLoadable, match="config.json is no JSON object"):
        read_object(Folder(tmp_path), "config.json")


def test_numbers_that_some_libraries_write_are_read():
    assert parse(b'{"model_max_length": 1000000000000000019884624838656, "limit": Infinity}', "config.json")["limit"] == float(
        "inf"
    )
