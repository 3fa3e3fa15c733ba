"""add: a folder becomes a version. What is it, who is its parent and by what evidence, does it fit; then blobs, then one entry."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.core import reference as _reference
from registry.core.digest import Digest
from registry.core.facts import Files
from registry.core.progress import Progress
from registry.core.text import shell_word
from registry.errors import Invalid, InvalidName, ParentNotFound, RegistryError
from registry.home.home import Home
from registry.hub import cache
from registry.operations.shared.custom_code import (
    FolderWithCode,
    code_of_version,
    decide,
    loaded_completely,
    permitting_decided,
    record_approval,
    with_code_sources,
)
from registry.operations.shared.examine import open_folder
from registry.operations.shared.other_tokenizer import (
    PARENT,
    with_parents_tokenizer,
    with_tokenizer,
)
from registry.operations.shared.resolve import facts_of, stored
from registry.operations.shared.staging import staging
from registry.results.registration import Added, Verdict
from registry.store.blob_files import StoredFiles

from .commit import register
from .kinds import compared_with_evidence
from .parents import Known, find_parent
from .pipeline import AddOptions, Prepared, prepare
from .provenance import provenance, with_overridden_evidence

if TYPE_CHECKING:
    from .fix import RegisterBase
    from .pipeline import AddOptions


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
    command = _command(folder, name, options)
    _check_said(options)
    with (
        home.adding(),
        ThreadPoolExecutor(1, "git") as aside,
        opened(home, folder, name, options, progress, register_base) as (
            folder_files,
            said,
            fixed,
            converted,
        ),
    ):
        files = folder_files
        came = aside.submit(
            provenance,
            run=options.run,
            how="add",
            folder=_last_part(folder),
            hub=_hub_source(folder),
            fix=list(fixed),
            converted=converted,
            metrics=options.metrics,
        )  # git is asked while files are read
        parent = said
        hidden = FolderWithCode(files, {})
        if parent is None and is_adapter(hidden, options.model_class):
            parent = _find_or_add_parent(home, folder, name, hidden, options, progress)
        if options.tokenizer == PARENT and not options.fix:
            files = _on_parents_tokenizer(home, files, parent, options)
        decided = decide(
            files,
            options.code,
            model_class=options.model_class,
            measured=options.measured,
            command=command,
            parent=code_of_version(home, parent.version) if parent else None,
        )
        with (
            permitting_decided(home, decided.code, options.code.trust),
            loaded_completely(decided, command),
        ):
            prepared = prepare(
                home,
                decided.files,
                parent,
                model_class=options.model_class,
                write=not options.dry_run,
                progress=progress,
                forced=options.forced,
                asks_library=options.measured,
            )
            probes, prepared = _measured(
                home, name, decided.files, prepared, parent, options, progress
            )
        prepared = replace(
            prepared,
            warnings=(*decided.warnings, *prepared.warnings),
            forced=(*prepared.forced, *decided.forced),
        )
        if parent is not None and parent.warning:
            prepared = replace(prepared, warnings=(parent.warning, *prepared.warnings))
        added = replace(
            register(
                home,
                name,
                prepared,
                source=with_code_sources(
                    with_overridden_evidence(came.result(), parent, prepared.forced), decided
                ),
                options=options,
                folder=folder,
                probes=probes,
            ),
            fixed=fixed,
        )
        if decided.code is not None and options.code.trust and not options.dry_run:
            record_approval(home, decided.code.digest, message=options.message)
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
        from registry.model_files.checks import check_forced

        check_forced(options.forced)


def _find_or_add_parent(
    home: Home, folder: Path, name: str, files: Files, options: AddOptions, progress: Progress
) -> Known:
    """The parent an adapter names; one that lies here unregistered comes along if that was asked for, else is named with the command."""
    from registry.model_files.adapter.config import read_config
    from registry.model_files.layout import layout as layout_of
    from registry.model_files.tokenizer.vocabulary import read_vocabulary

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


class OpenedFolder(NamedTuple):
    """A folder that is to be registered."""

    files: Files
    parent: Known | None
    """The parent that is known without looking for it."""
    fixed: tuple[str, ...] = ()
    """What --fix changed."""
    converted: dict[str, Any] | None = None
    """The record of the files that --convert replaced."""


@contextlib.contextmanager
def opened(
    home: Home,
    folder: Path,
    name: str,
    options: AddOptions,
    progress: Progress,
    register_base: RegisterBase,
) -> Iterator[OpenedFolder]:
    """Open a folder, converted, repaired or with another tokenizer if asked for."""
    from registry.model_files.layout.convertible import convertible, refuse_unconverted

    files: Files = open_folder(home, folder)
    # --fix may restore a lost modules.json, without which no module can be listed.
    plan = convertible(FolderWithCode(files, {})) if options.convert or not options.fix else None
    converted = None
    with contextlib.ExitStack() as stack:
        if plan and options.convert:
            from .convert import converted_files

            files, converted = converted_files(
                home,
                name,
                files,
                plan,
                stack.enter_context(staging(home, "convert-", copy_of=folder)),
                model_class=options.model_class,
                measured=options.measured,
                progress=progress,
            )
        elif plan is not None and (plan.weights or options.tokenizer is None):
            refuse_unconverted(plan, _command(folder, name, options))
        if options.fix:
            from .fix import mended

            parts = stack.enter_context(
                mended(home, folder, files, name, options, progress, register_base)
            )
            yield OpenedFolder(*parts, converted)
            return
        if isinstance(options.tokenizer, Path):
            files = with_tokenizer(files, open_folder(home, options.tokenizer))
        yield OpenedFolder(files, _declared(home, folder, files, options), (), converted)


def _command(folder: Path, name: str, options: AddOptions) -> str:
    """Return the command that adds this folder with these options."""
    words = ["registry", "add", shell_word(str(folder)), "--as", name]
    if options.model_class is not None:
        words += ["--class", options.model_class]
    if options.parent is not None:
        words += ["--parent", shell_word(str(options.parent))]
    if options.convert:
        words.append("--convert")
    return " ".join(words)


def _declared(home: Home, folder: Path, files: Files, options: AddOptions) -> Known | None:
    """Return the parent that --parent names, compared with what the folder itself
    proves.
    """
    from registry.model_files.layout import layout as layout_of

    if options.parent is None:
        return None
    model_class = options.model_class
    layout = layout_of(files, class_hint=model_class, parent_class="SentenceTransformer")
    return compared_with_evidence(home, folder, files, layout, options.parent, model_class)


def _on_parents_tokenizer(
    home: Home, files: Files, parent: Known | None, options: AddOptions
) -> Files:
    """Return the files with the parent's tokenizer. Raises Invalid for a model without
    a parent."""
    if parent is None:
        raise Invalid(
            "--tokenizer parent requires a parent (the folder names none)", hint="add --parent"
        )
    return with_parents_tokenizer(
        files, stored(home, parent.version), facts_of(home, parent.version), options.model_class
    )


def is_adapter(files: Files, model_class: str | None) -> bool:
    """Whether the folder is an adapter's. Raises what layout raises."""
    from registry.model_files.layout import layout

    return layout(files, class_hint=model_class, parent_class="SentenceTransformer").is_adapter
