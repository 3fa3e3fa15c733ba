"""Files of a manifest, read from blobs as if they lay in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from registry.core.manifest import File, Manifest
from registry.errors import BlobNotFound

from .blobs import Blobs


class StoredFiles:
    """facts.Files over the blobs of one manifest. Content is trusted to have the name's digest; Blobs.read checks."""

    code_is_decided = True
    """Whether custom code is kept was decided when the version was registered."""

    def __init__(self, manifest: Manifest, blobs: Blobs) -> None:
        self._files = {file.path: file for file in manifest.files}
        self._blobs = blobs

    def paths(self) -> Sequence[str]:
        """Relative paths, sorted."""
        return sorted(self._files)

    def open(self, path: str) -> BinaryIO:
        """The blob of the file. Raises BlobNotFound."""
        return self._blobs.open(self._file(path).digest)

    def place(self, path: str) -> Path | None:
        """Where the blob of the file lies on disk; None where the back end has no such place."""
        return self._blobs.path(self._file(path).digest)

    def size(self, path: str) -> int:
        """Bytes of the file, as the manifest says."""
        return self._file(path).size

    def _file(self, path: str) -> File:
        if path not in self._files:
            raise BlobNotFound(
                f"the version has no file {path!r} (its files: {', '.join(sorted(self._files))})"
            )
        return self._files[path]
