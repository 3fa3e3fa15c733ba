"""Nets 3 and 4: a stage is loaded as its users load it, asked, and measured. An object that was loaded is kept for the other nets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.core.progress import Progress
from registry.core.version import Version
from registry.errors import NotLoadable, RegistryError
from registry.home.home import Home
from registry.operations.loading.checkout import home_checkout
from registry.operations.loading.load import passed_as
from registry.operations.registration.measure import (
    EFFECT,
    SWITCHED,
    Parent,
    Subject,
    effect_of,
    known_parent,
    loaded as laid_out,
    no_effect,
    strayed,
)
from registry.operations.shared.staging import lay_out, staging
from registry.results.check import FAILED, FORCED, OK, UNMEASURED, WARNED, Outcome
from registry.store import checkout as _store

from .check_list import ENVIRONMENT, IDS, LOADS, VECTORS
from .stages import Stage

if TYPE_CHECKING:
    from registry.runtime.probes import Probe, Probes


class Models:
    """The loaded models of one check, each loaded once; they go away, and what was laid out for them, when it ends."""

    def __init__(self, home: Home | None, progress: Progress) -> None:
        self._home = home
        self._progress = progress
        self._loaded: dict[str, tuple[Any, Path]] = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Models:
        return self

    def __exit__(self, *exception: object) -> None:
        self._loaded.clear()
        self._open.close()

    def of(self, stage: Stage) -> tuple[Any, Path]:
        """(the model, the folder it was loaded from). Raises what loading raises."""
        if stage.name not in self._loaded:
            self._loaded[stage.name] = self._load(stage)
        return self._loaded[stage.name]

    def of_version(self, version: Version) -> Any:
        """The model of a registered version."""
        assert self._home is not None
        if version.reference not in self._loaded:
            self._loaded[version.reference] = self._checked_out(self._home, version)
        return self._loaded[version.reference][0]

    def subject(self, stage: Stage) -> Subject:
        """The stage as what is measured; an adapter's base is loaded from what it stands on."""
        paths = tuple(stage.layout.belongs)
        if not stage.is_adapter or stage.parent is None:
            return Subject(stage.files, stage.layout.model_class, paths, stage.facts)
        parent = stage.parent
        work = self._open.enter_context(staging(None, "registry-base-"))
        place = lay_out(parent.files, parent.layout.belongs, work / "base")

        def base() -> Any:
            from registry.runtime import loading

            return loading.load(place, parent.layout.model_class, device="cpu")

        known = Parent(parent.reference, parent.facts)
        if stage.parent_version is not None and self._home is not None:
            known = known_parent(self._home, stage.parent_version)
        return Subject(
            stage.files,
            stage.layout.model_class,
            paths,
            stage.facts,
            str(place / parent.layout.transformer),
            base,
            known,
        )

    def _load(self, stage: Stage) -> tuple[Any, Path]:
        if stage.version is not None and self._home is not None:
            return self._checked_out(self._home, stage.version)
        return self._open.enter_context(laid_out(None, self.subject(stage), self._progress))

    def _checked_out(self, home: Home, version: Version) -> tuple[Any, Path]:
        from registry.runtime import loading

        folder = home_checkout(home, version, progress=self._progress).folder
        self._progress("loading", 0, None)
        return loading.load(folder, version.model_class, device="cpu"), folder


def loads(models: Models, stage: Stage, *, line: bool = False) -> Iterator[Outcome]:
    """Whether it loads, what the loaded object says of itself, and whether an adapter changes anything.

    Whether it is its base without the adapter is left out where the line is asked for, which looks at more texts, bit for bit.
    """
    from registry.runtime import loading

    try:
        model, folder = models.of(stage)
    except RegistryError as error:
        yield Outcome(LOADS, "effect", stage.name, FAILED, message=error.with_hint())
        return
    yield Outcome(
        LOADS,
        "effect",
        stage.name,
        OK,
        expected=stage.layout.model_class,
        found=type(model).__name__,
    )
    for id, problems in loading.questions(
        model, stage.facts, folder=folder, adapter=stage.is_adapter
    ):
        yield Outcome(
            id, "effect", stage.name, FAILED if problems else OK, message="; ".join(problems)
        )
    if stage.is_adapter:
        yield from _effect(models, stage, model, folder, line=line)


def measured(
    models: Models, stage: Stage, recorded: Probes | None, home: Home | None
) -> Iterator[Outcome]:
    """Each probe that was recorded, beside what the model makes of its text now."""
    from registry.runtime import probes

    if recorded is None:
        unsound = (
            None if stage.is_adapter else _unsound(models.of(stage)[0])
        )  # an adapter's encodings were looked at for its effect
        if unsound is not None:
            yield Outcome(VECTORS, "measurement", stage.name, FAILED, message=unsound)
            return
        said = (
            "no probes were recorded; to record them: registry check REF --record"
            if stage.version is not None
            else "the folder is not registered, so nothing was recorded to compare with"
        )
        yield Outcome(VECTORS, "measurement", stage.name, UNMEASURED, message=said)
        return
    model, folder = models.of(stage)
    here = dict(probes.environment())
    other = [
        f"{key} {recorded.environment.get(key)}"
        for key in here
        if recorded.environment.get(key) != here[key]
    ]
    yield Outcome(
        ENVIRONMENT,
        "measurement",
        stage.name,
        WARNED if other else OK,
        expected=", ".join(other) or "the same",
        found=", ".join(
            f"{key} {here[key]}" for key in here if recorded.environment.get(key) != here[key]
        )
        or "the same",
    )
    reason = probes.unmeasured(model, recorded, {})
    if reason is not None:
        yield Outcome(VECTORS, "measurement", stage.name, UNMEASURED, message=reason)
        return
    fine = True
    for before, now in probes.again(model, recorded):
        for outcome in _probe(stage.name, before, now):
            fine = fine and not outcome.failed
            yield outcome
    if fine and home is not None and stage.version is not None and stage.version.probes is not None:
        _store.add_environment(folder, passed_as(model, stage.version.probes))


def _unsound(model: Any) -> str | None:
    """Why what a model encodes is of no use, though nothing is there to compare it with."""
    from registry.runtime import probes

    try:
        with probes.still(model):
            for text in probes.TEXTS[2:4]:
                probes.probe(model, text)
    except NotLoadable as error:
        return error.with_hint()
    return None


def text_of(probe: Probe) -> str:
    """A probe's text as a report names it."""
    text = " | ".join(probe.text)
    shown = text if len(text) <= 48 else f"{text[:40]}… ({len(text)} characters)"
    return f"{probe.prompt}{shown}" if probe.prompt else shown


def _effect(
    models: Models, stage: Stage, model: Any, folder: Path, *, line: bool
) -> Iterator[Outcome]:
    from registry.runtime.adapter_effect import NOISE

    subject = models.subject(stage)
    subject = replace(subject, parent=None) if line else subject
    try:
        found = effect_of(model, folder, subject, stage.forced)
    except RegistryError as error:
        yield Outcome(EFFECT, "effect", stage.name, FAILED, message=error.with_hint())
        return
    if found.strayed:
        verdict = FORCED if SWITCHED in stage.forced else FAILED
        message = strayed(found, subject).with_hint()
        yield Outcome(SWITCHED, "line", stage.name, verdict, message=message)
    if found.largest > 0:
        small = found.largest < NOISE
        yield Outcome(
            EFFECT,
            "effect",
            stage.name,
            WARNED if small else OK,
            found.where,
            "a difference",
            f"{found.largest:.2g}",
            found.largest,
            message="no more than noise" if small else "",
        )
        return
    yield Outcome(
        EFFECT,
        "effect",
        stage.name,
        FORCED if EFFECT in stage.forced else FAILED,
        expected="a difference",
        found="none",
        difference=0.0,
        message=no_effect(found).with_hint(),
    )


def _probe(stage: str, before: Probe, now: Probe) -> Iterator[Outcome]:
    from registry.runtime import probes
    from registry.runtime.vector_distance import shown

    text, same = text_of(before), before.ids == now.ids
    yield Outcome(
        IDS,
        "measurement",
        stage,
        OK if same else FAILED,
        text,
        probes.few(before.ids),
        probes.few(now.ids),
    )
    if not same or before.shape is None:
        return
    tolerance = probes.FAIL["float32"]
    found = probes.measure(before, now, tolerance)
    amount = found.amount if found is not None else 0.0
    verdict = FAILED if not amount <= tolerance else WARNED if amount > probes.WARN else OK
    yield Outcome(
        VECTORS,
        "measurement",
        stage,
        verdict,
        text,
        shown(probes.dense(before)),
        shown(probes.dense(now)),
        amount,
        tolerance,
        message=found.what if found is not None and verdict == FAILED else "",
    )
