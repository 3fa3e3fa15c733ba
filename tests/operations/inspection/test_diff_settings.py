"""Settings that change vectors though every tensor and token is as it was: what the library makes of each, and what the diff says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import registry
from tests.support import lively, small
from tests.support.hand import edit

TEXTS = [
    "the cat sat on the mat",
    "a dog",
    "Paris is the capital of France",
    "the cat sat on a mat and the heart " * 5,
    "héarts! [MASK] ☃",
    "a",
]
TOKENIZER, SENTENCE, CONFIG, RAW = (
    "tokenizer_config.json",
    "sentence_bert_config.json",
    "config.json",
    "tokenizer.json",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.dense(tmp_path_factory.mktemp("settings") / "model")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("settings") / "home"
    registry.init(home).close()
    return home


@pytest.fixture
def edited(folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the folder in which fields of a file have other values; a file that is not there is made."""

    def make(file: str, **values: Any) -> Path:
        copied = Path(shutil.copytree(folder, tmp_path / "edited"))
        if not (copied / file).exists():
            (copied / file).write_text("{}")
        edit(copied / file, lambda config: config.update(values))
        return copied

    return make


def off(one: Path, other: Path) -> float:
    """How far apart plain sentence-transformers is on two folders, the texts in one batch."""
    vectors = [
        lively.loaded(folder, "SentenceTransformer").encode(TEXTS) for folder in (one, other)
    ]
    return float(np.abs(vectors[0].astype(np.float64) - vectors[1]).max())


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        (TOKENIZER, {"padding_side": "left"}, "tokenizer padding_side is 'left', was 'right'"),
        (
            TOKENIZER,
            {"truncation_side": "left"},
            "tokenizer truncation_side is 'left', was 'right'",
        ),
        (TOKENIZER, {"strip_accents": False}, "tokenizer strip_accents is False, was none"),
        (
            TOKENIZER,
            {"model_input_names": ["input_ids"]},
            r"tokenizer model_input_names is \['input_ids'\]",
        ),
        (
            TOKENIZER,
            {"split_special_tokens": True},
            "tokenizer split_special_tokens is True, was False",
        ),
        (CONFIG, {"is_decoder": True}, "configuration is_decoder is True, was False"),
        (
            SENTENCE,
            {"config_args": {"hidden_act": "relu"}},
            "transformer config_args.hidden_act is 'relu', was none",
        ),
        (
            SENTENCE,
            {"config_kwargs": {"hidden_act": "relu"}},
            "transformer config_kwargs.hidden_act is 'relu', was none",
        ),
        (
            SENTENCE,
            {"processing_kwargs": {"text": {"max_length": 5}}},
            "transformer processing_kwargs.text.max_length is 5, was none",
        ),
        (
            SENTENCE,
            {"tokenizer_args": {"padding_side": "left"}},
            "transformer tokenizer_args.padding_side is 'left', was none",
        ),
        (
            "special_tokens_map.json",
            {"unk_token": "[PAD]"},
            r"tokenizer unk_token is '\[PAD\]', was '\[UNK\]'",
        ),
        (
            RAW,
            {
                "truncation": {
                    "direction": "Left",
                    "max_length": 5,
                    "strategy": "LongestFirst",
                    "stride": 0,
                }
            },
            "truncation_side is 'left', was 'right'",
        ),
        (
            RAW,
            {
                "padding": {
                    "strategy": {"Fixed": 20},
                    "direction": "Left",
                    "pad_to_multiple_of": None,
                    "pad_id": 0,
                    "pad_type_id": 0,
                    "pad_token": "[PAD]",
                }
            },
            "padding_side is 'left', was 'right'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.endswith(".json") else None,
)
def test_a_setting_that_moves_vectors_is_named_and_they_are_not_to_be_kept(
    folder, empty, edited, file, values, said
):
    other = edited(file, **values)
    assert off(folder, other) > 1e-3

    found = registry.diff(folder, other, home=empty)

    assert not found.advice.keep and found.advice.everything
    assert re.search(said, found.advice.line), found.advice.line


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        (
            SENTENCE,
            {"model_args": {"dtype": "bfloat16"}},
            "it computes in another dtype, so vectors differ by rounding alone",
        ),
        (
            SENTENCE,
            {"model_kwargs": {"torch_dtype": "float16"}},
            "it computes in another dtype, so vectors differ by rounding alone",
        ),
        (
            SENTENCE,
            {"model_args": {"attn_implementation": "eager"}},
            "it computes the same in another way, so vectors differ by rounding alone",
        ),
        (TOKENIZER, {"model_input_names": ["input_ids", "attention_mask"]}, None),
        (TOKENIZER, {"padding_side": "right"}, None),
        (SENTENCE, {"do_lower_case": True}, None),
        (CONFIG, {"is_decoder": False}, None),
        (
            "special_tokens_map.json",
            {"unk_token": "[UNK]", "pad_token": {"content": "[PAD]", "lstrip": False}},
            None,
        ),
    ],
)
def test_a_setting_that_moves_nothing_but_last_bits_keeps_them(
    folder, empty, edited, file, values, said
):
    other = edited(file, **values)
    assert off(folder, other) < 2e-2

    found = registry.diff(folder, other, home=empty)

    assert (
        found.advice.line
        == f"stored vectors: keep: weights, tokens and settings that encode are the same{f'; {said}' if said else ''}"
    )
    assert bool(found.settings) == bool(said)
