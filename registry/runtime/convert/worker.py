"""The child's side of a conversion: read a request, work, write one line of JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from registry.runtime.convert import sandbox


class Failure(Exception):
    """A reason for which a file cannot be converted, in one line, and what helps."""

    def __init__(self, reason: str, hint: str | None = None, *, is_unsafe: bool = True) -> None:
        super().__init__(reason)
        self.hint = hint
        self.is_unsafe = is_unsafe
        """Whether the file is refused; else the library cannot load the model."""


def serve(work: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
    """Run `work` on the request from standard input and write its answer.

    Standard output is kept for the answer; what libraries print goes to standard error.
    """
    answers = os.dup(1)
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    has_no_network = sandbox.leave_network()
    try:
        answer: dict[str, Any] = {"result": work(request)}
    except Failure as failure:
        answer = {
            "failure": str(failure),
            "hint": failure.hint,
            "is_unsafe": failure.is_unsafe,
        }
    except MemoryError:
        answer = {"failure": "it needs more memory than its size allows"}
    answer["network"] = "none" if has_no_network else "guarded"
    os.write(answers, json.dumps(answer).encode())
    os.close(answers)
