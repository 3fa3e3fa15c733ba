"""There: what lies at a path that a file named, and a file opened without waiting for whoever would write into a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EFBIG, ENXIO
from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISREG, S_ISSOCK
from typing import BinaryIO

_KINDS = (
    (S_ISDIR, "a folder"),
    (S_ISFIFO, "a pipe"),
    (S_ISSOCK, "a socket"),
    (S_ISCHR, "a device"),
    (S_ISBLK, "a device"),
)

INPUT_LIMIT = 64 << 20
"""Largest size of a file that the user names as input (words, metrics, texts)."""
_DESCRIPTOR_FOLDERS = (Path("/dev/fd"), Path("/proc/self/fd"))


class NoFile(OSError):
    """What lies there is a folder, a pipe, a socket or a device."""


def open_file(path: str | os.PathLike[str], flags: int = 0) -> int:
    """A descriptor to read the plain file that lies there, links followed. Raises OSError; NoFile at once for what is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | flags)
    except OSError as error:
        if error.errno == ENXIO:  # as of a socket, and of a device behind which nothing is
            raise _no_file(path, Path(path).stat().st_mode) from None
        raise
    mode = os.fstat(descriptor).st_mode
    if not S_ISREG(mode):
        os.close(descriptor)
        raise _no_file(path, mode)
    return descriptor


def stream_of(path: str | os.PathLike[str]) -> BinaryIO:
    """The same as a stream."""
    return os.fdopen(open_file(path), "rb")


def read_file(path: str | os.PathLike[str]) -> bytes:
    """All of it."""
    with stream_of(path) as stream:
        return stream.read()


def input_stream(path: str | os.PathLike[str]) -> BinaryIO:
    """Return a stream of a file that the user named. Raises OSError.

    A pipe or a terminal is read only if this process already holds it (`/dev/stdin`,
    `/dev/fd/3`): opening a named pipe would wait for a writer.
    """
    is_held = Path(path).parent in _DESCRIPTOR_FOLDERS or os.fspath(path) == "/dev/stdin"
    return Path(path).open("rb") if is_held else stream_of(path)


def read_input(path: str | os.PathLike[str], limit: int = INPUT_LIMIT) -> bytes:
    """Return the bytes of a file that the user named. Raises OSError."""
    with input_stream(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(EFBIG, f"larger than {limit >> 20} MiB", os.fspath(path))
    return content


def kind_of(mode: int) -> str:
    """What a thing of this mode is called: a folder, a pipe; a file for a plain one."""
    return next((said for is_kind, said in _KINDS if is_kind(mode)), "a file")


def _no_file(path: str | os.PathLike[str], mode: int) -> NoFile:
    return NoFile(ENXIO, f"it is {kind_of(mode)}, and no file", os.fspath(path))


def is_folder(path: Path) -> bool:
    """Whether a folder lies there, links followed."""
    return _whether(path.is_dir)


def is_file(path: Path) -> bool:
    """Whether a plain file lies there, links followed."""
    return _whether(path.is_file)


def is_anything(path: Path) -> bool:
    """Whether anything lies there, links followed."""
    return _whether(path.exists)


def _whether(ask: Callable[[], bool]) -> bool:
    """The answer; no for a path that nothing can have, or where this user may not look."""
    try:
        return ask()
    except (OSError, ValueError):
        return False
