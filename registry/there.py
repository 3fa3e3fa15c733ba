"""There: what lies at a path that a file named; at one that this machine cannot look at, or cannot have, is nothing."""

from __future__ import annotations

from pathlib import Path


def is_folder(path: Path) -> bool:
    """Whether a folder lies there, links followed."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether a plain file lies there, links followed."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_anything(path: Path) -> bool:
    """Whether anything lies there, links followed."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
