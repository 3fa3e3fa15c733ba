"""Validate a folder and stage its files: the steps shared by add, save, resize, merge and pull."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.core import entry as _entry
from registry.core.facts import Facts, Files
from registry.core.manifest import Manifest, Parent
from registry.core.progress import Progress
from registry.errors import InvalidPath
from registry.home.home import Home
from registry.operations.shared.custom_code import CodeOptions
from registry.operations.shared.resolve import VersionLike
from registry.operations.shared.tokenizer_decision import TokenizerDecider, base_type_of

from .kinds import kind_of, parent_candidate, parent_view
from .parents import Known
from .store_files import Giving, storing_at_the_end, storing_meanwhile

if TYPE_CHECKING:
    from .measure import Texts


_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""C1 controls, marks that change the direction of text, and line separators."""


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """What can be said of a folder that is added."""

    parent: VersionLike | None = None
    with_parents: bool = False
    model_class: str | None = None
    tokenizer: Path | str | None = None
    """Folder of its tokenizer, or the word `parent`."""
    alias: str | None = None
    message: str | None = None
    run: str | None = None
    dry_run: bool = False
    forced: tuple[str, ...] = ()
    """Ids of checks of judgement that may fail."""
    fix: bool = False
    """Put an adapter folder right that no library loads."""
    code: CodeOptions = field(default_factory=CodeOptions)
    """What the user decided about custom code of the model."""
    trained_rows: bool = False
    """With fix: the old rows that an adapter carries may be others than its base's."""
    accept_lost_rows: bool = False
    """With fix: lost rows of tokens may be replaced by spare rows of the base."""
    convert: bool = False
    """Convert pickled weights and tokenizer sources to the forms that are stored."""
    metrics: dict[str, str] | None = None
    """Metrics of the version, each a number as its text."""
    probes: Texts | None = None
    """Texts that are measured besides the fixed ones."""
    measured: bool = True
    """Whether the model is loaded, so that an adapter's effect and the probes are known."""


@dataclass(frozen=True)
class Prepared:
    """A folder that was understood, with its parent; nothing written yet but blobs."""

    manifest: Manifest
    facts: Facts
    vocabulary: bytes
    edges: tuple[_entry.Edge, ...]
    left_out: tuple[tuple[str, str], ...]
    originals: dict[str, Any]
    warnings: tuple[str, ...]
    rows: str | None
    forced: tuple[str, ...] = ()
    """Ids of the checks of judgement that failed and were let pass."""
    tokenizer: dict[str, Any] | None = None
    """How the library decided that the tokenizer is equivalent to the parent's, if it
    was asked."""


def prepare(
    home: Home,
    files: Files,
    parent: Known | None,
    *,
    model_class: str | None,
    write: bool,
    progress: Progress,
    forced: Sequence[str] = (),
    from_memory: bool = False,
    given: Giving | None = None,
    linted: bool = False,
    asks_library: bool = True,
) -> Prepared:
    """Read everything once, checks included, and put the bytes into the store at the same time. Raises what a check refuses.

    from_memory says that files and parent were split from one live model, linted that resize has looked at every new token; of what is
    given nothing is stored before all checks passed.
    The caller holds the store's lock from here to register, so that collect frees nothing in between.
    asks_library: the tokenizer library decides on tokenizers whose files differ.
    """
    from registry.model_files.checks import Candidate, run_checks
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout as layout_of
    from registry.model_files.layout.custom_code import refuse_missing_modules

    layout = layout_of(
        files, class_hint=model_class, parent_class=parent.version.model_class if parent else None
    )
    for path in layout.belongs:
        if hidden := _OBEYED.search(path):
            raise InvalidPath(
                f"no file of a version can have the path {path!r}: it contains U+"
                f"{ord(hidden[0]):04X}, which changes how a terminal shows text"
            )
    refuse_missing_modules(files, layout.belongs)
    root, parent_files, parent_facts = parent_view(home, parent)
    parent_model = parent_candidate(home, parent, parent_files, parent_facts)
    decider = TokenizerDecider()
    digest = parent.version.digest if parent else None
    with (
        storing_meanwhile(home, files, layout.belongs, digest, write=write, progress=progress)
        if given is None
        else storing_at_the_end(
            home, files, layout.belongs, digest, given, write=write, progress=progress
        )
    ) as stored:
        inspection = inspect(
            files,
            layout,
            root=root,
            parent=parent_facts.vocabulary if parent_facts is not None else None,
            base_type=base_type_of(parent_model),
        )
        candidate = Candidate(
            files,
            layout,
            inspection,
            parent=parent_model,
            from_memory=from_memory,
            linted=linted,
            contrary=parent.contrary if parent is not None else "",
            decide=decider.function if asks_library else None,
        )
        passed = run_checks(candidate, forced)
        kept, originals = stored()
    kind, role, rows = kind_of(layout, inspection, parent, root, files, parent_files, parent_facts)
    edges = (
        (_entry.Edge(role, parent.version.digest, parent.evidence, parent.version.reference),)
        if parent and role
        else ()
    )
    manifest = Manifest(
        kind, layout.model_class, kept, tuple(Parent(edge.role, edge.digest) for edge in edges)
    )
    return Prepared(
        manifest,
        inspection.facts,
        inspection.vocabulary,
        edges,
        tuple(layout.left_out),
        originals,
        passed.warnings,
        rows,
        passed.forced,
        decider.record,
    )
