"""A back end on a local disk.

    ROOT/blobs/sha256/ab/<64 hex>   ROOT/journal/<20 digits>.json   ROOT/staging/<random>

Bytes are staged on the same file system, synced, and given their name by link, which fails if the name exists. Then the
folder is synced. Files are 0444 and folders 0700, whatever the umask. What lies under a file's name and is none, a pipe, a socket, a
device or a folder, is damage, and nobody waits at it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO, Self

from registry.errors import BlobNotFound, Corrupt, RegistryError, StoreUnavailable, reason
from registry.util.durable import sync_folder, temporary_folder
from registry.util.fingerprint import Stamp, stamp_of
from registry.util.regular_file import NoFile, is_file, open_file, stream_of

from .backend import Stat

_AHEAD = 8 << 20
"""Bytes that are written before the disk is told to begin with them."""
_AT_ONCE, _SMALL = 1 << 30, 1 << 16
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class LocalBackend:
    """Bytes below a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def stage(self) -> _Staged:
        """A new file in staging. Raises StoreUnavailable."""
        with _translated(self.root / "staging"):
            _make_folder(self.root / "staging", self.root)
            return _Staged(self.root)

    def adopt(self, file: Path, name: str, stamp: Stamp) -> None:
        """Sync the file where it lies, make it read-only, rename it, sync the folder; a file of another disk is refused."""
        target = self.root / name
        with _translated(target):
            descriptor = open_file(file, os.O_NOFOLLOW)
            try:
                found = os.fstat(descriptor)
                if stamp_of(found) != stamp or found.st_nlink != 1:
                    raise StoreUnavailable(
                        f"{str(file)!r} was changed after it was inspected",
                        hint="run the command again when no other process writes to it",
                    )
                os.fchmod(descriptor, 0o444)
                os.fsync(descriptor)
                _make_folder(target.parent, self.root)
                file.replace(target)
            finally:
                os.close(descriptor)
            sync_folder(target.parent)

    def open(self, name: str) -> BinaryIO:
        """The file. Raises BlobNotFound, Corrupt."""
        path = f"{self.root}/{name}"
        try:
            return stream_of(path)
        except OSError as error:
            raise _unread(path, name, error) from error

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Some of the file. Raises BlobNotFound, Corrupt."""
        path = f"{self.root}/{name}"
        try:
            # a stream costs more than the read of a small file, and a catalog is made from hundreds of thousands
            descriptor = open_file(path)
            try:
                found = _read(descriptor, offset, length)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unread(path, name, error) from error
        return found

    def stat(self, name: str) -> Stat | None:
        """Size and time of the file; None if it is not there."""
        try:
            found = (self.root / name).stat()
        except FileNotFoundError:
            return None
        return Stat(found.st_size, found.st_mtime_ns)

    def list(self, prefix: str) -> Iterator[str]:
        """All files below the prefix."""
        for folder, _, files in os.walk(self.root / prefix):
            relative = os.path.relpath(folder, self.root)
            yield from (f"{relative}/{file}" for file in files)

    def scan(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        """The same with size and time."""
        for folder, _, files in os.walk(self.root / prefix):
            relative = os.path.relpath(folder, self.root)
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(f"{folder}/{file}")  # noqa: PTH116  # a path object costs more than the question
                    yield f"{relative}/{file}", Stat(found.st_size, found.st_mtime_ns)

    def remove(self, name: str) -> None:
        """Remove the file, if it is there."""
        with _translated(self.root / name), contextlib.suppress(FileNotFoundError):
            (self.root / name).unlink()

    def touch(self, name: str) -> None:
        """Set the file's time to now. Raises BlobNotFound."""
        try:
            with _translated(self.root / name):
                os.utime(self.root / name)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise BlobNotFound(f"the store lacks {name}") from None
            raise

    def sync(self, prefix: str) -> None:
        """Sync the folder, so that what another process linked there survives a power cut."""
        if (self.root / prefix).is_dir() and os.access(self.root / prefix, os.W_OK):
            with _translated(self.root / prefix):
                sync_folder(self.root / prefix)

    def local_path(self, name: str) -> Path | None:
        """The file's path; None for a pipe or a folder in its place, at which a library would wait or stumble."""
        path = self.root / name
        return path if is_file(path) else None


class _Staged:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / "staging" / secrets.token_hex(16)
        self._descriptor = os.open(
            self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        self._written = self._begun = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with contextlib.suppress(OSError):
            self._path.unlink()

    def write(self, block: bytes) -> None:
        """Append to the file."""
        with _translated(self._path):
            view = memoryview(block)
            while view:
                done = os.write(self._descriptor, view)
                view = view[done:]
                self._written += done
            if self._written - self._begun >= _AHEAD:
                _begin_writing(self._descriptor, self._begun, self._written - self._begun)
                self._begun = self._written

    def publish(self, name: str, *, replace: bool = False) -> bool:
        """Sync, check the length, make read-only, link to the name, sync the folder."""
        target = self._root / name
        with _translated(target):
            os.fchmod(self._descriptor, 0o444)
            os.fsync(self._descriptor)
            if os.fstat(self._descriptor).st_size != self._written:
                raise StoreUnavailable(
                    f"{str(self._path)!r} does not have the length that was written (the disk may "
                    "be failing)"
                )
            _make_folder(target.parent, self._root)
            if replace:
                self._path.replace(target)
            elif not _put_if_absent(self._path, target):
                return False
            sync_folder(target.parent)
        return True


def _read(descriptor: int, offset: int, length: int | None) -> bytes:
    """As many bytes as that, or up to the end."""
    if offset:
        os.lseek(descriptor, offset, os.SEEK_SET)
    found = os.read(descriptor, _SMALL if length is None else min(length, _SMALL))
    if len(found) < _SMALL:
        return found  # of a file on a disk less is read only at its end
    left = (
        length if length is not None else max(os.fstat(descriptor).st_size - offset, 0) + 1
    ) - len(found)
    blocks = [found]
    while left > 0 and (block := os.read(descriptor, min(left, _AT_ONCE))):
        blocks.append(block)
        left = left - len(block) if length is not None else max(left - len(block), _SMALL)
    return b"".join(blocks)


def try_place(root: Path) -> None:
    """Try what a home needs: put-if-absent, locks, syncing. Raises StoreUnavailable naming what does not hold there."""
    try:
        with temporary_folder(root, ".try-", 0o700) as folder:
            _try_folder(root, folder)
        sync_folder(root)
    except OSError as error:
        raise StoreUnavailable(f"{str(root)!r} cannot hold a registry: {reason(error)}") from error


def _try_folder(root: Path, folder: Path) -> None:
    one, two, taken = (folder / name for name in ("one", "two", "taken"))
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    if not _put_if_absent(one, taken) or _put_if_absent(two, taken) or taken.read_bytes() != b"1":
        raise StoreUnavailable(
            f"{str(root)!r} cannot hold a registry: a name there can be taken twice"
        )
    with two.open("rb") as first, two.open("rb") as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise StoreUnavailable(f"{str(root)!r} cannot hold a registry: locks do not hold there")


def _put_if_absent(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _rename_if_absent(source, target)
    return True


def _rename_if_absent(source: Path, target: Path) -> bool:
    """For file systems without links: renameat2 with RENAME_NOREPLACE, by the C library."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    done = library.renameat2(-100, os.fsencode(source), -100, os.fsencode(target), 1)
    if done == 0:
        return True
    if ctypes.get_errno() == errno.EEXIST:
        return False
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _begin_writing(descriptor: int, offset: int, length: int) -> None:
    """Let the disk begin with what was written, while the rest is read and hashed. Only the sync of `publish` makes it durable, and
    only that tells of errors; where the system has no such call, that sync takes longer.
    """
    begin = _sync_file_range()
    if begin is not None:
        begin(descriptor, offset, length, 2)  # SYNC_FILE_RANGE_WRITE


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """Linux's call of that name; None elsewhere, and where Python was built without ctypes."""
    try:
        import ctypes

        found = ctypes.CDLL(None).sync_file_range
    except (ImportError, AttributeError, OSError):
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return lambda *words: int(found(*words))


def _make_folder(folder: Path, root: Path) -> None:
    """The folder and those between it and the root, each 0700 and durable."""
    if folder.is_dir():
        return
    if folder != root:
        _make_folder(folder.parent, root)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(0o700)
        sync_folder(folder.parent)


def _unread(path: str, name: str, error: OSError) -> RegistryError:
    if isinstance(error, FileNotFoundError):
        return BlobNotFound(f"the store lacks {name}")
    if isinstance(error, NoFile):
        return Corrupt(f"{path!r} cannot be read: {reason(error)}")
    return StoreUnavailable(f"cannot read {path!r}: {reason(error)}")


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"cannot write {str(path)!r}: {reason(error)}") from error
