"""Files and folders that get their name when they are complete, and removal of
abandoned ones.

Where the system has unnamed files (O_TMPFILE), a killed process leaves nothing.
Elsewhere, and for folders, the temporary name is `<prefix><16 hex digits>` and is
locked while it is used, so that the next writer recognises and removes what a killed
process left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_IMODE, S_ISDIR
from typing import BinaryIO

PREFIX = ".registry-"
"""Begins the temporary names in folders that may belong to the user."""
_DESCRIPTORS = Path("/proc/self/fd")
_UNNAMED_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOSYS)


def is_temporary(name: str, prefix: str = PREFIX) -> bool:
    """Return whether a name has the form of the temporary names of this module."""
    return re.fullmatch(rf"{re.escape(prefix)}[0-9a-f]{{16}}", name, re.ASCII) is not None


@contextlib.contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path`, synced, when the block ends without an
    error.

    Its permissions are `mode`, else those of the file that it replaces, else 0666 less
    the umask.
    """
    remove_abandoned(path.parent)
    temporary: Path | None = None
    descriptor = _open_unnamed(path.parent, 0o666)
    if descriptor is None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        temporary, descriptor = _make_locked(
            path.parent, PREFIX, lambda name: os.open(name, flags, 0o666)
        )
    try:
        with os.fdopen(descriptor, "w+b") as out:
            yield out
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(descriptor, mode or S_IMODE(path.stat().st_mode))
            out.flush()
            os.fsync(descriptor)
            if temporary is None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                temporary = path.parent / f"{PREFIX}{secrets.token_hex(8)}"
                _name_file(descriptor, temporary)
            temporary.replace(path)
        sync_folder(path.parent)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(parent: Path, prefix: str = PREFIX, mode: int = 0o777) -> Iterator[Path]:
    """Make an empty folder, and remove it when the block ends if it was not renamed."""
    remove_abandoned(parent, prefix)

    def make(folder: Path) -> int:
        folder.mkdir(mode)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    folder, descriptor = _make_locked(parent, prefix, make)
    try:
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(folder: Path, prefix: str = PREFIX) -> None:
    """Remove temporary files and folders that no process uses any more."""
    try:
        names = [name for name in os.listdir(folder) if is_temporary(name, prefix)]  # noqa: PTH208
    except OSError:
        return
    for path in (folder / name for name in names):
        with contextlib.suppress(OSError):
            descriptor = os.open(
                path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if S_ISDIR(os.fstat(descriptor).st_mode):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def reserved(folder: Path, size: int) -> Iterator[None]:
    """Hold so many bytes of the file system of a folder. Raises OSError if they do not
    fit.
    """
    descriptor = _open_unnamed(folder, 0o600)
    if descriptor is None:
        path = folder / f"{PREFIX}{secrets.token_hex(8)}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        path.unlink()
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        yield
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync folders
            raise
    finally:
        os.close(descriptor)


def _open_unnamed(folder: Path, mode: int) -> int | None:
    """Return a descriptor of a file without a name; None where the system has none."""
    if not hasattr(os, "O_TMPFILE") or not _DESCRIPTORS.is_dir():
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno in _UNNAMED_UNSUPPORTED and folder.is_dir():
            return None
        raise


def _name_file(descriptor: int, path: Path) -> None:
    # linkat follows the link in /proc only when it is called with a folder
    folder = os.open(_DESCRIPTORS, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(str(descriptor), path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _make_locked(parent: Path, prefix: str, make: Callable[[Path], int]) -> tuple[Path, int]:
    """Make a file or folder, and lock it before another process can take it for
    abandoned.
    """
    while True:
        path = parent / f"{prefix}{secrets.token_hex(8)}"
        try:
            descriptor = make(path)
        except FileNotFoundError:
            if not parent.is_dir():
                raise
            continue
        with contextlib.suppress(OSError):  # a file system without locks: nobody removes it either
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return path, descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)
