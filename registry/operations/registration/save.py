"""save: a live model becomes versions, one of its base where that is new, and one of each adapter; the model stays as it was.

Which registered version the base is, or came from, is witnessed: load made the object, or its transformer was read from an
unchanged checkout of this registry. Its content then says whether it is that version still.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.core import reference as _reference
from registry.core.digest import Digest
from registry.core.entry import Edge
from registry.core.progress import Progress
from registry.core.version import Version
from registry.errors import Invalid, NoEffect, NotFound, NotLoadable, ParentMismatch, RegistryError
from registry.home.home import Home
from registry.model_files.checks import Problem, refusal
from registry.operations.loading.checkout import base_of, home_checkout, transformer_folder
from registry.operations.loading.load import is_version, load, loaded_as
from registry.operations.loading.multi_adapter import activate
from registry.operations.shared.custom_code import derived_folder
from registry.operations.shared.examine import open_folder
from registry.operations.shared.resolve import (
    VersionLike,
    facts_of,
    line_here,
    manifest_of,
    resolve,
)
from registry.operations.shared.staging import staging
from registry.results.registration import Added, Saved
from registry.store.blob_files import StoredFiles

from .commit import register
from .measure import Folder, effect_of, judge, subject_of
from .metrics import metrics_of
from .parents import Known, ambiguous, candidates, place_of, witnessed
from .pipeline import AddOptions, Prepared, prepare
from .provenance import PARENT_EVIDENCE, provenance, with_overridden_evidence

if TYPE_CHECKING:
    from registry.runtime.introspect import Live

_MIXED = (
    "the mixed precision of the training is around the model in memory still, which encodes in fewer bits than what was saved does; "
    "trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False) takes it away"
)


@dataclass(frozen=True, kw_only=True)
class SaveOptions:
    """What can be said of a model that is saved."""

    base_name: str | None = None
    parent: VersionLike | None = None
    message: str | None = None
    alias: str | None = None
    run: str | None = None
    metrics: Mapping[str, float | str] | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    """More of where it came from, for the entry."""
    checkpoint: bool = False
    forced: tuple[str, ...] = ()
    """Ids of checks of judgement that may fail."""


def save(home: Home, model: Any, name: str, *, options: SaveOptions, progress: Progress) -> Saved:
    """Register a live model. Raises NotLoadable naming what of it cannot be kept exactly; then that part is not registered."""
    from registry.model_files.checks import check_forced
    from registry.runtime import active_adapters, introspect as _live

    check_forced(options.forced)
    metrics_of(options.metrics or None)  # before the base is registered
    live = _live.take_apart(model)
    names = _names(name, live.adapters, options)
    _live.refuse_what_cannot_be_kept(live)
    acting, mixed = (
        active_adapters.acting(model),
        active_adapters.computes_in_mixed_precision(model),
    )
    with (
        active_adapters.untouched(model),
        home.adding(),
        staging(home, "save-") as work,
    ):
        origins = list(_origins(home, live, options))
        if not live.adapters:
            full = _register_same(home, live, name, origins, options) or _register_full(
                home, live, name, work, origins, options, progress
            )
            versions: dict[str, Version] = {}
            saved = Saved((_version(full),), None, (full,))
        else:
            base, added = _base(
                home, live, options.base_name or f"{name}-base", work, origins, options, progress
            )
            parts: dict[str, Added] = {}
            skipped = []
            for adapter in sorted(live.adapters, key=lambda name: name != acting[0]):
                is_result = adapter == acting[0]
                part_options = options if is_result else replace(options, alias=None)
                try:
                    parts[adapter] = _register_adapter(
                        home, live, adapter, names[adapter], work, base, part_options, progress
                    )
                except NoEffect as error:
                    if is_result:
                        raise
                    skipped.append(
                        f"the adapter {adapter!r} is not registered: {error.with_hint()}"
                    )
            versions = {adapter: _version(part) for adapter, part in parts.items()}
            active = tuple(adapter for adapter in acting if adapter in versions)
            adapter_notes = remarks(home, live, active, base, versions, progress)
            saved = Saved(
                tuple(versions.values()),
                base,
                (*([added] if added else []), *parts.values()),
                (*adapter_notes, *skipped),
            )
    more = (_MIXED,) if mixed else ()
    saved = replace(
        saved,
        warnings=tuple(
            dict.fromkeys(
                (*saved.warnings, *more, *(said for part in saved.added for said in part.warnings))
            )
        ),
    )
    is_version(
        home,
        model,
        saved.base or saved.version,
        versions,
    )
    return saved


def save_base(
    home: Home, model: Any, name: str, *, options: SaveOptions, progress: Progress
) -> Version:
    """The registered version that the base under untrained adapters is; it is registered now as `name` where there is none."""
    from registry.runtime import active_adapters, introspect as _live

    live = _live.take_apart(model)
    _live.refuse_what_cannot_be_kept(live)
    with (
        active_adapters.untouched(model),
        home.adding(),
        staging(home, "save-") as work,
    ):
        return _base(
            home,
            live,
            name,
            work,
            list(_origins(home, live, options)),
            options,
            progress,
            trained=False,
        )[0]


def _names(name: str, adapters: tuple[str, ...], options: SaveOptions) -> dict[str, str]:
    """What each adapter is called: NAME if it is the only one, else NAME-ADAPTER."""
    if options.alias is not None:
        _reference.check_alias(options.alias)
    if options.base_name is not None:
        _reference.check_name(options.base_name)
    _reference.check_name(name)
    same = next(
        (pair for pair in combinations(adapters, 2) if pair[0].casefold() == pair[1].casefold()),
        None,
    )
    if same is not None:
        raise Invalid(
            f"the adapters {same[0]!r} and {same[1]!r} would be versions of one model (model "
            "names ignore case)",
            hint="save them one by one",
        )
    return {
        adapter: _reference.check_name(name if len(adapters) == 1 else f"{name}-{adapter}")
        for adapter in adapters
    }


def _origins(home: Home, live: Live, options: SaveOptions) -> Iterator[Known]:
    """Yield full models that the live one's base may be, or may have come from, best
    known first.

    Raises ParentMismatch for a declared parent that evidence contradicts, unless that
    is forced.
    """
    recorded = [
        version
        for version in (_full(home, item) for item in _witnesses(home, live))
        if version is not None
    ]
    if options.parent is None:
        yield from (Known(version, "witnessed") for version in recorded)
        return
    declared = _declared(home, options.parent)
    agreeing = [
        version for version in recorded if version.digest in {known.digest for known in declared}
    ]
    if agreeing:
        yield from (Known(version, "witnessed") for version in agreeing)
    elif not recorded:
        yield from (Known(version, "given") for version in declared)
    else:
        problem = Problem(
            f"the model in memory was made from {recorded[0].reference}, "
            f"not from {declared[0].reference}",
            hint="leave out parent=",
        )
        if PARENT_EVIDENCE not in options.forced:
            raise refusal(ParentMismatch, PARENT_EVIDENCE, problem, judgement=True)
        contrary = f"{recorded[0].reference} ({recorded[0].digest.short}, witnessed)"
        yield from (Known(version, "given", contrary=contrary) for version in declared)


def _declared(home: Home, parent: VersionLike) -> list[Version]:
    """Return the version that parent= names, for a bare name all that it may mean, the
    latest first.
    """
    latest = _full(home, resolve(home, parent))
    assert latest is not None
    reference = _reference.parse(parent) if isinstance(parent, str) else None
    if reference is None or not reference.bare or reference.up:
        return [latest]
    versions = candidates(home, reference.name)
    return [latest, *(version for version in versions if version.digest != latest.digest)]


def _witnesses(home: Home, live: Live) -> Iterator[Version]:
    known = loaded_as(home, live.model)
    if known is not None:
        yield known
    if live.inner is None:
        return
    places = [
        live.inner.name_or_path,
        *(config.base_model_name_or_path for config in (live.configs or {}).values()),
    ]
    for place in dict.fromkeys(str(item) for item in places if item):
        named = place_of(place)
        found = witnessed(home, named) if named is not None and named.is_absolute() else None
        if found is not None:
            yield found


def _full(home: Home, version: Version) -> Version | None:
    if version.kind != "adapter":
        return version
    return base_of(home, line_here(home, version))


def _base(
    home: Home,
    live: Live,
    name: str,
    work: Path,
    origins: list[Known],
    options: SaveOptions,
    progress: Progress,
    *,
    trained: bool = True,
) -> tuple[Version, Added | None]:
    """(the version that the base is, what was registered for it, None where it was known before)."""
    from registry.runtime import introspect as _live
    from registry.runtime.roundtrip import verify

    progress("comparing the base", 0, None)
    for version in [*(known.version for known in origins), *_named(home, name)]:
        if verify.stands_on(
            live, home_checkout(home, version, progress=progress).folder, facts_of(home, version)
        ):
            return version, None
    biased = next(
        (adapter for adapter in live.adapters if _live.trained_biases(live, adapter)), None
    )
    if biased is not None and trained:
        raise NotLoadable(
            f"the adapter {biased!r} trains biases of its base in place, so the original base is "
            "lost",
            hint="save or register the base before training and train on its checkout, or give "
            "its version with parent=",
        )
    added = _register_full(home, live, name, work, origins, options, progress, is_base=True)
    return _version(added), added


def _named(home: Home, name: str) -> list[Version]:
    """The latest of the model that the base would become a version of: what an earlier save of the same training made."""
    try:
        found = resolve(home, name)
    except NotFound:
        return []
    return [found] if found.kind != "adapter" else []


def _register_same(
    home: Home, live: Live, name: str, origins: list[Known], options: SaveOptions
) -> Added | None:
    """A full model in which nothing is new is the version it came from, under this name too; None where something is."""
    from registry.runtime.roundtrip import verify

    for version in (known.version for known in origins):
        if version.model_class != live.model_class:
            continue
        facts = facts_of(home, version)
        if (back := verify.whole(live, home_checkout(home, version).folder, facts)) is not None:
            edges = tuple(
                Edge(parent.role, parent.digest, parent.evidence, parent.reference)
                for parent in version.parents
            )
            same = Prepared(
                manifest_of(home, version),
                facts,
                home.blobs.read(facts.vocabulary.digest),
                edges,
                (),
                {},
                (),
                None,
                forced=version.forced,
            )
            said = AddOptions(message=options.message, alias=options.alias)
            return register(
                home,
                name,
                same,
                source=_source(options, whole=True),
                options=said,
                warnings=back.remarks,
                probes=version.probes,
                checkpoint=options.checkpoint,
            )
    return None


def _register_full(
    home: Home,
    live: Live,
    name: str,
    work: Path,
    origins: list[Known],
    options: SaveOptions,
    progress: Progress,
    *,
    is_base: bool = False,
) -> Added:
    from registry.runtime import write_model
    from registry.runtime.roundtrip import verify

    folder = work / "base"
    progress("writing", 0, None)
    write_model.write_base(live, folder)
    back = verify.prove(live, folder, None)
    prepared = _prepare_full(home, live, folder, origins, options, progress)
    measured, prepared = _measured(home, back.model, folder, prepared, None, options, progress)
    said = AddOptions(
        message=_base_message(live, options) if is_base else options.message,
        alias=None if is_base else options.alias,
    )
    return register(
        home,
        name,
        prepared,
        source=with_overridden_evidence(
            _source(options, whole=not is_base), next(iter(origins), None), prepared.forced
        ),
        options=said,
        warnings=back.remarks,
        probes=measured,
        checkpoint=options.checkpoint and not is_base,
    )


def _prepare_full(
    home: Home,
    live: Live,
    folder: Path,
    origins: list[Known],
    options: SaveOptions,
    progress: Progress,
) -> Prepared:
    """The folder as a child of what it came from; where its tokens do not extend that one's, it came from there in name only."""
    files, parent = open_folder(home, folder), next(iter(origins), None)
    if parent is not None and parent.evidence == "given" and len(origins) > 1:
        # none of them has the content of the model in memory, else it would not be
        # written
        raise ambiguous(str(options.parent), [known.version for known in origins])
    if parent is not None:
        try:
            return prepare(
                home,
                derived_folder(home, folder, parent.version),
                parent,
                model_class=live.model_class,
                write=True,
                progress=progress,
                forced=options.forced,
            )
        except ParentMismatch:
            if options.parent is not None:
                raise
    return prepare(
        home,
        files,
        None,
        model_class=live.model_class,
        write=True,
        progress=progress,
        forced=options.forced,
    )


def _register_adapter(
    home: Home,
    live: Live,
    adapter: str,
    name: str,
    work: Path,
    base: Version,
    options: SaveOptions,
    progress: Progress,
) -> Added:
    from registry.runtime import write_model
    from registry.runtime.roundtrip import verify

    folder = work / "adapter" / adapter
    progress(f"writing {adapter}", 0, None)
    write_model.write_adapter(
        live, adapter, Path(transformer_folder(home, base, progress=progress)), folder
    )
    back = verify.prove(live, folder, adapter)
    prepared = prepare(
        home,
        open_folder(home, folder),
        Known(base, "witnessed"),
        model_class=live.model_class,
        write=True,
        progress=progress,
        forced=options.forced,
        from_memory=True,
    )
    measured, prepared = _measured(home, back.model, folder, prepared, base, options, progress)
    said = AddOptions(message=options.message, alias=options.alias)
    return register(
        home,
        name,
        prepared,
        source=_source(options, whole=True),
        options=said,
        warnings=back.remarks,
        probes=measured,
        checkpoint=options.checkpoint,
    )


def _measured(
    home: Home,
    back: Any,
    folder: Path,
    prepared: Prepared,
    base: Version | None,
    options: SaveOptions,
    progress: Progress,
) -> tuple[Digest, Prepared]:
    """(probes as a blob, the folder with what was found), as add measures; the model is in hand, so it is not loaded again."""
    from registry.runtime import loading, probes

    progress("measuring", 0, None)
    problems = loading.ask(
        back, prepared.facts, folder=folder, adapter=prepared.facts.adapter is not None
    )
    if problems:  # every load would ask that, and refuse
        raise NotLoadable(f"the model cannot be kept exactly: {'; '.join(problems[:3])}")
    warnings: tuple[str, ...] = ()
    overruled: tuple[str, ...] = ()
    made = probes.record(back, prepared.facts.vocabulary.added)
    if prepared.facts.adapter is not None:
        there = Folder(
            StoredFiles(prepared.manifest, home.blobs), prepared.manifest, prepared.facts, base
        )
        with subject_of(home, there, lasting=True, progress=progress) as subject:
            warnings, overruled = judge(
                effect_of(back, folder, subject, options.forced, made), options.forced, subject
            )
    return home.blobs.add(made.to_bytes()), replace(
        prepared, warnings=(*prepared.warnings, *warnings), forced=(*prepared.forced, *overruled)
    )


def _source(options: SaveOptions, *, whole: bool) -> dict[str, Any]:
    more = {**options.source, "metrics": metrics_of(options.metrics or None)} if whole else {}
    return provenance(run=options.run, how="save", **more)


def _base_message(live: Live, options: SaveOptions) -> str:
    return options.message or "the base that an adapter in memory stood on"


def _version(added: Added) -> Version:
    if added.version is None:
        raise RegistryError(f"{added.name} was not registered")
    return added.version


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def remarks(
    home: Home,
    live: Live,
    acting: tuple[str, ...],
    base: Version,
    versions: Mapping[str, Version],
    progress: Progress,
) -> tuple[str, ...]:
    """Which of the versions, by adapter, is what acts in memory; where several act, how all of them are loaded, which is tried."""
    if len(versions) < 2:
        return ()
    if len(acting) == 1:
        return (
            f"of {len(versions)} adapters only {acting[0]!r} acts in memory, which is {versions[acting[0]].reference}; each version loads "
            "with its own adapter alone",
        )
    names = {
        adapter: adapter if _NAME.fullmatch(adapter) else f"adapter{number}"
        for number, adapter in enumerate(acting)
    }
    chosen = {names[adapter]: versions[adapter].reference for adapter in acting}
    said = f"{' and '.join(map(repr, acting))} act together in memory, and each version loads with its own adapter alone"
    typed = f"registry.load({base.reference!r}, adapters={chosen}), then registry.activate(model, {', '.join(map(repr, chosen))})"
    try:
        from registry.runtime.roundtrip import verify

        back = load(home, base, probes="skip", progress=progress, adapters=chosen, device="cpu")
        activate(back, *chosen)
        problem = verify.together(live, back, names)
    except RegistryError as error:
        return (f"{said}; together they cannot be loaded: {error.with_hint()}",)
    return (
        f"{said}; together: {typed}"
        if problem is None
        else f"{said}; together, by {typed}, it is not what it is in memory: {problem}",
    )
