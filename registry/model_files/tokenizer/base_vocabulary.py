"""Lexicon: what a fast tokenizer knows before any token is added. Works on a `tokenizers.Tokenizer`; imports nothing big."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from .panics import refusing_panics

_LONE_PREFIXES = frozenset({"▁", "Ġ", "##", "</w>"})


@contextlib.contextmanager
def whole_texts(backend: Any) -> Iterator[None]:
    """Restore the truncation and padding that a Lexicon switches off."""
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        if truncation is not None:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)


class Lexicon:
    """A vocabulary and its rules. The tokenizer's truncation and padding are switched off: words are looked at whole."""

    def __init__(self, backend: Any) -> None:
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        self.added = dict(backend.get_added_tokens_decoder())
        self._byte_level = "ByteLevel" in f"{backend.pre_tokenizer}{backend.decoder}"

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each entry."""
        ids: dict[str, int] = self.backend.get_vocab(with_added_tokens=True)
        return ids

    @cached_property
    def size(self) -> int:
        """The number of entries, and if they have no holes the id of the next one."""
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    @cached_property
    def contents(self) -> dict[int, str]:
        """The entries by id."""
        return {id: content for content, id in self.ids.items()}

    def holes(self) -> str | None:
        """What is wrong with the ids, where they are not 0, 1, 2 and so on: the library would give a new token an id in use."""
        used = sorted(self.ids.values())
        if used == list(range(self.size)):
            return None
        place = next(index for index, id in enumerate(used) if id != index)
        return (
            f"the vocabulary's ids have holes: {self.size} entries, the highest id {used[-1]}, id {place} "
            f"{'twice' if used[place] < place else 'free'}; a new token would get an id in use"
        )

    def fold(self, text: str) -> str:
        """The text as the tokenizer compares it: normalised, without outer blanks, composed (NFC)."""
        normalizer = self.backend.normalizer
        plain: str = text if normalizer is None else normalizer.normalize_str(text)
        return unicodedata.normalize("NFC", plain.strip(" ▁"))

    def pieces(self, text: str) -> tuple[int, ...]:
        """Ids of the pieces that a bare word has, nothing added in front or behind."""
        return tuple(self.backend.encode(text, add_special_tokens=False).ids)

    def meaningful(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The pieces that say something: no special tokens, not the unknown token, no lone prefix."""
        return tuple(id for id in ids if id not in self._empty)

    def finds(self, token: Any, text: str) -> bool:
        """Return whether the text would produce the token, added with its flags.

        Added tokens are found before the pre-tokenizer and the model see the text, so a
        tokenizer with the same normalizer and a vocabulary of one entry decides it.
        """
        from tokenizers import AddedToken, Tokenizer, models

        probe = Tokenizer(models.WordLevel({"\0": 0}, unk_token="\0"))
        if self.backend.normalizer is not None:
            probe.normalizer = self.backend.normalizer
        added = AddedToken(
            token.content,
            special=token.special,
            lstrip=token.lstrip,
            rstrip=token.rstrip,
            single_word=token.single_word,
            normalized=token.normalized,
        )
        probe.add_tokens([added])
        return 1 in probe.encode(text, add_special_tokens=False).ids

    def words_with(self, part: str, limit: int = 3) -> tuple[tuple[str, ...], int]:
        """Up to limit words of the vocabulary that contain part and are longer, and how many there are."""
        if part not in self._all_words:
            return (), 0
        found = [word for word in self.words if part in word and word != part]
        return tuple(sorted(found, key=lambda word: (len(word), word))[:limit]), len(found)

    @cached_property
    def words(self) -> dict[str, str]:
        """Entries that begin a word, by the word they spell; added tokens are left out."""
        found: dict[str, str] = {}
        added = {token.content for token in self.added.values()}
        marked = self._byte_level or any(entry.startswith("▁") for entry in self.ids)
        for entry in self.ids:
            if entry in added or (marked and entry[0] not in "Ġ▁"):
                continue
            if (word := self._word(entry)) and (word == entry or word not in found):
                found[word] = entry
        return found

    @cached_property
    def folded_added(self) -> dict[str, Any]:
        """The added tokens by their folded form; a normalised one wins over one that is not."""
        found: dict[str, Any] = {}
        for token in self.added.values():
            folded = self.fold(token.content)
            if token.normalized or folded not in found:
                found[folded] = token
        return found

    @cached_property
    def _all_words(self) -> str:
        return "\n".join(self.words)

    @cached_property
    def _empty(self) -> frozenset[int]:
        special = {id for id, token in self.added.items() if token.special}
        model = self.backend.model
        unknown = getattr(model, "unk_token", None)
        if unknown in self.ids:
            special.add(self.ids[unknown])
        if isinstance(getattr(model, "unk_id", None), int):
            special.add(model.unk_id)
        return frozenset(
            special | {self.ids[prefix] for prefix in _LONE_PREFIXES if prefix in self.ids}
        )

    @cached_property
    def _continuing(self) -> str | None:
        """The prefix of pieces inside a word; each access to the model builds it."""
        return getattr(self.backend.model, "continuing_subword_prefix", None)

    def _word(self, entry: str) -> str:
        """What an entry spells, or nothing where it only continues a word."""
        if self._continuing and entry.startswith(self._continuing):
            return ""
        if self._byte_level:
            return _decoded(entry.removeprefix("Ġ"))
        return entry.removeprefix("▁").removesuffix("</w>")


def lexicon_of(content: bytes) -> Lexicon | None:
    """What a tokenizer.json knows; None where no tokenizer can be made of it, which loaders tell better."""
    from tokenizers import Tokenizer

    try:
        with refusing_panics():
            return Lexicon(Tokenizer.from_str(content.decode("utf-8")))
    except Exception:  # tokenizers raises that very class, whatever is wrong
        return None


def _decoded(entry: str) -> str:
    """A byte-level entry as text; nothing where its bytes are no whole characters."""
    if entry.isascii():
        return entry
    try:
        return bytes(_BYTES[character] for character in entry).decode()
    except (KeyError, UnicodeDecodeError):
        return ""


def _byte_alphabet() -> dict[str, int]:
    """Which byte each character of a byte-level vocabulary stands for. Source: GPT-2, encoder.py, bytes_to_unicode."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + index): byte for index, byte in enumerate(others)
    }


_BYTES = _byte_alphabet()
