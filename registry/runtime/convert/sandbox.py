"""Restrictions that a child process puts on itself before it reads an untrusted file.

Limits on data, CPU time and file size; no network, where the system lets a process
leave its network namespace; and an audit hook that ends the process when anything
happens that reading tensors does not need. Standard library only: nothing here may load
other files.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

FORBIDDEN = 77
"""Exit code of a child that tried something forbidden."""
MEBIBYTE = 1 << 20
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_HARMLESS = frozenset(
    {"sys._getframe", "object.__getattr__", "object.__setattr__", "object.__delattr__", "id"}
)
_OUTSIDE = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "os.kill",
    "pty.",
    "urllib.",
    "http.",
    "ftplib.",
    "smtplib.",
    "webbrowser.",
)
"""Beginnings of audit events that reach other processes or machines."""


def leave_network() -> bool:
    """Move this process into an empty network namespace; return whether that worked.

    A process may do so as root, or in a user namespace of its own where the system
    allows these. It must have one thread only, so this comes before any import of a
    library.
    """
    if not sys.platform.startswith("linux"):
        return False
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    if unshare is None:
        return False
    # root would lose the right to read the files of other users in a user namespace
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    return bool(unshare(flags) == 0)


def limit(*, memory: int, seconds: int, file_size: int) -> None:
    """Limit what this process may still allocate, compute and write per file."""
    for kind, amount in (
        (resource.RLIMIT_DATA, _data_in_use() + memory),
        (resource.RLIMIT_CPU, _seconds_used() + seconds),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(kind, (allowed, allowed))


def forbid_all_but_reading(readable: Collection[str], writable: Collection[str]) -> None:
    """End this process on any audit event but opening these files."""
    reading, writing = frozenset(readable), frozenset(writable)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _HARMLESS:
            return
        if event == "open":
            path, _, flags = arguments
            access = flags & os.O_ACCMODE
            if path in writing or (path in reading and access == os.O_RDONLY):
                return
        _end(event, arguments)

    sys.addaudithook(hook)


def forbid_outside() -> None:
    """End this process when it reaches for another process or machine."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_OUTSIDE):
            _end(event, arguments)

    sys.addaudithook(hook)


def _end(event: str, arguments: Sequence[Any]) -> None:
    try:
        os.write(2, f"\nforbidden: {event}\n".encode())
    finally:
        os._exit(FORBIDDEN)  # an exception could be caught by the file that is read


def _data_in_use() -> int:
    """Return the bytes of private writable memory of this process, 0 where unknown."""
    try:
        with Path("/proc/self/status").open(encoding="ascii") as status:
            lines = [line for line in status if line.startswith("VmData:")]
    except OSError:
        return 4096 * MEBIBYTE
    return int(lines[0].split()[1]) * 1024 if lines else 4096 * MEBIBYTE


def _seconds_used() -> int:
    return int(sum(os.times()[:2])) + 1
