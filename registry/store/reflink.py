"""Reflinks: two files that share their bytes until one of them is changed, where the file system can."""

from __future__ import annotations

import fcntl
from pathlib import Path

from registry.util.regular_file import stream_of

_FICLONE = 0x40049409


def reflink(source: int, target: int) -> bool:
    """Whether the file of one descriptor now shares the bytes of the other's; a negative source is none."""
    if source < 0:
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def reflinkable(blob: Path, folder: Path) -> bool:
    """Whether files in the folder can share the blob's bytes."""
    trial = folder / ".registry-reflink"
    with stream_of(blob) as source, trial.open("wb") as out:
        possible = reflink(source.fileno(), out.fileno())
    trial.unlink()
    return possible
