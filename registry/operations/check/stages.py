"""Stages: what a check looks at, a version in the store or a folder on disk, each with what it stands on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core.facts import SCHEMA, Facts, Files
from registry.core.reference import looks_like_path, path_of
from registry.core.version import Version
from registry.errors import ParentNotFound, RegistryError
from registry.home.home import Home
from registry.operations.registration.kinds import (
    compared_with_evidence,
    loaded_shapes_of,
    parent_candidate,
    tokens_of,
)
from registry.operations.registration.parents import (
    Known,
    Unregistered,
    find_parent,
)
from registry.operations.shared.examine import open_folder
from registry.operations.shared.resolve import (
    VersionLike,
    facts_of,
    line_of,
    look_up,
    named,
    stored,
)
from registry.operations.shared.tokenizer_decision import TokenizerDecider, base_type_of

if TYPE_CHECKING:
    from registry.model_files.checks import Candidate, ParentView
    from registry.model_files.facts import Inspection
    from registry.model_files.layout import Layout


@dataclass(frozen=True)
class Stage:
    """One model that is looked at. version is None for a folder that is not registered."""

    name: str
    version: Version | None
    files: Files
    layout: Layout
    inspection: Inspection
    parent: ParentView | None
    parent_evidence: str = ""
    """How a folder's parent is known."""
    parent_version: Version | None = None
    """The parent, where it is a registered one."""
    contrary: str = ""
    """The base that evidence names, where another one was declared."""
    asks_library: bool = True
    """Whether the library may decide on tokenizers whose files differ."""

    @property
    def facts(self) -> Facts:
        """What its files say of themselves, read just now."""
        return self.inspection.facts

    @property
    def is_adapter(self) -> bool:
        """Whether it stands on another model."""
        return self.layout.is_adapter

    @property
    def candidate(self) -> Candidate:
        """It as the checks at the door see it."""
        from registry.model_files.checks import Candidate

        return Candidate(
            self.files,
            self.layout,
            self.inspection,
            self.parent,
            contrary=self.contrary,
            decide=TokenizerDecider().function if self.asks_library else None,
        )

    @property
    def forced(self) -> tuple[str, ...]:
        """Ids of the checks that failed when it was registered, and were let pass."""
        return self.version.forced if self.version is not None else ()

    @property
    def metrics(self) -> Mapping[str, str]:
        """The metrics that were kept with it, numbers as text."""
        return self.version.metrics if self.version is not None else {}


def line_of_version(home: Home, version: Version) -> tuple[Version, ...]:
    """The version and all its ancestors, nearest first."""
    with home.reading() as connection:
        return tuple(line_of(connection, look_up(connection, version)))


def of_version(home: Home, version: Version) -> Stage:
    """A registered version, its files read from the store. Raises what reading raises."""
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout as layout_of

    files, line = stored(home, version), line_of_version(home, version)
    parents = {parent.role: parent.digest for parent in version.parents}
    digest = next(
        (parents[role] for role in ("base", "resized-from", "finetuned-from") if role in parents),
        None,
    )
    parent = next((item for item in line if item.digest == digest), None)
    layout = layout_of(
        files,
        class_hint=None if "modules.json" in files.paths() else version.model_class,
        parent_class=version.model_class,
    )
    try:
        schema = facts_of(home, version).schema
    except RegistryError:  # the comparison with the recorded facts reports it
        schema = SCHEMA
    if parent is None:
        inspection = inspect(files, layout, root=None, schema=schema)
        return Stage(version.reference, version, files, layout, inspection, None)
    for vocabulary in {line[-1].vocabulary, parent.vocabulary}:
        home.blobs.read(
            vocabulary
        )  # where token lists are equal nobody looks into them, and whether they are there is asked here
    root, view = tokens_of(home, line[-1].vocabulary), _registered(home, parent)
    found = inspect(
        files,
        layout,
        root=root,
        parent=view.facts.vocabulary,
        base_type=base_type_of(view),
        schema=schema,
    )
    return Stage(version.reference, version, files, layout, found, view, parent_version=parent)


def of_folder(
    home: Home | None, folder: Path, parent: VersionLike | os.PathLike[str] | None
) -> Stage:
    """A folder on disk; nothing is written. An adapter's base is `parent`, else what its configuration is known to mean.

    Raises what reading raises, and ParentNotFound for an adapter whose base nobody knows.
    """
    from registry.model_files.adapter.config import read_config
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout as layout_of
    from registry.model_files.tokenizer.vocabulary import read_vocabulary

    files = open_folder(_home(home), folder)
    layout = layout_of(files, parent_class="SentenceTransformer")
    view, evidence, known, contrary = None, "", None, ""
    if parent is not None:
        view, evidence, known = _given(home, parent)
        if home is not None and known is not None and not isinstance(parent, os.PathLike):
            declared = compared_with_evidence(home, folder, files, layout, parent, None)
            view, evidence = _registered(home, declared.version), declared.evidence
            known, contrary = declared.version, declared.contrary
    elif layout.is_adapter:
        config = read_config(files, layout.transformer)
        if home is None:
            raise ParentNotFound(
                f"{str(folder)!r} is an adapter, and there is no registry that knows its base",
                hint="give its base with --parent FOLDER",
            )
        found = find_parent(
            home,
            folder,
            config.base,
            config.revision,
            lambda: read_vocabulary(files, layout.tokenizer).digest,
        )
        if isinstance(found, Unregistered):
            view, evidence = (
                _on_disk(home, found.folder),
                f"lies at {found.folder.name!r}, and is not registered",
            )
        else:
            view, evidence, known = _registered(home, found.version), found.evidence, found.version
    layout = layout_of(
        files, parent_class=view.layout.model_class if view is not None else "SentenceTransformer"
    )
    root = None if view is None else view.tokens
    if view is not None and view.facts.vocabulary.added:
        added = {(token.id, token.content) for token in view.facts.vocabulary.added}
        root = tuple(token for token in view.tokens if (token.id, token.content) not in added)
    return Stage(
        os.fspath(folder),
        None,
        files,
        layout,
        inspect(files, layout, root=root, base_type=base_type_of(view)),
        view,
        evidence,
        known,
        contrary,
    )


def _given(
    home: Home | None, parent: VersionLike | os.PathLike[str]
) -> tuple[ParentView, str, Version | None]:
    if isinstance(parent, os.PathLike) or (isinstance(parent, str) and looks_like_path(parent)):
        return _on_disk(home, path_of(parent)), "given, a folder", None
    if home is None:
        raise ParentNotFound(
            f"there is no registry that knows {str(parent)!r}",
            hint="if it is a folder, begin it with ./, / or ~",
        )
    version = named(home, parent)
    return _registered(home, version), "given", version


def _registered(home: Home, version: Version) -> ParentView:
    found = parent_candidate(
        home, Known(version, "given"), stored(home, version), facts_of(home, version)
    )
    assert found is not None
    return found


def _on_disk(home: Home | None, folder: Path) -> ParentView:
    from registry.model_files.checks import ParentView
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout as layout_of

    files = open_folder(_home(home), folder)
    layout = layout_of(files, parent_class="SentenceTransformer")
    found = inspect(files, layout, root=None)
    return ParentView(
        os.fspath(folder),
        files,
        layout,
        found.facts,
        found.tokens,
        loaded_shapes_of(files, layout),
    )


def _home(home: Home | None) -> Home:
    """A home to read folders with: without one, links lead nowhere but into the Hub's cache."""
    if home is not None:
        return home
    from registry.core.settings import from_environment

    return Home(from_environment(None))
