"""Files parse, and every module has what it is made from."""

from __future__ import annotations

import pytest

from registry.errors import NotLoadable
from tests.artifacts.hand import warnings
from tests.support import plain


@pytest.fixture
def base(tmp_path):
    return plain.base(tmp_path / "base")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1', "1_Pooling/config.json is not JSON: .* line 1"),
        ('{"a": 1, "a": 2}', "key 'a' stands twice"),
        ("", "is not JSON"),
    ],
)
def test_a_configuration_that_does_not_parse_is_refused(base, content, message):
    (base / "1_Pooling" / "config.json").write_text(content)

    with pytest.raises(NotLoadable, match=message):
        warnings(base)


def test_a_file_that_only_a_check_parses_is_parsed(base):
    (base / "special_tokens_map.json").write_text("{'unk': 1}")

    with pytest.raises(NotLoadable, match="special_tokens_map.json is not JSON"):
        warnings(base)


def test_a_template_that_is_no_text_is_refused(base):
    (base / "chat_template.jinja").write_bytes(b"{{ \xff }}")

    with pytest.raises(NotLoadable, match="chat_template.jinja is no text: byte 3"):
        warnings(base)


def test_a_pooling_without_its_configuration_is_refused(base):
    (base / "1_Pooling" / "config.json").unlink()

    with pytest.raises(NotLoadable, match="Pooling has no 1_Pooling/config.json"):
        warnings(base)
