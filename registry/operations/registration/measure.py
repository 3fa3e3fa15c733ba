"""measure: a folder that is to become a version is loaded as its users will load it, and says what it encodes.

It must load as it lies, an adapter must change something, and what it encodes is kept as probes. The files come from the store,
so what is measured is what was registered.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.core.digest import Digest
from registry.core.facts import Facts, Files, Token
from registry.core.manifest import Manifest
from registry.core.progress import Progress
from registry.core.reference import path_of
from registry.core.version import Version
from registry.errors import (
    NoEffect,
    NotLoadable,
    ParentMismatch,
    RegistryError,
)
from registry.home.home import Home
from registry.operations.loading.checkout import base_path, home_checkout
from registry.operations.shared.input_file import input_text
from registry.operations.shared.resolve import facts_of, stored
from registry.operations.shared.staging import lay_out, staging

if TYPE_CHECKING:
    from registry.model_files.checks import Problem
    from registry.runtime.adapter_effect import Effect
    from registry.runtime.probes import Given, Probe, Probes

EFFECT = "adapter-effect"
"""Id of the check that an adapter changes something."""
SWITCHED = "line-adapter"
"""Id of the check that without its adapter a model is its base."""

Texts = os.PathLike[str] | str | Sequence[Any]
_SAVE_AGAIN = "if the loaded model is the right one: save it with save_pretrained and add that"


@dataclass(frozen=True)
class Subject:
    """What is measured: the files, what they are, and for an adapter the folder of its base and how to load that."""

    files: Files
    model_class: str
    paths: tuple[str, ...]
    facts: Facts
    base: str | None = None
    """Where an adapter's configuration finds its base's weights."""
    load_base: Callable[[], Any] | None = None
    parent: Parent | None = None
    """What is known of an adapter's base."""


@dataclass(frozen=True)
class Parent:
    """An adapter's base, as far as a measurement asks: its reference, what it is, and the probes that were recorded of it."""

    reference: str
    facts: Facts
    probes: Probes | None = None


@dataclass(frozen=True)
class Measured:
    """What a measurement found."""

    probes: Probes
    effect: Effect | None
    """Of an adapter."""
    warnings: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folder:
    """A folder as it will be registered, and its parent."""

    files: Files
    manifest: Manifest
    facts: Facts
    parent: Version | None


def measured(
    home: Home,
    name: str,
    folder: Folder,
    *,
    given: Texts | None,
    forced: Sequence[str],
    overruled: Sequence[str],
    write: bool,
    progress: Progress,
) -> tuple[Digest | None, tuple[str, ...], tuple[str, ...]]:
    """(probes as a blob, warnings, checks that were let pass) of what is to become a version of `name`.

    Nothing is measured where the model has this very version, nor what was measured under another name.
    """
    from registry.catalog import queries

    texts = read_given(given)
    with home.reading() as connection:
        same = queries.with_manifest(connection, folder.manifest.digest)
    if any(version.name.casefold() == name.casefold() for version in same):
        said = "it is registered already, so the probes were not added; to add them: registry check REF --record --probes FILE"
        return None, (said,) if texts else (), ()
    known = next(
        (
            version.probes
            for version in same
            if version.probes is not None and set(version.forced) <= set(overruled)
        ),
        None,
    )
    if known is not None and not texts:
        return known, (), ()
    with subject_of(home, folder, lasting=write, progress=progress) as subject:
        found = measure(
            home if write else None, subject, given=texts, forced=forced, progress=progress
        )
    return (
        (home.blobs.add(found.probes.to_bytes()) if write else None),
        found.warnings,
        found.forced,
    )


def measure(
    home: Home | None,
    subject: Subject,
    *,
    given: Sequence[Given],
    forced: Sequence[str],
    progress: Progress,
) -> Measured:
    """Load the files as they lie, and encode. Raises NotLoadable, NoEffect, ParentMismatch."""
    from registry.runtime import loading, probes

    with loaded(home, subject, progress) as (model, folder):
        progress("measuring", 0, None)
        problems = loading.ask(
            model, subject.facts, folder=folder, adapter=subject.facts.adapter is not None
        )
        refuse_equal_tokens(loading.equal_added_tokens(model))
        said = f"it was loaded as users will load it, and is not what lies in its files: {'; '.join(problems[:3])}"
        try:
            made = probes.record(model, subject.facts.vocabulary.added, given)
            found = (
                effect_of(model, folder, subject, forced, made)
                if subject.facts.adapter is not None
                else None
            )
        except NotLoadable as error:
            if problems:
                raise NotLoadable(said, hint=_SAVE_AGAIN) from error
            raise
        warnings, overruled = judge(found, forced, subject) if found is not None else ((), ())
        if problems:
            raise NotLoadable(said, hint=_SAVE_AGAIN)
        return Measured(made, found, warnings, overruled)


def refuse_equal_tokens(groups: Sequence[Sequence[Token]]) -> None:
    """Raise NotLoadable for added tokens that the loaded tokenizer cannot tell apart.

    The check of the files knows the normalizers of the most frequent classes only.
    """
    if groups:
        from registry.model_files.checks import Problem, refusal
        from registry.model_files.tokenizer import ambiguous_tokens

        problem = Problem(ambiguous_tokens.describe_equal(groups), ambiguous_tokens.HINT)
        raise refusal(NotLoadable, ambiguous_tokens.CHECK, problem, judgement=False)


def keep_probes(home: Home, model: Any, added: Sequence[Token]) -> Digest:
    """What a model in hand encodes, as a blob for the version that it becomes."""
    return home.blobs.add(record_probes(model, added))


def record_probes(model: Any, added: Sequence[Token]) -> bytes:
    """Return what a model encodes, as the bytes of a blob."""
    from registry.runtime import probes

    return probes.record(model, added).to_bytes()


@contextlib.contextmanager
def loaded(home: Home | None, subject: Subject, progress: Progress) -> Iterator[tuple[Any, Path]]:
    """(the model, the folder it was loaded from), the files laid out for the moment. Raises NotLoadable."""
    progress("loading", 0, None)
    from registry.runtime import loading

    with staging(home, "measure-") as work:
        folder = lay_out(subject.files, subject.paths, work / "model", base=subject.base)
        yield loading.load(folder, subject.model_class, device="cpu"), folder


def effect_of(
    model: Any,
    folder: Path,
    subject: Subject,
    forced: Sequence[str] = (),
    made: Probes | None = None,
) -> Effect:
    """What the adapter of a loaded model changes, and whether it is its base without it; made is what this model just made of texts, so
    that none is encoded twice.
    """
    from registry.model_files.adapter.config import read_config
    from registry.runtime.adapter_effect import effect

    trained = subject.facts.adapter.trainable_tokens if subject.facts.adapter is not None else ()
    added = subject.facts.vocabulary.added
    words = [token.content for token in _trained_first(added, trained)]
    biases = read_config(subject.files).fields.get("bias") not in (None, "none", False)
    base = _made_by_its_base(model, subject, forced)
    return effect(
        model,
        folder,
        words=words,
        trained=trained,
        parent=subject.load_base if biases else None,
        base=base,
        known=made.probes if made is not None else (),
    )


def _made_by_its_base(model: Any, subject: Subject, forced: Sequence[str]) -> Sequence[Probe]:
    """What an adapter's base makes of texts; of none where the model without the adapter need not be that base.

    Probes of another machine or library tell nothing of a bit here, so there the base is loaded.
    """
    from registry.runtime import probes

    parent = subject.parent
    if (
        parent is None
        or not_its_base(subject.files, subject.facts, parent.facts, forced)
        or type(model).__name__ != parent.facts.model_class
    ):
        return ()
    recorded = parent.probes
    if (
        recorded is None
        or recorded.environment != probes.environment()
        or probes.unmeasured(model, recorded, {}) is not None
    ):
        if subject.load_base is None:
            return ()
        recorded = probes.record(subject.load_base(), ())
    own, other = subject.facts.max_length, parent.facts.max_length
    cut = (
        math.inf if own == other else min(own or 0, other or 0)
    )  # another length is told elsewhere, and may be meant
    return [
        probe
        for probe in recorded.probes
        if probe.prompt is None
        and not probe.given
        and probe.text[-1] in probes.TEXTS
        and len(probe.ids) < cut
    ]


def not_its_base(files: Files, own: Facts, base: Facts, forced: Sequence[str]) -> str | None:
    """Why a model with its adapter switched off need not be its base; None where it must be."""
    from registry.model_files.adapter.config import read_config

    if read_config(files).fields.get("bias") not in (None, "none", False):
        return "it trains biases of its base, which cannot be switched off"
    around = next(
        (check for check in ("parent-modules", "parent-pooling") if check in forced), None
    )
    if around is not None:
        return f"what stands around the transformer is its own ({around} was forced)"
    mine, theirs = (
        {tensor.name: tensor.digest for tensor in facts.weights.tensors if "/" in tensor.name}
        for facts in (own, base)
    )
    return "modules beside its transformer were trained" if mine != theirs else None


def judge(
    found: Effect, forced: Sequence[str], subject: Subject
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(warnings, ids of checks that were let pass). Raises NoEffect for an adapter that changes nothing, ParentMismatch for one without
    which the model is not its base.
    """
    from registry.model_files.checks import refusal
    from registry.runtime.adapter_effect import NOISE

    warnings, overruled = [], []
    if found.strayed and SWITCHED not in forced:
        raise refusal(ParentMismatch, SWITCHED, strayed(found, subject), judgement=True)
    if found.strayed:
        warnings.append(f"forced {SWITCHED}: {strayed(found, subject).with_hint()}")
        overruled.append(SWITCHED)
    if 0 < found.largest < NOISE:
        warnings.append(
            f"the adapter changes encodings by {found.largest:.1g} at most ({found.where}), no more than noise"
        )
    if not found.largest and EFFECT not in forced:
        untrained = "if it is untrained on purpose: --allow-no-effect"
        problem = no_effect(found)
        hint = f"{problem.hint}, or, {untrained}" if problem.hint else untrained
        raise refusal(NoEffect, EFFECT, replace(problem, hint=hint), judgement=True)
    if not found.largest:
        warnings.append(f"forced {EFFECT}: {no_effect(found).with_hint()}")
        overruled.append(EFFECT)
    return tuple(warnings), tuple(overruled)


def strayed(found: Effect, subject: Subject) -> Problem:
    """Return the problem of a model that differs from its base without its adapter."""
    from registry.model_files.checks import Problem

    base = subject.parent.reference if subject.parent is not None else "its base"
    return Problem(
        f"without the adapter the model differs from {base}: {found.strayed} "
        f"(a setting or file around the transformer is not that of {base})",
        "use the settings and files that were saved with the adapter, "
        "or pass the base that it was trained on with --parent",
    )


def no_effect(found: Effect) -> Problem:
    """Return the problem of an adapter that changes nothing."""
    from registry.model_files.checks import Problem

    same = "every text encodes to the same bits with and without the adapter"
    if not found.lost:
        return Problem(f"{same}, although all of its tensors are in the loaded model")
    more = f" and {len(found.lost) - 1} more" if len(found.lost) > 1 else ""
    return Problem(
        f"{same}: not in the loaded model: {found.lost[0]!r}{more}",
        "save it again with save_pretrained of the model that it was trained in",
    )


def read_given(texts: Texts | None) -> tuple[Given, ...]:
    """The texts of a file, or those given from Python. Raises FolderNotFound, Invalid."""
    if texts is None:
        return ()
    from registry.runtime.probes.user_texts import parse_given

    if not isinstance(texts, (str, os.PathLike)):
        return parse_given(texts)
    path = path_of(texts)
    return parse_given(input_text(path, "probes").split("\n"), path.name)


@contextlib.contextmanager
def subject_of(
    home: Home, folder: Folder, *, lasting: bool, progress: Progress
) -> Iterator[Subject]:
    """What is to be measured, while an adapter's base lies unpacked: in the home's own checkout, or if nothing is to last in a folder
    that goes away again.
    """
    parent = folder.parent
    if folder.manifest.kind != "adapter" or parent is None:
        yield Subject(
            folder.files, folder.manifest.model_class, folder.manifest.paths, folder.facts
        )
    elif lasting:
        yield _on(home, folder, parent, home_checkout(home, parent, progress=progress).folder)
    else:
        with staging(None, "registry-base-") as work:
            there = stored(home, parent)
            yield _on(home, folder, parent, lay_out(there, there.paths(), work / "base"))


def _on(home: Home, folder: Folder, parent: Version, place: Path) -> Subject:
    from registry.runtime import loading

    return Subject(
        folder.files,
        folder.manifest.model_class,
        folder.manifest.paths,
        folder.facts,
        base_path(home, parent, place),
        lambda: loading.load(place, parent.model_class, device="cpu"),
        known_parent(home, parent),
    )


def known_parent(home: Home, parent: Version) -> Parent:
    """A registered base, with its probes where they can be read."""
    from registry.runtime import probes

    recorded = None
    if parent.probes is not None:
        with contextlib.suppress(
            RegistryError
        ):  # lost or damaged ones are what check tells of; the base is loaded instead
            recorded = probes.parse(home.blobs.read(parent.probes))
    return Parent(parent.reference, facts_of(home, parent), recorded)


def _trained_first(added: Sequence[Token], trained: Sequence[int]) -> list[Token]:
    chosen = set(trained)
    return sorted(added, key=lambda token: token.id not in chosen)
