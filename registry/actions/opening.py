"""Opening: a folder that is to be added, as it is or put right, and what was said of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..facts import Files
from ..home import Home
from ..progress import Progress
from .common import resolve
from .overlay import with_tokenizer
from .parents import Known
from .recognise import open_folder

if TYPE_CHECKING:
    from .add import AddOptions
    from .fix import RegisterBase


@contextlib.contextmanager
def opened(
    home: Home,
    folder: Path,
    name: str,
    options: AddOptions,
    progress: Progress,
    register_base: RegisterBase,
) -> Iterator[tuple[Files, Known | None, tuple[str, ...]]]:
    """(the folder's files, the parent that is known without looking, what was put right)."""
    if options.fix:
        from .fix import mended

        with mended(home, folder, name, options, progress, register_base) as found:
            yield found
        return
    files: Files = open_folder(home, folder)
    if options.tokenizer is not None:
        files = with_tokenizer(files, open_folder(home, options.tokenizer))
    parent = Known(resolve(home, options.parent), "given") if options.parent is not None else None
    yield files, parent, ()


def is_adapter(files: Files, model_class: str | None) -> bool:
    """Whether the folder is an adapter's. Raises what layout raises."""
    from ..artifacts.encoder import layout

    return layout(files, class_hint=model_class, parent_class="SentenceTransformer").is_adapter
