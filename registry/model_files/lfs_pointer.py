"""Recognise Git LFS pointers, which `git clone` leaves where large files are missing.

Source: git-lfs, docs/spec.md (the first line names the version; at most 1024 bytes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from registry.core.facts import Files, read
from registry.core.text import shell_word
from registry.errors import NotLoadable

_FIRST_LINE = re.compile(rb"version https://(git-lfs|hawser)\.github\.com/spec/")
_SIZE_LIMIT = 1024


def is_pointer(content: bytes) -> bool:
    """Return whether the content of a file is a Git LFS pointer."""
    return len(content) < _SIZE_LIMIT and _FIRST_LINE.match(content) is not None


def pointer_error(path: str, folder: Path | None = None) -> NotLoadable:
    """Return the error for a file that is a pointer, in a folder on disk if known."""
    command = "git" if folder is None else f"git -C {shell_word(str(folder))}"
    return NotLoadable(f"{path} is a Git LFS pointer", hint=f"run {command} lfs pull")


def refuse_pointers(files: Files, paths: Iterable[str]) -> None:
    """Raise NotLoadable for the first of these files that is a Git LFS pointer."""
    for path in sorted(paths):
        if files.size(path) < _SIZE_LIMIT and is_pointer(read(files, path)):
            raise pointer_error(path, getattr(files, "path", None))
