"""check: does this model load and encode right? All nets over a version, or over a folder that is not registered.

    identity      it is what its digest says, and so is all that it stands on
    integrity     its bytes are those registered
    structure     its parts fit each other and its parent: the checks at the door, run again
    effect        it loads as its users load it, and an adapter changes something
    measurement   it encodes what was recorded
    line, drift, metric   where they are asked for

Nothing is changed but the home's own checkouts, and the probes where that is asked for; of a folder nothing is written at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.core import entry as _entry, reference as _reference
from registry.core.digest import Digest
from registry.core.progress import Progress
from registry.core.text import counted, shell_word
from registry.core.version import Version
from registry.errors import FolderNotFound, Invalid, ParentNotFound, RegistryError
from registry.home.home import Home
from registry.operations.registration.measure import Texts, read_given
from registry.operations.shared.resolve import (
    Operand,
    VersionLike,
    is_folder,
    named,
    resolve,
    still_there,
)
from registry.results.check import FAILED, OK, UNMEASURED, Outcome, Report
from registry.util import regular_file

from .check_list import DRIFT, FILES, LINEAGE, READABLE, VECTORS, listed
from .drift import drift, required, requirements
from .lineage import line
from .model_checks import Models, loads, measured
from .stages import Stage, line_of_version, of_folder, of_version
from .static_checks import identity, not_asked, reason_of, same_facts, structure

if TYPE_CHECKING:
    from registry.runtime.probes import Given, Probes

__all__ = ["CheckOptions", "check", "listed"]


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What is looked at besides the model itself."""

    line: bool = False
    parent: VersionLike | os.PathLike[str] | None = None
    against: VersionLike | None = None
    max_drift: float | None = None
    require: tuple[str, ...] = ()
    record: bool = False
    probes: Texts | None = None
    measured: bool = True


def check(
    home: Home | None, target: Operand, *, options: CheckOptions, progress: Progress
) -> Report:
    """What is found. A model that fails does not raise: `passed` says so. Raises what resolving raises, and Invalid."""
    _check_options(target, options)
    given = read_given(options.probes)
    if is_folder(target):
        folder = Path(os.path.abspath(_reference.path_of(target)))  # type: ignore[arg-type]
        return _folder(home, folder, options, given, progress)
    assert home is not None
    return _version(home, named(home, target), options, given, progress)  # type: ignore[arg-type]


def _check_options(target: Operand, options: CheckOptions) -> None:
    requirements(options.require)
    if options.max_drift is not None and options.against is None:
        raise Invalid("--max-drift requires --against", hint="add --against VERSION")
    if options.max_drift is not None and not options.max_drift >= 0:
        raise Invalid(
            f"the drift {options.max_drift} is not a distance", hint="give 0 or more, e.g. 0.05"
        )
    if options.probes is not None and not options.record:
        raise Invalid(
            "--probes requires --record (probes are stored with a version)", hint="add --record"
        )
    if options.parent is not None and not is_folder(target):
        raise Invalid(
            f"--parent is for a folder, and {target!s} is a version, whose parent is known"
        )
    if is_folder(target) and (options.line or options.record):
        folder = shell_word(os.fspath(target))  # type: ignore[arg-type]
        raise Invalid(
            "--line and --record require a registered version",
            hint=f"register the folder first: registry add {folder} --as NAME",
        )
    if not options.measured and (options.line or options.record or options.against is not None):
        raise Invalid(
            "--line, --against and --record require the loaded model", hint="leave out --no-measure"
        )


def _version(
    home: Home, version: Version, options: CheckOptions, given: Sequence[Given], progress: Progress
) -> Report:
    ancestors = line_of_version(home, version)
    version = ancestors[0]
    outcomes: list[Outcome] = []
    stages: list[Stage] = []
    for item in ancestors:
        progress(f"checking {item.reference}", 0, None)
        own = list(identity(home, item))
        outcomes += own
        try:
            stage = replace(of_version(home, item), asks_library=options.measured)
        except (RegistryError, OSError) as error:
            outcomes.append(
                Outcome(
                    READABLE,
                    "integrity",
                    item.reference,
                    FAILED,
                    message=reason_of(error, item.reference),
                )
            )
            continue
        stages.append(stage)
        damaged = any(outcome.failed and outcome.check == FILES for outcome in own)
        outcomes += [
            not_asked(item) if damaged else same_facts(home, stage, item),
            *structure(stage),
        ]
    report = Report(version.pinned, tuple(outcomes))
    if not stages or stages[0].version != version:
        return report
    report = _add(report, required(stages[0], requirements(options.require)))
    if not options.measured:
        return report
    with Models(home, progress) as models:
        for stage in stages if options.line else stages[:1]:
            report = _add(report, _with_the_model(home, models, stage, ancestors, options))
        report = _add(report, _against(home, models, stages[0], options))
        return (
            _record(home, models, stages[0], version, report, given, progress)
            if options.record
            else report
        )


def _with_the_model(
    home: Home, models: Models, stage: Stage, ancestors: Sequence[Version], options: CheckOptions
) -> Iterator[Outcome]:
    """Effect and measurement of one stage, and with --line how it stands beside the one it came from."""
    version = stage.version
    found = list(loads(models, stage, line=options.line))
    yield from found
    if version is None or any(outcome.check == "loads" and outcome.failed for outcome in found):
        return
    try:
        recorded = _recorded(home, version)
    except RegistryError as error:
        recorded = None
        said = (
            f"its probes cannot be read: {error.with_hint()}; "
            f"to record them again: registry check {version.reference} --record"
        )
        yield Outcome(VECTORS, "measurement", stage.name, FAILED, message=said)
    else:
        yield from measured(models, stage, recorded, home)
    if options.line:
        yield from line(models, stage, version, ancestors, _user_texts(recorded))


def _folder(
    home: Home | None,
    folder: Path,
    options: CheckOptions,
    given: Sequence[Given],
    progress: Progress,
) -> Report:
    progress("reading", 0, None)
    name = os.fspath(folder)
    _refuse_missing(home, folder, options.parent)
    try:
        stage = replace(of_folder(home, folder, options.parent), asks_library=options.measured)
    except Invalid:
        raise
    except ParentNotFound as error:
        return Report(
            name, (Outcome(LINEAGE, "identity", name, FAILED, message=error.with_hint()),)
        )
    except RegistryError as error:
        return Report(
            name, (Outcome(READABLE, "integrity", name, FAILED, message=error.with_hint()),)
        )
    outcomes = [Outcome(READABLE, "integrity", name, OK, found=stage.layout.model_class)]
    if stage.parent is not None:
        outcomes.append(
            Outcome(
                LINEAGE,
                "identity",
                name,
                OK,
                stage.parent.reference,
                message=f"known: {stage.parent_evidence}",
            )
        )
    report = _add(Report(name, tuple(outcomes)), structure(stage))
    report = _add(report, required(stage, requirements(options.require)))
    if not options.measured or not report.passed:
        return report
    with Models(home, progress) as models:
        report = _add(report, loads(models, stage))
        if report.passed:
            report = _add(report, measured(models, stage, None, None))
            report = _add(report, _against(home, models, stage, options))
    return report


def _refuse_missing(
    home: Home | None, folder: Path, parent: VersionLike | os.PathLike[str] | None
) -> None:
    """What is not there cannot be asked: that is no failed check. Raises FolderNotFound, or what resolving the parent raises."""
    places = [folder]
    if parent is not None and is_folder(parent):
        places.append(Path(os.path.abspath(_reference.path_of(parent))))  # type: ignore[arg-type]
    elif parent is not None and home is not None:
        named(home, parent)  # type: ignore[arg-type]
    lost = next((place for place in places if not regular_file.is_folder(place)), None)
    if lost is not None and regular_file.is_anything(lost):
        raise FolderNotFound(
            f"{str(lost)!r} is a file, not a folder", hint="give the folder that contains the model"
        )
    if lost is not None:
        raise FolderNotFound(f"there is no folder {str(lost)!r}")


def _against(
    home: Home | None, models: Models, stage: Stage, options: CheckOptions
) -> Iterator[Outcome]:
    if options.against is None:
        return
    assert home is not None
    other = resolve(home, options.against)
    recorded = [
        item
        for item in (
            _readable(home, version) for version in (stage.version, other) if version is not None
        )
        if item is not None
    ]
    try:
        yield from drift(models, stage, other, recorded, options.max_drift)
    except RegistryError as error:
        yield Outcome(
            DRIFT, "drift", stage.name, FAILED, other.reference, message=error.with_hint()
        )


def _record(
    home: Home,
    models: Models,
    stage: Stage,
    version: Version,
    report: Report,
    given: Sequence[Given],
    progress: Progress,
) -> Report:
    """New probes, if all but the measurement passed: that is what is made anew. The user's texts of before stay."""
    from registry.runtime import probes

    if any(
        outcome.failed and outcome.net not in ("measurement", "drift", "metric")
        for outcome in report.outcomes
    ):
        said = "nothing was recorded: what failed must be mended first"
        return _add(report, [Outcome(VECTORS, "measurement", stage.name, UNMEASURED, message=said)])
    progress("measuring", 0, None)
    before = _readable(home, version)
    texts = dict.fromkeys([*_given_before(before), *given])
    made = probes.record(models.of(stage)[0], stage.facts.vocabulary.added, tuple(texts))
    with home.adding():
        digest = home.blobs.add(made.to_bytes())
        if digest != version.probes:
            home.commit(
                lambda connection: _entry.Probes(*still_there(connection, version), Digest(digest))
            )
    said = f"recorded {counted(len(made.probes), 'probe')}" + (
        f" in place of {len(before.probes)}" if before is not None else ""
    )
    # what differed from the old ones is told, and is no failure any more
    kept = tuple(
        replace(outcome, verdict="warned")
        if outcome.failed and outcome.net == "measurement"
        else outcome
        for outcome in report.outcomes
    )
    return Report(
        report.target,
        (*kept, Outcome(VECTORS, "measurement", stage.name, OK, found=digest.short, message=said)),
        digest,
    )


def _recorded(home: Home, version: Version) -> Probes | None:
    from registry.runtime import probes

    return probes.parse(home.blobs.read(version.probes)) if version.probes is not None else None


def _readable(home: Home, version: Version) -> Probes | None:
    """The same, and none where they are lost or damaged, which the measurement tells."""
    try:
        return _recorded(home, version)
    except RegistryError:
        return None


def _user_texts(recorded: Probes | None) -> tuple[str, ...]:
    return (
        tuple(probe.text[-1] for probe in recorded.probes if probe.given and not probe.prompt)
        if recorded is not None
        else ()
    )


def _given_before(recorded: Probes | None) -> list[Given]:
    from registry.runtime.probes import Given

    found = [probe for probe in recorded.probes if probe.given] if recorded is not None else []
    return [
        Given(
            (probe.text[0], probe.text[1]) if len(probe.text) == 2 else probe.text[0], probe.prompt
        )
        for probe in found
    ]


def _add(report: Report, outcomes: Iterator[Outcome] | Sequence[Any]) -> Report:
    return Report(report.target, (*report.outcomes, *outcomes), report.recorded)
