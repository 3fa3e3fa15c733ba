"""Models in subfolders: checkpoints of a training, adapters of PEFT, collections."""

from __future__ import annotations

import re
from collections.abc import Sequence

from registry.core.facts import Files
from registry.core.filenames import ADAPTER_CONFIG
from registry.core.text import shell_word
from registry.errors import NotLoadable

from .file_list import join
from .modules import MODULES

SHOWN = 20
"""Folders that a message names."""
_MARKS = (MODULES, "config.json", ADAPTER_CONFIG)
_FILES_SHOWN = 5


def nested_models(paths: set[str]) -> list[str]:
    """Return the folders below the root that are models, in natural order.

    The modules of a model are part of it; the outermost folder counts.
    """
    folders = {path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] in _MARKS}
    folders.discard("")
    models = [
        folder
        for folder in folders
        if not any(folder.startswith(f"{parent}/") for parent in folders)
        and (join(folder, MODULES) in paths or not folder.rpartition("/")[2][:1].isdigit())
    ]
    return sorted(models, key=_natural)


def add_command(files: Files, folders: Sequence[str]) -> str:
    """Return the command that adds models in subfolders of a folder on disk."""
    paths = set(files.paths())
    root = str(getattr(files, "path", None) or ".")
    words = [shell_word(f"{root}/{folder}") for folder in folders]
    by_peft = all(
        join(folder, ADAPTER_CONFIG) in paths and join(folder, MODULES) not in paths
        for folder in folders
    )
    name = "--as NAME" if len(folders) == 1 else "--prefix NAME/"
    return f"registry add {' '.join(words)} {name}{' --fix' if by_peft else ''}"


def no_model(files: Files) -> NotLoadable:
    """Return the error for a folder that is not a model, with the models below it."""
    paths = set(files.paths())
    repository, path = getattr(files, "repository", None), getattr(files, "path", None)
    where = repository or ("this folder" if path is None else repr(str(path)))
    missing = f"found no {MODULES}, config.json or {ADAPTER_CONFIG}"
    folders = nested_models(paths)
    if not folders:
        names = ", ".join(sorted(paths)[:_FILES_SHOWN])
        more = ", …" if len(paths) > _FILES_SHOWN else ""
        return NotLoadable(
            f"no model at the root of {where}: {missing} (it contains {names or 'nothing'}{more})"
        )
    message = f"no model at the root of {where}: {missing}, but {described(folders)}"
    if repository is not None or path is None:
        return NotLoadable(message, hint="download the one that you need and add it as a folder")
    if len(folders) == 1:
        return NotLoadable(message, hint=add_command(files, folders))
    each = " or ".join(add_command(files, [folder]) for folder in folders[:SHOWN])
    return NotLoadable(message, hint=f"{each}; all of them: {add_command(files, folders[:SHOWN])}")


def described(folders: Sequence[str]) -> str:
    """Return a phrase that names models in subfolders."""
    more = f" and {len(folders) - SHOWN} more" if len(folders) > SHOWN else ""
    if len(folders) == 1:
        return f"a model in {folders[0]!r}"
    return f"{len(folders)} models in {', '.join(map(repr, folders[:SHOWN]))}{more}"


def _natural(text: str) -> list[tuple[int, str]]:
    """Return a sort key that orders checkpoint-9 before checkpoint-100."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]
