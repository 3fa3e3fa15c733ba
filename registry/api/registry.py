"""Registry: what users hold. One method for each action; what an action needs is imported when it is called.

A version is given as a reference (`"medical@prod"`) or as a Version. The library never prints: long work calls `progress`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from registry.core import settings as _settings
from registry.core.code_permission import set_permission
from registry.core.progress import Progress, silent
from registry.core.recordable import recordable
from registry.core.reference import path_of
from registry.errors import Invalid

if TYPE_CHECKING:
    from registry.core.digest import Digest
    from registry.core.point_in_time import When
    from registry.core.version import LogRow, Model, Version
    from registry.home.home import Home
    from registry.operations.registration.training import Training
    from registry.results.audit import Audited, Repaired
    from registry.results.check import CheckInfo, Report
    from registry.results.diff import Difference
    from registry.results.hub import Pulled, Pushed, State, Synced
    from registry.results.queries import Details, Found, Lineage, TokenHistory
    from registry.results.registration import Added, AliasMove, Approval, DemoResult, Saved, Verdict
    from registry.results.storage import Bundled, Checkout, Collected, Deleted, Unbundled, Usage

VersionLike: TypeAlias = "str | Version"
PathLike = str | os.PathLike[str]
Metrics: TypeAlias = "PathLike | Mapping[str, float | str]"
Operand: TypeAlias = "str | os.PathLike[str] | Version"
Texts: TypeAlias = "str | os.PathLike[str] | Sequence[str | Sequence[str]]"
Probes = Literal["refuse", "warn", "skip"]


class Registry:
    """An open home. Cheap to make; the catalog is opened at the first question."""

    def __init__(self, home: PathLike | None = None) -> None:
        self.settings = _settings.from_environment(home)
        self._home: Home | None = None

    def __repr__(self) -> str:
        return f"Registry({str(self.settings.home)!r})"

    @property
    def home(self) -> Home:
        """The open folder behind everything. Raises HomeNotFound."""
        if self._home is None:
            from registry.home.home import Home

            self._home = Home.open(self.settings)
        set_permission(self._permits)
        return self._home

    def _permits(self, code: Digest) -> bool:
        """Return whether custom code with this digest is approved here."""
        from registry.operations.shared.custom_code import permits

        return self._home is not None and permits(self._home, code)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What reading had to say since the last time this was asked, e.g. that the catalog is behind."""
        return self._home.take_warnings() if self._home is not None else ()

    def close(self) -> None:
        """Let go of the catalog and of locks."""
        if self._home is not None:
            self._home.close()
            self._home = None

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # everyday

    @overload
    def add(  # type: ignore[overload-overlap]
        self,
        folder: PathLike,
        name: str | None = ...,
        *,
        prefix: str | None = ...,
        parent: VersionLike | None = ...,
        with_parents: bool = ...,
        model_class: str | None = ...,
        tokenizer: PathLike | None = ...,
        alias: str | None = ...,
        message: str | None = ...,
        run: str | None = ...,
        dry_run: bool = ...,
        force: Sequence[str] = ...,
        allow_no_effect: bool = ...,
        fix: bool = ...,
        trained_rows: bool = ...,
        accept_lost_rows: bool = ...,
        convert: bool = ...,
        metrics: Metrics | None = ...,
        probes: PathLike | Sequence[Any] | None = ...,
        measure: bool = ...,
        trust_code: bool | str = ...,
        ignore_code: bool = ...,
        code: PathLike | None = ...,
        progress: Progress = ...,
    ) -> Added: ...
    @overload
    def add(
        self,
        folder: Sequence[PathLike],
        name: str | None = ...,
        *,
        prefix: str | None = ...,
        parent: VersionLike | None = ...,
        with_parents: bool = ...,
        model_class: str | None = ...,
        tokenizer: PathLike | None = ...,
        alias: str | None = ...,
        message: str | None = ...,
        run: str | None = ...,
        dry_run: bool = ...,
        force: Sequence[str] = ...,
        allow_no_effect: bool = ...,
        fix: bool = ...,
        trained_rows: bool = ...,
        accept_lost_rows: bool = ...,
        convert: bool = ...,
        metrics: Metrics | None = ...,
        probes: PathLike | Sequence[Any] | None = ...,
        measure: bool = ...,
        trust_code: bool | str = ...,
        ignore_code: bool = ...,
        code: PathLike | None = ...,
        progress: Progress = ...,
    ) -> tuple[Verdict, ...]: ...

    def add(
        self,
        folder: PathLike | Sequence[PathLike],
        name: str | None = None,
        *,
        prefix: str | None = None,
        parent: VersionLike | None = None,
        with_parents: bool = False,
        model_class: str | None = None,
        tokenizer: PathLike | None = None,
        alias: str | None = None,
        message: str | None = None,
        run: str | None = None,
        dry_run: bool = False,
        force: Sequence[str] = (),
        allow_no_effect: bool = False,
        fix: bool = False,
        trained_rows: bool = False,
        accept_lost_rows: bool = False,
        convert: bool = False,
        metrics: Metrics | None = None,
        probes: PathLike | Sequence[Any] | None = None,
        measure: bool = True,
        trust_code: bool | str = False,
        ignore_code: bool = False,
        code: PathLike | None = None,
        progress: Progress = silent,
    ) -> Added | tuple[Verdict, ...]:
        """Register a folder, or several, parents first; or what `hf://org/repo` has, as pull does.

        force names checks of judgement that may fail (`registry check --list` names all); the version says for ever that they
        did. allow_no_effect is for an adapter that is meant to be untrained. fix puts right an adapter folder that no library
        loads any more, trained_rows lets the token rows it carries be others than its base's.
        accept_lost_rows lets lost token rows be replaced by spare rows of the base.
        metrics are numbers by name, or a
        JSON or CSV file of an evaluator. The model is loaded once, an adapter must change something, and what the model encodes
        is kept, also for the texts in `probes`: a file (a path), or a sequence of texts, pairs and mappings {"text": ...,
        "prompt": ...}. With measure=False none of that is done, and torch is not needed.
        tokenizer is a folder whose tokenizer files are taken, or the word "parent";
        lengths and sides stay those of the folder.
        trust_code approves the custom code of the folder, or only that of a digest;
        ignore_code uses the classes of the library instead; code is a folder with
        files of other repositories that the model refers to.

        convert reads pickled weights in a child process that runs none of their code,
        stores them as safetensors, and writes tokenizer.json where it is missing.

        One folder takes `name`; several take `prefix`, and are named prefix + folder's name. Raises for one folder what is
        wrong with it; for several the errors are in the verdicts.
        """
        from registry.operations.registration.add import add, add_several
        from registry.operations.registration.pipeline import AddOptions
        from registry.operations.shared.custom_code import CodeOptions

        forced = ([force] if isinstance(force, str) else [*force]) + (
            ["adapter-trained", "adapter-effect"] if allow_no_effect else []
        )
        from registry.operations.registration.metrics import metrics_of

        options = AddOptions(
            parent=parent,
            with_parents=with_parents,
            model_class=model_class,
            alias=alias,
            message=recordable(message, "the message"),
            run=run,
            dry_run=dry_run,
            tokenizer=path_of(tokenizer)
            if tokenizer is not None and tokenizer != "parent"
            else tokenizer,
            forced=tuple(forced),
            fix=fix,
            trained_rows=trained_rows,
            accept_lost_rows=accept_lost_rows,
            convert=convert,
            metrics=metrics_of(metrics),
            probes=probes,
            measured=measure,
            code=CodeOptions(trust_code, ignore_code, path_of(code) if code is not None else None),
        )
        if isinstance(folder, str) and folder.startswith("hf://"):
            from registry.operations.hub.pull import add_from_hub

            return add_from_hub(
                self.home,
                folder,
                (prefix or "") + name if name is not None else None,
                options=options,
                progress=progress,
            )
        if isinstance(folder, (str, os.PathLike)):
            return add(
                self.home, path_of(folder), name, prefix=prefix, options=options, progress=progress
            )
        return add_several(
            self.home,
            [path_of(item) for item in folder],
            name,
            prefix=prefix,
            options=options,
            progress=progress,
        )

    def resize(
        self,
        version: VersionLike,
        name: str,
        tokens: PathLike | Sequence[str | Mapping[str, Any]],
        *,
        special: bool = False,
        single_word: bool = False,
        normalized: bool | None = None,
        init: Literal["subwords", "mean", "random"] = "subwords",
        seed: int | None = None,
        skip_existing: bool = False,
        column: str | None = None,
        literal: bool = False,
        alias: str | None = None,
        message: str | None = None,
        run: str | None = None,
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> Added:
        """Add tokens to a version and register the resized base as `name`.

        tokens is a file (a path) or an ordered sequence of words or of mappings
        {"content": ..., flags}. column names a column of a CSV or TSV file. literal
        registers quotes and the markers of vocabulary files (`##x`) as typed.
        """
        from registry.operations.registration.resize import ResizeOptions, resize

        options = ResizeOptions(
            special=special,
            single_word=single_word,
            normalized=normalized,
            init=init,
            seed=seed,
            skip_existing=skip_existing,
            column=column,
            literal=literal,
            alias=alias,
            message=recordable(message, "the message"),
            run=run,
            dry_run=dry_run,
        )
        return resize(self.home, version, name, tokens, options=options, progress=progress)

    def merge(
        self,
        version: VersionLike,
        name: str,
        *,
        alias: str | None = None,
        message: str | None = None,
        run: str | None = None,
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> Added:
        """Merge an adapter into its base and register the full model as `name`, kind merged, both its parents.

        The result is loaded from disk and compared with the unmerged model; how near it came is in the version's source.
        """
        from registry.operations.registration.merge import MergeOptions, merge

        options = MergeOptions(
            alias=alias,
            message=recordable(message, "the message"),
            run=run,
            dry_run=dry_run,
        )
        return merge(self.home, version, name, options=options, progress=progress)

    def save(
        self,
        model: Any,
        name: str,
        *,
        base_name: str | None = None,
        parent: VersionLike | None = None,
        message: str | None = None,
        alias: str | None = None,
        run: str | None = None,
        metrics: Mapping[str, float | str] | None = None,
        force: Sequence[str] = (),
        progress: Progress = silent,
    ) -> Saved:
        """Register a live model as it is in memory: its base, where that is new, as `NAME-base` or base_name, and its adapter as NAME.

        Of several adapters each is a version of its own, called NAME-ADAPTER. The model stays as it was, and load gives back one that
        encodes alike bit for bit; raises NotLoadable naming what of it cannot be kept so. parent is the version that the base came
        from, where neither load nor a checkout tells. force is as in add.
        """
        from registry.operations.registration.save import SaveOptions, save

        options = SaveOptions(
            base_name=base_name,
            parent=parent,
            message=recordable(message, "the message"),
            alias=alias,
            run=run,
            metrics=metrics,
            forced=tuple([force] if isinstance(force, str) else force),
        )
        return save(self.home, model, name, options=options, progress=progress)

    def load(
        self,
        version: VersionLike,
        *,
        adapters: Mapping[str, VersionLike] | None = None,
        probes: Probes = "refuse",
        verify: bool = False,
        at: When | None = None,
        progress: Progress = silent,
        **kwargs: Any,
    ) -> Any:
        """The model, as an object of its class, exactly as registered. Keywords go through to the class.

        With verify all files are hashed while the model is built.

        With adapters, {"a": "x@2", …}, version is the base that all of them stand on; the first one acts, `activate` switches.
        With at it is what the references meant then; it must not have been deleted since.
        """
        from registry.operations.loading.load import load

        if at is not None:
            version = self.resolve(version, at=at)
            adapters = (
                {name: self.resolve(adapter, at=at) for name, adapter in adapters.items()}
                if adapters is not None
                else None
            )
        return load(
            self.home,
            version,
            adapters=adapters,
            probes=probes,
            verify=verify,
            progress=progress,
            **kwargs,
        )

    def training(
        self, name: str, *, base_name: str | None = None, alias: str | None = None
    ) -> Training:
        """A training to be followed: `begin`, `checkpoint` and `end` register what there is then. The trainers' callback drives it."""
        from registry.operations.registration.training import Training

        return Training(self.home, name, base_name=base_name, alias=alias)

    def activate(self, model: Any, *adapters: str) -> None:
        """Let exactly these adapters of a model act, none for its base alone; what is frozen stays frozen."""
        from registry.operations.loading.multi_adapter import activate

        activate(model, *adapters)

    def encode(self, model: Any, inputs: Iterable[Any]) -> Iterator[Any]:
        """For each input its encoding as JSON values, by the model's class; pairs are scored by a CrossEncoder."""
        from registry.operations.loading.load import encode

        return encode(model, inputs)

    def version_of(self, model: Any) -> Version:
        """The version that a loaded or saved model is. Raises VersionNotFound, also for one that was trained since: then it is none yet."""
        from registry.operations.loading.load import version_of

        return version_of(self.home, model)

    # every look takes `at`: the number of an entry, a time as text, or a datetime; the answer is what it was right then

    def list(
        self,
        name: str | None = None,
        *,
        sort: str | None = None,
        ascending: bool = False,
        at: When | None = None,
    ) -> tuple[Model, ...] | tuple[Version, ...]:
        """All models, or the versions of one, newest first.

        sort is for models name, updated or versions; for versions number, created, size, added, parameters, a metric or a note
        that is a number: the highest first, unless ascending, and those without it last.
        """
        from registry.operations.inspection.list_show import list_models, list_versions

        if name is None:
            return list_models(self.home, at, sort=sort, ascending=ascending)
        return list_versions(self.home, name, at, sort=sort, ascending=ascending)

    def show(self, version: VersionLike, *, at: When | None = None) -> Details:
        """One version whole."""
        from registry.operations.inspection.list_show import show

        return show(self.home, version, at)

    def diff(
        self,
        before: Operand,
        after: Operand,
        *,
        encodings: bool = False,
        texts: Texts | None = None,
        html: PathLike | None = None,
        at: When | None = None,
        progress: Progress = silent,
    ) -> Difference:
        """What differs between two versions or folders, as they would be loaded, and whether stored vectors can be kept.

        A text that starts with `.`, `/` or `~` is a folder, as is any path; every other text is a reference. With encodings,
        texts (a file or the texts) or html (a file for the page) both are loaded, and `encodings` says how far texts moved.
        """
        from registry.operations.inspection.diff import diff

        return diff(
            self.home,
            before,
            after,
            encodings=encodings,
            texts=texts,
            html=html,
            at=at,
            progress=progress,
        )

    def check(
        self,
        target: Operand,
        *,
        line: bool = False,
        parent: VersionLike | PathLike | None = None,
        against: VersionLike | None = None,
        max_drift: float | None = None,
        require: Sequence[str] = (),
        record: bool = False,
        probes: PathLike | Sequence[Any] | None = None,
        measure: bool = True,
        at: When | None = None,
        progress: Progress = silent,
    ) -> Report:
        """Whether a version, or a folder that is not registered, loads and encodes right: `passed`, and every outcome.

        parent is for a folder: a version or another folder. against and max_drift compare with a version (1 - cosine), require
        holds texts like 'eval_dev_spearman_cosine >= 0.85', line compares each stage with the one it came from. record keeps
        new probes, with the texts in probes. With measure=False only what needs no model is looked at, without torch. at says
        when the references meant what is checked, as it is now.
        """
        from registry.operations.check import CheckOptions, check
        from registry.operations.shared.resolve import is_folder, meant

        home = self.home if not is_folder(target) or against is not None else self._home_if_there()
        target, parent, against = meant(home, [target, parent, against], at, folders=True)
        options = CheckOptions(
            line=line,
            parent=parent,
            against=against,
            max_drift=max_drift,
            record=record,
            probes=probes,
            measured=measure,
            require=(require,) if isinstance(require, str) else tuple(require),
        )
        return check(home, target, options=options, progress=progress)

    def _home_if_there(self) -> Home | None:
        """The open folder behind everything, if there is one; looking at a folder does not make it. Raises HomeNotFound for a named one."""
        from registry.home.location import is_home

        there = is_home(self.settings.home)
        return self.home if there or self.settings.home_was_named else None

    def read(self, reference: str, *, at: When | None = None) -> bytes:
        """The bytes of one file of a version, as registered: `name@3:config.json`."""
        from registry.operations.inspection.list_show import read

        return read(self.home, reference, at)

    # hub

    def push(
        self,
        version: VersionLike,
        *,
        to: str | None = None,
        parents_to: str | None = None,
        all_parents: bool = False,
        private: bool = False,
        pr: bool = False,
        dry_run: bool = False,
        message: str | None = None,
        as_new: str | None = None,
        break_others: bool = False,
        allow_path: Sequence[str] = (),
        progress: Progress = silent,
    ) -> Pushed:
        """Publish a version on the Hub, and first those of its parents that are not there.

        to is a repository, `org/name`, remembered for the model; parents_to is whose the parents' repositories are. With as_new a
        base that would break others goes to that repository instead; with break_others it goes where it was to go.
        """
        from registry.operations.hub.push import push
        from registry.operations.hub.push_run import PushOptions

        options = PushOptions(
            to=to,
            parents_to=parents_to,
            all_parents=all_parents,
            private=private,
            pr=pr,
            dry_run=dry_run,
            message=recordable(message, "the message"),
            as_new=as_new,
            break_others=break_others,
            allow_path=tuple(allow_path),
        )
        return push(self.home, version, options=options, progress=progress)

    def pull(
        self,
        repository: str,
        *,
        name: str | None = None,
        aliases: bool = False,
        renumber: bool = False,
        parent_as: Mapping[str, str] | None = None,
        from_any: bool = False,
        parent: VersionLike | None = None,
        model_class: str | None = None,
        convert: bool = False,
        trust_code: bool | str = False,
        ignore_code: bool = False,
        code: PathLike | None = None,
        message: str | None = None,
        progress: Progress = silent,
    ) -> Pulled | Unbundled:
        """Register what `hf://org/repo@revision`, or a bundle, has, its line with it, under the names and numbers it has there.

        A path that is no `hf://` is a bundle's; one of a whole home is restored into a place that holds none, or only its past.
        parent_as gives parents other names, old to new; parent, model_class and convert are for a repository that no registry made.
        trust_code approves the custom code of the models, or only that of a digest;
        ignore_code and code are those of `add`, for a repository that no registry made.
        """
        if not repository.startswith("hf://"):
            from registry.operations.bundle import UnbundleOptions, unbundle
            from registry.operations.hub.repositories import refuse_repository

            if (
                aliases
                or convert
                or parent is not None
                or model_class is not None
                or message is not None
                or trust_code
                or ignore_code
                or code is not None
            ):
                raise Invalid(
                    f"{repository!r} is a bundle, and what it records of its versions cannot be "
                    "changed",
                    hint="to pull from the Hub, write hf://ORG/REPO",
                )
            refuse_repository(repository)
            return unbundle(
                self.settings,
                lambda: self.home,
                path_of(repository),
                options=UnbundleOptions(name, renumber, dict(parent_as or {}), from_any),
                progress=progress,
            )
        from registry.operations.hub.pull import pull
        from registry.operations.hub.pull_options import PullOptions
        from registry.operations.shared.custom_code import CodeOptions

        options = PullOptions(
            name=name,
            aliases=aliases,
            renumber=renumber,
            parent_as=dict(parent_as or {}),
            from_any=from_any,
            parent=parent,
            model_class=model_class,
            convert=convert,
            message=recordable(message, "the message"),
            code=CodeOptions(trust_code, ignore_code, path_of(code) if code is not None else None),
        )
        return pull(self.home, repository, options=options, progress=progress)

    def status(
        self,
        version: VersionLike | None = None,
        *,
        offline: bool = False,
        progress: Progress = silent,
    ) -> tuple[State, ...]:
        """Return the state of each published version, compared with its repository.

        It is one of `registry.results.hub.STATES`.
        """
        from registry.operations.hub.status import status

        return status(self.home, version, offline=offline, progress=progress)

    def sync(
        self,
        name: str,
        *,
        with_repository: str | None = None,
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> Synced:
        """Push the versions of a model that are here only, pull those that its repository has; what went apart is left alone."""
        from registry.operations.hub.sync import sync

        return sync(
            self.home, name, with_repository=with_repository, dry_run=dry_run, progress=progress
        )

    # look

    def log(
        self,
        target: str | None = None,
        *,
        since: When | None = None,
        by: str | None = None,
        kind: str | Sequence[str] | None = None,
        limit: int | None = None,
        at: When | None = None,
    ) -> tuple[LogRow, ...]:
        """What was done, newest first: everything, to a model or a version, or the moves of an alias (`name@alias`).

        by is a part of who was at work, kind one or several kinds of entries, e.g. `register`.
        """
        from registry.operations.inspection.history import log

        return log(self.home, target, since=since, by=by, kind=kind, limit=limit, at=at)

    def lineage(self, version: VersionLike, *, at: When | None = None) -> Lineage:
        """Where a version comes from, and what stands on it."""
        from registry.operations.inspection.history import lineage

        return lineage(self.home, version, at=at)

    def tokens(
        self,
        version: VersionLike,
        *,
        texts: PathLike | Sequence[str] | None = None,
        at: When | None = None,
    ) -> tuple[TokenHistory, ...]:
        """The added tokens of a version, by id: who brought each, its pieces before, who last trained its row.

        With texts (a file, or the texts) also how often each stands in them.
        """
        from registry.operations.inspection.tokens import tokens

        return tokens(self.home, version, texts=texts, at=at)

    def find(self, what: str, *, at: When | None = None) -> tuple[Found, ...]:
        """Versions by name, kind, token, digest or note, or by a comparison; or, for a path, the version that a folder on disk is.

        A comparison is like `eval_loss < 0.3`: a metric, or a note that is a number, then < <= > >= = or !=, and a number.
        """
        from registry.operations.inspection.list_show import find

        return find(self.home, what, at)

    def resolve(self, version: VersionLike, *, at: When | None = None) -> Version:
        """The version a reference means now, or meant at a moment; its `pinned` is for lock files."""
        from registry.operations.shared.resolve import resolve

        return resolve(self.home, version, at)

    # name

    def alias(
        self,
        version: VersionLike,
        alias: str | None = None,
        *,
        expect: VersionLike | None = None,
        remove: bool = False,
        message: str | None = None,
    ) -> AliasMove:
        """Point an alias at a version; with remove, version is `name@alias` and the alias goes away."""
        from registry.operations.labels.labels import alias as set_alias, remove_alias

        recordable(message, "the message")
        if remove:
            return remove_alias(self.home, version, expect=expect, message=message)
        return set_alias(self.home, version, alias, expect=expect, message=message)

    def annotate(self, version: VersionLike, notes: Mapping[str, str | float | None]) -> Version:
        """Set notes of a version; None removes one."""
        from registry.operations.labels.labels import annotate

        for key, text in notes.items():
            recordable(f"{key}={text}", f"the note {key!r}")
        return annotate(self.home, version, notes)

    def yank(
        self, version: VersionLike, *, reason: str | None = None, undo: bool = False
    ) -> Version:
        """Hide a version from latest and aliases, or show it again."""
        from registry.operations.labels.labels import yank

        recordable(reason, "the reason")
        return yank(self.home, version, reason=reason, undo=undo)

    def approve(
        self, version: VersionLike, *, message: str | None = None, undo: bool = False
    ) -> Approval:
        """Approve the custom code of a version, or a code digest; or withdraw that.

        An approval is for the code digest: every version with the same code may run it.
        Raises ForeignCode for a version without custom code.
        """
        from registry.operations.labels.approve import approve

        return approve(self.home, version, message=message, undo=undo)

    def code_in(
        self, folder: PathLike, *, code: PathLike | None = None, model_class: str | None = None
    ) -> Approval | None:
        """Return the custom code that `add` with trust_code would approve, or None.

        The folder may be `hf://org/repo@revision`, as for `pull`.
        """
        if isinstance(folder, str) and folder.startswith("hf://"):
            from registry.operations.hub.pulled_code import code_at

            return code_at(
                self.home,
                folder,
                code=path_of(code) if code is not None else None,
                model_class=model_class,
            )
        from registry.operations.labels.approve import code_in

        return code_in(
            self.home,
            path_of(folder),
            code=path_of(code) if code is not None else None,
            model_class=model_class,
        )

    def delete(
        self,
        versions: Sequence[VersionLike] | VersionLike,
        *,
        keep_last: int | None = None,
        message: str | None = None,
        dry_run: bool = False,
    ) -> Deleted:
        """Forget versions; with keep_last, each operand is a model's name and all but its newest N go."""
        from registry.operations.maintenance.delete import delete

        items = (
            versions
            if isinstance(versions, Sequence) and not isinstance(versions, str)
            else [versions]
        )
        recordable(message, "the message")
        return delete(self.home, items, keep_last=keep_last, message=message, dry_run=dry_run)

    # files and house

    def checkout(
        self,
        version: VersionLike,
        folder: PathLike | None = None,
        *,
        for_path: str | None = None,
        force: bool = False,
        at: When | None = None,
        progress: Progress = silent,
    ) -> Checkout:
        """A version as files, with its line, loadable without this package: in a folder, or in the home's own checkout."""
        from registry.operations.loading.checkout import checkout

        meant = version if at is None else self.resolve(version, at=at)
        return checkout(
            self.home,
            meant,
            path_of(folder) if folder is not None else None,
            for_path=for_path,
            force=force,
            progress=progress,
        )

    def ready(self, version: str) -> Path | None:
        """The home's checkout of a version, if it lies there unchanged; None where it takes more than a look to tell."""
        from registry.operations.loading.ready_checkout import ready

        return ready(self.settings, version)

    def collect(
        self, *, older_than: float = 3600.0, dry_run: bool = False, progress: Progress = silent
    ) -> Collected:
        """Free the bytes nobody needs; older_than is in seconds."""
        from registry.operations.maintenance.collect import collect

        return collect(self.home, older_than=older_than, dry_run=dry_run, progress=progress)

    def audit(
        self,
        *,
        full: bool = False,
        probes: bool = False,
        receipt: PathLike | None = None,
        against: PathLike | None = None,
        progress: Progress = silent,
    ) -> Audited:
        """Whether everything is what it says; what is not is in `findings`, and nothing is changed.

        full reads every byte, probes loads the heads; receipt is a file to write the journal's head to, against an earlier one.
        """
        from registry.operations.maintenance.audit import audit

        earlier = path_of(against) if against is not None else None
        return audit(
            self.home, full=full, probes=probes, receipt=receipt, against=earlier, progress=progress
        )

    def repair(
        self,
        sources: Sequence[PathLike] = (),
        *,
        accept_journal: bool = False,
        progress: Progress = silent,
    ) -> Repaired:
        """The catalog made anew; lost or damaged bytes fetched by digest from sources: homes, bundles, folders.

        With accept_journal the journal is taken as it is, though a catalog says it was longer or another; an entry that breaks it, and
        all that follow, are set aside in the home's folder local.
        """
        from registry.operations.maintenance.repair import repair

        return repair(
            self.home,
            [os.fspath(item) for item in sources],
            accept_journal=accept_journal,
            progress=progress,
        )

    def du(
        self, version: VersionLike | None = None, *, at: When | None = None
    ) -> tuple[Usage, ...]:
        """What a version costs on disk; without one, what each does, and last the whole registry. Counted as collect counts, and now: at
        says when the reference meant the version.
        """
        from registry.operations.maintenance.du import du
        from registry.operations.shared.resolve import meant

        return du(self.home, *meant(self.home, [version], at))

    def bundle(
        self,
        versions: Sequence[VersionLike] | VersionLike = (),
        output: PathLike = "bundle.tar",
        *,
        have: PathLike | None = None,
        everything: bool = False,
        at: When | None = None,
        progress: Progress = silent,
    ) -> Bundled:
        """Write versions with their lines, or with everything the whole home, into one file that pull takes.

        have is an earlier bundle, or a text with a digest in each line, of what the other side has: that is left out. at says when the
        references meant the versions.
        """
        from registry.operations.bundle.export import bundle
        from registry.operations.shared.resolve import meant

        items = (
            versions
            if isinstance(versions, Sequence) and not isinstance(versions, str)
            else [versions]
        )
        return bundle(
            self.home,
            meant(self.home, items, at),
            output,
            have=path_of(have) if have is not None else None,
            everything=everything,
            progress=progress,
        )

    def config(
        self, key: str | None = None, value: str | None = None, *, unset: bool = False
    ) -> Mapping[str, str]:
        """The settings of the home that people make: all of them, one, or one made new. Keys: user.name."""
        from registry.operations.maintenance.config import config

        return config(self.home, key, value, unset=unset)


def open(home: PathLike | None = None) -> Registry:
    """The registry at a home; by default REGISTRY_HOME, else the user's data folder. Raises HomeNotFound."""
    registry = Registry(home)
    registry.home  # noqa: B018  # a home that is not there is said here, not at the first question
    return registry


def checks() -> tuple[CheckInfo, ...]:
    """Every check: its id, its net, what is true where it passes and what it protects from."""
    from registry.operations.check import listed

    return listed()


def init(folder: PathLike | None = None) -> Registry:
    """Make a home: tries what it needs there, and refuses a place that lacks it. An existing home is left as it is."""
    from registry.home.home import Home

    registry = Registry(folder)
    registry._home = Home.create(registry.settings)
    return registry


def demo(
    model: PathLike | None = None, *, say: Callable[[str], None], keep: bool = False
) -> DemoResult:
    """The whole story on a real model, in a temporary home: each step is said, each claim computed, and one untrue fails it.

    say is given each line, as in demo(say=print); model is a folder, else the one that the extra `demo` installs; with keep,
    everything stays, and the result says where.
    """
    from registry.operations.demo import demo

    return demo(model=path_of(model) if model is not None else None, say=say, keep=keep)
