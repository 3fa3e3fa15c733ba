"""Tokens outside of tokenizer.json are those that the library has after loading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import registry
from registry.model_files.folder import Folder
from registry.model_files.tokenizer.vocabulary import read_vocabulary
from tests.support import plain
from tests.support.hand import edit


def entry(content, **flags):
    return {
        "content": content,
        "lstrip": False,
        "normalized": True,
        "rstrip": False,
        "single_word": False,
        "special": False,
        **flags,
    }


def in_decoder(folder: Path) -> None:
    size = len(plain.WORDS)
    decoder = {
        "0": entry("[PAD]", special=True, normalized=False),
        "1": entry("[UNK]", special=True, normalized=False),
        "2": entry("[CLS]", special=True, normalized=False),
        "3": entry("[SEP]", special=True, normalized=False),
        "4": entry("[MASK]", special=True, normalized=False),
        str(size + 1): entry("quelora", lstrip=True),
        str(size): entry("zorvaxin"),
    }
    edit(
        folder / "tokenizer_config.json",
        lambda config: config.update(added_tokens_decoder=decoder),
    )


def in_added_tokens(folder: Path) -> None:
    size = len(plain.WORDS)
    content = {"quelora": size + 1, "zorvaxin": size}
    (folder / "added_tokens.json").write_text(json.dumps(content))
    edit(
        folder / "tokenizer_config.json",
        lambda config: config.update(additional_special_tokens=["quelora"]),
    )


def without_tokenizer_json(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(plain.WORDS) + "\n")
    in_added_tokens(folder)


FORMS = [
    in_decoder,
    in_added_tokens,
    without_tokenizer_json,
]


@pytest.fixture
def folder(tmp_path):
    """A model with rows for two tokens, which tokenizer.json does not have."""
    folder = plain.base(tmp_path / "model", added=("zorvaxin", "quelora"))
    edit(
        folder / "tokenizer.json",
        lambda content: content["added_tokens"].__delitem__(slice(-2, None)),
    )
    return folder


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("name", ["BertTokenizer", "PreTrainedTokenizerFast"])
def test_they_are_those_of_the_loaded_tokenizer(folder, write, name):
    from transformers import AutoTokenizer

    if name != "BertTokenizer" and write is without_tokenizer_json:
        pytest.skip("this class requires tokenizer.json")
    write(folder)
    edit(folder / "tokenizer_config.json", lambda config: config.update(tokenizer_class=name))

    tokens = read_vocabulary(Folder(folder)).tokens

    loaded = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    live = loaded.backend_tokenizer.get_added_tokens_decoder()
    assert len(tokens) == len(loaded) == len(plain.WORDS) + 2
    for token in tokens[-2:]:
        expected = live[token.id]
        assert token.content == expected.content
        for flag in ("special", "lstrip", "rstrip", "single_word", "normalized"):
            assert getattr(token, flag) == getattr(expected, flag), (token, expected)


def test_facts_of_the_first_schema_do_not_have_them(folder):
    in_decoder(folder)

    tokens = read_vocabulary(Folder(folder), has_added_tokens=False).tokens

    assert len(tokens) == len(plain.WORDS)


@pytest.mark.slow
@pytest.mark.parametrize("write", [in_decoder, in_added_tokens], ids=lambda write: write.__name__)
def test_such_a_model_is_registered_and_resized(tmp_path, folder, write):
    write(folder)
    with registry.init(tmp_path / "home") as reg:
        reg.add(folder, "base")
        reg.resize("base", "resized", ["heartmat"], init="random", seed=1)
        model = reg.load("resized", device="cpu")
        ids = model.tokenizer.convert_tokens_to_ids(["zorvaxin", "quelora", "heartmat"])
    size = len(plain.WORDS)
    assert ids == [size, size + 1, size + 2]
