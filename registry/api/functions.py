"""The actions as functions of the module: `registry.load("medical@prod")` is `registry.open().load("medical@prod")`.

Each takes `home=`; what it takes and returns beside that is said at the method of the same name of Registry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack, overload

from registry.core.point_in_time import When
from registry.core.progress import Progress, silent
from registry.core.version import LogRow, Model, Version
from registry.results.audit import Audited, Repaired
from registry.results.check import Report
from registry.results.diff import Difference
from registry.results.hub import Pulled, Pushed, State, Synced
from registry.results.queries import Details, Found, Lineage, TokenHistory
from registry.results.registration import Added, AliasMove, Saved, Verdict
from registry.results.storage import Bundled, Checkout, Collected, Deleted, Unbundled, Usage

from .registry import Metrics, Operand, PathLike, Probes, Registry, Texts, VersionLike


class AddKeywords(TypedDict, total=False):
    """Keywords of Registry.add."""

    prefix: str | None
    parent: VersionLike | None
    with_parents: bool
    model_class: str | None
    tokenizer: PathLike | None
    alias: str | None
    message: str | None
    run: str | None
    dry_run: bool
    force: Sequence[str]
    allow_no_effect: bool
    fix: bool
    trained_rows: bool
    metrics: Metrics | None
    probes: PathLike | Sequence[Any] | None
    measure: bool
    progress: Progress


class SaveKeywords(TypedDict, total=False):
    """Keywords of Registry.save."""

    base_name: str | None
    parent: VersionLike | None
    message: str | None
    alias: str | None
    run: str | None
    metrics: Mapping[str, float | str] | None
    force: Sequence[str]
    progress: Progress


class CheckKeywords(TypedDict, total=False):
    """Keywords of Registry.check."""

    line: bool
    parent: VersionLike | PathLike | None
    against: VersionLike | None
    max_drift: float | None
    require: Sequence[str]
    record: bool
    probes: PathLike | Sequence[Any] | None
    measure: bool
    at: When | None
    progress: Progress


class ResizeKeywords(TypedDict, total=False):
    """Keywords of Registry.resize."""

    special: bool
    single_word: bool
    normalized: bool | None
    init: Literal["subwords", "mean", "random"]
    seed: int | None
    skip_existing: bool
    alias: str | None
    message: str | None
    run: str | None
    dry_run: bool
    progress: Progress


@overload
def add(  # type: ignore[overload-overlap]
    folder: PathLike,
    name: str | None = ...,
    *,
    home: PathLike | None = ...,
    **keywords: Unpack[AddKeywords],
) -> Added: ...
@overload
def add(
    folder: Sequence[PathLike],
    name: str | None = ...,
    *,
    home: PathLike | None = ...,
    **keywords: Unpack[AddKeywords],
) -> tuple[Verdict, ...]: ...


def add(
    folder: PathLike | Sequence[PathLike],
    name: str | None = None,
    *,
    home: PathLike | None = None,
    **keywords: Unpack[AddKeywords],
) -> Added | tuple[Verdict, ...]:
    """Register a folder, or several, parents first."""
    with Registry(home) as registry:
        return registry.add(folder, name, **keywords)


def resize(
    version: VersionLike,
    name: str,
    tokens: PathLike | Sequence[str | Mapping[str, Any]],
    *,
    home: PathLike | None = None,
    **keywords: Unpack[ResizeKeywords],
) -> Added:
    """Add tokens to a version and register the resized base as `name`."""
    with Registry(home) as registry:
        return registry.resize(version, name, tokens, **keywords)


def merge(
    version: VersionLike,
    name: str,
    *,
    home: PathLike | None = None,
    alias: str | None = None,
    message: str | None = None,
    run: str | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Added:
    """Merge an adapter into its base and register the full model as `name`, kind merged, both its parents."""
    with Registry(home) as registry:
        return registry.merge(
            version, name, alias=alias, message=message, run=run, dry_run=dry_run, progress=progress
        )


def save(
    model: Any, name: str, *, home: PathLike | None = None, **keywords: Unpack[SaveKeywords]
) -> Saved:
    """Register a live model as it is in memory: its base, where that is new, and its adapter."""
    with Registry(home) as registry:
        return registry.save(model, name, **keywords)


def load(
    version: VersionLike,
    *,
    home: PathLike | None = None,
    adapters: Mapping[str, VersionLike] | None = None,
    probes: Probes = "refuse",
    at: When | None = None,
    progress: Progress = silent,
    **kwargs: Any,
) -> Any:
    """The model, as an object of its class, exactly as registered. Keywords go through to the class."""
    with Registry(home) as registry:
        return registry.load(
            version, adapters=adapters, probes=probes, at=at, progress=progress, **kwargs
        )


def activate(model: Any, *adapters: str) -> None:
    """Let exactly these adapters of a model act, none for its base alone; what is frozen stays frozen."""
    Registry().activate(model, *adapters)


def version_of(model: Any, *, home: PathLike | None = None) -> Version:
    """The version that a loaded or saved model is. Raises VersionNotFound, also for one that was trained since: then it is none yet."""
    with Registry(home) as registry:
        return registry.version_of(model)


def list(
    name: str | None = None,
    *,
    sort: str | None = None,
    ascending: bool = False,
    at: When | None = None,
    home: PathLike | None = None,
) -> tuple[Model, ...] | tuple[Version, ...]:
    """All models, or the versions of one, newest first; or sorted by a column, a metric or a note, the highest first."""
    with Registry(home) as registry:
        return registry.list(name, sort=sort, ascending=ascending, at=at)


def show(version: VersionLike, *, at: When | None = None, home: PathLike | None = None) -> Details:
    """One version whole."""
    with Registry(home) as registry:
        return registry.show(version, at=at)


def diff(
    before: Operand,
    after: Operand,
    *,
    encodings: bool = False,
    texts: Texts | None = None,
    html: PathLike | None = None,
    at: When | None = None,
    home: PathLike | None = None,
    progress: Progress = silent,
) -> Difference:
    """What differs between two versions or folders, as they would be loaded, and whether stored vectors can be kept."""
    with Registry(home) as registry:
        return registry.diff(
            before, after, encodings=encodings, texts=texts, html=html, at=at, progress=progress
        )


class PushKeywords(TypedDict, total=False):
    """Keywords of Registry.push."""

    to: str | None
    parents_to: str | None
    all_parents: bool
    private: bool
    pr: bool
    dry_run: bool
    message: str | None
    as_new: str | None
    break_others: bool
    allow_path: Sequence[str]
    progress: Progress


def push(
    version: VersionLike, *, home: PathLike | None = None, **keywords: Unpack[PushKeywords]
) -> Pushed:
    """Publish a version on the Hub, and first those of its parents that are not there."""
    with Registry(home) as registry:
        return registry.push(version, **keywords)


class PullKeywords(TypedDict, total=False):
    """Keywords of Registry.pull."""

    name: str | None
    aliases: bool
    renumber: bool
    parent_as: Mapping[str, str] | None
    from_any: bool
    parent: VersionLike | None
    model_class: str | None
    message: str | None
    progress: Progress


def pull(
    repository: str, *, home: PathLike | None = None, **keywords: Unpack[PullKeywords]
) -> Pulled | Unbundled:
    """Register what `hf://org/repo@revision` has, its line with it."""
    with Registry(home) as registry:
        return registry.pull(repository, **keywords)


def status(
    version: VersionLike | None = None,
    *,
    home: PathLike | None = None,
    offline: bool = False,
    progress: Progress = silent,
) -> tuple[State, ...]:
    """What each published version is to its repository."""
    with Registry(home) as registry:
        return registry.status(version, offline=offline, progress=progress)


def sync(
    name: str,
    *,
    home: PathLike | None = None,
    with_repository: str | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Synced:
    """Push the versions of a model that are here only, pull those that its repository has."""
    with Registry(home) as registry:
        return registry.sync(
            name, with_repository=with_repository, dry_run=dry_run, progress=progress
        )


def check(
    target: Operand, *, home: PathLike | None = None, **keywords: Unpack[CheckKeywords]
) -> Report:
    """Whether a version, or a folder that is not registered, loads and encodes right: `passed`, and every outcome."""
    with Registry(home) as registry:
        return registry.check(target, **keywords)


def log(
    target: str | None = None,
    *,
    since: When | None = None,
    by: str | None = None,
    kind: str | Sequence[str] | None = None,
    limit: int | None = None,
    at: When | None = None,
    home: PathLike | None = None,
) -> tuple[LogRow, ...]:
    """What was done, newest first: everything, to a model or a version, or the moves of an alias (`name@alias`)."""
    with Registry(home) as registry:
        return registry.log(target, since=since, by=by, kind=kind, limit=limit, at=at)


def lineage(
    version: VersionLike, *, at: When | None = None, home: PathLike | None = None
) -> Lineage:
    """Where a version comes from, and what stands on it."""
    with Registry(home) as registry:
        return registry.lineage(version, at=at)


def tokens(
    version: VersionLike,
    *,
    texts: PathLike | Sequence[str] | None = None,
    at: When | None = None,
    home: PathLike | None = None,
) -> tuple[TokenHistory, ...]:
    """The added tokens of a version, by id: who brought each, its pieces before, who last trained its row."""
    with Registry(home) as registry:
        return registry.tokens(version, texts=texts, at=at)


def find(what: str, *, at: When | None = None, home: PathLike | None = None) -> tuple[Found, ...]:
    """Versions by name, kind, token, digest or note; or, for a path, the version that a folder on disk is."""
    with Registry(home) as registry:
        return registry.find(what, at=at)


def resolve(
    version: VersionLike, *, at: When | None = None, home: PathLike | None = None
) -> Version:
    """The version a reference means now; its `pinned` is for lock files."""
    with Registry(home) as registry:
        return registry.resolve(version, at=at)


def alias(
    version: VersionLike,
    alias: str | None = None,
    *,
    expect: VersionLike | None = None,
    remove: bool = False,
    message: str | None = None,
    home: PathLike | None = None,
) -> AliasMove:
    """Point an alias at a version; with remove, version is `name@alias` and the alias goes away."""
    with Registry(home) as registry:
        return registry.alias(version, alias, expect=expect, remove=remove, message=message)


def annotate(
    version: VersionLike, notes: Mapping[str, str | float | None], *, home: PathLike | None = None
) -> Version:
    """Set notes of a version; None removes one."""
    with Registry(home) as registry:
        return registry.annotate(version, notes)


def yank(
    version: VersionLike,
    *,
    reason: str | None = None,
    undo: bool = False,
    home: PathLike | None = None,
) -> Version:
    """Hide a version from latest and aliases, or show it again."""
    with Registry(home) as registry:
        return registry.yank(version, reason=reason, undo=undo)


def delete(
    versions: Sequence[VersionLike] | VersionLike,
    *,
    keep_last: int | None = None,
    message: str | None = None,
    dry_run: bool = False,
    home: PathLike | None = None,
) -> Deleted:
    """Forget versions; with keep_last, each operand is a model's name and all but its newest N go."""
    with Registry(home) as registry:
        return registry.delete(versions, keep_last=keep_last, message=message, dry_run=dry_run)


def checkout(
    version: VersionLike,
    folder: PathLike | None = None,
    *,
    for_path: str | None = None,
    force: bool = False,
    at: When | None = None,
    progress: Progress = silent,
    home: PathLike | None = None,
) -> Checkout:
    """A version as files, with its line, loadable without this package: in a folder, or in the home's own checkout."""
    with Registry(home) as registry:
        return registry.checkout(
            version, folder, for_path=for_path, force=force, at=at, progress=progress
        )


def collect(
    *,
    older_than: float = 3600.0,
    dry_run: bool = False,
    progress: Progress = silent,
    home: PathLike | None = None,
) -> Collected:
    """Free the bytes nobody needs; older_than is in seconds."""
    with Registry(home) as registry:
        return registry.collect(older_than=older_than, dry_run=dry_run, progress=progress)


def audit(
    *,
    full: bool = False,
    probes: bool = False,
    receipt: PathLike | None = None,
    against: PathLike | None = None,
    progress: Progress = silent,
    home: PathLike | None = None,
) -> Audited:
    """Whether everything is what it says; what is not is in `findings`."""
    with Registry(home) as registry:
        return registry.audit(
            full=full, probes=probes, receipt=receipt, against=against, progress=progress
        )


def repair(
    sources: Sequence[PathLike] = (),
    *,
    accept_journal: bool = False,
    progress: Progress = silent,
    home: PathLike | None = None,
) -> Repaired:
    """The catalog made anew from the journal; lost or damaged bytes fetched by digest from sources."""
    with Registry(home) as registry:
        return registry.repair(sources, accept_journal=accept_journal, progress=progress)


def du(
    version: VersionLike | None = None, *, at: When | None = None, home: PathLike | None = None
) -> tuple[Usage, ...]:
    """What a version costs on disk; without one, what each does, and last the whole registry."""
    with Registry(home) as registry:
        return registry.du(version, at=at)


def bundle(
    versions: Sequence[VersionLike] | VersionLike = (),
    output: PathLike = "bundle.tar",
    *,
    have: PathLike | None = None,
    everything: bool = False,
    at: When | None = None,
    progress: Progress = silent,
    home: PathLike | None = None,
) -> Bundled:
    """Write versions with their lines, or the whole home, into one file that pull takes."""
    with Registry(home) as registry:
        return registry.bundle(
            versions, output, have=have, everything=everything, at=at, progress=progress
        )


def config(
    key: str | None = None,
    value: str | None = None,
    *,
    unset: bool = False,
    home: PathLike | None = None,
) -> Mapping[str, str]:
    """The settings of the home that people make: all of them, one, or one made new."""
    with Registry(home) as registry:
        return registry.config(key, value, unset=unset)
