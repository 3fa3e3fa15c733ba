"""Check of a declared parent against the evidence of what an adapter was trained on."""

from __future__ import annotations

from registry.errors import ParentMismatch

from .base import Candidate, Problem, checks
from .helpers import own_tensors, parent_of, within

CHECKS, check = checks()


@check(
    "parent-evidence",
    "the declared parent is the one that evidence names",
    "protects from an adapter on another version of its base, which encodes wrongly",
    ParentMismatch,
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


@check(
    "adapter-precision",
    "the adapter has the precision of its base",
    "warns of an adapter that was trained on a base that was cast in memory",
    None,
)
def adapter_is_as_precise_as_its_base(candidate: Candidate) -> Problem | None:
    """Compare the types of the adapter's tensors with those of a float32 base."""
    parent = candidate.parent
    if parent is None or not candidate.layout.is_adapter:
        return None
    dtypes = {tensor.dtype for tensor in own_tensors(candidate)}
    of_base = {tensor.dtype for tensor in within(parent.facts.weights.tensors, parent.layout)}
    if not dtypes or not dtypes <= {"F16", "BF16"} or "F32" not in of_base or of_base & dtypes:
        return None
    return Problem(
        f"the adapter is {', '.join(sorted(dtypes))} and {parent.reference} is F32: if the base "
        "was cast in memory for the training, it was another model",
        hint="register the model that was trained with registry.save(model, NAME)",
    )
