"""Stamps: what tells, without reading it, that a file is the one it was."""

from __future__ import annotations

import os

Stamp = tuple[int, int, int, int]
"""Size, time of the last write, time of the last change of any kind (both in nanoseconds), inode."""


def stamp_of(found: os.stat_result) -> Stamp:
    """The stamp of a file, from what stat says of it."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
