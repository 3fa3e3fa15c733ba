"""Added tokens that are equal after normalisation: the library gives one of their ids at random."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers

from registry.core.facts import Token
from registry.model_files.tokenizer.ambiguous_tokens import (
    equal_tokens_in,
    equal_tokens_of,
    loaded_normalizer,
)

NFC, NFD = (unicodedata.normalize(form, "éte") for form in ("NFC", "NFD"))
CASED, LOWER = normalizers.BertNormalizer(lowercase=False), normalizers.BertNormalizer()
CASES = [
    (LOWER, ("zorvaxin", "Zorvaxin"), True),
    (LOWER, ("résumé", "resume"), True),
    (CASED, ("zorvaxin", "Zorvaxin"), False),
    (normalizers.NFC(), (NFC, NFD), True),
    (normalizers.NFKC(), ("ﬁx", "fix"), True),
    (normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), ("é", "e"), True),
    (normalizers.Replace("-", ""), ("a-b", "ab"), True),
    (normalizers.Strip(), ("ab ", "ab"), True),
    (None, (NFC, NFD), False),
]


@pytest.mark.parametrize(("normalizer", "words", "is_ambiguous"), CASES)
@pytest.mark.parametrize("normalized", [(True, True), (True, False), (False, False)])
def test_equal_tokens_are_those_between_which_the_library_chooses_at_random(
    normalizer, words, is_ambiguous, normalized
):
    backend = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.add_tokens(
        [AddedToken(word, normalized=flag) for word, flag in zip(words, normalized, strict=True)]
    )
    content = backend.to_str()
    ids = Counter(
        tuple(Tokenizer.from_str(content).encode(word).ids) for _ in range(40) for word in words
    )
    is_random = any(
        len({tuple(Tokenizer.from_str(content).encode(word).ids) for _ in range(40)}) > 1
        for word in words
    )

    assert is_random == (is_ambiguous and all(normalized)), ids
    assert bool(equal_tokens_of(backend)) == is_random
    parsed = json.loads(content)
    tokens = [
        Token(token["id"], token["content"], normalized=token["normalized"])
        for token in parsed["added_tokens"]
    ]
    groups = equal_tokens_in(tokens, loaded_normalizer(parsed, {}, lowercases=False))
    assert bool(groups) == is_random


@pytest.mark.parametrize(
    ("config", "lowercases", "is_ambiguous"),
    [
        ({"tokenizer_class": "BertTokenizer", "do_lower_case": False}, False, False),
        ({"tokenizer_class": "BertTokenizer"}, False, True),
        ({"tokenizer_class": "MPNetTokenizerFast"}, False, True),
        ({"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True}, False, False),
        ({"tokenizer_class": "PreTrainedTokenizerFast"}, True, True),
    ],
)
def test_the_normalizer_is_the_one_of_the_class(config, lowercases, is_ambiguous):
    tokens = [Token(5, "zorvaxin", normalized=True), Token(6, "Zorvaxin", normalized=True)]
    content = {"normalizer": {"type": "NFC"}}

    normalizer = loaded_normalizer(content, config, lowercases=lowercases)

    assert bool(equal_tokens_in(tokens, normalizer)) == is_ambiguous
