"""Counting: bytes to and from repositories, told for each repository and for all."""

from __future__ import annotations

import threading
from collections.abc import Callable

from registry.core.progress import Progress
from registry.errors import RegistryError


class Bytes:
    """The bytes of one command. Safe for threads, and told one at a time."""

    def __init__(self, progress: Progress, total: int = 0) -> None:
        self._progress, self.total, self._done = progress, total, 0
        self._guard = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Whoever counts on is stopped: one of several transfers failed."""
        self._stopped = True

    def of(self, repository: str, total: int) -> Callable[[int], None]:
        """What counts the bytes of one repository, and with them those of all."""
        done = 0

        def count(size: int) -> None:
            nonlocal done
            if self._stopped:
                raise RegistryError("stopped")
            with self._guard:
                done += size
                self._done += size
                self._progress(f"hf://{repository}", done, total)
                self._progress("all repositories", self._done, max(self.total, self._done))

        return count
