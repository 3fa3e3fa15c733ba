"""The canonical form of tokenizer.json: equal for other spellings, unequal for other pipelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tokenizers import Tokenizer

from registry.model_files.tokenizer.canonical_form import (
    canonical_backend,
    differing,
    digest_of_json,
)

LETTERS = "abcdefg"
WORDPIECE = {
    "type": "WordPiece",
    "unk_token": "[UNK]",
    "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100,
    "vocab": {
        word: id
        for id, word in enumerate(["[UNK]", "[CLS]", "[SEP]", "ab", "Ab", *LETTERS, "##b", "##c"])
    },
}
BPE: dict[str, Any] = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
SPECIAL = {"sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}


def template(second: int, separators: int) -> dict[str, Any]:
    """TemplateProcessing with [CLS] and [SEP]; type of the second text, separators between."""

    def special(name: str, kind: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": kind}}

    first = [special("[CLS]", 0), {"Sequence": {"id": "A", "type_id": 0}}, special("[SEP]", 0)]
    more = [special("[SEP]", 0)] * (separators - 1)
    last = [{"Sequence": {"id": "B", "type_id": second}}, special("[SEP]", second)]
    tokens = {
        name: {"id": name, "ids": [id], "tokens": [name]}
        for name, id in [("[CLS]", 1), ("[SEP]", 2)]
    }
    return {
        "type": "TemplateProcessing",
        "single": first,
        "pair": [*first, *more, *last],
        "special_tokens": tokens,
    }


def whole(**parts: Any) -> dict[str, Any]:
    """A tokenizer.json with these parts."""
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer"))
    rest = {"added_tokens": [], "post_processor": None, "decoder": None, "model": WORDPIECE}
    return {"version": "1.0", **empty, **rest, **parts}


BERT = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
OLD_SPACE = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
SPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
ROBERTA = {"type": "RobertaProcessing", **SPECIAL, "trim_offsets": True, "add_prefix_space": False}
LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}

SPELLINGS = [
    ({"model": BPE}, {"model": {**BPE, "merges": [["a", "b"]], "byte_fallback": False}}),
    ({"model": BPE}, {"model": {**BPE, "continuing_subword_prefix": "", "dropout": 0.0}}),
    ({"model": BPE}, {"model": {key: BPE[key] for key in ("vocab", "merges")}}),
    ({"pre_tokenizer": OLD_SPACE}, {"pre_tokenizer": SPACE}),
    ({"pre_tokenizer": {**OLD_SPACE, "str_rep": "▁"}}, {"pre_tokenizer": SPACE}),
    (
        {"pre_tokenizer": {**LEVEL, "trim_offsets": True}},
        {"pre_tokenizer": {**LEVEL, "trim_offsets": False}},
    ),
    (
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [SPACE]}},
        {"pre_tokenizer": SPACE},
    ),
    ({"normalizer": {"type": "Sequence", "normalizers": []}}, {"normalizer": None}),
    (
        {"normalizer": {**BERT, "strip_accents": None, "lowercase": True}},
        {"normalizer": {**BERT, "strip_accents": True, "lowercase": True}},
    ),
    (
        {
            "normalizer": {
                "type": "Sequence",
                "normalizers": [
                    {"type": "Lowercase"},
                    {**BERT, "strip_accents": None, "lowercase": True},
                ],
            }
        },
        {"normalizer": {**BERT, "strip_accents": None, "lowercase": True}},
    ),
    ({"post_processor": {"type": "BertProcessing", **SPECIAL}}, {"post_processor": template(1, 1)}),
    ({"post_processor": ROBERTA}, {"post_processor": template(0, 2)}),
    (
        {"post_processor": {"type": "Sequence", "processors": [{**LEVEL, "trim_offsets": True}]}},
        {"post_processor": None},
    ),
    ({"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}, {"decoder": None}),
]
OTHERS = [
    ({"post_processor": ROBERTA}, {"post_processor": template(1, 2)}, "post_processor"),
    ({"post_processor": template(1, 1)}, {"post_processor": None}, "post_processor"),
    (
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {**BERT, "strip_accents": None, "lowercase": False}]}},
        {"normalizer": {**BERT, "strip_accents": None, "lowercase": False}},
        "normalizer",
    ),
    ({"pre_tokenizer": {**OLD_SPACE, "prepend_scheme": "first"}}, {"pre_tokenizer": SPACE}, "pre_tokenizer"),
    ({"model": BPE}, {"model": {**BPE, "merges": []}}, "model"),
    ({"model": BPE}, {"model": {**BPE, "ignore_merges": True}}, "model"),
    ({"pre_tokenizer": SPACE}, {"pre_tokenizer": {**SPACE, "unheard_of": 1}}, "pre_tokenizer"),
    ({"normalizer": {"type": "Unheard"}}, {"normalizer": {"type": "Of"}}, "normalizer"),
    ({"unheard_of": 1}, {}, "unheard_of"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), SPELLINGS)
def test_two_spellings_have_one_form(old, new):
    assert canonical_backend(whole(**old)) == canonical_backend(whole(**new))


@pytest.mark.parametrize(("first", "second", "component"), OTHERS)
def test_another_pipeline_has_another_form(first, second, component):
    forms = (canonical_backend(whole(**first)), canonical_backend(whole(**second)))

    assert differing(*forms) == (component,)


@pytest.mark.parametrize("parts", [pair for pairs in SPELLINGS for pair in pairs])
def test_the_library_reads_the_form_of_the_file(parts):
    file = whole(**parts)
    rebuilt = json.loads(Tokenizer.from_str(json.dumps(file)).to_str())

    assert canonical_backend(rebuilt) == canonical_backend(file)


def test_lowercase_before_a_lowercasing_bert_changes_no_character():
    # Checked for every code point; above 0x3100 a sample keeps the test short.
    codes = [*range(0x3100), *range(0x3100, 0x20000, 13)]
    characters = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    for accents in (True, False):
        normalizer = {**BERT, "strip_accents": accents, "lowercase": True}
        both = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, normalizer]}
        one, two = (
            Tokenizer.from_str(json.dumps(whole(normalizer=part))).normalizer
            for part in (normalizer, both)
        )
        for start in range(0, len(characters), 4096):
            text = "x".join(characters[start : start + 4096])
            assert one.normalize_str(text) == two.normalize_str(text)


NORMALIZERS = st.sampled_from(
    [
        {"type": "Lowercase"},
        {"type": "NFC"},
        {"type": "NFKD"},
        {"type": "StripAccents"},
        {"type": "Strip", "strip_left": True, "strip_right": False},
        {"type": "Replace", "pattern": {"String": "a"}, "content": "b"},
        {"type": "Prepend", "prepend": "▁"},
        {**BERT, "strip_accents": None, "lowercase": True},
        {**BERT, "strip_accents": None, "lowercase": False},
        {**BERT, "strip_accents": False, "lowercase": True},
    ]
)
PRE_TOKENIZERS = st.sampled_from(
    [
        {"type": "BertPreTokenizer"},
        {"type": "Whitespace"},
        {"type": "WhitespaceSplit"},
        {"type": "Punctuation"},
        {"type": "Punctuation", "behavior": "Isolated"},
        {"type": "Punctuation", "behavior": "Removed"},
        {"type": "Digits", "individual_digits": True},
        SPACE,
        OLD_SPACE,
        {**OLD_SPACE, "prepend_scheme": "first"},
        {**LEVEL, "trim_offsets": True},
        {**LEVEL, "trim_offsets": False, "use_regex": False},
    ]
)
PROCESSORS = st.sampled_from(
    [
        None,
        ROBERTA,
        {"type": "BertProcessing", **SPECIAL},
        template(0, 1),
        template(1, 1),
        template(0, 2),
        {**LEVEL, "trim_offsets": True},
    ]
)


def sequence(parts: list[Any], key: str, nested: bool) -> Any:
    """The parts as a Sequence, or the only one, or a Sequence in a Sequence."""
    if len(parts) == 1 and not nested:
        return parts[0]
    inner = {"type": "Sequence", key: parts}
    return {"type": "Sequence", key: [inner]} if nested else inner


@st.composite
def pipelines(draw: Any) -> dict[str, Any]:
    """Random tokenizer.json files over one small vocabulary."""
    normalizers = draw(st.lists(NORMALIZERS, max_size=3))
    splitters = draw(st.lists(PRE_TOKENIZERS, min_size=1, max_size=2))
    return whole(
        normalizer=sequence(normalizers, "normalizers", draw(st.booleans())),
        pre_tokenizer=sequence(splitters, "pretokenizers", draw(st.booleans())),
        post_processor=draw(PROCESSORS),
        model=draw(st.sampled_from([WORDPIECE, {**WORDPIECE, "max_input_chars_per_word": 2}])),
    )


TEXTS = [
    *("", " ", "a", "A", "ab", "Ab", " ab", "ab ", "a b", "a  b", "é", "É", "e\u0301", "中", "a中b"),
    *("İ", "ẞ", "a1b", "1", "a.b", "a-b", "abc", "abcabc", "▁a", "a\tb", "ﬁ", "Ａ", "\x00a", "a\u00adb"),
]  # fmt: skip
PAIRS = [("a", "b"), ("", "ab"), ("A", "é")]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(pipelines(), pipelines())
def test_equal_forms_give_equal_ids(first, second):
    if canonical_backend(first) != canonical_backend(second):
        second = {**first, "post_processor": second["post_processor"]}
    if canonical_backend(first) != canonical_backend(second):
        second = json.loads(Tokenizer.from_str(json.dumps(first)).to_str())
    assert canonical_backend(first) == canonical_backend(second)
    one, two = (Tokenizer.from_str(json.dumps(file)) for file in (first, second))

    for text in (*TEXTS, *PAIRS):
        encodings = [
            tokenizer.encode(*((text,) if isinstance(text, str) else text))
            for tokenizer in (one, two)
        ]
        assert encodings[0].ids == encodings[1].ids
        assert encodings[0].type_ids == encodings[1].type_ids


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(pipelines(), pipelines())
def test_other_ids_are_another_form(first, second):
    one, two = (Tokenizer.from_str(json.dumps(file)) for file in (first, second))
    differ = any(
        (a.ids, a.type_ids) != (b.ids, b.type_ids)
        for a, b in zip(one.encode_batch(TEXTS), two.encode_batch(TEXTS), strict=True)
    )

    assert not differ or canonical_backend(first) != canonical_backend(second)


def test_the_form_of_stored_tokenizers_never_changes():
    """Facts of stored versions have digests of these forms."""
    files = [whole(**parts) for old, new in SPELLINGS for parts in (old, new)]

    assert [digest_of_json(canonical_backend(file)) for file in files] == json.loads(
        Path(__file__).with_name("canonical_forms.json").read_text()
    )
