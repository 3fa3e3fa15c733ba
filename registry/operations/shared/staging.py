"""Staging: files laid out in a folder of their own for a moment, as a checkout would be, so that the libraries can load them.

Small files are copied, large ones are links to where they lie; nothing there is ever written through them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from registry.core.facts import Files
from registry.errors import RegistryError
from registry.home.home import Home
from registry.home.location import make_private

LARGE = 1 << 20
"""Bytes from which a file is linked instead of copied."""
PREFIXES = ("convert-", "fix-", "measure-", "merge-", "resize-", "save-")
_NAME = re.compile(
    rf"[0-9a-f]{{32}}|pull-[0-9a-f]{{16}}(\.lock)?|restore-[0-9a-f]{{16}}|repair|({'|'.join(PREFIXES)})[a-z0-9_]{{8}}",
    re.ASCII,
)


def is_ours(name: str) -> bool:
    """Whether a name in a home's staging is one that is made there: what is left of it collect takes away."""
    return _NAME.fullmatch(name) is not None


@contextlib.contextmanager
def staging(home: Home | None, prefix: str, *, copy_of: Path | str | None = None) -> Iterator[Path]:
    """Yield an empty folder that is removed at the end, of the registry or of the system.

    Errors and warnings that name the folder are reworded: the user has never seen it.
    They name copy_of, the folder of the user whose copy is processed, or "the model".
    """
    if home is not None:
        assert prefix in PREFIXES
        make_private(home.root / "staging")
    folder = Path(
        tempfile.mkdtemp(prefix=prefix, dir=home.root / "staging" if home is not None else None)
    )
    try:
        yield folder
    except RegistryError as error:
        error.args = tuple(_reworded(text, folder, copy_of) for text in error.args)
        error.hint = error.hint and _reworded(error.hint, folder, copy_of)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if home is not None:
            for text in home.take_warnings():
                home.warn(_reworded(text, folder, copy_of))


def _reworded(text: str, folder: Path, copy_of: Path | str | None) -> str:
    """Return a message without the paths in a folder of staging.

    The first part of a path below it is the name of the copied model.
    """
    for root in {str(folder), os.path.realpath(folder)}:
        model = rf"{re.escape(root)}/[^/\s'\"`:;,()]+"
        any_path = rf"(?:{model}|{re.escape(root)})"
        if copy_of is not None:
            text = re.sub(any_path, lambda match: str(copy_of), text)
            continue
        text = re.sub(rf"{model}/(?=[^/\s'\"])", "", text)
        text = re.sub(rf"(['\"`]?){any_path}/?\1", "the model", text)
    return text


def lay_out(files: Files, paths: Sequence[str], target: Path, *, base: str | None = None) -> Path:
    """Put the files into the folder `target`, which is made; an adapter's configuration names `base` as the place of its base."""
    from registry.core.facts import read
    from registry.model_files.adapter.config import CONFIG, render_config

    for path in paths:
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        known: Path | None = (
            getattr(files, "place", lambda path: None)(path) if files.size(path) >= LARGE else None
        )
        if base is not None and path.rsplit("/", 1)[-1] == CONFIG:
            place.write_bytes(render_config(read(files, path), base))
        elif known is not None:
            place.symlink_to(known)
        else:
            with files.open(path) as source, place.open("xb") as out:
                shutil.copyfileobj(source, out)
    return target
