"""Tokens that the library adds while it loads a tokenizer, from other files than
tokenizer.json.

They are listed in tokenizer_config.json (`added_tokens_decoder`) or, in folders of
transformers 3 and 4, in added_tokens.json. Source: transformers 5.23,
tokenization_utils_base.py, _from_pretrained, and tokenization_utils_tokenizers.py,
TokenizersBackend.__init__. Special tokens that no list has are not part of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from registry.core.facts import TOKEN_FLAGS, Token

_LISTS = ("extra_special_tokens", "additional_special_tokens")


def tokens_added_at_load(
    tokens: Sequence[Token],
    vocabulary_size: int,
    config: Mapping[str, Any],
    special_map: Mapping[str, Any],
    added: Mapping[str, Any],
    names: Sequence[str],
) -> list[Token]:
    """Return the tokens that are added to those of tokenizer.json or vocab.txt.

    Arguments:
        tokens: The token list.
        vocabulary_size: The number of entries of the model, added tokens left out.
        config: The content of tokenizer_config.json.
        special_map: The content of special_tokens_map.json.
        added: The content of added_tokens.json.
        names: The names of special tokens, in the order of the library.
    """
    contents = {token.content for token in tokens}
    highest = max((token.id for token in tokens), default=-1)
    new_tokens: list[Token] = []
    for content, flags in _listed(config, special_map, added, names):
        if not content or content in contents:
            continue
        contents.add(content)
        # tokenizers, added_vocabulary.rs, add_tokens: ids of the files are not asked
        highest = max(highest + 1, vocabulary_size)
        new_tokens.append(Token(highest, content, **flags))
    return new_tokens


def _listed(
    config: Mapping[str, Any],
    special_map: Mapping[str, Any],
    added: Mapping[str, Any],
    names: Sequence[str],
) -> Iterator[tuple[str, dict[str, bool]]]:
    """Yield content and flags of the tokens in the order in which they are added."""
    has_decoder = "added_tokens_decoder" in config
    if has_decoder:
        decoder = config["added_tokens_decoder"]
        entries = decoder.items() if isinstance(decoder, Mapping) else ()
        numbered = [(int(id), token) for id, token in entries if str(id).isdecimal()]
        yield from (_token(token) for _, token in sorted(numbered, key=lambda entry: entry[0]))
    else:
        contents = set(_special({**config, **special_map}, names))
        numbered = [(id, content) for content, id in added.items() if type(id) is int]
        for _, content in sorted(numbered):
            is_special = content in contents
            yield _token({"content": content, "special": is_special, "normalized": not is_special})


def _special(config: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """Yield the contents of special tokens."""
    tokens = [config.get(name) for name in names]
    listed = next((config[key] for key in _LISTS if config.get(key)), None)
    tokens += listed if isinstance(listed, list) else []
    yield from (content for content, _ in map(_token, tokens) if content)


def _token(token: object) -> tuple[str, dict[str, bool]]:
    """Return content and flags; a special token may be a text without flags."""
    if isinstance(token, Mapping) and isinstance(token.get("content"), str):
        return token["content"], {flag: bool(token.get(flag, False)) for flag in TOKEN_FLAGS}
    return (token if isinstance(token, str) else ""), dict.fromkeys(TOKEN_FLAGS, False)
