"""Edits: JSON files in which one thing changes and every other byte stays.

A number or a list is replaced where it stands in the text; the result is parsed and must be the meant value, else the whole
text is written anew from that value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from registry.core.facts import Token
from registry.errors import NotLoadable


def parse(text: str, what: str) -> dict[str, Any]:
    """The object that a JSON text is. Raises NotLoadable naming `what`."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise NotLoadable(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise NotLoadable(f"{what} is no JSON object")
    return value


def with_numbers(text: str, changes: dict[tuple[str, ...], int], what: str) -> str:
    """The text with integers replaced; a change is a path of keys, e.g. ("text_config", "vocab_size"), and the new number."""
    value = parse(text, what)
    replaced = text
    for path, number in changes.items():
        place = value
        for key in path[:-1]:
            place = place.setdefault(key, {})
        old = place.get(path[-1])
        place[path[-1]] = number
        replaced = re.sub(rf'("{re.escape(path[-1])}"\s*:\s*){old}\b', rf"\g<1>{number}", replaced)
    return _if_same(replaced, value)


def with_tokens(text: str, tokens: Sequence[Token], what: str) -> str:
    """The text of a tokenizer.json with entries appended to its `added_tokens`."""
    value = parse(text, what)
    old = value.get("added_tokens") or []
    value["added_tokens"] = [
        *old,
        *(
            {
                "id": token.id,
                "content": token.content,
                "single_word": token.single_word,
                "lstrip": token.lstrip,
                "rstrip": token.rstrip,
                "normalized": token.normalized,
                "special": token.special,
            }
            for token in tokens
        ),
    ]
    place = re.search(r'"added_tokens"\s*:\s*(?=\[)', text)
    if place is None:
        return _if_same(text, value)
    _, end = json.JSONDecoder().raw_decode(text, place.end())
    style = text[place.end() : end]
    if "\n" in style or "\n" in text[: place.start()]:
        array = json.dumps(value["added_tokens"], indent=2, ensure_ascii=False).replace(
            "\n", "\n  "
        )
    else:
        array = json.dumps(value["added_tokens"], ensure_ascii=False, separators=(",", ":"))
    return _if_same(text[: place.end()] + array + text[end:], value)


def with_decoder(text: str, tokens: Sequence[Token], what: str) -> str:
    """The text of a tokenizer_config.json with entries in its `added_tokens_decoder`, where it has one (transformers 4)."""
    value = parse(text, what)
    decoder = value.get("added_tokens_decoder")
    if not isinstance(decoder, dict):
        return text
    for token in tokens:
        decoder[str(token.id)] = {
            "content": token.content,
            "lstrip": token.lstrip,
            "normalized": token.normalized,
            "rstrip": token.rstrip,
            "single_word": token.single_word,
            "special": token.special,
        }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def with_ids(text: str, tokens: Sequence[Token], what: str) -> str:
    """The text of an added_tokens.json (transformers 4) with entries appended."""
    value = parse(text, what) | {token.content: token.id for token in tokens}
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _if_same(text: str, value: dict[str, Any]) -> str:
    try:
        if json.loads(text) == value:
            return text
    except ValueError:
        pass
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
