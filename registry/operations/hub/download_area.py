"""Quarantine: files of a repository on their way in. They lie in staging, under names made here, until all of them are what they should be.

A file is fetched when it is first opened; one whose content the store has already is never fetched.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from registry.core.digest import Digest, digest_of
from registry.core.manifest import check_paths
from registry.errors import DigestMismatch, FolderNotFound, HubUnavailable, StoreUnavailable, reason
from registry.home.home import Home
from registry.home.location import make_private
from registry.hub import download
from registry.hub.download import Fetched, Wanted
from registry.hub.protocol import Remote, Tree, git_blob_of
from registry.operations.shared.examine import REWRITTEN_LIMIT, is_rewritten
from registry.store.lock import Lock
from registry.transfer import line_json as _line

from .repositories import as_registered
from .transfer_progress import Bytes

LEFT_OUT = (
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".h5",
    ".msgpack",
    ".ot",
    ".gguf",
    ".onnx",
    ".onnx_data",
    ".tflite",
    ".npz",
    ".npy",
    ".xml",
    ".mlmodel",
    ".zip",
    ".tar",
    ".gz",
)
"""Files that no version holds; of a large one only the beginning is fetched, to tell what it is."""
IGNORED = (".git", ".cache", ".registry")
"""Folders of a repository that hold no files of its model."""
HEAD = 4096
AT_ONCE = 4
"""Files that are fetched at the same time: of small ones most of the time is waiting."""
WAIT = 5.0
"""Seconds to wait for another pull of the same commit."""


@dataclass(frozen=True)
class Source:
    """A file of a version and where it comes from. Without a digest it is known afterwards only."""

    path: str
    """Where in the repository."""
    size: int
    digest: Digest | None
    plain: bool = False
    """Whether its form there may be another than the registered one."""
    git: str | None = None
    """The id of its git blob, where that is what the Hub says of it."""


class Quarantine:
    """facts.Files of one version in a repository at a commit."""

    code_is_decided = False
    """Whether the files include exactly the custom code that the model may run."""

    def __init__(
        self,
        home: Home,
        remote: Remote,
        repository: str,
        commit: str,
        files: Mapping[str, Source],
        bytes_: Bytes,
    ) -> None:
        check_paths(list(files))
        self._home, self._remote, self._repository, self._commit = home, remote, repository, commit
        self._files = dict(files)
        self._bytes = bytes_
        self._count = bytes_.of(repository, sum(source.size for source in files.values()))
        self._here: dict[str, Path] = {}
        self._whole: dict[str, Fetched] = {}
        """Of these files, those that were hashed while they were written here."""
        self._stored: dict[str, Digest] = {}
        """And those that lie in the store, whole."""
        self._guard = threading.Lock()
        self.fetched = 0
        """Bytes that came from the Hub."""
        self._folder = (
            home.root / "staging" / f"pull-{digest_of(f'{repository}@{commit}'.encode()).hex[:16]}"
        )

    @property
    def repository(self) -> str:
        """What a message calls it."""
        return f"hf://{self._repository}"

    def paths(self) -> Sequence[str]:
        """Relative paths, sorted."""
        return sorted(self._files)

    def size(self, path: str) -> int:
        """Bytes, as the manifest or the listing says; of a file that was brought into another form, what it has."""
        return self._here[path].stat().st_size if path in self._here else self._source(path).size

    def open(self, path: str) -> BinaryIO:
        """The file, fetched and compared with its digest. Raises DigestMismatch."""
        source = self._source(path)
        if (
            path not in self._here
            and source.digest is None
            and source.size > HEAD
            and path.endswith(LEFT_OUT)
        ):
            return io.BytesIO(self._head(source))
        return self.take(path).open("rb")

    def expect(self, paths: Sequence[str]) -> None:
        """Of all files only these will be fetched, so that progress has a true end."""
        size = sum(self._source(path).size for path in paths)
        self._bytes.total += size
        self._count = self._bytes.of(self._repository, size)

    def take(self, path: str) -> Path:
        """Where the file lies now. May be asked for several files at once."""
        if path not in self._here:
            self._here[path] = self._bring(path, self._source(path))
        return self._here[path]

    def place(self, path: str) -> Path | None:
        """Where the file is on disk, None if it was not fetched."""
        return self._here.get(path)

    def settle(self) -> None:
        """Let the disk write what was fetched, so that giving it to the store need not wait for that. Raises StoreUnavailable."""
        for whole in [*self._whole.values()]:
            try:
                with whole.place.open("rb") as stream:
                    os.fsync(stream.fileno())
            except OSError as error:
                raise self._full(error) from error

    def give(self, path: str) -> tuple[Digest, int] | None:
        """(digest, size) of a file that is in the store now, moved there and not read again; None for one that has to be read.

        All of a file that is moved was hashed by this process, as it wrote it or read back what an earlier try had written, in a folder that
        is this user's alone, under a lock that keeps other pulls out; then it was made read-only, and its stamp is still the one that it had.
        Raises StoreUnavailable if it is not.
        """
        if path in self._stored:
            return self._stored[path], self.size(path)
        whole = self._whole.pop(path, None)
        if whole is None:
            return None
        self._home.blobs.adopt(whole.place, whole.digest, whole.stamp)
        self._stored[path] = whole.digest
        self._here[path] = self._home.blobs.path(whole.digest) or whole.place
        return whole.digest, whole.stamp[0]

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Nobody else fetches the same meanwhile. What is fetched is taken away at the end, and left there for the next try if that fails."""
        make_private(self._folder.parent)
        lock = Lock(self._folder.with_suffix(".lock"))
        with lock.exclusive(timeout=WAIT):
            make_private(self._folder)
            yield
            shutil.rmtree(self._folder, ignore_errors=True)
            lock.path.unlink(missing_ok=True)

    def _bring(self, path: str, source: Source) -> Path:
        if (
            source.digest is not None
            and (stored := self._in_store(path, source.digest)) is not None
        ):
            self._count(source.size)
            return stored
        if source.plain and source.digest is not None and is_rewritten(path, source.size):
            return self._in_form(path, source, source.digest)
        wanted = Wanted(self._repository, self._commit, source.path, source.size, source.digest)
        whole = download.fetch(self._remote, wanted, self._folder, progress=self._count)
        self._add_fetched(source.size)
        if source.git is not None and _git_blob(whole.place) != source.git:
            whole.place.unlink()
            raise DigestMismatch(
                f"{path!r} of hf://{self._repository}@{self._commit[:12]} is not what the Hub "
                f"lists ({source.git})",
                hint="run the command again to fetch the file again",
            )
        self._whole[path] = whole
        return whole.place

    def _in_store(self, path: str, digest: Digest) -> Path | None:
        """Where the store has these bytes already, if they are whole; collect frees nothing meanwhile, since who pulls holds its lock."""
        place = self._home.blobs.path(digest)
        if place is None or not self._home.blobs.keep(digest):
            return None
        self._stored[path] = digest
        return place

    def _add_fetched(self, size: int) -> None:
        with self._guard:
            self.fetched += size

    def _in_form(self, path: str, source: Source, digest: Digest) -> Path:
        """A configuration or card of a plain repository, which may hold a path of somebody's machine there, as it is registered."""
        content = download.read(
            self._remote, self._repository, self._commit, source.path, limit=REWRITTEN_LIMIT
        )
        self._count(source.size)
        self._add_fetched(len(content))
        found = next(
            (form for form in (content, as_registered(path, content)) if digest_of(form) == digest),
            None,
        )
        if found is None:
            raise DigestMismatch(
                f"{path!r} of hf://{self._repository}@{self._commit[:12]} has the digest "
                f"{digest_of(content)}, expected {digest}, nothing was registered"
            )
        place = self._folder / f"{digest.hex}.form"
        try:
            place.write_bytes(found)
        except OSError as error:
            raise self._full(error) from error
        return place

    def _full(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"cannot store files of hf://{self._repository} in {str(self._folder)!r}: "
            f"{reason(error)}",
            hint=f"free some space, then {HubUnavailable.AGAIN}",
        )

    def _head(self, source: Source) -> bytes:
        found = b""
        for _, block in self._remote.fetch(self._repository, self._commit, source.path, 0):
            found += block[: HEAD - len(found)]
            if len(found) >= HEAD:
                break
        return found

    def _source(self, path: str) -> Source:
        if path not in self._files:
            raise FolderNotFound(
                f"hf://{self._repository}@{self._commit[:12]} has no file {path!r}"
            )
        return self._files[path]


def sources(tree: Tree) -> Mapping[str, Source]:
    """Return the files of a repository that no registry made."""
    return {
        path: Source(
            path,
            file.size,
            Digest(f"sha256:{file.oid}") if file.lfs else None,
            git=None if file.lfs else file.oid,
        )
        for path, file in tree.files.items()
        if path.split("/")[0] not in IGNORED and not path.startswith(".git")
    }


def member_sources(member: _line.Member) -> Mapping[str, Source]:
    """Return the files of one version of a line."""
    return {
        file.path: Source(
            member.place_of(file.path), file.size, file.digest, plain=member.rendered is None
        )
        for file in member.manifest.files
    }


def take_all(
    quarantines: Sequence[Quarantine], bytes_: Bytes, paths: Sequence[str] | None = None
) -> None:
    """Fetch all files, or these, several at once, the largest first. What goes wrong first is raised, and the others stop at their next block."""
    failures: list[BaseException] = []

    def one(item: tuple[Quarantine, str]) -> None:
        try:
            if not failures:
                item[0].take(item[1])
        except BaseException as error:
            failures.append(error)
            bytes_.stop()

    wanted = [
        (quarantine, path)
        for quarantine in quarantines
        for path in (quarantine.paths() if paths is None else paths)
    ]
    with ThreadPoolExecutor(AT_ONCE, "fetch") as pool:
        try:
            list(pool.map(one, sorted(wanted, key=lambda item: -item[0].size(item[1]))))
        except BaseException:
            bytes_.stop()
            raise
    if failures:
        raise failures[0]


def _git_blob(place: Path) -> str:
    with place.open("rb") as stream:
        return git_blob_of(stream, place.stat().st_size)
