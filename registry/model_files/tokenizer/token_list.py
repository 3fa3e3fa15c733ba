"""Tokens: the words a person wants to add, and what is wrong with them.

A list of words is read from lines or from Python values into Wanted values, in order; the order gives the ids. `lint` compares
them with a vocabulary before anything is changed and reports every bad one at once. Nothing here imports torch.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from registry.core.facts import TOKEN_FLAGS
from registry.core.text import counted
from registry.errors import InvalidTokens

from .base_vocabulary import Lexicon
from .token_file import is_comment, lines_of, unquoted

_REMOVE_BLANKS = "remove the blanks (lstrip and rstrip let a token absorb adjacent blanks)"
_SKIP_EXISTING = (
    "--skip-existing leaves out the words that the vocabulary has (in Python skip_existing=True)"
)
_LITERAL = "write the word alone, or register it as typed with --literal (in Python literal=True)"
_PREFIXES = ("▁", "Ġ", "##")
_SUFFIXES = ("</w>", "@@")
_GIVE_SEED = "use init random with a seed, which gives it a row"

_Fault = tuple[str, str | None]
"""What is wrong with one token, and a hint."""


@dataclass(frozen=True)
class Wanted:
    """A token that someone asks for."""

    content: str
    special: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = True
    id: int | None = None
    """The id it must get, where the list says so; it is checked, never chosen."""


@dataclass(frozen=True)
class Linted:
    """What can be added, with the pieces each word has now; what was skipped; what a person should know."""

    tokens: tuple[Wanted, ...]
    pieces: tuple[tuple[int, ...], ...]
    skipped: tuple[str, ...]
    warnings: tuple[str, ...]


def parse_tokens(
    tokens: str | Iterable[str | Mapping[str, Any] | Wanted],
    *,
    special: bool = False,
    single_word: bool = False,
    normalized: bool | None = None,
    literal: bool = False,
) -> tuple[Wanted, ...]:
    """The tokens in order, with all their flags; those given here hold for every token that does not say otherwise itself.

    tokens is the text of a token file, or values: one token a line, or a JSON object a line or a value, such as
    {"content": "[Q]", "special": true}. Empty lines of a file are left out; all other blanks are kept, and judged by lint.
    normalized is by default the opposite of special, as transformers has it. Raises InvalidTokens for what has no order (a set),
    for lines that start with `{` and are no JSON, for unknown keys and values of the wrong kind; all bad ones are named.
    Comments and quoted words are bad unless `literal` is set.
    """
    if isinstance(tokens, (set, frozenset)):
        raise InvalidTokens("a set has no order, but ids follow the order", hint="give a list")
    if isinstance(tokens, (bytes, Mapping)):
        message = f"{tokens!r:.80} is one value, not a list of tokens"
        raise InvalidTokens(message, hint="give a list")
    found: list[Wanted] = []
    bad: list[_Fault] = []
    values = lines_of(tokens.removeprefix("\ufeff")) if isinstance(tokens, str) else tokens
    for number, value in enumerate(values, 1):
        if isinstance(value, Wanted):
            found.append(value)
            continue
        entry: Any = {"content": value} if isinstance(value, str) else value
        if isinstance(value, str) and value.startswith("{"):
            try:
                entry = json.loads(value)
            except ValueError as error:
                message = f"token {number} starts with {{ but is not JSON ({error})"
                bad.append((message, 'write such a token as {"content": "{"}'))
                continue
        if isinstance(value, str) and not literal and (fault := _decorated(value)):
            bad.append(fault)
            continue
        if problem := _malformed(entry):
            bad.append((problem, None))
            continue
        is_special = entry.get("special", special)
        plain = (not is_special) if normalized is None else normalized
        found.append(
            Wanted(
                entry["content"],
                is_special,
                entry.get("lstrip", False),
                entry.get("rstrip", False),
                entry.get("single_word", single_word),
                entry.get("normalized", plain),
                entry.get("id"),
            )
        )
    if bad:
        raise _refused(bad)
    if not found:
        raise InvalidTokens("the list contains no token")
    return tuple(found)


def lint(
    tokens: tuple[Wanted, ...],
    lexicon: Lexicon,
    *,
    skip_existing: bool = False,
    needs_pieces: bool = True,
    literal: bool = False,
) -> Linted:
    """Those of the tokens that can be added to the vocabulary.

    With skip_existing those already there are left out; without needs_pieces a word that is only the unknown token may stay.
    Unless `literal` is set, a token with the marker of a vocabulary file (`##x`, `▁x`)
    is bad if the plain word does not produce it.
    Raises InvalidTokens in one line that names every bad token, and where the vocabulary itself has holes in its ids.
    """
    if problem := lexicon.holes():
        raise InvalidTokens(problem)
    kept: list[Wanted] = []
    pieces: list[tuple[int, ...]] = []
    skipped: list[str] = []
    bad: list[_Fault] = []
    seen = _Seen(lexicon)
    for token in tokens:
        if fault := _unfit(token):
            bad.append(fault)
            continue
        if problem := seen.twice(token):
            bad.append((problem, None))
            continue
        seen.add(token)
        if there := _there(token, lexicon):
            if skip_existing:
                skipped.append(token.content)
            else:
                bad.append((f"{token.content!r} {there}", _SKIP_EXISTING))
            continue
        if not literal and (fault := _marked(token, lexicon)):
            bad.append(fault)
            continue
        ids = lexicon.pieces(token.content)
        if not ids:
            message = f"{token.content!r} has no pieces: the tokenizer removes it completely"
            bad.append((message, None))
        elif needs_pieces and not lexicon.meaningful(ids):
            message = f"{token.content!r} is only the unknown token, so its row has no start value"
            bad.append((message, _GIVE_SEED))
        elif token.id is not None and token.id != lexicon.size + len(kept):
            next_id = lexicon.size + len(kept)
            bad.append((f"{token.content!r} requires id {token.id} but would get {next_id}", None))
        else:
            kept.append(token)
            pieces.append(lexicon.meaningful(ids))
    if bad:
        raise _refused(bad, f"{len(bad)} of {counted(len(tokens), 'token')} cannot be added: ")
    if not kept:
        raise InvalidTokens(
            f"{counted(len(tokens), 'token is', 'tokens are')} in the vocabulary already, "
            "nothing to add"
        )
    return Linted(tuple(kept), tuple(pieces), tuple(skipped), tuple(_warnings(kept, lexicon)))


def refuse_early(
    tokens: tuple[Wanted, ...],
    lexicon: Lexicon,
    *,
    skip_existing: bool = False,
    needs_pieces: bool = True,
) -> None:
    """Raises InvalidTokens where the vocabulary alone tells, before any model is loaded; then all that lint finds is named at once.

    lexicon is made of tokenizer.json. What depends on how the library normalises is left to lint and the loaded tokenizer.
    """
    there = [token.content in lexicon.ids for token in tokens]
    twice = len({token.content for token in tokens}) < len(tokens)
    if twice or any(map(_unfit, tokens)) or (all(there) if skip_existing else any(there)):
        lint(tokens, lexicon, skip_existing=skip_existing, needs_pieces=needs_pieces)


class _Seen:
    """The tokens of the list so far, by what makes two of them equal."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.exact: dict[str, Wanted] = {}
        self.folded: dict[str, Wanted] = {}

    def twice(self, token: Wanted) -> str | None:
        earlier = self.exact.get(_nfc(token.content))
        if earlier is not None:
            return (
                f"{token.content!r} stands twice"
                if earlier.content == token.content
                else f"{token.content!r} is {earlier.content!r} in another Unicode spelling"
            )
        earlier = self.folded.get(self.lexicon.fold(token.content))
        if earlier is not None and (token.normalized or earlier.normalized):
            return f"{token.content!r} and {earlier.content!r} are one after normalisation, so one is never found"
        return None

    def add(self, token: Wanted) -> None:
        self.exact[_nfc(token.content)] = token
        folded = self.lexicon.fold(token.content)
        if token.normalized or folded not in self.folded:
            self.folded[folded] = token


def _refused(faults: Sequence[_Fault], what: str = "") -> InvalidTokens:
    """Return the error that lists every bad token, with each hint once."""
    hints = dict.fromkeys(hint for _, hint in faults if hint is not None)
    messages = [message for message, _ in faults]
    return InvalidTokens(what + "; ".join(messages), hint="; ".join(hints) or None)


def _decorated(word: str) -> _Fault | None:
    """Return the fault of a comment or a quoted word."""
    if is_comment(word):
        return f"{word!r} is a comment", _LITERAL
    if plain := unquoted(word):
        return f"{word!r} is quoted (the word is {plain!r})", _LITERAL
    return None


def _marked(token: Wanted, lexicon: Lexicon) -> _Fault | None:
    """Return the fault of a token whose marker the plain word does not produce."""
    plain_word = token.content
    for prefix in _PREFIXES:
        plain_word = plain_word.removeprefix(prefix)
    for suffix in _SUFFIXES:
        plain_word = plain_word.removesuffix(suffix)
    plain_word = plain_word.replace("▁", " ").strip()
    if plain_word in ("", token.content) or lexicon.finds(token, plain_word):
        return None
    existing = _there(replace(token, content=plain_word), lexicon)
    offered = f"it {existing}" if existing else f"write {plain_word!r}"
    return (
        f"{token.content!r} has the marker of a vocabulary file, and the text {plain_word!r} does "
        f"not produce it ({offered})",
        _LITERAL,
    )


def _malformed(entry: Any) -> str | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("content"), str):
        return f'{entry!r} is not a token (expected a text or {{"content": text, flags}})'
    if unknown := sorted(str(key) for key in entry if key not in (*TOKEN_FLAGS, "content", "id")):
        expected = ", ".join(TOKEN_FLAGS)
        return f"{entry['content']!r} has the unknown key {unknown[0]!r} (the flags are {expected})"
    if wrong := [
        flag for flag in TOKEN_FLAGS if flag in entry and not isinstance(entry[flag], bool)
    ]:
        return f"{entry['content']!r} has {wrong[0]} {entry[wrong[0]]!r} (expected true or false)"
    if not isinstance(entry.get("id"), (int, type(None))) or isinstance(entry.get("id"), bool):
        return f"{entry['content']!r} has the id {entry['id']!r} (expected a number)"
    return None


def _unfit(token: Wanted) -> _Fault | None:
    if not token.content.strip():
        return f"{token.content!r} is blank", None
    if token.content != token.content.strip():
        return f"{token.content!r} has blanks outside", _REMOVE_BLANKS
    if any("\ud800" <= character <= "\udfff" for character in token.content):
        return f"{token.content!r} contains half a character (a lone surrogate)", None
    return None


def _there(token: Wanted, lexicon: Lexicon) -> str | None:
    for spelled in (
        token.content,
        _nfc(token.content),
        unicodedata.normalize("NFD", token.content),
    ):
        if spelled in lexicon.ids:
            return f"is in the vocabulary already (id {lexicon.ids[spelled]})"
    folded = lexicon.fold(token.content)
    added = lexicon.folded_added.get(folded)
    if added is not None and (token.normalized or added.normalized):
        return f"is {added.content!r} after normalisation, which was added already (id {lexicon.ids[added.content]})"
    if token.normalized and folded in lexicon.words:
        entry = lexicon.words[folded]
        return f"is {folded!r} after normalisation, which is in the vocabulary already (id {lexicon.ids[entry]})"
    return None


def _warnings(tokens: list[Wanted], lexicon: Lexicon) -> Iterable[str]:
    for token in tokens:
        folded = lexicon.fold(token.content)
        if not token.normalized and not token.special and folded != _nfc(token.content):
            yield (
                f"{token.content!r} is found only as it is spelled, not as {folded!r}, though all other words are folded; normalized finds "
                "it however it is written"
            )
        if any(sign.isspace() for sign in token.content):
            yield f"{token.content!r} holds a blank, and is found only where exactly that stands between its words"
        if token.single_word:
            continue
        plain = folded if token.normalized else token.content
        words, count = lexicon.words_with(plain)
        if count:
            more = "" if count <= len(words) else f" and {count - len(words)} more"
            yield (
                f"{token.content!r} is found inside ordinary words ({', '.join(words)}{more}), so their encodings change; "
                "single_word keeps it out of them"
            )


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
