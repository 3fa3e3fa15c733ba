"""A queue in front of a lock: first come, first served, across processes.

A waiter lays a ticket into a folder: a file whose name sorts by the time of arrival,
and which the waiter keeps locked, so that the ticket of a process that died is
recognised and removed. A ticket goes when its lock is granted or its wait ends. An
exclusive request waits for all earlier tickets; a shared request waits for earlier
exclusive ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

FAR_POLL, NEAR_POLL = 0.005, 0.001
"""Seconds between two looks at the queue, and between two tries of the lock by the
first in it.
"""


class LockQueue:
    """The tickets of one lock, in a folder that several locks may share."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name

    def has_earlier(self, is_exclusive: bool, ticket: str | None = None) -> str | None:
        """Return the last ticket that a waiter must wait for; None if it is the first.

        Without a ticket all waiters are earlier. Raises OSError.
        """
        names = [
            name
            for name in os.listdir(self._folder)  # noqa: PTH208
            if name.startswith(f"{self._name}-") and (ticket is None or name < ticket)
        ]
        for name in sorted(names, reverse=True):
            if (is_exclusive or name.endswith("-exclusive")) and not self._removed(name):
                return name
        return None

    def wait(self, is_exclusive: bool, deadline: float, try_lock: Callable[[], bool]) -> bool:
        """Queue up, and try the lock when all before are gone. False at the deadline.

        Raises OSError where no ticket can be made.
        """
        process = os.getpid()
        ticket, descriptor = self._make_ticket(is_exclusive)
        try:
            while (earlier := self.has_earlier(is_exclusive, ticket)) is not None:
                if not self._has_ended(earlier, deadline):
                    return False
            while not try_lock():
                if time.monotonic() >= deadline:
                    return False
                time.sleep(NEAR_POLL)
            return True
        finally:
            with contextlib.suppress(OSError):
                (self._folder / ticket).unlink()
            unlock(descriptor, process)
            os.close(descriptor)

    def _make_ticket(self, is_exclusive: bool) -> tuple[str, int]:
        """Make a ticket, again if another process took it for that of a dead one
        meanwhile.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        while True:
            kind = "exclusive" if is_exclusive else "shared"
            name = f"{self._name}-{_now():020}-{secrets.token_hex(4)}-{kind}"
            path = self._folder / name
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists():
                    return name, descriptor
            os.close(descriptor)

    def _has_ended(self, ticket: str, deadline: float) -> bool:
        """Wait until the holder of a ticket gave it back or died. False at the
        deadline.
        """
        try:
            descriptor = os.open(self._folder / ticket, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        return False
                    time.sleep(FAR_POLL)
                else:
                    return True
        finally:
            os.close(descriptor)

    def _removed(self, ticket: str) -> bool:
        """Return whether a ticket is gone; that of a process that died is removed."""
        path = self._folder / ticket
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True


def unlock(descriptor: int, process: int) -> None:
    """Free a lock that this process took, also where a child process inherited the
    descriptor.
    """
    if process == os.getpid():
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _now() -> int:
    """Return nanoseconds of a clock that all processes of this machine share."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
