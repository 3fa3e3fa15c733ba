"""diff: what differs between two models as they would be loaded, and whether stored vectors can be kept; if asked, how far texts move."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ..differences import Difference
from ..errors import StoreUnavailable, reason
from ..home import Home
from ..moment import When
from ..progress import Progress
from .sides import Given, Operand, digest, given
from .texts import Texts


def diff(home: Home, before: Operand, after: Operand, *, encodings: bool, texts: Texts | None, html: str | os.PathLike[str] | None,
         at: When | None, progress: Progress) -> Difference:
    """All that differs between two versions or folders; with encodings, texts or html also how far texts moved, by encoding them.

    With at, references mean what they meant then.

    Raises what resolving and reading them raises, Invalid for texts that cannot be encoded, StoreUnavailable for a page that
    cannot be written.
    """
    one, other = given(home, before, at), given(home, after, at)
    if not encodings and texts is None and html is None:
        return _compare(one, other, progress)
    from .encodings import check, encodings as measured
    check(one, texts, html)
    found = _compare(one, other, progress)
    found = replace(found, encodings=measured(home, one, other, found, texts, progress))
    if html is not None:
        _write_page(found, Path(html))
    return found


def _compare(one: Given, other: Given, progress: Progress) -> Difference:
    from ..artifacts.difference import compare
    contents = (one.contents, other.contents)
    if one.version is None or other.version is None:  # of a folder the large files are not hashed: their tensors are compared
        shared = [{path: value for path, value in side.items() if not path.endswith(".safetensors")} for side in contents]
        contents = (shared[0], shared[1])
    return compare(one.side, other.side, contents=contents, metrics=(one.metrics, other.metrics), digests=(digest(one), digest(other)),
                   progress=lambda done, whole: progress("comparing", done, whole))


def _write_page(found: Difference, path: Path) -> None:
    from ..page import page
    try:
        path.write_text(page(found), encoding="utf-8", errors="replace")
    except OSError as error:
        raise StoreUnavailable(f"cannot write the page {str(path)!r}: {reason(error)}") from error
