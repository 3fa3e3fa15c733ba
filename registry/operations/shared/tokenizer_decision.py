"""Ask the tokenizer library where the files of two tokenizers do not decide."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.model_files.checks import Candidate, ParentView
    from registry.model_files.checks.base import Decide
    from registry.model_files.diff.model_view import Side
    from registry.model_files.tokenizer.equivalence import Decision


class TokenizerDecider:
    """The function that checks call, and what it decided last."""

    def __init__(self) -> None:
        self._decision: Decision | None = None

    @property
    def function(self) -> Decide | None:
        """The function for Candidate.decide; None where transformers is not
        installed."""
        return self._decide if importlib.util.find_spec("transformers") is not None else None

    @property
    def record(self) -> dict[str, Any] | None:
        """What an entry records of a decision for equivalence; None where none was
        needed."""
        if self._decision is None or not self._decision.is_equivalent:
            return None
        return self._decision.record

    def _decide(self, candidate: Candidate, parent: ParentView) -> Decision:
        from registry.runtime import tokenizer_equivalence

        self._decision = tokenizer_equivalence.decide(
            (candidate.files, candidate.layout), (parent.files, parent.layout)
        )
        return self._decision


def are_equivalent(before: Side, after: Side) -> bool:
    """Return whether two tokenizers give equal ids, by files or by the library.

    The library is asked only where the token lists are equal and the files leave it
    undecided.
    """
    from registry.model_files.diff.model_view import have_equal_pipelines

    if have_equal_pipelines(before, after):
        return True
    if before.vocabulary_digest != after.vocabulary_digest:
        return False
    if importlib.util.find_spec("transformers") is None:
        return False
    from registry.runtime import tokenizer_equivalence

    sides = ((side.files, side.layout) for side in (before, after))
    return tokenizer_equivalence.decide(*sides).is_equivalent


def base_type_of(parent: ParentView | None) -> str | None:
    """Return the model type of a parent, which an adapter's folder does not have."""
    if parent is None:
        return None
    from registry.model_files.tokenizer.pipeline import model_type_of

    return model_type_of(parent.files, parent.layout)
