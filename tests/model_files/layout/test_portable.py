"""The location-free form: only the scalars that hold a path of this machine change, and every other byte stays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies

from registry.core.digest import digest_of
from registry.errors import NotLoadable
from registry.model_files.layout import is_local, location_free
from tests.support.refusals import raises

PARENT = digest_of(b"a manifest")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/home/me/model", True),
        ("./model", True),
        ("../model", True),
        (".", True),
        ("~/model", True),
        ("\\\\server\\model", True),
        ("C:\\model", True),
        ("c:/model", True),
        ("file:///model", True),
        ("FILE:x", True),
        (" /home/me", True),
        ("org/model", False),
        ("model", False),
        ("", False),
        ("sentence-transformers/all-MiniLM-L6-v2", False),
        ("https://x/y", False),
    ],
)
def test_a_name_is_local_by_its_form_alone(value, expected):
    assert is_local(value) is expected


def test_only_the_bytes_of_local_names_change_in_a_configuration():
    content = b'{\r\n  "_name_or_path" :\t"/me/\xc3\xa9",\n "a": {"name_or_path":"..\\\\x", "b": ["name_or_path", "/x"]}, "n":"/" }'

    found, original = location_free("config.json", content, parent=PARENT)

    assert (
        found
        == b'{\r\n  "_name_or_path" :\t"",\n "a": {"name_or_path":"", "b": ["name_or_path", "/x"]}, "n":"/" }'
    )
    assert original == {"_name_or_path": "/me/é", "name_or_path": "..\\x"}


@pytest.mark.parametrize(
    "content",
    [
        b'{"_name_or_path": "org/model"}',
        b'{"_name_or_path": null, "x": "/home"}',
        b'{"_name_or_path": ["/x"]}',
        b'{"_name_or_path": {"x": "/y"}}',
        b'{"text": "\\"_name_or_path\\": \\"/home\\""}',
        b"[]",
    ],
)
def test_a_configuration_without_a_local_name_keeps_its_bytes(content):
    assert location_free("sub/tokenizer_config.json", content, parent=None) == (content, None)


def test_a_key_spelled_with_escapes_is_a_key_too():
    found, _ = location_free("config.json", b'{"\\u005fname_or_path": "/home/me"}', parent=None)

    assert found == b'{"\\u005fname_or_path": ""}'


_JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.text(max_size=8)
    | strategies.sampled_from(["/x", "~", "org/m"]),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(
            strategies.text(max_size=4)
            | strategies.sampled_from(["_name_or_path", "name_or_path"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_JSON, strategies.booleans(), strategies.sampled_from([None, 1]))
def test_the_result_is_the_same_json_with_local_names_emptied(value, ascii_only, indent):
    content = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode(
        "utf-8", "surrogatepass"
    )

    found, original = location_free("config.json", content, parent=None)

    assert json.loads(found) == _emptied(value)
    assert (original is None) == (found == content)


def _emptied(value):
    if isinstance(value, dict):
        return {
            key: ""
            if key in ("_name_or_path", "name_or_path") and isinstance(item, str) and is_local(item)
            else _emptied(item)
            for key, item in value.items()
        }
    return [_emptied(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("content", [b"{", b'{"a": 1, "a": 2}', b"\xff", b"[" * 100_000])
def test_a_configuration_that_is_no_json_is_refused(content):
    with raises(NotLoadable, "config.json"):
        location_free("config.json", content, parent=None)


@pytest.mark.parametrize(
    ("before", "after", "original"),
    [
        ("base_model: /home/me/x  # mine", 'base_model: ""  # mine', "/home/me/x"),
        ("base_model: '/home/me/x'", 'base_model: ""', "/home/me/x"),
        ("base_model:\n- org/x\n- ./y\n- ~/z", 'base_model:\n- org/x\n- ""\n- ""', ["./y", "~/z"]),
        ('"base_model": /home/me/x', '"base_model": ""', "/home/me/x"),
        ("base_model:\n\n- /x\n# mine\n- org/y", 'base_model:\n\n- ""\n# mine\n- org/y', "/x"),
        ("base_model: [org/x, C:\\y]", 'base_model: [org/x, ""]', "C:\\y"),
        ("base_model: |\n  /home/me/x\nlicense: mit", 'base_model: ""\nlicense: mit', "/home/me/x"),
    ],
)
def test_a_local_base_model_in_the_front_matter_is_emptied(before, after, original):
    readme = "---\nlibrary_name: peft\n{}\ntags:\n- /x\n---\n# Card\nbase_model: /stays\n"

    found, replaced = location_free("README.md", readme.format(before).encode(), parent=None)

    assert found.decode() == readme.format(after)
    assert replaced == {"base_model": original}


@pytest.mark.parametrize(
    "text",
    [
        "# no front matter\nbase_model: /x\n",
        "---\nbase_model: org/x\n---\n",
        "---\nbase_model: {\n---\n",
        "---\nbase_model: null\n---\n",
        "---\n- base_model\n---\n",
        "---\nbase_model: /x\n",
        "---\nx: {base_model: /x}\n---\n",
        "",
        "---\nbase_model: " + "[" * 100_000 + "/x\n---\n",
        "---\nbase_model: " + "[" * 2_000 + "/x\n---\n",
        "---\nother_base_model: /x\n---\n",
    ],
)
def test_any_other_card_keeps_its_bytes(text):
    assert location_free("README.md", text.encode(), parent=None) == (text.encode(), None)


def test_line_ends_of_other_systems_stay():
    content = b"---\r\nbase_model: /x\r\n---\r\ntext\r\n"

    assert (
        location_free("README.md", content, parent=None)[0]
        == b'---\r\nbase_model: ""\r\n---\r\ntext\r\n'
    )


@pytest.mark.parametrize(
    "path",
    ["model.safetensors", "tokenizer.json", "special_tokens_map.json", "modules.json", "vocab.txt"],
)
def test_every_other_file_keeps_its_bytes(path):
    content = b'{"_name_or_path": "/home/me"}'

    assert location_free(path, content, parent=PARENT) == (content, None)


def test_an_adapters_configuration_names_its_parent():
    found, original = location_free(
        "adapter_config.json",
        b'{"base_model_name_or_path": "/home/me/base", "revision": "main"}',
        parent=PARENT,
    )

    assert json.loads(found) == {"base_model_name_or_path": PARENT, "revision": None}
    assert original == {"base_model_name_or_path": "/home/me/base", "revision": "main"}
