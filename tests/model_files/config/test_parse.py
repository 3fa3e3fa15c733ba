"""Configurations are parsed strictly, and a fault is named with its place."""

from __future__ import annotations

import pytest

from registry.errors import NotLoadable
from registry.model_files.config.parse import parse, read_object
from registry.model_files.folder import Folder
from tests.support.refusals import raises


@pytest.mark.parametrize(
    ("content", "quoted"),
    [
        (b'{"a": 1,\n}', ["line 2", "column 1"]),
        (b"\xff", ["0", "UTF-8"]),
        (b'{"a": {"b": 1, "b": 1}}', ["'b'"]),
        (b"[" * 100_000, []),
        (b"\xef\xbb\xbf{}", ["line 1", "column 1"]),
        (b"", ["line 1", "column 1"]),
    ],
)
def test_what_is_no_json_is_refused(content, quoted):
    with raises(NotLoadable, "config.json", *quoted):
        parse(content, "config.json")


def test_a_configuration_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("[]")

    with raises(NotLoadable, "config.json", "JSON"):
        read_object(Folder(tmp_path), "config.json")


def test_numbers_that_some_libraries_write_are_read():
    assert parse(
        b'{"model_max_length": 1000000000000000019884624838656, "limit": Infinity}', "config.json"
    )["limit"] == float("inf")
