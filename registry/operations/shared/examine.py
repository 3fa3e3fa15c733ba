"""What a folder on disk is: its layout, and the content each of its files would have in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core.digest import Digest, digest_of, digest_of_stream
from registry.core.facts import Facts, Files, Token, read
from registry.core.progress import Progress, silent
from registry.home.home import Home
from registry.hub import cache

if TYPE_CHECKING:
    from registry.model_files.facts import Inspection
    from registry.model_files.folder import Folder
    from registry.model_files.layout import Layout

REWRITTEN_LIMIT = 4 << 20
"""Bytes: a configuration or card larger than this is kept as it is."""


@dataclass(frozen=True)
class Examined:
    """A folder that could be registered."""

    layout: Layout
    facts: Facts
    inspection: Inspection
    contents: dict[str, str]
    """Path to the digest the file would be stored under, adapter_config.json as if it had no parent."""


def open_folder(home: Home, folder: Path) -> Folder:
    """The folder, links followed only into the Hub's cache and into this home. Raises FolderNotFound, UnsafeFile."""
    from registry.model_files.folder import Folder

    return Folder(folder, links_into=[home.root / "blobs", cache.cache_folder()])


def examine(
    home: Home,
    folder: Path,
    *,
    model_class: str | None = None,
    root: Sequence[Token] | None = None,
    progress: Progress = silent,
) -> Examined:
    """Everything a folder says of itself; nothing is written."""
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout as layout_of

    files = open_folder(home, folder)
    layout = layout_of(
        files,
        class_hint=model_class,
        parent_class="SentenceTransformer" if model_class is None else model_class,
    )
    total, reading = sum(files.size(path) for path, _ in layout.weights), 0

    def tell(size: int) -> None:
        nonlocal reading
        reading += size
        progress("reading", reading, total)

    inspection = inspect(files, layout, root=root, progress=tell)
    return Examined(layout, inspection.facts, inspection, contents(files, layout))


def contents(files: Files, layout: Layout) -> dict[str, str]:
    """Path to digest, as the files would be stored; adapter_config.json without a parent."""
    found: dict[str, str] = {}
    for path in layout.belongs:
        rewritten = rewritten_content(files, path, None)
        if rewritten is not None:
            found[path] = digest_of(rewritten[0])
        else:
            with files.open(path) as stream:
                found[path] = digest_of_stream(stream.read)[0]
    return found


def rewritten_content(
    files: Files, path: str, parent: Digest | None
) -> tuple[bytes, dict[str, object]] | None:
    """(location-free content, what was replaced) of a file that may hold a path of this machine; None for all others."""
    from registry.model_files.layout import location_free

    if not is_rewritten(path, files.size(path)):
        return None
    content = read(files, path)
    replaced, original = location_free(path, content, parent=parent)
    return replaced, original or {}


def is_rewritten(path: str, size: int) -> bool:
    """Whether a file may hold a path of somebody's machine, so that it is stored in location-free form."""
    return (
        path.endswith((".json", ".md"))
        and size <= REWRITTEN_LIMIT
        and not path.endswith(("tokenizer.json", "vocab.json"))
    )
