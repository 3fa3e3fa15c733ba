"""Disk space for the file `-shm` of a catalog, which SQLite maps into memory.

SQLite extends this file by writing one byte of each 4096. Where the blocks of the file
system are smaller than a page of memory, the other blocks of a page are allocated when
the page is first written, and on a full disk the system then ends the process with
SIGBUS. So the whole file is allocated before SQLite maps it.

The protocol is SQLite's own (`unixLockSharedMemory` in os_unix.c): who can lock the
byte _IN_USE alone is the first and empties the file, which may be from before a power
cut; then all hold that byte shared. The lock is one of an open file description, which
SQLite's locks of the same process respect. Its descriptor stays open, because closing
any descriptor of a file frees the locks that SQLite holds on it in this process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import sys
import threading
from pathlib import Path

_REGION, _FRAMES = 1 << 15, 4096
"""Bytes of one part of the file, and the frames of the log that it describes."""
_FRAME = 4096 + 24
_IN_USE = 128
"""SQLite's UNIX_SHM_DMS."""
_guard = threading.Lock()
_descriptors: dict[tuple[int, int], int] = {}


def allocate(database: Path) -> None:
    """Allocate the file `-shm` of a database if SQLite left holes. Raises OSError."""
    if not sys.platform.startswith("linux") or not os.access(database.parent, os.W_OK):
        return
    if os.statvfs(database.parent).f_frsize >= mmap.PAGESIZE or not os.access(database, os.W_OK):
        return
    with _guard:
        _close_removed()
        descriptor = _open(Path(f"{database}-shm"), database)
        if _lock(descriptor, fcntl.F_WRLCK, fcntl.F_OFD_SETLK):
            os.ftruncate(descriptor, 0)
            os.posix_fallocate(descriptor, 0, _size(database))
            _lock(descriptor, fcntl.F_RDLCK, fcntl.F_OFD_SETLK)
        else:
            _lock(descriptor, fcntl.F_RDLCK, fcntl.F_OFD_SETLKW)
            os.posix_fallocate(descriptor, 0, _size(database))


def _size(database: Path) -> int:
    try:
        frames = Path(f"{database}-wal").stat().st_size // _FRAME
    except FileNotFoundError:
        frames = 0
    return _REGION * (1 + frames // _FRAMES)


def _open(path: Path, database: Path) -> int:
    try:
        key = _key(path.stat())
        if key in _descriptors:
            return _descriptors[key]
    except FileNotFoundError:
        pass
    mode = database.stat().st_mode & 0o777
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, mode)
    _descriptors[_key(os.fstat(descriptor))] = descriptor
    return descriptor


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _close_removed() -> None:
    for key, descriptor in list(_descriptors.items()):
        if os.fstat(descriptor).st_nlink == 0:
            os.close(_descriptors.pop(key))


def _lock(descriptor: int, kind: int, command: int) -> bool:
    """Return whether the lock was granted."""
    lock = struct.pack("hhqqi4x", kind, os.SEEK_SET, _IN_USE, 1, 0)
    try:
        fcntl.fcntl(descriptor, command, lock)
    except (BlockingIOError, PermissionError):
        return False
    return True
