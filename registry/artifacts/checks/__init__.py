"""Checks at the door: what must be true of a folder before it becomes a version.

A check is a function in the file of its theme, with a name, a reason and an error; adding one touches that file only.
"""

from . import adapter, files, tokenizer, weights
from .check import Candidate, Check, ParentView

CHECKS: tuple[Check, ...] = (*files.CHECKS, *weights.CHECKS, *adapter.CHECKS, *tokenizer.CHECKS)
"""In the order in which they run; of two that fail for one cause, the one that says more comes first."""

__all__ = ["CHECKS", "Candidate", "Check", "ParentView", "run_checks"]


def run_checks(candidate: Candidate) -> tuple[str, ...]:
    """The warnings. Raises the error of the first check that fails, with its message alone."""
    warnings = []
    for check in CHECKS:
        message = check.find(candidate)
        if message is not None:
            if check.error is not None:
                raise check.error(message)
            warnings.append(message)
    return tuple(warnings)
