"""A parsed tokenizer.json gives the same JSON and digests as its parts encoded one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.model_files.tokenizer.canonical_form import canonical_backend
from registry.model_files.tokenizer.tokenizer_json import TokenizerJson

PIECES = [["▁", -1.0], ["ä\ud800", -2.5], ["b", float("-inf")]]
MODELS: dict[str, Any] = {
    "pieces with real scores": {"type": "Unigram", "unk_id": 0, "vocab": PIECES},
    "pieces with whole scores": {"type": "Unigram", "vocab": [["a", 0], ["b", -1.0]]},
    "pieces of another form": {"vocab": [["a", 0.5, 1], "b", ["c", True]]},
    "pairs": {"type": "BPE", "vocab": {"b": 1, "a": 0}, "merges": [["a", "b"]]},
    "merges as texts": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b", "a b c", ["a", "b"]]},
    "words": {"type": "WordPiece", "vocab": {"b": 1, "a": 0}},
    "no tables": {"type": "BPE"},
    "no model": None,
}


@pytest.mark.parametrize("name", MODELS)
def test_tables_that_are_encoded_once_give_the_same_digests(name: str) -> None:
    content = {"version": "1.0", "truncation": {"a": 1}, "model": MODELS[name], "padding": None}
    model = content["model"]
    if isinstance(model, dict) and isinstance(model.get("vocab"), dict):
        model = {key: part for key, part in model.items() if key != "vocab"}
    parsed = TokenizerJson(content)

    text, components = parsed.without_vocabulary(), parsed.canonical()

    assert text == json.dumps(
        {"version": "1.0", "model": model},
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )
    assert components == canonical_backend(content)
