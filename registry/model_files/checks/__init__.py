"""Checks at the door: what must be true of a folder before it becomes a version. Headers and JSON alone; torch is never imported.

A check is a function in the file of its theme, with an id, a reason and an error; adding one touches that file only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from registry.errors import Invalid, RegistryError

from . import (
    adapter,
    config_types,
    evidence,
    files,
    model_config,
    modules,
    parent_settings,
    tokenizer,
    training,
    weights,
)
from .base import (
    EFFECT,
    IDENTITY,
    INTEGRITY,
    MEASUREMENT,
    STRUCTURE,
    Candidate,
    Check,
    ParentView,
    Problem,
)

CHECKS: tuple[Check, ...] = (
    *files.CHECKS,
    *config_types.CHECKS,
    *weights.CHECKS,
    *adapter.CHECKS,
    *tokenizer.CHECKS,
    *evidence.CHECKS,
    *training.CHECKS,
    *model_config.CHECKS,
    *modules.CHECKS,
    *parent_settings.CHECKS,
)
"""In the order in which they run; of two that fail for one cause, the one that says more comes first."""

ANY_EFFECT = ("adapter-trained", "adapter-effect")
"""What --allow-no-effect lets pass: from the file, and from the loaded model."""
BY_MODEL = ("adapter-effect", "line-adapter")
"""Checks of judgement that need the loaded model."""

__all__ = [
    "ANY_EFFECT",
    "CHECKS",
    "EFFECT",
    "IDENTITY",
    "INTEGRITY",
    "MEASUREMENT",
    "STRUCTURE",
    "Candidate",
    "Check",
    "ParentView",
    "Passed",
    "Problem",
    "check_forced",
    "find_all",
    "refusal",
    "run_checks",
]


@dataclass(frozen=True)
class Passed:
    """What the checks had to say of a folder that may become a version."""

    warnings: tuple[str, ...]
    forced: tuple[str, ...]
    """Ids of the checks that failed and were let pass."""


def check_forced(forced: Sequence[str]) -> None:
    """Raises Invalid for an id that is no check's, or one of a check that is no matter of judgement."""
    known = {check.id: check for check in CHECKS}
    may = sorted({check.id for check in CHECKS if check.judgement} | set(BY_MODEL))
    for id in forced:
        if id in may:
            continue
        message = (
            f"the check {id!r} cannot be forced (it is not a check of judgement)"
            if id in known
            else f"unknown check: {id!r}"
        )
        raise Invalid(message, hint=f"use one of {', '.join(may)}")


def find_all(candidate: Candidate) -> Iterator[tuple[Check, Problem | None]]:
    """Yield each check with the problem that it finds, None where it passes."""
    for check in CHECKS:
        yield check, check.find(candidate)


def run_checks(candidate: Candidate, forced: Sequence[str] = ()) -> Passed:
    """The warnings, and which of the forced checks failed. Raises the error of the first check that fails and is not among them."""
    warnings, overruled = [], []
    for check, problem in find_all(candidate):
        if problem is None:
            continue
        if check.error is None:
            warnings.append(problem.with_hint())
        elif check.id in forced and check.judgement:
            overruled.append(check.id)
            warnings.append(f"forced {check.id}: {problem.with_hint()}")
        else:
            raise refusal(check.error, check.id, problem, judgement=check.judgement)
    return Passed(tuple(warnings), tuple(overruled))


def refusal(
    error: type[RegistryError], id: str, problem: Problem, *, judgement: bool
) -> RegistryError:
    """Return the error of a failed check, whose message ends with the id of the check.

    The hint of a check of judgement includes the option that overrides it.
    """
    hints = [problem.hint, f"if it is intended: --force {id}" if judgement else None]
    hint = ", or, ".join(hint for hint in hints if hint is not None)
    return error(f"{problem.message} (check {id})", hint=hint or None)
