"""Files of a model with pickles and tokenizer sources converted, for add and pull."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from registry.core.facts import Files
from registry.core.progress import Progress
from registry.home.home import Home

from .store_files import refuse_changed, stamps

if TYPE_CHECKING:
    from registry.model_files.folder import Folder
    from registry.model_files.layout.convertible import Convertible


class _Planned:
    """Files of a folder as they will be after the conversion, written ones empty."""

    def __init__(self, files: Files, targets: Sequence[str]) -> None:
        self._files, self._targets = files, set(targets)

    def paths(self) -> Sequence[str]:
        return sorted({*self._files.paths(), *self._targets})

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO() if path in self._targets else self._files.open(path)

    def size(self, path: str) -> int:
        return 0 if path in self._targets else self._files.size(path)


class _WithConverted:
    """Files of a folder with the converted ones among them."""

    def __init__(self, files: Files, converted: Folder) -> None:
        self._files, self._converted = files, converted
        self._written = frozenset(converted.paths())

    def paths(self) -> Sequence[str]:
        """Relative paths, sorted."""
        return sorted({*self._files.paths(), *self._written})

    def open(self, path: str) -> BinaryIO:
        """Open the file."""
        return self._source(path).open(path)

    def place(self, path: str) -> Path | None:
        """Location of the file on disk, None if it is not known."""
        location: Path | None = getattr(self._source(path), "place", lambda _: None)(path)
        return location

    def size(self, path: str) -> int:
        """Bytes of the file."""
        return self._source(path).size(path)

    def _source(self, path: str) -> Files:
        return self._converted if path in self._written else self._files


def planned_belongs(
    files: Files, plan: Convertible, *, model_class: str | None, parent_class: str | None
) -> tuple[str, tuple[str, ...]]:
    """Return the class of the model and those of its present files that the loaders
    read."""
    from registry.model_files.layout import layout as layout_of

    targets = [part.target for part in plan.weights]
    layout = layout_of(_Planned(files, targets), class_hint=model_class, parent_class=parent_class)
    return layout.model_class, tuple(path for path in layout.belongs if path not in targets)


def converted_files(
    home: Home,
    name: str,
    files: Files,
    plan: Convertible,
    work: Path,
    *,
    model_class: str | None,
    measured: bool,
    progress: Progress,
) -> tuple[Files, dict[str, Any]]:
    """Return the files with the converted ones among them, and the record of the
    originals.

    Nothing is written outside `work`. Raises UnsafeFile, NotLoadable, MissingExtra.
    """
    from registry.runtime.convert import convert
    from registry.runtime.convert.convert import require_libraries

    require_libraries(plan)
    progress("converting", 0, None)
    loaded_by, belongs = planned_belongs(
        files, plan, model_class=model_class, parent_class="SentenceTransformer"
    )
    before = stamps(files, plan.originals)
    converted = convert(
        files,
        plan,
        work,
        model_class=loaded_by if measured else None,
        belongs=belongs,
        earlier=_earlier(home, name, files, plan),
    )
    refuse_changed(before, files, plan.originals)
    return _WithConverted(files, converted.folder), converted.record


def _earlier(home: Home, name: str, files: Files, plan: Convertible) -> dict[str, list[Path]]:
    """By folder, tokenizer.json files that the model's versions have from the same
    sources."""
    from registry.catalog import queries
    from registry.core.digest import digest_of_stream

    if not plan.tokenizers:
        return {}
    with home.reading() as connection:
        versions = [
            version
            for version in (
                queries.versions(connection, name) if queries.spelled(connection, name) else ()
            )
            if version.source.get("converted")
        ]
        stored = {
            version.number: {
                file.path: file.digest for file in queries.files(connection, version.digest)
            }
            for version in versions
        }
    earlier: dict[str, list[Path]] = {}
    for source in plan.tokenizers:
        sources = {}
        for path in source.originals:
            with files.open(path) as stream:
                sources[path] = str(digest_of_stream(stream.read)[0])
        for version in versions:
            recorded = {
                file["path"]: file["digest"] for file in version.source["converted"]["files"]
            }
            digest = stored[version.number].get(source.target)
            stored_file = home.blobs.path(digest) if digest is not None else None
            if stored_file is not None and sources.items() <= recorded.items():
                earlier.setdefault(source.folder, []).append(stored_file)
    return earlier
