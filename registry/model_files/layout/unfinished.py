"""Interrupted downloads, recognized by the files that download tools leave."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from registry.core.facts import Files
from registry.errors import NotLoadable

_PARTIAL = (".incomplete", ".part", ".crdownload", ".download", ".partial")
_CONTROL = ".aria2"
"""Ending of the control file of aria2c; the incomplete file may have its full size."""
_HUB_PARTS = ".cache/huggingface/download"
_HINT = "finish the download, or download the model again"


def refuse_unfinished(files: Files, paths: Iterable[str]) -> None:
    """Raise NotLoadable for a file that aria2c has not finished."""
    present = set(files.paths())
    for path in sorted(paths):
        if path + _CONTROL in present:
            raise NotLoadable(
                f"the download of {path!r} is not finished (found {path + _CONTROL!r})", hint=_HINT
            )


def unfinished_error(files: Files, error: Exception) -> NotLoadable | None:
    """Return the error for a model that lacks a file, if a download was interrupted."""
    partial = [path for path in files.paths() if path.endswith((*_PARTIAL, _CONTROL))]
    folder = getattr(files, "path", None)
    if not partial and isinstance(folder, Path):
        partial = [
            path.relative_to(folder).as_posix()
            for path in folder.glob(f"{_HUB_PARTS}/*.incomplete")
        ]
    if not partial:
        return None
    return NotLoadable(
        f"the download of the model is not finished: found {min(partial)!r} ({error})", hint=_HINT
    )
