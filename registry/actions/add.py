"""add: a folder becomes a version. What is it, who is its parent and by what evidence, does it fit; then blobs, then one entry."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import entry as _entry, reference as _reference
from ..digest import Digest
from ..errors import InvalidName, ParentNotFound, RegistryError
from ..facts import Facts, Files
from ..home import Home
from ..hub import cache
from ..manifest import Manifest, Parent
from ..progress import Progress
from ..results import Added, Verdict
from ..shown import shell_word
from ..store.files import StoredFiles
from .common import VersionLike
from .kinds import kind_of, parent_candidate, parent_view
from .opening import is_adapter, opened
from .parents import Known, find_parent
from .provenance import provenance
from .registering import register
from .storing import Giving, storing_at_the_end, storing_meanwhile

if TYPE_CHECKING:
    from .measure import Texts


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """What can be said of a folder that is added."""

    parent: VersionLike | None = None
    with_parents: bool = False
    model_class: str | None = None
    tokenizer: Path | None = None
    alias: str | None = None
    message: str | None = None
    run: str | None = None
    dry_run: bool = False
    forced: tuple[str, ...] = ()
    """Ids of checks of judgement that may fail."""
    fix: bool = False
    """Put an adapter folder right that no library loads."""
    trained_rows: bool = False
    """With fix: the old rows that an adapter carries may be others than its base's."""
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


def add(
    home: Home,
    folder: Path,
    name: str | None,
    *,
    prefix: str | None,
    options: AddOptions,
    progress: Progress,
) -> Added:
    """Register one folder. Raises what is wrong with it; then nothing is registered."""

    def register_base(base_folder: Path, base_name: str, base_options: AddOptions) -> Added:
        return add(
            home, base_folder, base_name, prefix=None, options=base_options, progress=progress
        )

    name = _name_for(folder, name, prefix)
    _check_said(options)
    with (
        home.store_lock.shared(timeout=60.0),
        ThreadPoolExecutor(1, "git") as aside,
        opened(home, folder, name, options, progress, register_base) as (files, said, fixed),
    ):
        came = aside.submit(
            provenance,
            run=options.run,
            how="add",
            folder=_last_part(folder),
            hub=_hub_source(folder),
            fix=list(fixed),
            metrics=options.metrics,
        )  # git is asked while files are read
        parent = said
        if parent is None and is_adapter(files, options.model_class):
            parent = _find_or_add_parent(home, folder, name, files, options, progress)
        prepared = prepare(
            home,
            files,
            parent,
            model_class=options.model_class,
            write=not options.dry_run,
            progress=progress,
            forced=options.forced,
        )
        probes, prepared = _measured(home, name, files, prepared, parent, options, progress)
        if parent is not None and parent.warning:
            prepared = replace(prepared, warnings=(parent.warning, *prepared.warnings))
        added = replace(
            register(
                home,
                name,
                prepared,
                source=came.result(),
                options=options,
                folder=folder,
                probes=probes,
            ),
            fixed=fixed,
        )
    return _with_warning(added, options.metrics)


def _measured(
    home: Home,
    name: str,
    files: Files,
    prepared: Prepared,
    parent: Known | None,
    options: AddOptions,
    progress: Progress,
) -> tuple[Digest | None, Prepared]:
    """(probes as a blob, the folder with what the measurement said of it)."""
    from .measure import Folder, measured

    if not options.measured:
        return None, prepared
    there = files if options.dry_run else StoredFiles(prepared.manifest, home.blobs)
    folder = Folder(there, prepared.manifest, prepared.facts, parent.version if parent else None)
    probes, warnings, forced = measured(
        home,
        name,
        folder,
        given=options.probes,
        forced=options.forced,
        overruled=prepared.forced,
        write=not options.dry_run,
        progress=progress,
    )
    return probes, replace(
        prepared, warnings=(*prepared.warnings, *warnings), forced=(*prepared.forced, *forced)
    )


def add_several(
    home: Home,
    folders: Sequence[Path],
    name: str | None,
    *,
    prefix: str | None,
    options: AddOptions,
    progress: Progress,
) -> tuple[Verdict, ...]:
    """Register several folders, adapters last, since their bases may be among the others. One verdict each, in that order."""
    if name is not None:
        raise InvalidName(
            f"{len(folders)} folders cannot all be named {name!r}",
            hint=f"give --prefix {name}/ to name each one after its folder",
        )
    verdicts = []
    for folder in sorted(folders, key=lambda item: (item / "adapter_config.json").exists()):
        try:
            verdicts.append(
                Verdict(
                    str(folder),
                    add(home, folder, None, prefix=prefix, options=options, progress=progress),
                    None,
                )
            )
        except RegistryError as error:
            verdicts.append(Verdict(str(folder), None, error))
    return tuple(verdicts)


def _with_warning(added: Added, metrics: dict[str, str] | None) -> Added:
    if (
        not metrics
        or not added.already
        or added.version is None
        or metrics == added.version.metrics
    ):
        return added
    said = (
        f"{added.version.reference} was registered before, and keeps the metrics that it has; to say more of it: "
        f"registry annotate {added.version.reference} KEY=VALUE"
    )
    return replace(added, warnings=(*added.warnings, said))


def _check_said(options: AddOptions) -> None:
    if options.alias is not None:
        _reference.check_alias(options.alias)
    if options.forced:
        from ..artifacts.checks import check_forced

        check_forced(options.forced)


def _find_or_add_parent(
    home: Home, folder: Path, name: str, files: Files, options: AddOptions, progress: Progress
) -> Known:
    """The parent an adapter names; one that lies here unregistered comes along if that was asked for, else is named with the command."""
    from ..artifacts.adapter import read_config
    from ..artifacts.encoder import layout as layout_of
    from ..artifacts.tokenizer import read_vocabulary

    layout = layout_of(files, class_hint=options.model_class, parent_class="SentenceTransformer")
    config = read_config(files, layout.transformer)
    found = find_parent(
        home,
        folder,
        config.base,
        config.revision,
        lambda: read_vocabulary(files, layout.tokenizer).digest,
    )
    if isinstance(found, Known):
        return found
    read_vocabulary(files, layout.tokenizer)  # what cannot be read brings no base along
    suggested = f"{name}-base"
    if not options.with_parents:
        raise ParentNotFound(
            f"the base of {str(folder)!r} is not registered: {found.named!r}",
            hint=f"registry add {shell_word(str(found.folder))} --as {suggested}, or add "
            "--with-parents",
        )
    base_options = AddOptions(
        message=f"base of {name}, taken from {found.named if found.named.startswith('hf://') else _last_part(found.folder)}",
        run=options.run,
        dry_run=options.dry_run,
        measured=options.measured,
    )
    added = add(home, found.folder, suggested, prefix=None, options=base_options, progress=progress)
    if added.version is None:
        raise ParentNotFound(
            f"a dry run cannot go on: the base {found.named!r} would be registered first, as {suggested}@{added.number}"
        )
    return Known(added.version, "given", found.warning)


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
) -> Prepared:
    """Read everything once, checks included, and put the bytes into the store at the same time. Raises what a check refuses.

    from_memory says that files and parent were split from one live model, linted that resize has looked at every new token; of what is
    given nothing is stored before all checks passed.
    The caller holds the store's lock from here to register, so that collect frees nothing in between.
    """
    from ..artifacts.checks import Candidate, run_checks
    from ..artifacts.encoder import layout as layout_of
    from ..artifacts.inspect import inspect

    layout = layout_of(
        files, class_hint=model_class, parent_class=parent.version.model_class if parent else None
    )
    root, parent_files, parent_facts = parent_view(home, parent)
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
        )
        candidate = Candidate(
            files,
            layout,
            inspection,
            parent=parent_candidate(home, parent, parent_files, parent_facts),
            from_memory=from_memory,
            linted=linted,
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
    )


def _name_for(folder: Path, name: str | None, prefix: str | None) -> str:
    if name is not None:
        return _reference.check_name((prefix or "") + name)
    if prefix is None:
        raise InvalidName(
            f"no name is given for {str(folder)!r}",
            hint="add --as NAME, or --prefix P/ for several folders",
        )
    return _reference.check_name(prefix + Path(os.path.abspath(folder)).name)


def _last_part(folder: Path) -> str:
    return Path(os.path.abspath(folder)).name


def _hub_source(folder: Path) -> dict[str, str] | None:
    known = cache.repository_of(Path(os.path.abspath(folder)))
    return {"repository": known[0], "commit": known[1]} if known else None
