"""Panics of the tokenizers library: known causes in tokenizer.json, and a guard.

Rust prints a panic to standard error before Python sees it, and a panic while a value
is dropped ends the process. Causes that the file shows are refused before the library
reads it. Found by mutations of tokenizer.json with tokenizers 0.23.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from registry.errors import NotLoadable

from .charsmap import damaged_charsmap

_LONGEST = 10_000_000
"""Tokens to which texts are padded; more do not fit into memory."""


def cause_of_panic(content: Mapping[str, Any]) -> str | None:
    """Return why the library would panic at a parsed tokenizer.json, or None."""
    damage = damaged_charsmap(content.get("normalizer"))
    if damage is not None:
        return f"its precompiled_charsmap is damaged: {damage}"
    for part in _parts(content.get("pre_tokenizer"), "pretokenizers"):
        if part.get("type") == "FixedLength" and part.get("length") == 0:
            return "its pre-tokenizer FixedLength has the length 0"
    for part in _parts(content.get("post_processor"), "processors"):
        unknown = _unknown_special_token(part)
        if unknown is not None:
            return f"its template has the special token {unknown!r} without ids"
        if _has_second_text(part):
            return "its template of one text has a second text"
    padding = content.get("padding")
    strategy = padding.get("strategy") if isinstance(padding, Mapping) else None
    length = strategy.get("Fixed") if isinstance(strategy, Mapping) else None
    if isinstance(length, int) and length > _LONGEST:
        return f"it pads each text to {length} tokens"
    return _short_merge(content.get("model"))


def contradictory_metaspace(content: Mapping[str, Any]) -> str | None:
    """Return the prepend_scheme of a Metaspace that the library refuses, or None.

    It is one with add_prefix_space false and another prepend_scheme than "never".
    Source: tokenizers 0.22, pre_tokenizers/metaspace.rs, Deserialize.
    """
    for part in (
        *_parts(content.get("pre_tokenizer"), "pretokenizers"),
        *_parts(content.get("decoder"), "decoders"),
    ):
        scheme = part.get("prepend_scheme", "always")
        if (
            part.get("type") == "Metaspace"
            and part.get("add_prefix_space") is False
            and scheme != "never"
        ):
            return f"{scheme!r:.40}"
    return None


def _parts(component: object, key: str) -> Iterator[Mapping[str, Any]]:
    """Yield a component, or the parts of a Sequence."""
    if isinstance(component, Mapping):
        yield component
        parts = component.get(key)
        for part in parts if isinstance(parts, list) else ():
            yield from _parts(part, key)


def _unknown_special_token(processor: Mapping[str, Any]) -> str | None:
    special = processor.get("special_tokens")
    if processor.get("type") != "TemplateProcessing" or not isinstance(special, Mapping):
        return None
    for template in (processor.get("single"), processor.get("pair")):
        for piece in template if isinstance(template, list) else ():
            token = piece.get("SpecialToken") if isinstance(piece, Mapping) else None
            name = token.get("id") if isinstance(token, Mapping) else None
            if isinstance(name, str) and name not in special:
                return name
    return None


def _has_second_text(processor: Mapping[str, Any]) -> bool:
    single = processor.get("single")
    if processor.get("type") != "TemplateProcessing" or not isinstance(single, list):
        return False
    sequences = (piece.get("Sequence") for piece in single if isinstance(piece, Mapping))
    return any(isinstance(part, Mapping) and part.get("id") == "B" for part in sequences)


def _short_merge(model: object) -> str | None:
    """Return the problem of a merge from which the prefix of subwords cannot be cut.

    The library cuts as many bytes as the prefix has, whatever they are.
    """
    if not isinstance(model, Mapping) or not isinstance(model.get("merges"), list):
        return None
    prefix = model.get("continuing_subword_prefix")
    length = len(prefix.encode("utf-8", "replace")) if isinstance(prefix, str) else 0
    if not length:
        return None
    for merge in model["merges"]:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
            continue
        second = pair[1].encode("utf-8", "replace")
        if len(second) < length or b"\x7f" < second[length : length + 1] < b"\xc0":
            return f"the merge {merge!r:.80} is shorter than the prefix {prefix!r:.20}"
    return None


@contextlib.contextmanager
def refusing_panics() -> Iterator[None]:
    """Raise NotLoadable for a panic of a Rust library; raise everything else unchanged.

    pyo3 raises a panic as `PanicException`, a BaseException without an importable name.
    """
    try:
        yield
    except BaseException as error:
        if not is_panic(error):
            raise
        message = (str(error).strip().splitlines() or ["without a message"])[0]
        raise NotLoadable(
            f"the tokenizer cannot be used: the tokenizers library panicked ({message:.200})",
            hint="tokenizer.json is damaged, or meant for another version of the library: "
            "download it again",
        ) from error


def is_panic(error: BaseException) -> bool:
    """Return whether an error is a panic of a Rust library."""
    kind = type(error)
    return kind.__name__ == "PanicException" and kind.__module__ == "pyo3_runtime"
