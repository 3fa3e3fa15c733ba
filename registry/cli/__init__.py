"""The command line: words to actions, values to text.

Values go to standard output, everything else to standard error. Nothing here decides anything about models: a command takes
its arguments, calls the Python function of its name, and prints what came back. Starting loads click and no more.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is what comes back. Imported within, so that Ctrl-C while it loads is no traceback either."""
    try:
        from .program import run
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return run(arguments)
