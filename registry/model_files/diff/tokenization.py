"""Pieces: into which tokens a word falls, told by the tokenizers library from a model's files; no model is loaded."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from registry.core.facts import Files, read
from registry.model_files.config.parse import parse, read_if_there
from registry.model_files.layout.file_list import join
from registry.model_files.tokenizer.vocabulary import settings_of
from registry.results.drift import PiecesChange

from .model_view import AreEquivalent, Side, have_equal_pipelines

_WORD = re.compile(r"\w(?:[\w'’-]*\w)?")
_FLAGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
WORDS_LIMIT = 200_000
"""Different words of a corpus that are looked at."""


def backend(files: Files, folder: str) -> Any:
    """The `tokenizers.Tokenizer` of a folder as transformers would make it, uncut; None where there is no tokenizer.json.

    The library builds the normaliser of a BERT anew from tokenizer_config.json; so what that says goes before the file's own.
    """
    from tokenizers import Tokenizer

    path = join(folder, "tokenizer.json")
    if path not in files.paths():
        return None
    value = parse(read(files, path), path)
    normalizer = value.get("normalizer")
    if isinstance(normalizer, dict) and normalizer.get("type") == "BertNormalizer":
        said = settings_of(
            read_if_there(files, join(folder, "tokenizer_config.json"), set(files.paths()))
        )
        normalizer.update({ours: said[theirs] for theirs, ours in _FLAGS.items() if theirs in said})
    made = Tokenizer.from_str(json.dumps(value))
    made.no_truncation()
    made.no_padding()
    return made


def pieces(tokenizer: Any, words: Sequence[str]) -> list[tuple[str, ...]]:
    """The tokens of each word by itself, nothing added in front or behind."""
    return [
        tuple(encoding.tokens)
        for encoding in tokenizer.encode_batch(list(words), add_special_tokens=False)
    ]


def counts(tokenizer: Any, texts: Iterable[str]) -> Counter[int]:
    """How often each id stands in the texts, which are taken a thousand at a time."""
    found: Counter[int] = Counter()
    waiting = iter(texts)
    while some := list(islice(waiting, 1000)):
        for encoding in tokenizer.encode_batch(some, add_special_tokens=False):
            found.update(encoding.ids)
    return found


def changed(
    before: Side,
    after: Side,
    texts: Iterable[str],
    are_equivalent: AreEquivalent = have_equal_pipelines,
) -> list[PiecesChange]:
    """Words of the texts that fall into other pieces, the most frequent first."""
    if before.tokenizer_digest == after.tokenizer_digest or are_equivalent(before, after):
        return []
    tokenizers = [backend(side.files, side.layout.tokenizer) for side in (before, after)]
    if None in tokenizers:
        return []
    words = Counter(word for text in texts for word in _WORD.findall(text))
    chosen = [word for word, _ in words.most_common(WORDS_LIMIT)]
    old, new = (pieces(tokenizer, chosen) for tokenizer in tokenizers)
    return [
        PiecesChange(word, one, other, words[word])
        for word, one, other in zip(chosen, old, new, strict=True)
        if one != other
    ]
