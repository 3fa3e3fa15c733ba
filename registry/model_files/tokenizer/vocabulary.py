"""Tokenizers: the token list and what else decides into which ids a text falls, read from files, the library left out.

The token list is tokenizer.json's vocabulary with its added tokens. The tokenizer digest covers tokenizer.json, truncation and
padding left out, and those fields of tokenizer_config.json that change what it does: the library builds the normaliser anew from
them and ignores the file's. An absent field counts as its class's default; lengths and sides, which an honest re-save by another
library version changes, do not count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import compress, pairwise, repeat
from operator import itemgetter, not_
from typing import Any, overload

from registry.core.digest import Digest, digest_of, parse_json
from registry.core.facts import TOKEN_FLAGS, Files, Token, read
from registry.errors import InvalidManifest, NotLoadable, UnsafeFile
from registry.model_files.config.parse import read_if_there, read_object
from registry.util.gc_pause import uncollected

from .added_at_load import tokens_added_at_load
from .canonical_form import compact_json, digest_of_text
from .tokenizer_json import TokenizerJson

TOKENIZER, CONFIG, WORDS = "tokenizer.json", "tokenizer_config.json", "vocab.txt"
_SPECIAL_MAP, ADDED = "special_tokens_map.json", "added_tokens.json"
ADAPTER = "adapter_config.json"
ID_LIMIT = 10_000_000
"""Ids above this are a fault of the file, not a vocabulary; every row would have to be in memory."""

_ENTRY = itemgetter(0, 1)
_FIRST, _SECOND = itemgetter(0), itemgetter(1)
_token = partial(tuple.__new__, Token)
_quoted = json.encoder.encode_basestring
SPECIAL_NAMES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
"""Names under which a tokenizer_config.json gives special tokens."""
_MORE_SPECIAL = ("additional_special_tokens", "extra_special_tokens")
_LOWER_CASING = {
    "do_lower_case": True,
    "strip_accents": None,
    "tokenize_chinese_chars": True,
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_SENTENCE_PIECE = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "BertTokenizer": _LOWER_CASING,
    "DistilBertTokenizer": _LOWER_CASING,
    "ElectraTokenizer": _LOWER_CASING,
    "MPNetTokenizer": {**_LOWER_CASING, **_SENTENCE_PIECE, "unk_token": "[UNK]"},
    "RobertaTokenizer": {**_SENTENCE_PIECE, "add_prefix_space": False},
    "XLMRobertaTokenizer": {**_SENTENCE_PIECE, "add_prefix_space": True},
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
    blob: bytes
    """The vocabulary blob: canonical JSON of [id, content, special, lstrip, rstrip, single_word, normalized], by id."""


def read_vocabulary(files: Files, folder: str = "", *, has_added_tokens: bool = True) -> Tokenizer:
    """The tokenizer in a folder of a model. Raises NotLoadable where there is none, UnsafeFile for an impossible one."""
    return read_tokenizer(files, folder, has_added_tokens=has_added_tokens)[0]


def read_tokenizer(
    files: Files, folder: str = "", *, has_added_tokens: bool = True
) -> tuple[Tokenizer, TokenizerJson | None]:
    """Return the tokenizer in a folder, and its parsed tokenizer.json; None without
    that file.

    has_added_tokens: tokens that only tokenizer_config.json or added_tokens.json lists
    are tokens, as they are for transformers. Facts of schema 1 lack them.
    Raises NotLoadable, UnsafeFile.
    """
    with uncollected():
        return _read(files, folder, has_added_tokens)


def _read(
    files: Files, folder: str, has_added_tokens: bool
) -> tuple[Tokenizer, TokenizerJson | None]:
    there = set(files.paths())
    path, words, config_path = (
        f"{folder}/{name}" if folder else name for name in (TOKENIZER, WORDS, CONFIG)
    )
    config = read_if_there(files, config_path, there)
    parsed = TokenizerJson(read_object(files, path)) if path in there else None
    if parsed is not None:
        tokens = _tokens(parsed.content, path)
        described = parsed.without_vocabulary()
    elif words in there:
        lines = read(files, words).decode("utf-8", "replace").splitlines()
        tokens = _by_id(_plain(lines, range(len(lines))), words)
        described = compact_json(lines)
    else:
        from registry.model_files.layout.file_list import WORD_TOKENIZERS, join

        splitter = next((p for name in WORD_TOKENIZERS if (p := join(folder, name)) in there), None)
        if splitter is not None:
            raise NotLoadable(
                f"the model is a table of word vectors: {splitter} "
                "(only models with a tokenizer.json or vocab.txt can be registered)"
            )
        raise NotLoadable(
            f"the tokenizer is missing: found neither {path} nor {words}",
            hint="to take that of its parent: add --fix, or add --tokenizer parent"
            if (f"{folder}/{ADAPTER}" if folder else ADAPTER) in there
            else "use the tokenizer of another folder with --tokenizer DIR",
        )
    if has_added_tokens:
        special_map, added = (
            _object_if_malformed_empty(files, f"{folder}/{name}" if folder else name)
            for name in (_SPECIAL_MAP, ADDED)
        )
        size = len(tokens) if parsed is None else len(parsed.content["model"]["vocab"])
        more = tokens_added_at_load(tokens, size, config, special_map, added, SPECIAL_NAMES)
        tokens = _by_id([*tokens, *more], config_path) if more else tokens
    blob = vocabulary_bytes(tokens)
    digest = digest_of(blob)
    settings = compact_json(settings_of(config))
    whole = f'{{"config":{settings},"tokenizer":{described},"vocabulary":"{digest}"}}'
    length = config.get("model_max_length")
    tokenizer = Tokenizer(
        tokens,
        digest,
        digest_of_text(whole),
        length if type(length) is int and 0 < length < ID_LIMIT else None,
        blob,
    )
    return tokenizer, parsed


def vocabulary_bytes(tokens: Sequence[Token]) -> bytes:
    """The vocabulary blob: canonical JSON of [id, content, special, lstrip, rstrip, single_word, normalized], by id."""
    try:  # written row by row, since there are tens of thousands and nearly all have no flag
        rows = [
            json.dumps(
                (id, content, special, left, right, single, normalized),
                ensure_ascii=False,
                separators=(",", ":"),
            )
            if special or left or right or single or normalized
            else f"[{id},{_quoted(content)},false,false,false,false,false]"
            for id, content, special, left, right, single, normalized in tokens
        ]
        return f"[{','.join(rows)}]".encode()
    except UnicodeEncodeError:
        raise UnsafeFile(
            "the vocabulary holds text that is no Unicode (a lone surrogate)"
        ) from None


def parse_vocabulary(content: bytes) -> tuple[Token, ...]:
    """The tokens of a vocabulary blob. Raises InvalidManifest."""
    try:
        with uncollected():
            rows = parse_json(content, "the vocabulary")
            tokens = (
                tuple(map(_token, rows))
                if set(map(type, rows)) <= {list} and set(map(len, rows)) <= {len(Token._fields)}
                else ()
            )
            canonical = vocabulary_bytes(tokens)
    except (TypeError, ValueError, UnsafeFile) as error:
        raise InvalidManifest(f"the vocabulary is malformed: {error}") from None
    if canonical != content:
        raise InvalidManifest("the vocabulary is not canonical JSON")
    return tokens


class StoredTokens(Sequence[Token]):
    """The tokens of a vocabulary blob, read when somebody first asks for one: mostly the digests say enough."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read

    @cached_property
    def _blob(self) -> bytes:
        return self._read()

    @cached_property
    def _tokens(self) -> tuple[Token, ...]:
        return parse_vocabulary(self._blob)

    def rows_behind(self, blob: bytes) -> int | None:
        """Return how many tokens a vocabulary blob has behind those of this list.

        None if the blob does not begin with this list; then only the tokens can tell
        what differs.
        """
        before, end = self._blob[:-1], len(self._blob) - 1
        if not self._blob.endswith(b"]") or not blob.startswith(before):
            return None
        if blob[end:] == b"]":
            return 0
        return len(json.loads(b"[" + blob[end + 1 :])) if blob[end : end + 1] == b"," else None

    @overload
    def __getitem__(self, index: int) -> Token: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Token, ...]: ...

    def __getitem__(self, index: int | slice) -> Token | tuple[Token, ...]:
        return self._tokens[index]

    def __len__(self) -> int:
        return len(self._tokens)

    def __iter__(self) -> Iterator[Token]:
        return iter(self._tokens)


def rows_behind(root: Sequence[Token], blob: bytes) -> int | None:
    """Return `StoredTokens.rows_behind`; None for a list that is not stored."""
    return root.rows_behind(blob) if isinstance(root, StoredTokens) else None


def added_over(tokenizer: Tokenizer, root: Sequence[Token]) -> tuple[Token, ...]:
    """The entries that the root's vocabulary lacks, by id; an entry is what it contains, whatever its flags."""
    tokens, count = tokenizer.tokens, rows_behind(root, tokenizer.blob)
    if count is not None:  # compared as bytes, since the root may have 250,000 tokens
        return tokens[len(tokens) - count :]
    with uncollected():
        known = set(map(_ENTRY, root))
        return tuple(token for token in tokens if _ENTRY(token) not in known)


def _tokens(value: dict[str, Any], path: str) -> tuple[Token, ...]:
    model = value.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids: Sequence[Any]
    if isinstance(vocabulary, list) and _types(vocabulary) <= {list} and all(vocabulary):
        words, ids = list(map(_FIRST, vocabulary)), range(len(vocabulary))
    elif isinstance(vocabulary, dict):
        words, ids = list(vocabulary), list(vocabulary.values())
    else:
        raise UnsafeFile(f"{path} has no vocabulary that could be read")
    added = value.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(item, dict) for item in added):
        raise UnsafeFile(f"{path} has added tokens that are no list of objects")
    if _types(words) - {str}:
        odd = next(word for word in words if type(word) is not str)
        raise UnsafeFile(f"{path} has a token that is no text: {odd!r:.80}")
    known = vocabulary if isinstance(vocabulary, dict) else dict(zip(words, ids, strict=True))
    for item in added:
        index, word = item.get("id"), item.get("content")
        if isinstance(word, str) and known.get(word, index) != index:
            raise UnsafeFile(f"{path} gives the token {word!r} two ids, {known[word]} and {index}")
    marked = {item.get("content") for item in added if isinstance(item.get("content"), str)}
    unmarked = list(map(not_, map(marked.__contains__, words)))
    tokens = _plain(compress(words, unmarked), compress(ids, unmarked))
    tokens += [
        Token(
            item.get("id"),
            item.get("content"),
            *(bool(item.get(flag, False)) for flag in TOKEN_FLAGS),
        )
        for item in added
    ]
    return _by_id(tokens, path)


def _types(values: Iterable[object]) -> set[type]:
    return set(map(type, values))


def _plain(words: Iterable[str], ids: Iterable[int]) -> list[Token]:
    """Tokens without flags, made as bare tuples are: there are tens of thousands."""
    return list(map(_token, zip(ids, words, *(repeat(False) for _ in TOKEN_FLAGS), strict=False)))


def _by_id(tokens: Sequence[Token], path: str) -> tuple[Token, ...]:
    """The tokens by id, each id and each content once. Raises UnsafeFile."""
    ids = list(map(_FIRST, tokens))
    if (
        _types(ids) - {int}
        or _types(map(_SECOND, tokens)) - {str}
        or not 0 <= min(ids, default=0) <= max(ids, default=0) < ID_LIMIT
    ):
        odd = next(
            token
            for token in tokens
            if type(token[0]) is not int
            or not 0 <= token[0] < ID_LIMIT
            or type(token[1]) is not str
        )
        raise UnsafeFile(f"{path} has the token {odd.content!r} with the id {odd.id!r}")
    ordered = sorted(tokens, key=_FIRST)
    if len(set(ids)) < len(ids):
        one, other = next(pair for pair in pairwise(ordered) if pair[0][0] == pair[1][0])
        raise UnsafeFile(
            f"{path} has two tokens with the id {one.id}: {one.content!r} and {other.content!r}"
        )
    return tuple(ordered)


def settings_of(config: Mapping[str, Any]) -> dict[str, object]:
    """The closed list of fields that change what a tokenizer does, with defaults filled in."""
    name = str(config.get("tokenizer_class") or "TokenizersBackend").removesuffix("Fast")
    name = "TokenizersBackend" if name == "PreTrainedTokenizer" else name
    said = {key: config[key] for key in _SETTINGS if key in config}
    said |= {key: _content(config[key]) for key in SPECIAL_NAMES if key in config}
    return {"class": name, **dict.fromkeys(SPECIAL_NAMES), **_DEFAULTS.get(name, {}), **said}


def special_tokens(files: Files, folder: str) -> dict[str, str | None]:
    """The special tokens by their names, as loaders have them: special_tokens_map.json of older libraries overrules tokenizer_config.json.

    Source: transformers 5, tokenization_utils_base.py, _from_pretrained.
    """
    config, beside = (
        _object_if_there(files, f"{folder}/{name}" if folder else name)
        for name in (CONFIG, _SPECIAL_MAP)
    )
    overruling = (
        {}
        if "added_tokens_decoder" in config
        else {key: _content(beside[key]) for key in SPECIAL_NAMES if key in beside}
    )
    settings = settings_of(config)
    return {**{key: _content(settings[key]) for key in SPECIAL_NAMES}, **overruling}


def declared_tokens(files: Files, folder: str) -> tuple[str, ...]:
    """Return the special tokens that the configurations name, each once.

    The library adds what tokenizer.json lacks. Source: transformers 5,
    tokenization_utils_base.py, _from_pretrained, and TokenizersBackend.__init__.
    """
    config, special_map = (
        _object_if_there(files, f"{folder}/{name}" if folder else name)
        for name in (CONFIG, _SPECIAL_MAP)
    )
    sources = (config,) if "added_tokens_decoder" in config else (config, special_map)
    contents: list[object] = []
    for source in sources:
        contents += [source.get(name) for name in SPECIAL_NAMES]
        for name in _MORE_SPECIAL:
            more = source.get(name)
            if isinstance(more, (list, dict)):
                contents += more.values() if isinstance(more, dict) else more
    return tuple(dict.fromkeys(text for token in contents if (text := _content(token))))


def splits_special(files: Files, folder: str) -> bool:
    """Whether special tokens are split like any other text, so that those which were added are never found."""
    return bool(
        _object_if_there(files, f"{folder}/{CONFIG}" if folder else CONFIG).get(
            "split_special_tokens"
        )
    )


def side_of(files: Files, folder: str, what: str) -> str:
    """On which side texts are cut (`truncation`) or filled up (`padding`): left or right."""
    path, config = (f"{folder}/{name}" if folder else name for name in (TOKENIZER, CONFIG))
    named = _object_if_there(files, config).get(f"{what}_side")
    if (
        named is None and path in files.paths() and b'"Left"' in read(files, path)
    ):  # the file is large, and nearly none says so
        part = read_object(files, path).get(what)
        named = part.get("direction") if isinstance(part, dict) else None
    return named.lower() if isinstance(named, str) else "right"


def _object_if_there(files: Files, path: str) -> dict[str, Any]:
    return read_if_there(files, path, set(files.paths()))


def _object_if_malformed_empty(files: Files, path: str) -> dict[str, Any]:
    """Return the object of a file that a check refuses where it is malformed."""
    try:
        return _object_if_there(files, path)
    except NotLoadable:
        return {}


def _content(token: object) -> str | None:
    """A special token's text; older libraries wrote an object."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None
