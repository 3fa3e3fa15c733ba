"""add --fix: an adapter folder that no library loads any more is put right in a copy, with what is known of its parent.

Each thing that was done is a sentence, printed and kept in the entry, and the last ones say what proved it. The folder itself is
never touched. Where the base was only ever in memory, it is made and registered first, as NAME-base.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core.digest import Digest, real
from registry.core.facts import Facts, Files
from registry.core.filenames import ADAPTER_CONFIG
from registry.core.progress import Progress
from registry.core.text import shell_word
from registry.core.version import Version
from registry.errors import (
    NotLoadable,
    ParentMismatch,
    ParentNotFound,
    ProbeMismatch,
    RegistryError,
)
from registry.home.home import Home
from registry.operations.loading.checkout import home_checkout
from registry.operations.shared.examine import open_folder
from registry.operations.shared.other_tokenizer import PARENT, parents_contents, tokenizer_contents
from registry.operations.shared.resolve import facts_of, resolve, stored
from registry.operations.shared.staging import staging
from registry.operations.shared.tokenizer_decision import TokenizerDecider, base_type_of
from registry.results.registration import Added
from registry.util import regular_file

from .commit import register
from .kinds import parent_candidate
from .measure import keep_probes
from .parents import Known, declared_parent, evidence_of, find_parent, place_of
from .pipeline import AddOptions, Prepared, prepare
from .provenance import provenance

if TYPE_CHECKING:
    from registry.model_files.checks import ParentView
    from registry.runtime.fix import Renaming, Split

NO_VOCABULARY = Digest("sha256:" + "0" * 64)
_LEFT = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf")
_CANDIDATES = 5
_PUT_RIGHT = ("adapter-names", "adapter-table", "adapter-dora")
"""Checks that --fix is the answer to, where the parent is the right one."""
_WEIGHTS = "adapter_model.safetensors"


RegisterBase = Callable[[Path, str, AddOptions], Added]
"""Registers a base that is not registered yet, from its folder, under a name."""


@contextlib.contextmanager
def mended(
    home: Home,
    folder: Path,
    files: Files,
    name: str,
    options: AddOptions,
    progress: Progress,
    register_base: RegisterBase,
) -> Iterator[tuple[Files, Known | None, tuple[str, ...]]]:
    """(the folder put right, its parent, what was done); the copy is gone afterwards. Raises what stands against it."""
    with staging(home, "fix-", copy_of=folder) as work:
        model = work / "model"
        _copy(files, model)
        if isinstance(options.tokenizer, Path):
            tokenizer = open_folder(home, options.tokenizer)
            _write(model, tokenizer_contents(open_folder(home, model), "", tokenizer, ""))
        if not (model / ADAPTER_CONFIG).is_file():
            renamed = unwrapped(home, folder, model, options.model_class)
            yield (
                open_folder(home, model),
                Known(resolve(home, options.parent), "given")
                if options.parent is not None
                else None,
                renamed,
            )
            return
        from registry.runtime.fix import mend_config

        said = mend_config(model)
        parent, replaced = _parent(home, folder, model, name, options, register_base)
        if options.tokenizer == PARENT:
            adapter, base = open_folder(home, model), parent.version
            facts = facts_of(home, base)
            _write(model, parents_contents(adapter, stored(home, base), facts, options.model_class))
        parent, done = _mend(home, model, work, name, parent, options, progress)
        _refuse_another_base(home, model, parent)
        yield open_folder(home, model), parent, (*said, *replaced, *done)


def _copy(files: Files, target: Path) -> None:
    for path in files.paths():
        if path.startswith((".", "checkpoint-", "runs/")) or path.endswith(_LEFT):
            continue
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with files.open(path) as stream, place.open("wb") as out:
            shutil.copyfileobj(stream, out)


def _write(model: Path, contents: Mapping[str, bytes | None]) -> None:
    for path, content in contents.items():
        if content is None:
            (model / path).unlink(missing_ok=True)
        else:
            (model / path).write_bytes(content)


def _parent(
    home: Home,
    folder: Path,
    model: Path,
    name: str,
    options: AddOptions,
    register_base: RegisterBase,
) -> tuple[Known, list[str]]:
    """The parent, and what that replaces where the folder names another place."""
    from registry.model_files.adapter.config import read_config

    config = read_config(open_folder(home, model))
    if options.parent is not None:
        evidence = evidence_of(home, folder, config.base, config.revision)
        files = open_folder(home, model)
        declared = declared_parent(
            home, options.parent, evidence, lambda version: _fits(home, files, version)
        )
        if declared.evidence != "given" or (
            not config.base
            or ((place := place_of(config.base)) is not None and regular_file.is_anything(place))
        ):
            return declared, []
        last, reference = config.base.rstrip("/").rpartition("/")[2], declared.version.reference
        return declared, [
            f"the base that it names, {last!r}, is not there; {reference} was said to be it"
        ]
    try:
        known = find_parent(
            home,
            folder,
            config.base,
            config.revision,
            lambda: _vocabulary(home, model) or NO_VOCABULARY,
        )
    except ParentNotFound as error:
        fitting = _fitting(home, model)
        if not fitting:
            raise
        shown = ", ".join(version.reference for version in fitting[:_CANDIDATES])
        raise ParentNotFound(
            f"{error} (the tensors and tokens fit {shown})",
            hint=f"if it is {fitting[0].reference}: registry add {shell_word(str(folder))} --fix "
            f"--as {name} --parent {fitting[0].reference}",
        ) from None
    if isinstance(known, Known):
        return known, []
    if not options.with_parents:
        raise ParentNotFound(
            f"the base of {str(folder)!r} is not registered: {known.named!r}",
            hint=f"registry add {shell_word(str(known.folder))} --as NAME, then add --parent "
            "NAME@1, or add --with-parents",
        )
    options_of_base = AddOptions(
        message=f"what {name} was trained on",
        run=options.run,
        dry_run=options.dry_run,
        measured=options.measured,
    )
    base = register_base(known.folder, f"{name}-parent", options_of_base)
    if base.version is None:
        raise ParentNotFound(
            f"a dry run cannot go on: the base {known.named!r} would be registered first, as {base.name}@{base.number}"
        )
    return Known(base.version, "given", known.warning), []


def _refuse_another_base(home: Home, model: Path, parent: Known) -> None:
    """What could not be put right on this parent was trained on another: --fix again would not help. Raises ParentMismatch."""
    from registry.model_files.checks import CHECKS, Candidate
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout as layout_of

    files = open_folder(home, model)
    layout = layout_of(files, parent_class=parent.version.model_class)
    candidate = Candidate(files, layout, inspect(files, layout, root=None), _view(home, parent))
    problems = (check.find(candidate) for check in CHECKS if check.id in _PUT_RIGHT)
    problem = next((problem for problem in problems if problem is not None), None)
    if problem is None:
        return
    fitting = [
        version.reference
        for version in _fitting(home, model)
        if version.digest != parent.version.digest
    ]
    known = (
        f"its tensors and tokens fit {', '.join(fitting[:_CANDIDATES])}"
        if fitting
        else "no registered model fits it"
    )
    raise ParentMismatch(
        f"the adapter cannot be repaired on {parent.version.reference}: {problem.message}; {known}",
        hint="pass the model that it was trained on with --parent",
    )


def _vocabulary(home: Home, model: Path) -> Digest | None:
    from registry.model_files.tokenizer.vocabulary import read_vocabulary

    try:
        return read_vocabulary(open_folder(home, model)).digest
    except RegistryError:
        return None


def _fitting(home: Home, model: Path) -> list[Version]:
    """The latest full models whose modules the adapter changes; told by structure, so no more than candidates."""
    from registry.catalog import queries

    with home.reading() as connection:
        latest = [
            version
            for item in queries.models(connection)
            for version in queries.versions(connection, item.name)
            if version.latest
        ]
    files = open_folder(home, model)
    return [version for version in latest if _fits(home, files, version)]


def _fits(home: Home, files: Files, version: Version) -> bool:
    """Return whether a version has the modules that the adapter changes, and begins its
    tokens.
    """
    from registry.runtime.fix import extends, fits, renamings

    if version.kind == "adapter":
        return False
    view = _view(home, Known(version, "given"))
    try:
        return extends(files, view) and bool(renamings(files, view) or fits(files, view))
    except RegistryError:
        return False


def _view(home: Home, parent: Known) -> ParentView:
    facts: Facts = facts_of(home, parent.version)
    view = parent_candidate(home, parent, stored(home, parent.version), facts)
    assert view is not None
    return view


def _mend(
    home: Home,
    model: Path,
    work: Path,
    name: str,
    parent: Known,
    options: AddOptions,
    progress: Progress,
) -> tuple[Known, list[str]]:
    """(the parent that the adapter has then, what was done)."""
    from registry.runtime import fix

    view = _view(home, parent)
    said = fix.mend_tokenizer(model, open_folder(home, model), view, evidence=parent.evidence)
    around = fix.mend_modules(model, view)
    model_class = options.model_class or parent.version.model_class
    ways = fix.renamings(open_folder(home, model), view)
    renamed, landed = _rename(home, model, work, parent, ways, model_class, progress)
    split = fix.split_of(
        open_folder(home, model),
        view,
        trained_rows=options.trained_rows,
        accept_lost_rows=options.accept_lost_rows,
    )
    if split is None and ways and not landed:
        raise ParentMismatch(
            f"the adapter's tensors were renamed to fit {parent.version.reference} "
            f"({ways[0].said[-1]}), but not all of them are in the loaded model",
            hint="if it was trained on another base, give that base with --parent",
        )
    if split is not None:
        parent, done = _part(home, model, work, name, parent, view, split, options, progress)
        return parent, [*said, *around, *renamed, *done]
    if around or said:
        around.append(
            "not proved by encodings: there is no other copy of the model to compare with"
        )
    return parent, [*said, *around, *renamed]


def _rename(
    home: Home,
    model: Path,
    work: Path,
    parent: Known,
    ways: Sequence[Renaming],
    model_class: str,
    progress: Progress,
) -> tuple[list[str], bool]:
    """Rename the tensors in the one way after which all of them are in the loaded model; (what was done, whether they are)."""
    from registry.model_files.weights.rewrite import rewrite

    if not ways:
        return [], False
    progress("comparing", 0, None)
    weights, proved = model / _WEIGHTS, []
    for index, way in enumerate(ways):
        tried = work / f"names-{index}"
        rewrite(weights, tried, renamed=way.names, left_out=way.left_out)
        proved.append(_landed(home, model, tried, parent, model_class))
    right = [index for index, count in enumerate(proved) if count]
    if len(right) > 1 or (not right and len(ways) > 1):
        raise NotLoadable(
            f"the adapter's tensors can be renamed in {len(ways)} ways that fit "
            f"{parent.version.reference}: {' | '.join(way.said[-1] for way in ways)}",
            hint="save it again with save_pretrained of the model itself",
        )
    chosen = right[0] if right else 0
    (work / f"names-{chosen}").replace(weights)
    proof = [f"proved: all {proved[chosen]} tensors are in the loaded model"] if right else []
    return [*ways[chosen].said, *proof], bool(right)


def _landed(home: Home, model: Path, weights: Path, parent: Known, model_class: str) -> int:
    """How many tensors there are, if all of them are in the model that is loaded with this weights file; else 0."""
    from registry.runtime.fix import landed
    from registry.runtime.loading import load

    folder = weights.with_name(f"{weights.name}-model")
    shutil.copytree(model, folder)
    shutil.copyfile(weights, folder / _WEIGHTS)
    _point(home, folder, _base_folder(home, parent.version))
    try:
        count, lost = landed(load(folder, model_class, device="cpu"), folder)
    except NotLoadable:
        return 0
    return count if not lost else 0


def _part(
    home: Home,
    model: Path,
    work: Path,
    name: str,
    parent: Known,
    view: ParentView,
    split: Split,
    options: AddOptions,
    progress: Progress,
) -> tuple[Known, list[str]]:
    """Make the base that was never saved, prove that adapter and base are the model that was, and register the base."""
    from registry.model_files.weights.rewrite import rewrite
    from registry.runtime import fix
    from registry.runtime.loading import load

    base, whole = work / "base", work / "whole"
    source = home_checkout(home, parent.version, progress=progress).folder
    fix.build_base(source, model, base, view, split)
    shutil.copytree(model, whole)
    if split.left_out:
        rewrite(whole / _WEIGHTS, model / _WEIGHTS, left_out=split.left_out)
    proof = _prove(home, model, whole, base, work, parent, view, split, options, progress)
    made = prepare(
        home,
        open_folder(home, base),
        parent,
        model_class=parent.version.model_class,
        write=not options.dry_run,
        progress=progress,
    )
    said = [*split.said, proof]
    if options.dry_run:
        raise ParentNotFound(
            f"a dry run cannot go on: the base would be registered first, as {name}-base: {'; '.join(said)}"
        )
    _check(home, model, base, made, f"{name}-base", options)
    record = provenance(run=options.run, how="add", fix=said)
    measured = keep_probes(home, load(base, parent.version.model_class, device="cpu"), split.tokens)
    added = register(
        home,
        f"{name}-base",
        made,
        source=record,
        options=AddOptions(message=f"the base of {name}, which was never saved"),
        probes=measured,
    )
    assert added.version is not None
    return Known(added.version, "rebuilt" if split.is_rebuilt else "witnessed"), [
        *said,
        f"registered the base as {added.version.reference}",
    ]


def _prove(
    home: Home,
    model: Path,
    whole: Path,
    base: Path,
    work: Path,
    parent: Known,
    view: ParentView,
    split: Split,
    options: AddOptions,
    progress: Progress,
) -> str:
    """Compare with the model put together by hand from the parent and the adapter as it was. Raises ProbeMismatch."""
    from registry.runtime import fix, probes
    from registry.runtime.loading import load

    if not split.left_out:
        return "not proved by encodings: the model as it was can be put together in no other way"
    progress("comparing", 0, None)
    model_class = options.model_class or parent.version.model_class
    by_hand = fix.live_by_hand(
        whole,
        _base_folder(home, parent.version),
        work / "by-hand",
        model_class=model_class,
        rows=split.rows,
    )
    before = probes.record(by_hand, split.tokens)
    del by_hand
    original = (model / ADAPTER_CONFIG).read_bytes()
    _point(home, model, base / view.layout.transformer)
    after = probes.record(load(model, model_class, device="cpu"), split.tokens)
    (model / ADAPTER_CONFIG).write_bytes(original)
    difference = probes.largest(before, after)
    if difference is None or difference.amount > difference.tolerance:
        raise ProbeMismatch(
            f"the repaired adapter does not encode as the original model did: {difference}, "
            "nothing was registered"
        )
    return (
        f"proved: encodes {len(after.probes)} texts as the parent resized in memory does with the adapter over it; largest difference "
        f"{real(difference.amount)}"
    )


def _check(
    home: Home, model: Path, base: Path, made: Prepared, name: str, options: AddOptions
) -> None:
    """All checks of the adapter against the base that is not registered yet, so that no base is registered without its adapter."""
    from registry.model_files.checks import Candidate, ParentView, run_checks
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout
    from registry.model_files.tokenizer.vocabulary import parse_vocabulary

    own, files = open_folder(home, base), open_folder(home, model)
    view = ParentView(
        name,
        own,
        layout(own, class_hint=made.manifest.model_class),
        made.facts,
        parse_vocabulary(made.vocabulary),
    )
    adapter = layout(files, class_hint=options.model_class, parent_class=made.manifest.model_class)
    run_checks(
        Candidate(
            files,
            adapter,
            inspect(files, adapter, root=None, base_type=base_type_of(view)),
            parent=view,
            decide=TokenizerDecider().function if options.measured else None,
        ),
        options.forced,
    )


def _point(home: Home, folder: Path, base: Path) -> None:
    """Let an adapter's configuration name its base's folder, for a load."""
    from registry.model_files.adapter.config import render_config

    path = folder / ADAPTER_CONFIG
    path.write_bytes(render_config(path.read_bytes(), str(base)))


def _base_folder(home: Home, base: Version) -> Path:
    """The folder of the transformer in a base's checkout, which is made if need be."""
    from registry.model_files.layout import layout

    return (
        home_checkout(home, base).folder
        / layout(stored(home, base), class_hint=base.model_class).transformer
    )


def unwrapped(home: Home, folder: Path, model: Path, model_class: str | None) -> tuple[str, ...]:
    """Put the copy `model` of a folder right; what was done, and what proved it. Raises NotLoadable for what --fix cannot mend."""
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout as layout_of
    from registry.runtime import loading
    from registry.runtime.fix import unwrap

    files = open_folder(home, model)
    layout = layout_of(files, class_hint=model_class)
    said = unwrap(model / layout.transformer)
    if not said:
        raise NotLoadable(
            f"{str(folder)!r} is a full model whose tensors have their own names (--fix is for "
            "adapters, and for full models that were saved with the wrapper of an adapter)"
        )
    files = open_folder(home, model)
    loaded = loading.load(model, layout.model_class, device="cpu")
    problems = loading.ask(loaded, inspect(files, layout, root=None).facts, folder=model)
    if problems:
        raise NotLoadable(
            f"the tensors of {str(folder)!r} were renamed, and still it is not what lies in its files: {problems[0]}"
        )
    count = sum(1 for _ in loaded.parameters())
    return (*said, f"proved: all {count} parameters of the loaded model come from its files")
