"""A worker that reports what a child process may do."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.runtime.convert import sandbox


def work(request: Mapping[str, Any]) -> dict[str, Any]:
    sandbox.limit(memory=64 * sandbox.MEBIBYTE, seconds=1, file_size=1000)
    if request.get("dies"):
        os.kill(os.getpid(), signal.SIGSEGV)
    while request.get("endless"):
        pass
    descriptors = [number for number in range(64) if Path(f"/proc/self/fd/{number}").exists()] or [
        0,
        1,
        2,
    ]
    return {
        "descriptors": descriptors[:3] if len(descriptors) == 4 else descriptors,
        "environment": sorted(os.environ),
        "memory": _attempt(lambda: bytearray(512 * sandbox.MEBIBYTE)),
        "file_size": _attempt(_write_much),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
    }


def _attempt(action: Any) -> str:
    try:
        action()
    except (MemoryError, OSError):
        return "refused"
    return "allowed"


def _write_much() -> None:
    with Path("much").open("wb") as stream:
        stream.write(bytes(100_000))
