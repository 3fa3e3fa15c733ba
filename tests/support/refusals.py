"""Expect errors by class, id of the failed check and quoted values, never by prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_STAGED = re.compile(
    r"[^\s'\"]*(?:/staging/(?:convert|fix|measure|merge|resize|save)-|/registry-(?:base|files)-)"
    r"[^\s'\"]*"
)
CHECK = re.compile(r"\(check ([a-z0-9-]+)")


def staging_paths(text: str) -> list[str]:
    """Return the paths of folders that an operation makes for itself and removes."""
    return _STAGED.findall(text)


def text_of(error: BaseException) -> str:
    """Return the message of an error and, on a second line, its hint, if any."""
    hint = getattr(error, "hint", None)
    return f"{error}\n{hint}" if hint else str(error)


@contextmanager
def raises(
    kind: type[BaseException] | tuple[type[BaseException], ...],
    *quoted: str,
    check: str | None = None,
) -> Iterator[pytest.ExceptionInfo[Any]]:
    """Expect an error that quotes these values and names this check, if one is set.

    `quoted` are values (names, numbers, paths, options, digests). They are searched for
    in the message and in the hint.
    """
    with pytest.raises(kind) as caught:
        yield caught
    text = text_of(caught.value)
    assert staging_paths(text) == []
    missing = [value for value in quoted if value not in text]
    assert not missing, f"the error does not quote {missing!r}: {text}"
    if check is not None:
        failed = CHECK.findall(text)
        assert check in failed, f"the error names the checks {failed!r}, expected {check!r}: {text}"
