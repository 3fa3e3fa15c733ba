"""Prove from change times that a folder was in place, unchanged, when other files were
written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_IGNORED = {".registry", ".cache"}
"""Folders at the top of a model that no loader reads."""
_ONE_CLOCK = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay"}
"""File systems whose times come from the clock of this kernel."""


def unproved(folder: Path, written: Sequence[Path]) -> str | None:
    """Return why `folder` may have been changed or replaced since `written` was
    written.

    None is returned only if the order is proved. A modification time proves nothing,
    since `mv`, `cp -a`, `rsync -a` and `tar x` keep it. The kernel sets the change time
    of a file, and of a folder that is renamed, to the present, and no program can set
    it back. The earlier of both times counts for `written`, so a copy of these files
    that keeps their modification times counts as old as the original.
    """
    try:
        stats = [path.stat() for path in written]
        since = min(min(status.st_mtime_ns, status.st_ctime_ns) for status in stats)
        adapter = written[0].parent
        reason = _changed(folder, adapter, since) or _other_clock(folder, adapter)
        if reason is not None:
            return reason
        anchor = os.path.realpath(adapter)
        for path in _real_folders(folder, adapter):
            moved = next((part for part in _below(path, anchor) if _renamed(part, since)), None)
            if moved is not None:
                return f"the folder {str(moved)!r} was changed or moved there"
    except OSError as error:
        return f"{error.filename!r} cannot be read"
    return None


def _changed(folder: Path, without: Path, since: int) -> str | None:
    for path in _entries(folder, without):
        link, status = path.lstat(), path.stat()
        if max(link.st_ctime_ns, status.st_ctime_ns) > since:
            return f"{path.name!r} was changed or moved there"
        if not path.is_dir() and status.st_nlink > 1:
            return f"{path.name!r} has {status.st_nlink} hard links"
        if path.is_symlink() and path.is_dir():
            return f"{path.name!r} is a link to a folder"
    return None


def _other_clock(folder: Path, adapter: Path) -> str | None:
    """Return a reason if the folders may have times of different clocks, as on NFS."""
    if folder.stat().st_dev == adapter.stat().st_dev:
        return None
    types = {_file_system(path) for path in (folder, adapter)}
    if types <= _ONE_CLOCK:
        return None
    return f"it is on another file system ({', '.join(sorted(map(str, types)))})"


def _file_system(path: Path) -> str | None:
    """Return the type of a path's file system; None if the system has no list."""
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    mounts = {Path(line.split()[1]): line.split()[2] for line in lines}
    real = Path(os.path.realpath(path))
    return next((mounts[part] for part in (real, *real.parents) if part in mounts), None)


def _entries(folder: Path, without: Path) -> Iterator[Path]:
    """Yield the folder, the links in its path, and its contents, without ignored
    folders and `without`.
    """
    yield folder
    yield from (parent for parent in folder.parents if parent.is_symlink())
    for root, folders, files in os.walk(folder):
        ignored = _IGNORED if Path(root) == folder else set()
        folders[:] = [
            name for name in folders if name not in ignored and Path(root, name) != without
        ]
        yield from (Path(root) / name for name in (*folders, *files))


def _real_folders(folder: Path, without: Path) -> set[Path]:
    """Return the real folders of the model: its own, and those its links lead to."""
    targets = {Path(os.path.realpath(folder))}
    for path in _entries(folder, without):
        if path.is_symlink() and path.is_file():
            targets.add(Path(os.path.realpath(path)).parent)
    return targets


def _below(folder: Path, anchor: str) -> Iterator[Path]:
    """Yield the folder and those above it, up to the first that contains `anchor` too.

    A folder that contains both was moved with both.
    """
    common = Path(os.path.commonpath([folder, anchor]))
    yield from (part for part in (folder, *folder.parents) if common in part.parents)


def _renamed(folder: Path, since: int) -> bool:
    """Return whether the folder may have been renamed after `since`.

    A rename changes the folder's change time alone; a new entry changes both of its
    times and can hide an earlier rename, which the folder above then shows.
    """
    status = folder.stat()
    if status.st_ctime_ns <= since:
        return False
    return status.st_ctime_ns != status.st_mtime_ns or folder.parent.stat().st_mtime_ns > since
