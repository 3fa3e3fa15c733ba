"""Small files of a repository at a commit, in memory, compared with its tree."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import BinaryIO

from registry.core.digest import digest_of
from registry.errors import DigestMismatch, FolderNotFound

from . import download
from .protocol import Remote, RemoteFile, Tree, git_blob


class RemoteFiles:
    """facts.Files of a repository at the commit of its tree."""

    def __init__(self, remote: Remote, tree: Tree) -> None:
        self.tree = tree
        self._remote = remote
        self._contents: dict[str, bytes] = {}

    def paths(self) -> Sequence[str]:
        """Return relative paths, sorted."""
        return sorted(self.tree.files)

    def size(self, path: str) -> int:
        """Return the size in bytes that the tree lists."""
        return self._file(path).size

    def open(self, path: str) -> BinaryIO:
        """Open a file. Raises DigestMismatch unless its bytes are those of the tree."""
        if path not in self._contents:
            self._contents[path] = self._read(self._file(path))
        return io.BytesIO(self._contents[path])

    def _read(self, file: RemoteFile) -> bytes:
        repository, commit = self.tree.repository, self.tree.commit
        content = download.read(self._remote, repository, commit, file.path, limit=file.size)
        actual = digest_of(content).hex if file.lfs else git_blob(content)
        if actual != file.oid:
            raise DigestMismatch(
                f"{file.path!r} of hf://{repository}@{commit[:12]} is not what the Hub lists "
                f"({file.oid})",
                hint="run the command again to fetch the file again",
            )
        return content

    def _file(self, path: str) -> RemoteFile:
        if path not in self.tree.files:
            raise FolderNotFound(
                f"hf://{self.tree.repository}@{self.tree.commit[:12]} has no file {path!r}"
            )
        return self.tree.files[path]
