"""Ahead: what is needed later is imported on a thread while the Hub is waited for. Who needs it sooner waits for the rest of it, as always."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Sequence

READING = ("registry.artifacts.encoder", "registry.artifacts.inspect", "registry.artifacts.checks", "registry.artifacts.probes")
"""What it takes to understand a folder."""
TURN = 0.0005
"""Seconds after which the importing thread gives way; Python's own 5 ms would make whoever reads from a line wait at each block."""
_BUSY = threading.Lock()


def import_ahead(*modules: str) -> None:
    """Begin to import; what fails is said where it is needed."""
    missing = [module for module in modules if module not in sys.modules]
    if missing and _BUSY.acquire(blocking=False):
        threading.Thread(target=_import, args=(missing,), name="import", daemon=True).start()


def _import(modules: Sequence[str]) -> None:
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(min(TURN, before))
        for module in modules:
            with contextlib.suppress(Exception):  # whatever it is: the import where the module is needed meets it again and says it
                importlib.import_module(module)
    finally:
        sys.setswitchinterval(before)
        _BUSY.release()
