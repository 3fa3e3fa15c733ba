"""Files parse, and every module has what it is made from."""

from __future__ import annotations

import pytest

from registry.errors import NotLoadable
from tests.support import plain
from tests.support.hand import warnings
from tests.support.refusals import raises


@pytest.fixture
def base(tmp_path):
    return plain.base(tmp_path / "base")


@pytest.mark.parametrize(
    ("content", "quoted"),
    [
        ('{"a": 1', ["line 1", "column 8"]),
        ('{"a": 1, "a": 2}', ["'a'"]),
        ("", ["line 1", "column 1"]),
    ],
)
def test_a_configuration_that_does_not_parse_is_refused(base, content, quoted):
    (base / "1_Pooling" / "config.json").write_text(content)

    with raises(NotLoadable, "1_Pooling/config.json", *quoted):
        warnings(base)


def test_a_file_that_only_a_check_parses_is_parsed(base):
    (base / "special_tokens_map.json").write_text("{'unk': 1}")

    quoted = ("special_tokens_map.json", "line 1", "column 2")
    with raises(NotLoadable, *quoted, check="configurations"):
        warnings(base)


def test_a_template_that_is_no_text_is_refused(base):
    (base / "chat_template.jinja").write_bytes(b"{{ \xff }}")

    with raises(NotLoadable, "chat_template.jinja", "3", "UTF-8", check="templates"):
        warnings(base)


def test_a_pooling_without_its_configuration_is_refused(base):
    (base / "1_Pooling" / "config.json").unlink()

    with raises(NotLoadable, "Pooling", "1_Pooling/config.json", check="module-files"):
        warnings(base)
