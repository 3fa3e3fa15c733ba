"""A folder of the user's, read without trusting it: no link out of it, no pipe, nothing that waits.

Links are followed only into places that are named: the Hub's cache keeps its files as links to its blobs, and so do the
checkouts of this registry.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from registry.core.filenames import LEFT_BY_DESKTOPS
from registry.core.manifest import DEPTH_LIMIT, FILES_LIMIT
from registry.core.reference import version_hint
from registry.errors import FolderNotFound, UnsafeFile, reason
from registry.util.regular_file import NoFile, stream_of

IGNORED = (
    frozenset({".git", ".registry", ".cache", "__pycache__", ".ipynb_checkpoints"})
    | LEFT_BY_DESKTOPS
)
"""Names that are never content of a model."""
SPARSE_FACTOR, SPARSE_LEAST = 10, 1 << 30
"""A file of more than a gigabyte that says it is ten times what the disk holds of it is not read."""


class Folder:
    """facts.Files of a folder on disk."""

    def __init__(self, path: Path, *, links_into: Sequence[Path] = ()) -> None:
        self.path = path
        self._links_into = [Path(os.path.realpath(place)) for place in links_into]
        hub = _hub_repository(Path(os.path.abspath(path)))
        if hub is not None:
            self._links_into.append(Path(os.path.realpath(hub / "blobs")))
        self._sizes = self._look()

    def paths(self) -> Sequence[str]:
        """Relative paths, sorted."""
        return sorted(self._sizes)

    def size(self, path: str) -> int:
        """Bytes of the file when the folder was looked at."""
        if path not in self._sizes:
            raise FolderNotFound(f"{str(self.path)!r} has no file {path!r}")
        return self._sizes[path]

    def place(self, path: str) -> Path | None:
        """Where the file lies, links followed. Raises FolderNotFound, UnsafeFile."""
        self.open(path).close()
        return Path(os.path.realpath(self.path / path))

    def open(self, path: str) -> BinaryIO:
        """The file, if it is a plain one. Raises FolderNotFound, UnsafeFile."""
        self.size(path)
        place = self.path / path
        self._check_link(place, path)
        try:
            return stream_of(place)
        except NoFile:
            raise UnsafeFile(f"{str(place)!r} is not a plain file") from None
        except OSError as error:
            raise FolderNotFound(f"cannot read {str(place)!r}: {reason(error)}") from None

    def _look(self) -> dict[str, int]:
        if not os.path.lexists(self.path):
            hint = version_hint(str(self.path)).removeprefix("; ")
            raise FolderNotFound(f"folder not found: {str(self.path)!r}", hint=hint or None)
        if not self.path.is_dir():
            raise FolderNotFound(
                f"{str(self.path)!r} is a file, not a folder",
                hint="give the folder that contains the model",
            )
        sizes: dict[str, int] = {}
        for path, entry in self._walk(self.path, ""):
            if len(sizes) >= FILES_LIMIT:
                raise UnsafeFile(f"{str(self.path)!r} holds more than {FILES_LIMIT} files")
            sizes[path] = self._size_of(path, entry)
        if not sizes:
            raise FolderNotFound(f"the folder {str(self.path)!r} is empty")
        return sizes

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        if prefix.count("/") > DEPTH_LIMIT:
            return
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise FolderNotFound(
                f"cannot read the folder {str(folder)!r}: {reason(error)}"
            ) from None
        for entry in entries:
            if entry.name in IGNORED:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(folder / entry.name, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry

    def _size_of(self, path: str, entry: os.DirEntry[str]) -> int:
        self._check_link(Path(entry.path), path)
        found = entry.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFile(f"{entry.path!r} is not a plain file")
        if found.st_size > SPARSE_LEAST and found.st_size > SPARSE_FACTOR * found.st_blocks * 512:
            raise UnsafeFile(
                f"{entry.path!r} says it has {found.st_size} bytes, and the disk holds {found.st_blocks * 512} of them"
            )
        return found.st_size

    def _check_link(self, place: Path, path: str) -> None:
        """Refuse a link that leads elsewhere, wherever on the way from the folder to the file it stands."""
        parts = path.split("/")
        if not any(
            (self.path / "/".join(parts[:count])).is_symlink() for count in range(1, len(parts) + 1)
        ):
            return
        target = Path(os.path.realpath(place))
        if (
            not any(target.is_relative_to(allowed) for allowed in self._links_into)
            or not target.is_file()
        ):
            raise UnsafeFile(
                f"{str(place)!r} is a link to {str(target)!r} "
                "(links are followed only into the cache of the Hub and into checkouts)",
                hint="replace the link with the file itself",
            )


def _hub_repository(folder: Path) -> Path | None:
    """The repository of a Hub cache that the folder is a snapshot of, or lies in."""
    for place in (folder, *folder.parents):
        if place.name.startswith("models--") and (place / "snapshots").is_dir():
            return place
    return None
