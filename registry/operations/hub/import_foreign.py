"""A repository that no registry made, as a version: what it is and what it stands on is
found out as `add` does, and no path is believed.

The listing says what its files must be: the SHA-256 of large ones, git's id of small
ones. Only files that belong to the model are fetched.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.core import reference as _reference
from registry.core.digest import Digest
from registry.core.facts import Files
from registry.core.progress import Progress
from registry.core.reference import is_commit
from registry.core.version import Version
from registry.errors import ParentNotFound
from registry.home.home import Home
from registry.hub.protocol import Remote, Tree
from registry.operations.registration.commit import register
from registry.operations.registration.kinds import compared_with_evidence
from registry.operations.registration.name_conflicts import from_repository, refuse_name
from registry.operations.registration.parents import Known
from registry.operations.registration.pipeline import AddOptions, Prepared, prepare
from registry.operations.registration.provenance import provenance
from registry.operations.shared.custom_code import (
    Decided,
    FolderWithCode,
    code_of_version,
    decide,
    loaded_completely,
    permitting_decided,
    with_code_sources,
)
from registry.operations.shared.resolve import resolve
from registry.operations.shared.staging import staging
from registry.results.hub import Received
from registry.store.blob_files import StoredFiles

from .download_area import Quarantine, sources, take_all
from .transfer_progress import Bytes

if TYPE_CHECKING:
    from .pull_options import PullOptions

CANDIDATES_SHOWN = 5


def register_foreign(
    home: Home,
    remote: Remote,
    tree: Tree,
    command: str,
    options: PullOptions,
    bytes_: Bytes,
    received: list[Received],
    progress: Progress,
) -> tuple[Version, bool]:
    """Return the version, and whether it was registered already.

    command is the pull that was asked for, for hints.
    """
    from registry.catalog import queries
    from registry.model_files.layout import layout as layout_of

    name = options.name or _reference.check_name(tree.repository.rsplit("/", 1)[-1])
    with home.reading() as connection:
        known = next(
            (
                version
                for version in queries.from_hub(connection, tree.repository, tree.commit)
                if version.name.casefold() == name.casefold()
            ),
            None,
        )
        if known is None:
            refuse_name(
                connection,
                name,
                None,
                None,
                from_repository(tree.repository),
                {},
                from_any=options.from_any,
            )
    if known is not None:
        received.append(Received(known.reference, tree.repository, tree.commit, "already"))
        return known, True
    quarantine = Quarantine(home, remote, tree.repository, tree.commit, sources(tree), bytes_)
    with quarantine.kept(), contextlib.ExitStack() as stack:
        declared = resolve(home, options.parent) if options.parent is not None else None
        files, converted = _converted(
            home, name, quarantine, options, command, bytes_, stack, progress
        )
        hidden = FolderWithCode(files, {})
        parent_class = declared.model_class if declared else "SentenceTransformer"
        layout = layout_of(hidden, class_hint=options.model_class, parent_class=parent_class)
        parent = None
        if layout.is_adapter and declared is None:
            parent = _parent(home, tree, hidden, layout.transformer, layout.tokenizer)
            declared = parent.version
        decided = decide(
            files,
            options.code,
            model_class=options.model_class,
            measured=True,
            command=command,
            parent=code_of_version(home, declared) if declared is not None else None,
        )
        files = decided.files
        layout = layout_of(files, class_hint=options.model_class, parent_class=parent_class)
        if converted is None:
            fetched = [path for path in layout.belongs if path in tree.files]
            quarantine.expect(fetched)
            take_all([quarantine], bytes_, fetched)
        if options.parent is not None:
            parent = compared_with_evidence(
                home, None, files, layout, options.parent, options.model_class
            )
        with permitting_decided(home, decided.code, options.code.trust):
            prepared = prepare(
                home,
                files,
                parent,
                model_class=options.model_class,
                write=True,
                progress=progress,
                given=quarantine,
            )
        prepared = replace(
            prepared,
            warnings=(*decided.warnings, *prepared.warnings),
            forced=(*prepared.forced, *decided.forced),
        )
        probes = _probes(home, name, decided, prepared, parent, command, progress)
        source = provenance(
            run=options.run,
            how="pull",
            hub={"repository": tree.repository, "commit": tree.commit},
            converted=converted,
        )
        added = register(
            home,
            name,
            prepared,
            source=with_code_sources(source, decided),
            options=AddOptions(message=options.message),
            probes=probes,
        )
        for warning in decided.warnings:
            home.warn(warning)
    assert added.version is not None
    received.append(
        Received(
            added.version.reference,
            tree.repository,
            tree.commit,
            "already" if added.already else "registered",
            quarantine.fetched,
        )
    )
    return added.version, added.already


def _converted(
    home: Home,
    name: str,
    quarantine: Quarantine,
    options: PullOptions,
    command: str,
    bytes_: Bytes,
    stack: contextlib.ExitStack,
    progress: Progress,
) -> tuple[Files, dict[str, Any] | None]:
    """Return the files, converted if that was asked for, and the record of the
    originals.

    The converted files exist until `stack` is closed. Raises UnsafeFile for pickles
    that were not to be converted.
    """
    from registry.model_files.layout.convertible import convertible, refuse_unconverted

    hidden = FolderWithCode(quarantine, {})
    plan = convertible(hidden)
    if not plan:
        return quarantine, None
    if not options.convert:
        refuse_unconverted(plan, command)
        return quarantine, None
    from registry.operations.registration.convert import converted_files, planned_belongs

    _, belongs = planned_belongs(
        hidden, plan, model_class=options.model_class, parent_class="SentenceTransformer"
    )
    paths = list(dict.fromkeys((*belongs, *plan.originals)))
    quarantine.expect(paths)
    take_all([quarantine], bytes_, paths)
    return converted_files(
        home,
        name,
        quarantine,
        plan,
        stack.enter_context(staging(home, "convert-")),
        model_class=options.model_class,
        measured=True,
        progress=progress,
    )


def _probes(
    home: Home,
    name: str,
    decided: Decided,
    prepared: Prepared,
    parent: Known | None,
    command: str,
    progress: Progress,
) -> Digest | None:
    """Return probes of a model whose code is ignored, None for any other.

    Only loading it shows whether the installed library has the same model. Raises
    ForeignCode if it has not.
    """
    if decided.native is None:
        return None
    from registry.operations.registration.measure import Folder, measured

    folder = Folder(
        StoredFiles(prepared.manifest, home.blobs),
        prepared.manifest,
        prepared.facts,
        parent.version if parent else None,
    )
    with loaded_completely(decided, command):
        probes, _, _ = measured(
            home,
            name,
            folder,
            given=None,
            forced=(),
            overruled=prepared.forced,
            write=True,
            progress=progress,
        )
    return probes


def _parent(home: Home, tree: Tree, files: Files, transformer: str, tokenizer: str) -> Known:
    """The base of an adapter, known only where a full commit of it is recorded. A path
    names a place on somebody else's machine."""
    from registry.catalog import queries
    from registry.model_files.adapter.config import read_config
    from registry.model_files.tokenizer.vocabulary import read_vocabulary

    config = read_config(files, transformer)
    pull = f"registry pull hf://{tree.repository}"
    with home.reading() as connection:
        if config.base and is_commit(config.revision):
            found = queries.from_hub(connection, config.base, str(config.revision))
            if found:
                return Known(found[0], "hub")
            raise ParentNotFound(
                f"hf://{tree.repository} requires hf://{config.base}@{config.revision}, which is "
                "not in this registry",
                hint=f"pull that first: registry pull hf://{config.base}@{config.revision}",
            )
        vocabulary = read_vocabulary(files, tokenizer).digest
        candidates = [
            version.reference
            for version in queries.with_vocabulary(connection, vocabulary)
            if version.kind != "adapter"
        ]
    said = (
        f"names the base {config.base!r} without a full commit" if config.base else "names no base"
    )
    if not candidates:
        raise ParentNotFound(
            f"hf://{tree.repository} {said}, and no registered model has its token list "
            f"({vocabulary.short})",
            hint=f"register the base, then give it: {pull} --parent NAME@1",
        )
    shown = ", ".join(candidates[:CANDIDATES_SHOWN]) + (
        ", …" if len(candidates) > CANDIDATES_SHOWN else ""
    )
    raise ParentNotFound(
        f"hf://{tree.repository} {said} (registered models with its token list: {shown})",
        hint=f"if it is {candidates[0]}: {pull} --parent {candidates[0]}",
    )
