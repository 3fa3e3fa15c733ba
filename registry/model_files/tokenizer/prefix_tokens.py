"""Prefix tokens that MultiVectorEncoder adds to a tokenizer while loading.

Models of Stanford ColBERT and of PyLate before 5.0 name a token that stands before each
query and each document. The library registers it as a special token if the tokenizer
knows it but does not produce it as one piece.

Source: sentence_transformers 6.2, MultiVectorEncoder._register_prefix_tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from registry.core.facts import Files
from registry.model_files.config.parse import read_if_there
from registry.model_files.layout.file_list import join
from registry.model_files.layout.layout import Layout

_PYLATE = ("query_prefix", "document_prefix")
_STANFORD = {"query_token_id": "[unused0]", "doc_token_id": "[unused1]"}
_UNICODE_FORMS = ({"type": "NFC"}, {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"})


def legacy_prefixes(files: Files, layout: Layout) -> tuple[str, ...]:
    """Return the prefixes of a folder in the order of the library."""
    if layout.model_class != "MultiVectorEncoder":
        return ()
    paths = set(files.paths())
    architectures = read_if_there(files, join(layout.transformer, "config.json"), paths).get(
        "architectures"
    )
    if not layout.modules and isinstance(architectures, list) and "HF_ColBERT" in architectures:
        metadata = read_if_there(files, "artifact.metadata", paths)
        return tuple(f"{metadata.get(key) or token} " for key, token in _STANFORD.items())
    settings = read_if_there(files, "config_sentence_transformers.json", paths)
    return tuple(str(settings[key] or "") for key in _PYLATE if key in settings)


def tokens_to_register(
    prefixes: Sequence[str], tokens: Collection[str], is_piece: Callable[[str], bool]
) -> list[str]:
    """Return the prefixes that the library registers; tokens is the vocabulary."""
    registered = []
    for prefix in prefixes:
        words = prefix.split(None, 1)
        content = next((text for text in (prefix, *words[:1]) if text in tokens), None)
        if words and content is not None and not is_piece(content):
            registered.append(content)
    return registered


def is_surely_piece(components: Mapping[str, Any]) -> Callable[[str], bool]:
    """Return a test whether the files show that a token is one piece of itself."""
    normalizers = components.get("normalizer")
    has_plain_text = isinstance(normalizers, list) and all(
        part in _UNICODE_FORMS for part in normalizers
    )
    listed = components.get("added_tokens")
    pieces = {
        token.get("content")
        for token in (listed if isinstance(listed, list) else [])
        if isinstance(token, Mapping)
        and (token.get("normalized") is False or has_plain_text)
        and not any(token.get(flag) for flag in ("single_word", "lstrip", "rstrip"))
    }
    return lambda content: content in pieces and content.isascii()
