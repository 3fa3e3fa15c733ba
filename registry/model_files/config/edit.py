"""Edits: JSON files in which one thing changes and every other byte stays.

A number or a list is replaced where it stands in the text; the result is parsed and must be the meant value, else the whole
text is written anew from that value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

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
    """The text of a tokenizer.json with entries appended to its `added_tokens`.

    The file is parsed once, member by member: it has megabytes, and only the text of
    one member is replaced by JSON.
    """
    members = _members(text, what)
    old = members.get("added_tokens")
    listed = [
        *((old.content if old is not None else None) or []),
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
    if old is None or not isinstance(old.content, list):
        value = {key: member.content for key, member in members.items()}
        return _if_same(text, value | {"added_tokens": listed})
    if "\n" in text[old.start : old.end] or "\n" in text[: old.key]:
        array = json.dumps(listed, indent=2, ensure_ascii=False).replace("\n", "\n  ")
    else:
        array = json.dumps(listed, ensure_ascii=False, separators=(",", ":"))
    return text[: old.start] + array + text[old.end :]


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


class _Member(NamedTuple):
    """A member of a JSON object: where its key and its value stand in the text."""

    key: int
    start: int
    end: int
    content: Any


def _members(text: str, what: str) -> dict[str, _Member]:
    """Return the members of a JSON object by key. Raises NotLoadable naming `what`."""
    decode, members = json.JSONDecoder().raw_decode, dict[str, _Member]()
    key = _token_at(text, 0)
    separator = text[key : key + 1]
    try:
        while separator in ("{", ","):
            key = _token_at(text, key + 1)
            if separator == "{" and text[key : key + 1] == "}":
                separator = "}"
                break
            name, end = decode(text, key)
            colon = _token_at(text, end)
            if not isinstance(name, str) or text[colon : colon + 1] != ":":
                break
            start = _token_at(text, colon + 1)
            content, end = decode(text, start)
            members[name] = _Member(key, start, end, content)
            key = _token_at(text, end)
            separator = text[key : key + 1]
    except ValueError:
        separator = ""
    if separator == "}" and _token_at(text, key + 1) == len(text):
        return members
    parse(text, what)  # names the fault
    raise NotLoadable(f"{what} is not a JSON object")


def _token_at(text: str, position: int) -> int:
    """Return the place of the next character that is not blank."""
    return _BLANKS.match(text, position).end()  # type: ignore[union-attr]


_BLANKS = re.compile(r"[ \t\n\r]*")


def _if_same(text: str, value: dict[str, Any]) -> str:
    try:
        if json.loads(text) == value:
            return text
    except ValueError:
        pass
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
