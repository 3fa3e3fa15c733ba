"""Added tokens that become equal after normalisation, so that chance decides their id.

The tokenizers library searches normalised texts for all normalised added tokens. It
collects them from a hash map of random order, and of two equal patterns the first
wins. Source: tokenizers 0.23, added_vocabulary.rs, refresh_added_tokens.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from registry.core.facts import Token
from registry.core.text import counted
from registry.errors import NotLoadable

from .panics import refusing_panics
from .vocabulary import settings_of

CHECK = "ambiguous-tokens"
"""Id of the check that each text has one id for each token."""
HINT = (
    'set "normalized": false in tokenizer.json and tokenizer_config.json for all of them but one, '
    "or add one spelling to the original model with registry resize"
)
_SHOWN = 3


def equal_tokens(
    tokens: Iterable[Token], normalize: Callable[[str], str]
) -> tuple[tuple[Token, ...], ...]:
    """Return the groups of added tokens that are equal after normalisation, by id.

    Tokens that are not normalised are searched for first, in unchanged texts.
    """
    groups: dict[str, list[Token]] = {}
    for token in tokens:
        if token.normalized:
            groups.setdefault(normalize(token.content), []).append(token)
    return tuple(tuple(group) for pattern, group in groups.items() if pattern and len(group) > 1)


def equal_tokens_of(backend: Any) -> tuple[tuple[Token, ...], ...]:
    """Return the groups of equal tokens of a `tokenizers.Tokenizer`."""
    normalizer = backend.normalizer
    tokens = [
        Token(id, token.content, normalized=True)
        for id, token in sorted(backend.get_added_tokens_decoder().items())
        if token.normalized
    ]
    if len(tokens) < 2 or normalizer is None:
        return ()
    return equal_tokens(tokens, normalizer.normalize_str)


def equal_tokens_in(
    tokens: Iterable[Token], normalizer: Mapping[str, Any] | None
) -> tuple[tuple[Token, ...], ...]:
    """Return the groups of equal tokens of a token list, by the JSON of a normalizer.

    Of a normalizer that the library cannot build nothing is known.
    """
    normalized = [token for token in tokens if token.normalized]
    if len(normalized) < 2:
        return ()
    with contextlib.suppress(NotLoadable), refusing_panics():
        return equal_tokens(normalized, _normalize_function(normalizer))
    return ()


def empty_token_in(tokens: Iterable[Token], normalizer: Mapping[str, Any] | None) -> Token | None:
    """Return an added token that is empty after normalisation, or None.

    The library finds it between any two bytes, and panics inside a character.
    """
    normalized = [
        token
        for token in tokens
        if token.normalized and not (token.content.isascii() and token.content.isprintable())
    ]
    if not normalized:
        return None
    with contextlib.suppress(NotLoadable), refusing_panics():
        normalize = _normalize_function(normalizer)
        return next((token for token in normalized if not normalize(token.content)), None)
    return None


def _normalize_function(normalizer: Mapping[str, Any] | None) -> Callable[[str], str]:
    from tokenizers import Tokenizer

    content: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": normalizer,
        "model": {"type": "WordLevel", "vocab": {}, "unk_token": ""},
    }
    try:
        built = Tokenizer.from_str(json.dumps(content)).normalizer
    except Exception:  # tokenizers raises that very class, whatever is wrong
        built = None
    return str if built is None else built.normalize_str


def loaded_normalizer(
    content: Mapping[str, Any] | None, config: Mapping[str, Any], *, lowercases: bool
) -> dict[str, Any] | None:
    """Return the JSON of the normalizer that a loaded tokenizer has.

    Classes like BertTokenizer build theirs from tokenizer_config.json and ignore that
    of tokenizer.json. `lowercases` is `do_lower_case` of Sentence Transformers.
    """
    settings = settings_of(config)
    normalizer = content.get("normalizer") if content is not None else None
    if "do_lower_case" in settings and (content is None or _is_rebuilt(config)):
        normalizer = {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": settings.get("tokenize_chinese_chars") is not False,
            "strip_accents": settings.get("strip_accents"),
            "lowercase": settings["do_lower_case"] is not False,
        }
    if not isinstance(normalizer, dict):
        normalizer = None
    if not lowercases:
        return normalizer
    parts = [{"type": "Lowercase"}, *([normalizer] if normalizer is not None else [])]
    return {"type": "Sequence", "normalizers": parts}


def _is_rebuilt(config: Mapping[str, Any]) -> bool:
    """Return whether the class has defaults of these settings, and so builds its own
    normalizer."""
    name = config.get("tokenizer_class")
    return isinstance(name, str) and "do_lower_case" in settings_of({"tokenizer_class": name})


def describe_equal(groups: Iterable[Iterable[Token]]) -> str:
    """Return what is wrong with groups of equal tokens, by name."""
    listed = [
        " and ".join(f"{token.content!r} (id {token.id})" for token in group) for group in groups
    ]
    more = f"; and {counted(len(listed) - _SHOWN, 'more group')}" if len(listed) > _SHOWN else ""
    return (
        f"added tokens are equal after normalisation: {'; '.join(listed[:_SHOWN])}{more}, "
        "so the tokenizers library chooses one of the ids at random at each load"
    )
