"""Files that the user names as input: word lists, metrics, texts, digests."""

from __future__ import annotations

from pathlib import Path

from registry.errors import FolderNotFound, Invalid, reason
from registry.util.regular_file import read_input


def input_bytes(path: Path, description: str) -> bytes:
    """Return the content of the file. Raises FolderNotFound if it cannot be read."""
    try:
        return read_input(path)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise FolderNotFound(f"cannot read the {description} {str(path)!r}: {why}") from None


def input_text(path: Path, description: str) -> str:
    """Return the text of the file without a byte order mark.

    Raises FolderNotFound if it cannot be read, Invalid if it is not UTF-8.
    """
    try:
        return input_bytes(path, description).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(
            f"the {description} {str(path)!r} is not UTF-8 (byte {error.start})"
        ) from None
