"""Tokenizers: the token list and what else decides into which ids a text falls, read from files, the library left out.

The token list is tokenizer.json's vocabulary with its added tokens. The tokenizer digest covers tokenizer.json, truncation and
padding left out, and those fields of tokenizer_config.json that change what it does: the library builds the normaliser anew from
them and ignores the file's. An absent field counts as its class's default; lengths and sides, which an honest re-save by another
library version changes, do not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..digest import Digest, digest_of, parse_canonical, parse_json
from ..errors import InvalidManifest, NotLoadable, UnsafeFile
from ..facts import Files, Token, read

TOKENIZER, CONFIG, WORDS = "tokenizer.json", "tokenizer_config.json", "vocab.txt"
ID_LIMIT = 10_000_000
"""Ids above this are a fault of the file, not a vocabulary; every row would have to be in memory."""

_FLAGS = ("special", "lstrip", "rstrip", "single_word", "normalized")
_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_LOWER_CASING = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "BertTokenizer": _LOWER_CASING, "DistilBertTokenizer": _LOWER_CASING, "ElectraTokenizer": _LOWER_CASING, "MPNetTokenizer": _LOWER_CASING,
    "RobertaTokenizer": {"add_prefix_space": False}, "XLMRobertaTokenizer": {"add_prefix_space": True},
}
"""Source: transformers 5, the signature of each class's __init__; from where ours differ the digest would change with a re-save."""
_SETTINGS = ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space")


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer as its files describe it."""

    tokens: tuple[Token, ...]
    """By id."""
    digest: Digest
    """The vocabulary's: of the token list alone, which is also the name of its blob."""
    tokenizer: Digest
    """Of everything that changes what it does."""
    max_length: int | None
    unknown: str | None = None
    """The content of the unknown token."""


def read_vocabulary(files: Files, folder: str = "") -> Tokenizer:
    """The tokenizer in a folder of a model. Raises NotLoadable where there is none, UnsafeFile for an impossible one."""
    there = set(files.paths())
    path, words, config_path = (f"{folder}/{name}" if folder else name for name in (TOKENIZER, WORDS, CONFIG))
    config = _object(files, config_path) if config_path in there else {}
    if path in there:
        value = _object(files, path)
        tokens = _tokens(value, path)
        described: object = {key: item for key, item in value.items() if key not in ("truncation", "padding")}
    elif words in there:
        lines = read(files, words).decode("utf-8", "replace").splitlines()
        tokens = _by_id(((index, word, {}) for index, word in enumerate(lines)), words)
        described = lines
    else:
        raise NotLoadable(f"there is no tokenizer: neither {path} nor {words}; take that of another folder with --tokenizer DIR")
    settings = _settings(config)
    whole = json.dumps({"tokenizer": described, "config": settings}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    length = config.get("model_max_length")
    return Tokenizer(tokens, digest_of(vocabulary_bytes(tokens)), digest_of(whole.encode("utf-8", "surrogatepass")),
                     length if type(length) is int and 0 < length < ID_LIMIT else None, _content(config.get("unk_token")))


def vocabulary_bytes(tokens: Sequence[Token]) -> bytes:
    """The vocabulary blob: canonical JSON of [id, content, special, lstrip, rstrip, single_word, normalized], by id."""
    rows = [[token.id, token.content, token.special, token.lstrip, token.rstrip, token.single_word, token.normalized] for token in tokens]
    try:  # the rows are canonical by their types, so the slower check of canonical() is left out
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise UnsafeFile("the vocabulary holds text that is no Unicode (a lone surrogate)") from None


def parse_vocabulary(content: bytes) -> tuple[Token, ...]:
    """The tokens of a vocabulary blob. Raises InvalidManifest."""
    try:
        return tuple(Token(*row) for row in parse_canonical(content, "the vocabulary"))
    except TypeError as error:
        raise InvalidManifest(f"the vocabulary is malformed: {error}") from None


def added_over(tokens: Sequence[Token], root: Sequence[Token]) -> tuple[Token, ...]:
    """The entries that the root's vocabulary lacks, by id; an entry is what it contains, whatever its flags."""
    known = {(token.id, token.content) for token in root}
    return tuple(token for token in tokens if (token.id, token.content) not in known)


def _object(files: Files, path: str) -> dict[str, Any]:
    value = parse_json(read(files, path), path)
    if not isinstance(value, dict):
        raise UnsafeFile(f"{path} is not an object")
    return value


def _tokens(value: dict[str, Any], path: str) -> tuple[Token, ...]:
    model = value.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        entries: list[tuple[Any, Any, dict[str, Any]]] = [(index, word, {}) for word, index in vocabulary.items()]
    elif isinstance(vocabulary, list) and all(isinstance(item, list) and item for item in vocabulary):
        entries = [(index, item[0], {}) for index, item in enumerate(vocabulary)]
    else:
        raise UnsafeFile(f"{path} has no vocabulary that could be read")
    added = value.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(item, dict) for item in added):
        raise UnsafeFile(f"{path} has added tokens that are no list of objects")
    known = {word: index for index, word, _ in entries}
    marked = set()
    for item in added:
        index, word = item.get("id"), item.get("content")
        if known.get(word, index) != index:
            raise UnsafeFile(f"{path} gives the token {word!r} two ids, {known[word]} and {index}")
        marked.add(word)
    return _by_id([*(entry for entry in entries if entry[1] not in marked), *((item.get("id"), item.get("content"), item) for item in added)], path)


def _by_id(entries: Iterable[tuple[Any, Any, Mapping[str, Any]]], path: str) -> tuple[Token, ...]:
    found: dict[int, Token] = {}
    for index, content, flags in entries:
        if type(index) is not int or not 0 <= index < ID_LIMIT or not isinstance(content, str):
            raise UnsafeFile(f"{path} has the token {content!r} with the id {index!r}")
        if index in found:
            raise UnsafeFile(f"{path} has two tokens with the id {index}: {found[index].content!r} and {content!r}")
        found[index] = Token(index, content, *(bool(flags.get(flag, False)) for flag in _FLAGS)) if flags else Token(index, content)
    return tuple(found[index] for index in sorted(found))


def _settings(config: Mapping[str, Any]) -> dict[str, object]:
    """The closed list of fields that change what a tokenizer does, with defaults filled in."""
    name = str(config.get("tokenizer_class") or "TokenizersBackend").removesuffix("Fast")
    name = "TokenizersBackend" if name == "PreTrainedTokenizer" else name
    settings = {key: config[key] for key in _SETTINGS if key in config}
    return {"class": name, **_DEFAULTS.get(name, {}), **settings, **{key: _content(config.get(key)) for key in _SPECIAL}}


def _content(token: object) -> str | None:
    """A special token's text; older libraries wrote an object."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None
