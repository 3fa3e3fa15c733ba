"""Sides: what diff is given, a version or a folder, as what would be loaded: files, layout, facts where they are known, and the base."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core import reference as _reference
from registry.core.digest import Digest, digest_of
from registry.core.facts import Files, read
from registry.core.point_in_time import When
from registry.core.version import Version
from registry.errors import NotLoadable, ParentNotFound
from registry.home.home import Home
from registry.operations.registration.parents import Unregistered, find_parent, place_of
from registry.operations.shared.examine import REWRITTEN_LIMIT, open_folder, rewritten_content
from registry.operations.shared.resolve import (
    Operand,
    facts_of,
    is_folder,
    line_here,
    manifest_of,
    named,
    reading_files,
    stored,
)
from registry.util import regular_file

if TYPE_CHECKING:
    from registry.model_files.diff import Side


@dataclass(frozen=True)
class Given:
    """One operand: its side; its version, or the folder it is; its small files by digest; its recorded metrics."""

    side: Side
    version: Version | None
    folder: Path | None
    contents: Mapping[str, str]
    metrics: Mapping[str, str]


def given(home: Home, operand: Operand, at: When | None = None) -> Given:
    """The operand as diff sees it, a reference as it was meant then. Raises what resolving, or reading the folder, raises."""
    if isinstance(operand, Version) or not is_folder(operand):
        found = named(home, operand if isinstance(operand, Version) else str(operand), at)
        with reading_files(home, found):
            return of_version(home, found)
    return _of_folder(home, Path(os.path.abspath(_reference.path_of(operand))))


def of_version(home: Home, version: Version) -> Given:
    """A version, an adapter on its base. Raises NotLoadable if the base is not here."""
    from registry.operations.loading.checkout import base_of

    base = base_of(home, line_here(home, version)) if version.kind == "adapter" else None
    side = _stored_side(home, version, _stored_side(home, base, None) if base is not None else None)
    contents = {
        file.path: str(file.digest)
        for file in manifest_of(home, version).files
        if not file.path.endswith("adapter_config.json")
    }
    return Given(side, version, None, contents, version.metrics)


def _stored_side(home: Home, version: Version, base: Side | None) -> Side:
    from registry.model_files.diff import Side
    from registry.model_files.layout import layout

    files, facts = stored(home, version), facts_of(home, version)
    return Side(
        version.reference,
        version.kind,
        files,
        layout(
            files,
            class_hint=None if _tells_itself(files) else version.model_class,
            parent_class=version.model_class,
        ),
        facts=facts,
        vocabulary=home.blobs.read(facts.vocabulary.digest),
        base=base,
    )


def _tells_itself(files: Files) -> bool:
    return "modules.json" in files.paths()


def _of_folder(home: Home, folder: Path) -> Given:
    files, base = open_folder(home, folder), None
    side = _folder_side(files, folder.name)
    if side.layout.is_adapter:
        base = _base(home, folder, side)
        side = _folder_side(files, folder.name, base=base)
    contents: dict[str, str] = {}
    for path in side.layout.belongs:
        if path.endswith("adapter_config.json") or files.size(path) > REWRITTEN_LIMIT:
            continue
        rewritten = rewritten_content(files, path, None)
        contents[path] = digest_of(rewritten[0] if rewritten is not None else read(files, path))
    return Given(side, None, folder, contents, {})


def _folder_side(files: Files, title: str, base: Side | None = None) -> Side:
    from registry.model_files.diff import Side
    from registry.model_files.layout import layout

    found = layout(
        files, parent_class=base.layout.model_class if base is not None else "SentenceTransformer"
    )
    return Side(title, "adapter" if found.is_adapter else "full", files, found, base=base)


def _base(home: Home, folder: Path, side: Side) -> Side:
    """What a loader would put the adapter on: the version that its configuration is known to mean, else what lies there now."""
    config = side.config
    assert config is not None
    try:
        found = find_parent(
            home, folder, config.base, config.revision, lambda: side.tokenizer.digest
        )
    except ParentNotFound:
        named = place_of(config.base) if config.base else None
        if named is None or not regular_file.is_folder(place := folder / named):
            raise
        return _folder_side(open_folder(home, place), place.name)
    if isinstance(found, Unregistered):
        return _folder_side(open_folder(home, found.folder), found.folder.name)
    if found.version.kind == "adapter":
        raise NotLoadable(
            f"{str(folder)!r} stands on {found.version.reference}, which is an adapter itself"
        )
    return _stored_side(home, found.version, None)


def digest(item: Given) -> Digest | None:
    """The manifest's, of a version."""
    return item.version.digest if item.version is not None else None
