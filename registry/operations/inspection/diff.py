"""diff: what differs between two models as they would be loaded, and whether stored vectors can be kept; if asked, how far texts move."""

from __future__ import annotations

import os
from pathlib import Path

from registry.core.point_in_time import When
from registry.core.progress import Progress
from registry.home.home import Home
from registry.operations.shared.resolve import Operand, reading_files
from registry.results.diff import Difference
from registry.store.output_file import output_place, writing

from .diff_operands import Given, digest, given
from .text_input import Texts


def diff(
    home: Home,
    before: Operand,
    after: Operand,
    *,
    encodings: bool,
    texts: Texts | None,
    html: str | os.PathLike[str] | None,
    at: When | None,
    progress: Progress,
) -> Difference:
    """All that differs between two versions or folders; with encodings, texts or html also how far texts moved, by encoding them.

    With at, references mean what they meant then.

    Raises what resolving and reading them raises, Invalid for texts that cannot be encoded and for what is no place for a page,
    StoreUnavailable for a page that cannot be written.
    """
    place = output_place(html, "the page", home.root) if html is not None else None
    one, other = given(home, before, at), given(home, after, at)
    if not encodings and texts is None and html is None:
        return _compare(home, one, other, progress)
    from .diff_encodings import given_texts, with_encodings

    chosen = given_texts(one, texts) if texts is not None else None
    found = with_encodings(home, one, other, _compare(home, one, other, progress), chosen, progress)
    if place is not None:
        _write_page(found, place)
    return found


def _compare(home: Home, one: Given, other: Given, progress: Progress) -> Difference:
    from registry.model_files.diff import compare
    from registry.operations.shared.tokenizer_decision import are_equivalent

    contents = (one.contents, other.contents)
    if (
        one.version is None or other.version is None
    ):  # of a folder the large files are not hashed: their tensors are compared
        shared = [
            {path: value for path, value in side.items() if not path.endswith(".safetensors")}
            for side in contents
        ]
        contents = (shared[0], shared[1])
    with reading_files(home, one.version, other.version):
        return compare(
            one.side,
            other.side,
            contents=contents,
            metrics=(one.metrics, other.metrics),
            digests=(digest(one), digest(other)),
            progress=lambda done, whole: progress("comparing", done, whole),
            are_equivalent=are_equivalent,
        )


def _write_page(found: Difference, path: Path) -> None:
    from registry.html_report import page

    with writing(path, "the page") as out:
        out.write(page(found).encode("utf-8", "replace"))
