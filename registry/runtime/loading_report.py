"""Collect what transformers reports about the tensors of the models that it loads.

Source: transformers 5.23, modeling_utils.PreTrainedModel._finalize_model_loading and
_adjust_missing_and_unexpected_keys, which removes from its report what a class declares
as optional.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

_LOCK = threading.RLock()


@contextlib.contextmanager
def collecting() -> Iterator[list[str]]:
    """Yield a list that gets a line for each tensor that a load inside does not match.

    These are tensors of files that no parameter uses, and parameters that no file has,
    also if the class declares them as optional.
    """
    from transformers import PreTrainedModel

    problems: list[str] = []
    adjust = PreTrainedModel._adjust_missing_and_unexpected_keys

    def collect(model: Any, report: Any) -> None:
        problems.extend(_unmatched(model, report))
        adjust(model, report)

    with _LOCK:
        PreTrainedModel._adjust_missing_and_unexpected_keys = collect
        try:
            yield problems
        finally:
            PreTrainedModel._adjust_missing_and_unexpected_keys = adjust


def _unmatched(model: Any, report: Any) -> Iterator[str]:
    """Yield a line for each tensor of a report; buffers are computed, not trained."""
    kind = type(model).__name__
    buffers = {name.rpartition(".")[2] for name, _ in model.named_buffers()}
    for name in sorted(report.unexpected_keys):
        if name.rpartition(".")[2] not in buffers:
            yield f"{kind} does not use the tensor {name!r}"
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    for name in sorted(report.missing_keys & parameters):
        yield f"{kind} initializes {name!r}, which is in no file"
    for name, stored, expected in sorted(report.mismatched_keys):
        yield f"{kind} has {name!r} with the shape {list(expected)}, not {list(stored)}"
    for name in sorted(report.conversion_errors):
        yield f"{kind} cannot convert the tensor {name!r}"
