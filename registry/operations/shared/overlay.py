"""A folder with some files replaced, added or left out, without changing it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from registry.core.facts import Files


class Overlay:
    """facts.Files: a folder in which some files have other content, or are left out.

    `replacements` has by path the new content, a file on disk that has it, or None for
    a file that is left out. Content is written to temporary files, because storing a
    file hashes it by its descriptor. They are removed with this object.
    """

    def __init__(self, files: Files, replacements: Mapping[str, bytes | Path | None]) -> None:
        self._files = files
        self._places: dict[str, Path] = {}
        contents: list[tuple[str, bytes]] = []
        for path, replacement in replacements.items():
            if isinstance(replacement, bytes):
                contents.append((path, replacement))
            elif replacement is not None:
                self._places[path] = replacement
        if contents:
            scratch = Path(tempfile.mkdtemp(prefix="registry-files-"))
            weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
            for number, (path, content) in enumerate(contents):
                self._places[path] = scratch / str(number)
                self._places[path].write_bytes(content)
        unchanged = (path for path in files.paths() if path not in replacements)
        self._paths = sorted({*unchanged, *self._places})

    def paths(self) -> Sequence[str]:
        """Return relative paths, sorted."""
        return self._paths

    def open(self, path: str) -> BinaryIO:
        """Open a file, with its new content if it has one."""
        replacement = self._places.get(path)
        return self._files.open(path) if replacement is None else replacement.open("rb")

    def place(self, path: str) -> Path | None:
        """Return the file on disk, if that is known."""
        locate: Callable[[str], Path | None] = getattr(self._files, "place", lambda path: None)
        return self._places.get(path) or locate(path)

    def size(self, path: str) -> int:
        """Return the size in bytes."""
        replacement = self._places.get(path)
        return self._files.size(path) if replacement is None else replacement.stat().st_size
