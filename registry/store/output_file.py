"""Output: a file that the user names, there whole afterwards or not at all.

A free name is taken, a file replaced, and a link followed, so that it stays and what it points to is replaced. Whatever else stands there,
a pipe, a device, a folder, is refused before any work is done, and so is `-`: what is sent on while it is made cannot be taken back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from registry.core.reference import path_of, refuse_address
from registry.errors import Invalid, StoreUnavailable, reason
from registry.util.durable import replacing
from registry.util.regular_file import kind_of


def output_place(given: str | os.PathLike[str], what: str, home: Path) -> Path:
    """Where a file of the user's will lie, links followed. what names it in messages: `the bundle`.

    Raises Invalid for what is no place for a file, or within the home; StoreUnavailable, FolderNotFound.
    """
    refuse_address(os.fspath(given), what)
    text, path = os.fspath(given), path_of(given)
    cannot = f"cannot write {what} {text!r}"
    if given == "-":
        raise Invalid(
            f"{cannot}: output is written atomically, so standard output is not supported",
            hint="give a file name (./- for a file of that name)",
        )
    place = Path(os.path.realpath(path))
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not place.parent.is_dir():
            raise Invalid(
                f"{cannot}: there is no folder {str(place.parent)!r}",
                hint="give a file in an existing folder",
            ) from None
        mode = None
    except OSError as error:
        raise StoreUnavailable(f"{cannot}: {reason(error)}") from error
    if text.endswith("/") or (mode is not None and not S_ISREG(mode)):
        kind = "a folder" if text.endswith("/") else kind_of(mode or 0)
        raise Invalid(f"{cannot}: it is {kind}", hint="give a file name")
    refuse_within(home, place, cannot, "file")
    return place


def refuse_within(home: Path, place: Path, cannot: str, kind: str) -> None:
    """Raise Invalid for a path inside the registry, links followed.

    `cannot` begins the message, e.g. `cannot write the bundle 'x'`; `kind` is `file` or
    `folder`, for the hint.
    """
    if Path(os.path.realpath(place)).is_relative_to(os.path.realpath(home)):
        raise Invalid(
            f"{cannot}: it is inside the registry, where only registry writes",
            hint=f"give a {kind} outside of the registry",
        )


@contextlib.contextmanager
def writing(place: Path, what: str) -> Iterator[BinaryIO]:
    """A stream; when the block ends without an error, the file has what was written, its name, and the rights of the one before.

    Raises StoreUnavailable for what the system refuses, in the block too.
    """
    try:
        with replacing(place) as out:
            yield out
    except OSError as error:
        raise StoreUnavailable(f"cannot write {what} {str(place)!r}: {reason(error)}") from error
