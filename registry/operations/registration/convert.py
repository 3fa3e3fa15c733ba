"""Files of a model with pickles and tokenizer sources converted, for add and pull."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.core.facts import Files
from registry.core.progress import Progress
from registry.home.home import Home
from registry.operations.shared.custom_code import FolderWithCode
from registry.operations.shared.overlay import Overlay

from .store_files import refuse_changed, stamps

if TYPE_CHECKING:
    from registry.model_files.layout.convertible import Convertible


def planned_belongs(
    files: Files, plan: Convertible, *, model_class: str | None, parent_class: str | None
) -> tuple[str, tuple[str, ...]]:
    """Return the class of the model and those of its present files that the loaders
    read."""
    from registry.model_files.layout import layout as layout_of

    targets = [part.target for part in plan.weights]
    layout = layout_of(
        Overlay(files, dict.fromkeys(targets, b"")),
        class_hint=model_class,
        parent_class=parent_class,
    )
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
    from registry.model_files.code import references_of
    from registry.runtime.convert import convert
    from registry.runtime.convert.convert import require_libraries

    require_libraries(plan)
    progress("converting", 0, None)
    hidden = FolderWithCode(files, {})
    loaded_by, belongs = planned_belongs(
        hidden, plan, model_class=model_class, parent_class="SentenceTransformer"
    )
    if references_of(hidden, belongs):
        # the child process runs no code of the model; it is loaded when it is measured
        measured = False
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
    written = {path: converted.folder.place(path) for path in converted.folder.paths()}
    return Overlay(files, written), converted.record


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
