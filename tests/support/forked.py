"""A real process of the same program, for what must hold between processes. It always ends here, whatever happens in it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

FAILED = 99


def forked(act: Callable[[], int | None]) -> int:
    """The exit code of a child that runs act: what act returned, or FAILED if it raised."""
    pid = os.fork()
    if pid == 0:
        code = FAILED
        try:
            code = act() or 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def become_nobody() -> None:
    """Give up root's rights, which overlook modes; for whoever is not root, nothing."""
    if os.getuid() == 0:
        os.setuid(65534)
