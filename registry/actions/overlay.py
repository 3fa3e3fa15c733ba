"""Two folders read as one: a model, and files from elsewhere that stand in for, or beside, its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from ..facts import Files
from ..filenames import TOKENIZER_FILES


class Overlay:
    """facts.Files: those files of `over` that `takes` chooses, and of `under` all others."""

    def __init__(self, under: Files, over: Files, takes: Callable[[str], bool]) -> None:
        self._under, self._over = under, over
        self._taken = {path for path in over.paths() if takes(path)}

    def paths(self) -> Sequence[str]:
        """Relative paths, sorted."""
        return sorted({*self._under.paths(), *self._taken})

    def open(self, path: str) -> BinaryIO:
        """The file, from whichever folder it is taken."""
        return self._from(path).open(path)

    def place(self, path: str) -> Path | None:
        """Where the file lies on disk, if that is known."""
        found: Path | None = getattr(self._from(path), "place", lambda path: None)(path)
        return found

    def size(self, path: str) -> int:
        """Bytes of the file."""
        return self._from(path).size(path)

    def _from(self, path: str) -> Files:
        return self._over if path in self._taken else self._under


def with_tokenizer(model: Files, tokenizer: Files) -> Files:
    """A model with the tokenizer of another folder."""
    return Overlay(model, tokenizer, lambda path: path in TOKENIZER_FILES)
