"""Edits of JSON files: one member changes, and every other byte stays."""

from __future__ import annotations

import json

import pytest

from registry.core.facts import Token
from registry.errors import NotLoadable
from registry.model_files.config import edit
from tests.support.refusals import raises

NEW = [Token(7, "zorvaxin", normalized=True)]
ENTRY = {
    "id": 7,
    "content": "zorvaxin",
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": True,
    "special": False,
}
OLD = {"id": 0, "content": "[PAD]", "special": True}
COMPACT = json.dumps(ENTRY, separators=(",", ":"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '{"version":"1.0","added_tokens":[],"model":{"vocab":{"a":0}}}',
            f'{{"version":"1.0","added_tokens":[{COMPACT}],"model":{{"vocab":{{"a":0}}}}}}',
        ),
        (  # an equal key deeper in the file is not the list of added tokens
            '{"x":{"added_tokens":[1]}, "added_tokens" :  [], "é": 1e2 }',
            f'{{"x":{{"added_tokens":[1]}}, "added_tokens" :  [{COMPACT}], "é": 1e2 }}',
        ),
    ],
)
def test_only_the_list_of_added_tokens_changes(before: str, after: str) -> None:
    assert edit.with_tokens(before, NEW, "tokenizer.json") == after


def test_an_indented_file_stays_indented() -> None:
    content = {"version": "1.0", "added_tokens": [OLD], "model": {"vocab": [["a", -1.5]]}}
    before = json.dumps(content, indent=2, ensure_ascii=False)

    after = edit.with_tokens(before, NEW, "tokenizer.json")

    assert after == json.dumps(
        content | {"added_tokens": [OLD, ENTRY]}, indent=2, ensure_ascii=False
    )


@pytest.mark.parametrize("content", [{"model": {}}, {"added_tokens": None, "model": {}}])
def test_a_file_without_the_list_gets_one(content: dict[str, object]) -> None:
    after = edit.with_tokens(json.dumps(content), NEW, "tokenizer.json")

    assert json.loads(after) == content | {"added_tokens": [ENTRY]}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a"}', '{"a":1,}', '{"a":1}}', '{"a":1', "{1:2}", '{"a" 1}', '{"a":1 "b":2}'],
)
def test_a_text_that_is_not_one_json_object_is_refused(text: str) -> None:
    with raises(NotLoadable, "tokenizer.json"):
        edit.with_tokens(text, NEW, "tokenizer.json")
