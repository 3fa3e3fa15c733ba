"""The canonical forms of 21 stored tokenizers, of the classes that models use, never change."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from registry.model_files.tokenizer.canonical_form import canonical_backend, digest_of_json

STORED = {
    entry["name"]: entry
    for entry in json.loads(
        lzma.decompress(Path(__file__).with_name("stored_tokenizers.json.xz").read_bytes())
    )
}


@pytest.mark.parametrize("name", STORED)
def test_the_canonical_form_is_the_stored_one(name):
    content = STORED[name]["tokenizer"]

    assert digest_of_json(canonical_backend(content)) == STORED[name]["canonical"]


@pytest.mark.parametrize("name", STORED)
def test_the_form_after_a_save_by_this_library_is_the_same(name):
    content = json.dumps(STORED[name]["tokenizer"])

    saved = json.loads(Tokenizer.from_str(content).to_str())

    forms = [canonical_backend(part) for part in (STORED[name]["tokenizer"], saved)]
    for form in forms:
        if form["model"]["type"] == "Unigram":
            # parsing changes the last bit of some scores, once
            del form["model"]["vocab"]
    assert forms[0] == forms[1]


def test_old_and_new_spelling_have_one_form():
    old, new = STORED["xlm-roberta of tokenizers 0.10"], STORED["xlm-roberta"]

    assert old["tokenizer"] != new["tokenizer"]
    assert old["canonical"] == new["canonical"]
    assert len({entry["canonical"] for entry in STORED.values()}) == len(STORED) - 1
