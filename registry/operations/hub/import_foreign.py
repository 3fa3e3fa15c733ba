"""A repository that no registry made, as a version: what it is and what it stands on is
found out as `add` does, and no path is believed.

The listing says what its files must be: the SHA-256 of large ones, git's id of small
ones. Only files that belong to the model are fetched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
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
from registry.operations.registration.pipeline import AddOptions, prepare
from registry.operations.registration.provenance import provenance
from registry.operations.shared.resolve import resolve
from registry.operations.shared.staging import staging
from registry.results.hub import Received

from .download_area import Quarantine, Source, take_all
from .transfer_progress import Bytes

if TYPE_CHECKING:
    from .pull_options import PullOptions

IGNORED = (".git", ".cache", ".registry")
CANDIDATES_SHOWN = 5


def register_foreign(
    home: Home,
    remote: Remote,
    tree: Tree,
    options: PullOptions,
    bytes_: Bytes,
    received: list[Received],
    progress: Progress,
) -> tuple[Version, bool]:
    """(the version, whether it was here already)."""
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
    quarantine = Quarantine(home, remote, tree.repository, tree.commit, _sources(tree), bytes_)
    with quarantine.kept(), contextlib.ExitStack() as stack:
        declared = resolve(home, options.parent) if options.parent is not None else None
        files, converted = _converted(home, name, quarantine, options, bytes_, stack, progress)
        layout = layout_of(
            files,
            class_hint=options.model_class,
            parent_class=declared.model_class if declared else "SentenceTransformer",
        )
        parent = None
        if layout.is_adapter and declared is None:
            parent = _parent(home, tree, files, layout.transformer, layout.tokenizer)
        if converted is None:
            quarantine.expect(layout.belongs)
            take_all([quarantine], bytes_, layout.belongs)
        if options.parent is not None:
            parent = compared_with_evidence(
                home, None, files, layout, options.parent, options.model_class
            )
        prepared = prepare(
            home,
            files,
            parent,
            model_class=options.model_class,
            write=True,
            progress=progress,
            given=quarantine,
        )
        source = provenance(
            run=options.run,
            how="pull",
            hub={"repository": tree.repository, "commit": tree.commit},
            converted=converted,
        )
        added = register(
            home, name, prepared, source=source, options=AddOptions(message=options.message)
        )
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

    plan = convertible(quarantine)
    if not plan:
        return quarantine, None
    if not options.convert:
        command = f"registry pull {quarantine.repository}"
        refuse_unconverted(plan, command if options.name is None else f"{command} --as {name}")
        return quarantine, None
    from registry.operations.registration.convert import converted_files, planned_belongs

    _, belongs = planned_belongs(
        quarantine, plan, model_class=options.model_class, parent_class="SentenceTransformer"
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


def _sources(tree: Tree) -> Mapping[str, Source]:
    return {
        path: Source(
            path,
            file.size,
            Digest(f"sha256:{file.oid}") if file.lfs else None,
            git=None if file.lfs else file.oid,
        )
        for path, file in tree.files.items()
        if path.split("/")[0] not in IGNORED and not path.startswith(".git")
    }


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
