"""Locks between processes: flock on an open descriptor, freed by the kernel when the holder dies. No pid files.

One Lock object may be taken again by the thread that holds it; other threads of the process wait like other processes. Who holds it
alone may take its file away: whoever waited for that one then makes another.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from registry.errors import Busy, StoreUnavailable, reason

from .lock_queue import LockQueue, unlock

_NOT_MADE = (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOSPC, errno.EDQUOT)
POLL = 0.005
"""Seconds between two tries; a writer holds the lock for milliseconds."""


class Lock:
    """A lock file, taken shared or alone."""

    def __init__(self, path: Path, queue: LockQueue | None = None) -> None:
        self.path = path
        self._queue = queue
        self._guard = threading.Condition()
        self._holders: dict[int, int] = {}
        self._alone = False
        self._descriptor, self._process = -1, 0

    def shared(self, timeout: float) -> contextlib.AbstractContextManager[None]:
        """Hold it together with others. Raises Busy after timeout seconds."""
        return self._held(timeout, alone=False)

    def exclusive(self, timeout: float) -> contextlib.AbstractContextManager[None]:
        """Hold it alone. Raises Busy after timeout seconds."""
        return self._held(timeout, alone=True)

    @contextlib.contextmanager
    def _held(self, timeout: float, *, alone: bool) -> Iterator[None]:
        self._acquire(time.monotonic() + timeout, alone)
        try:
            yield
        finally:
            self._release()

    def _acquire(self, deadline: float, alone: bool) -> None:
        me = threading.get_ident()
        with self._guard:
            if me in self._holders:
                if alone and not self._alone:
                    raise RuntimeError(
                        f"{self.path} is held shared by this thread and cannot be taken alone"
                    )
                self._holders[me] += 1
                return
            while self._holders and (alone or self._alone):
                if not self._guard.wait(max(0.0, deadline - time.monotonic())):
                    raise self._busy()
            if not self._holders:
                self._flock(deadline, alone)
            self._holders[me], self._alone = 1, alone

    def _release(self) -> None:
        me = threading.get_ident()
        with self._guard:
            self._holders[me] -= 1
            if self._holders[me] == 0:
                del self._holders[me]
            if not self._holders:
                unlock(self._descriptor, self._process)
                os.close(self._descriptor)
                self._descriptor, self._alone = -1, False
            self._guard.notify_all()

    def _flock(self, deadline: float, alone: bool) -> None:
        """Take the lock in the order of arrival if a ticket can be made, else at
        random.
        """
        if self._queue is not None:
            with contextlib.suppress(OSError):  # a full or a read-only disk
                if self._is_free(alone) and self._try_flock(alone):
                    return
                if not self._queue.wait(alone, deadline, lambda: self._try_flock(alone)):
                    raise self._busy()
                return
        while not self._try_flock(alone):
            if time.monotonic() >= deadline:
                raise self._busy()
            time.sleep(POLL)

    def _is_free(self, is_exclusive: bool) -> bool:
        """Return whether no one waits in front of a newcomer."""
        assert self._queue is not None
        try:
            return self._queue.has_earlier(is_exclusive) is None
        except FileNotFoundError:
            return True

    def _try_flock(self, is_exclusive: bool) -> bool:
        while True:
            descriptor = self._open(is_exclusive)
            try:
                fcntl.flock(
                    descriptor, (fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB
                )
                if self._is_there(descriptor):
                    self._descriptor, self._process = descriptor, os.getpid()
                    return True
            except BlockingIOError:
                return False
            except OSError as error:
                raise StoreUnavailable(
                    f"cannot lock {str(self.path)!r}: {reason(error)}"
                ) from error
            finally:
                if self._descriptor != descriptor:
                    os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        """Whether what is locked is what others will try to lock: the file at the path, or, where no file can be made, the folder."""
        mine = os.fstat(descriptor)
        try:
            return stat.S_ISDIR(mine.st_mode) or os.path.samestat(mine, self.path.stat())
        except FileNotFoundError:
            return False

    def _open(self, alone: bool) -> int:
        """A reader of somebody else's home can hold its lock shared: that needs no right to write."""
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except OSError as error:
            if alone or error.errno not in _NOT_MADE:
                raise StoreUnavailable(
                    f"cannot lock {str(self.path)!r}: {reason(error)}"
                ) from error
        try:
            return os.open(
                self.path if self.path.exists() else self.path.parent,
                os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK,
            )
        except OSError as error:
            raise StoreUnavailable(f"cannot lock {str(self.path)!r}: {reason(error)}") from error

    def _busy(self) -> Busy:
        return Busy(
            f"another process holds {str(self.path)!r}",
            hint="run the command again when that process has ended",
        )
