"""Checks at the door: what must be true of a folder before it becomes a version. Headers and JSON alone; torch is never imported.

A check is a function in the file of its theme, with an id, a reason and an error; adding one touches that file only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...errors import Invalid
from . import adapter, around, files, forms, own, settings, tokenizer, trained, weights
from .check import EFFECT, IDENTITY, INTEGRITY, MEASUREMENT, STRUCTURE, Candidate, Check, ParentView

CHECKS: tuple[Check, ...] = (*files.CHECKS, *forms.CHECKS, *weights.CHECKS, *adapter.CHECKS, *tokenizer.CHECKS, *trained.CHECKS, *own.CHECKS,
                             *around.CHECKS, *settings.CHECKS)
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
        reason = f"the check {id!r} is no matter of judgement and cannot be forced" if id in known else f"no check is called {id!r}"
        raise Invalid(f"{reason}; those that can: {', '.join(may)}")


def find_all(candidate: Candidate) -> Iterator[tuple[Check, str | None]]:
    """Each check with what it finds, None where it passes."""
    for check in CHECKS:
        yield check, check.find(candidate)


def run_checks(candidate: Candidate, forced: Sequence[str] = ()) -> Passed:
    """The warnings, and which of the forced checks failed. Raises the error of the first check that fails and is not among them."""
    warnings, overruled = [], []
    for check, message in find_all(candidate):
        if message is None:
            continue
        if check.error is None:
            warnings.append(message)
        elif check.id in forced and check.judgement:
            overruled.append(check.id)
            warnings.append(f"forced {check.id}: {message}")
        else:
            raise check.error(refusal(check.id, message, judgement=check.judgement))
    return Passed(tuple(warnings), tuple(overruled))


def refusal(id: str, message: str, *, judgement: bool) -> str:
    """A check's message with its name, and for one of judgement how to let it pass."""
    return f"{message} (check {id}{f'; if it is meant: --force {id}' if judgement else ''})"
