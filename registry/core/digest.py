"""Digests: content named by SHA-256, and the one JSON form that is hashed.

Canonical JSON is UTF-8, keys by code point, no blanks, no duplicate keys, integers only; a real number is a string in
its shortest round-trip form (`real`). Two values that mean the same have the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from registry.errors import InvalidManifest

BLOCK = 4 << 20
"""Bytes read at a time: large enough for full hashing speed, small enough for constant memory."""

_is_digest = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII).fullmatch


def is_digest(text: str) -> bool:
    """Return whether a text is a whole digest."""
    return _is_digest(text) is not None


class Digest(str):
    """The SHA-256 of some content, as `sha256:` and 64 lower-case hex digits."""

    __slots__ = ()

    def __new__(cls, text: str) -> Digest:
        """Raises InvalidManifest unless text is a whole digest."""
        if not _is_digest(text):
            raise InvalidManifest(f"{text!r:.100} is not a digest (sha256: and 64 hex digits)")
        return super().__new__(cls, text)

    @property
    def hex(self) -> str:
        """The 64 hex digits alone."""
        return self[7:]

    @property
    def short(self) -> str:
        """Enough for a person: `sha256:` and 12 hex digits."""
        return self[:19]


def known(text: str) -> Digest:
    """A text that was found to be a digest before, which is not looked at again: there are millions."""
    return str.__new__(Digest, text)


def digest_of(content: bytes) -> Digest:
    """The digest of bytes in memory."""
    return known("sha256:" + hashlib.sha256(content).hexdigest())


def digest_of_stream(
    read: Callable[[int], bytes],
    write: Callable[[bytes], object] | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[Digest, int]:
    """(digest, size in bytes) of what read(n) returns until it is empty; each block is also given to write.

    progress is called with the number of bytes of each block.
    """
    hashed, size = hashlib.sha256(), 0
    while block := read(BLOCK):
        hashed.update(block)
        if write is not None:
            write(block)
        size += len(block)
        if progress is not None:
            progress(len(block))
    return known("sha256:" + hashed.hexdigest()), size


def canonical(value: Any) -> bytes:
    """The canonical JSON of a value made of dicts, lists, strings, integers, booleans and None.

    Raises InvalidManifest for anything else, a float or a lone surrogate included.
    """
    try:
        _refuse_uncanonical(value)
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError as error:
        raise InvalidManifest(
            f"text with a lone surrogate cannot be stored: {error.object[error.start : error.end]!r}"
        ) from None
    except RecursionError:
        raise InvalidManifest("a value nested this deeply has no canonical form") from None


def rendered(value: Any) -> str:
    """The canonical JSON text of a value that came from canonical JSON, which is not checked again."""
    return _ENCODER.encode(value)


def parse_canonical(content: bytes, what: str) -> Any:
    """The value of canonical JSON; `what` names it in errors.

    Raises InvalidManifest if content is anything but the canonical form of its own value.
    """
    try:
        value = _DECODER.decode(content.decode("utf-8"))
        if _ENCODER.encode(value).encode() == content:
            return value  # a key that stands twice, or a blank, would not have come back
    except (ValueError, RecursionError):
        pass
    canonical(parse_json(content, what))
    raise InvalidManifest(f"{what} is not canonical JSON")


def parse_json(content: bytes, what: str) -> Any:
    """The value of any JSON text; duplicate keys, NaN and deep nesting are refused with InvalidManifest."""
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidManifest(f"{what} is not JSON: {reason}") from None


def real(number: float) -> str:
    """A real number as canonical JSON and the journal keep it: its shortest round-trip text."""
    return repr(float(number))


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"key {repeated_key(pairs)!r} stands twice")
    return found


def repeated_key(pairs: Sequence[tuple[str, Any]]) -> str:
    """Return the first key that occurs again, in linear time."""
    counts = Counter(key for key, _ in pairs)
    return next(key for key, count in counts.items() if count > 1)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_float=_no_constant, parse_constant=_no_constant)


def _refuse_uncanonical(value: Any) -> None:
    if value is None or isinstance(value, (str, bool, int)):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidManifest(f"key {key!r} is not text")
            _refuse_uncanonical(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_uncanonical(item)
    else:
        raise InvalidManifest(f"{value!r} has no canonical form (real numbers are stored as text)")
