"""Check of a declared parent against the evidence of what an adapter was trained on."""

from __future__ import annotations

from registry.errors import ParentMismatch

from .base import IDENTITY, Candidate, Problem, checks
from .helpers import parent_of

CHECKS, check = checks()


@check(
    "parent-evidence",
    "the declared parent is the one that evidence names",
    "protects from an adapter on another version of its base, which encodes wrongly",
    ParentMismatch,
    net=IDENTITY,
    judgement=True,
)
def declared_parent_is_the_evident_one(candidate: Candidate) -> Problem | None:
    """Compare the declared parent with the version that evidence names."""
    if not candidate.contrary:
        return None
    return Problem(
        f"the adapter was trained on {candidate.contrary}, not on {parent_of(candidate)}",
        hint="leave out --parent, or name the version that it was trained on",
    )
