"""Canonical form of a `tokenizer.json`: equal for two files that differ in spelling only.

The form contains what decides on `input_ids` and `token_type_ids`. Decoder, truncation,
padding, version and settings of offsets are left out. A component type or a field that
is not known here is copied unchanged, so an unknown file is never taken for another
one. The same function reads the JSON of a loaded backend
(`tokenizers.Tokenizer.to_str()`).

Source: tokenizers 0.23, the deserializers of each component; a test compares the form
of old spellings with the form of what the library makes of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from registry.core.digest import Digest, digest_of
from registry.core.facts import TOKEN_FLAGS

Component = dict[str, Any]

_SILENT = frozenset({"version", "truncation", "padding", "decoder"})
"""Parts of tokenizer.json without influence on ids."""
_BPE: Mapping[str, object] = {
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
}
_MODEL_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "BPE": _BPE,
    "Unigram": {"unk_id": None, "byte_fallback": False},
}
_ABSENT: Mapping[str, object] = {
    "dropout": 0,
    "continuing_subword_prefix": "",
    "end_of_word_suffix": "",
}
"""Values of a BPE model that act as an absent one."""
_A = ["sequence", "A", 0]
_UNPROCESSED = {"type": "Template", "single": [_A], "pair": [_A, ["sequence", "B", 1]]}
"""What a tokenizer without a post-processor does. Source: tokenizers,
default_process."""


def compact_json(content: object) -> str:
    """Return compact JSON with sorted keys."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest_of_text(text: str) -> Digest:
    """Return the digest of a text, which may contain lone surrogates."""
    return digest_of(text.encode("utf-8", "surrogatepass"))


def digest_of_json(content: object) -> Digest:
    """Return the digest of a content, as compact JSON with sorted keys."""
    return digest_of_text(compact_json(content))


def canonical_backend(
    content: Mapping[str, Any], digest_of_table: Callable[[object], Digest] = digest_of_json
) -> dict[str, Any]:
    """Return the canonical form of a parsed tokenizer.json, by component.

    digest_of_table returns the `digest_of_json` of a table of the model, which the
    caller may have encoded already.
    """
    components = {
        "model": _model(content.get("model"), digest_of_table),
        "added_tokens": _added_tokens(content.get("added_tokens")),
        "normalizer": _normalizers(content.get("normalizer")),
        "pre_tokenizer": _pre_tokenizers(content.get("pre_tokenizer")),
        "post_processor": _post_processors(content.get("post_processor")),
    }
    return components | {
        key: entry for key, entry in content.items() if key not in components and key not in _SILENT
    }


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the components that differ, sorted."""
    names = sorted(first.keys() | second.keys())
    return tuple(name for name in names if first.get(name) != second.get(name))


def _flattened(content: object, key: str) -> list[Any]:
    """Return the parts of a component, nested Sequences flattened."""
    if content is None:
        return []
    if (
        isinstance(content, dict)
        and content.get("type") == "Sequence"
        and content.keys() == {"type", key}
    ):
        parts = content[key]
        if isinstance(parts, list):
            return [entry for part in parts for entry in _flattened(part, key)]
    return [content]


def _normalizers(content: object) -> list[Any]:
    parts = [_normalizer(part) for part in _flattened(content, "normalizers")]
    # A lowercasing BertNormalizer maps every text and its lowercase to the same text
    # (compared for every code point, with and without strip_accents).
    while len(parts) > 1 and _is(parts[0], "Lowercase", {}) and is_lowercasing_normalizer(parts[1]):
        del parts[0]
    return parts


def is_lowercasing_normalizer(part: object) -> bool:
    """Return whether a canonical normalizer is a BertNormalizer that lowercases."""
    return (
        isinstance(part, dict)
        and part.get("type") == "BertNormalizer"
        and part.keys() == _BERT_FIELDS
        and part["lowercase"] is True
    )


_BERT_FIELDS = {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"}


def _normalizer(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    lowercase = part.get("lowercase")
    is_unset = part.get("type") == "BertNormalizer" and part.get("strip_accents") is None
    if is_unset and isinstance(lowercase, bool):
        return {**part, "strip_accents": lowercase}
    if part.get("type") == "Metaspace":
        return _metaspace(part)
    if part.get("type") == "ByteLevel":  # a normalizer of this type has no settings
        return {key: entry for key, entry in part.items() if key not in _BYTE_LEVEL}
    return part


_BYTE_LEVEL = ("add_prefix_space", "trim_offsets", "use_regex")


def _pre_tokenizers(content: object) -> list[Any]:
    return [_pre_tokenizer(part) for part in _flattened(content, "pretokenizers")]


def _pre_tokenizer(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    name = part.get("type")
    if name == "Metaspace":
        return _metaspace(part)
    if name == "ByteLevel" and isinstance(part.get("trim_offsets"), bool):
        fields = {key: entry for key, entry in part.items() if key != "trim_offsets"}
        return {"use_regex": True, **fields}
    if name == "Punctuation":
        return {"behavior": "Isolated", **part}
    if name == "FixedLength":
        return {"length": 5, **part}
    return part


def _metaspace(part: Component) -> Component:
    """Return a Metaspace as tokenizers 0.20 writes it; 0.13 had other fields."""
    fields = dict(part)
    if fields.get("str_rep") == fields.get("replacement"):
        fields.pop("str_rep", None)
    scheme, prefixed = fields.get("prepend_scheme"), fields.get("add_prefix_space")
    if scheme is None and prefixed in (None, True):
        fields["prepend_scheme"] = "always"
        fields.pop("add_prefix_space", None)
    elif scheme is None and prefixed is False:
        fields["prepend_scheme"] = "never"
        del fields["add_prefix_space"]
    elif prefixed is not None and prefixed is (scheme != "never"):
        del fields["add_prefix_space"]
    fields.setdefault("split", True)
    return fields


def _post_processors(content: object) -> Any:
    """Return one template if all parts are known, else the list of parts."""
    parts = [
        _post_processor(part)
        for part in _flattened(content, "processors")
        if not _is(part, "ByteLevel", dict.fromkeys(_BYTE_LEVEL))
    ]
    if not parts:
        return _UNPROCESSED
    return parts[0] if len(parts) == 1 else parts


def _post_processor(part: Any) -> Any:
    if _is(part, "BertProcessing", {"sep": None, "cls": None}):
        return _around(part, second_type=1, separators=1)
    roberta = {"sep": None, "cls": None, "trim_offsets": None, "add_prefix_space": None}
    # Without these fields the library reads it as BertProcessing.
    if _is(part, "RobertaProcessing", roberta) and part.keys() == {"type", *roberta}:
        return _around(part, second_type=0, separators=2)
    if _is(part, "TemplateProcessing", {"single": None, "pair": None, "special_tokens": None}):
        return _template(part)
    return part


def _around(part: Component, *, second_type: int, separators: int) -> Any:
    """Return the template of a post-processor that is given by two special tokens."""
    try:
        (_, separator), (_, beginning) = part["sep"], part["cls"]
    except (TypeError, ValueError, KeyError):
        return part
    first = [["special", [beginning], 0], _A, ["special", [separator], 0]]
    second = [["sequence", "B", second_type], ["special", [separator], second_type]]
    more = [["special", [separator], 0]] * (separators - 1)
    return {"type": "Template", "single": first, "pair": [*first, *more, *second]}


def _template(part: Component) -> Any:
    """Return the template with the ids of its special tokens in the places of their
    names."""
    try:
        ids = {name: list(token["ids"]) for name, token in part["special_tokens"].items()}
        single, pair = ([_piece(piece, ids) for piece in part[name]] for name in ("single", "pair"))
    except (TypeError, KeyError, AttributeError, ValueError):
        return part
    return {"type": "Template", "single": single, "pair": pair}


def _piece(piece: Component, ids: Mapping[str, Sequence[int]]) -> list[Any]:
    ((kind, fields),) = piece.items()
    if fields.keys() != {"id", "type_id"}:
        raise KeyError(kind)
    if kind == "SpecialToken":
        return ["special", ids[fields["id"]], fields["type_id"]]
    if kind == "Sequence":
        return ["sequence", fields["id"], fields["type_id"]]
    raise KeyError(kind)


def _is(part: object, name: str, fields: Mapping[str, object]) -> bool:
    """Whether a component has the type, and no other fields than these."""
    return (
        isinstance(part, dict)
        and part.get("type") == name
        and part.keys() - {"type"} <= fields.keys()
    )


def _model(content: object, digest_of_table: Callable[[object], Digest]) -> Any:
    """Return the model with digests instead of its tables."""
    if not isinstance(content, dict):
        return content
    name = content.get("type") or _type_of(content)
    fields = {**_MODEL_DEFAULTS.get(str(name), {}), **content, "type": name}
    if name == "BPE":
        fields |= {key: None for key, entry in _ABSENT.items() if fields[key] == entry}
        fields["merges"] = digest_of_table(_pairs(fields.get("merges")))
    fields["vocab"] = digest_of_table(_table(fields.get("vocab")))
    return fields


def _type_of(content: Component) -> str | None:
    """Return the type of a model in a file that does not name it, as the library finds
    it."""
    if "merges" in content:
        return "BPE"
    if isinstance(content.get("vocab"), list):
        return "Unigram"
    if "continuing_subword_prefix" in content:
        return "WordPiece"
    return "WordLevel" if "unk_token" in content else None


def _pairs(merges: object) -> object:
    """Return merges as pairs; before tokenizers 0.20 each was one text.

    A list of pairs is returned itself.
    """
    if not isinstance(merges, list) or str not in set(map(type, merges)):
        return merges
    return [
        merge.split(" ") if isinstance(merge, str) and merge.count(" ") == 1 else merge
        for merge in merges
    ]


def _table(vocabulary: object) -> object:
    """Return a vocabulary as a list: entries by id, or pieces with scores.

    A list whose scores are real numbers is returned itself.
    """
    if isinstance(vocabulary, dict):
        try:
            return sorted(vocabulary.items(), key=itemgetter(1, 0))
        except TypeError:
            return vocabulary
    if isinstance(vocabulary, list) and not _has_real_scores(vocabulary):
        return [
            [entry[0], float(entry[1])]
            if isinstance(entry, list) and len(entry) == 2 and type(entry[1]) in (int, float)
            else entry
            for entry in vocabulary
        ]
    return vocabulary


def _has_real_scores(vocabulary: list[Any]) -> bool:
    """Return whether all entries are pairs whose second part is a real number."""
    return (
        set(map(type, vocabulary)) <= {list}
        and set(map(len, vocabulary)) <= {2}
        and set(map(type, map(itemgetter(1), vocabulary))) <= {float}
    )


def _added_tokens(tokens: object) -> Any:
    if not isinstance(tokens, list):
        return [] if tokens is None else tokens
    rows: Iterable[Any] = (
        {**dict.fromkeys(TOKEN_FLAGS, False), **token} if isinstance(token, dict) else token
        for token in tokens
    )
    return sorted(rows, key=lambda token: json.dumps(token, sort_keys=True, default=str))
