"""The entry point of the command line: light, so that Ctrl-C while the program loads prints no traceback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from registry.errors import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        from .program import run
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return run(arguments)
