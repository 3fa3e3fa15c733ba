"""Plans: what a push would send, remove and leave, told from what is here and what is there. Pure: nothing is asked or changed.

Also what must not be sent: text that names a place on the user's machine.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from registry.core.filenames import MODULES, OTHER_WEIGHTS, TOKENIZER_FILES, WEIGHTS

from .protocol import Refs, Tree, Upload

TEXT_LIMIT = 64 << 20
"""Bytes up to which a file is searched for places; larger ones are weights."""
_TAG = re.compile(r"v([1-9][0-9]{0,17})", re.ASCII)


@dataclass(frozen=True)
class Changes:
    """What differs between the files to be there and a commit."""

    send: tuple[Upload, ...]
    remove: tuple[str, ...]
    same: int
    """Files that are there already."""

    @property
    def size(self) -> int:
        """Bytes to send; what the remote's storage has already costs nothing in the end."""
        return sum(upload.size for upload in self.send)

    @property
    def nothing(self) -> bool:
        """Whether all is there."""
        return not self.send and not self.remove


@dataclass(frozen=True)
class Leak:
    """A place on this machine that stands in a file."""

    path: str
    line: int
    found: str


def changes(uploads: Sequence[Upload], tree: Tree, ours: Collection[str] = ()) -> Changes:
    """What to do so that the files of a commit are these. Of what is there besides, only `ours` is removed: files of an earlier push."""
    send = tuple(upload for upload in uploads if not upload.is_at(tree.files.get(upload.path)))
    paths = {upload.path for upload in uploads}
    remove = tuple(sorted(path for path in set(ours) - paths if path in tree.files))
    return Changes(send, remove, len(uploads) - len(send))


def tag_of(number: int) -> str:
    """The tag of a version."""
    return f"v{number}"


def numbers(refs: Refs) -> dict[int, str]:
    """Versions that a repository has tags for: commits by number."""
    return {
        int(found[1]): commit
        for name, commit in refs.tags.items()
        if (found := _TAG.fullmatch(name))
    }


def side_branch(number: int) -> str:
    """The branch on which an older version is put while main has a newer one; it goes away when the tag is there."""
    return f"registry-v{number}"


def touches_loaders(sent: Iterable[str]) -> bool:
    """Whether files of a full model that were changed are weights or tokens, on which adapters stand."""
    return any(
        path.endswith(WEIGHTS + OTHER_WEIGHTS) or path.rsplit("/", 1)[-1] in TOKENIZER_FILES
        for path in sent
        if not path.startswith(".registry/")
    )


def model_file(tree: Tree) -> str | None:
    """A file by which a repository is known to hold a model already, weights before all others."""
    found = [path for path in tree.files if path.endswith(WEIGHTS + OTHER_WEIGHTS)] + [
        path for path in tree.files if path == MODULES
    ]
    return found[0] if found else None


def leaks(uploads: Iterable[Upload], places: Iterable[str], user: str | None = None) -> list[Leak]:
    """Where a text file holds one of the places, or the user's name as a part of a path."""
    wanted = sorted(
        {place for place in places if len(place.strip("/\\")) > 1}, key=len, reverse=True
    )
    patterns = [re.escape(place) + r"(?![\w.-])" for place in wanted]
    parts = list(
        wanted
    )  # one of these is in whatever a pattern finds: looking for them first spares most files the slow search
    if user and len(user) > 1:
        parts += [f"/{user}", f"\\{user}"]
        patterns.append(
            rf"(?:/home|/Users|[A-Za-z]:\\+Users|/mnt|/data|/scratch)[/\\]+{re.escape(user)}(?![\w.-])"
        )
        patterns.append(rf"(?<![\w.:/])/(?:[\w.-]+/)+{re.escape(user)}/")
    if not patterns:
        return []
    pattern = re.compile("|".join(patterns))
    found = []
    for upload in uploads:
        if upload.size > TEXT_LIMIT or upload.path.endswith(WEIGHTS):
            continue
        try:
            text = upload.content().decode("utf-8").replace("\\/", "/")
        except UnicodeDecodeError:
            continue
        hit = pattern.search(text) if any(part in text for part in parts) else None
        if hit is not None:
            found.append(Leak(upload.path, text.count("\n", 0, hit.start()) + 1, hit[0]))
    return found
