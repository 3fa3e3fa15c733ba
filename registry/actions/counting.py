"""Counting: bytes to and from repositories, told for each repository and for all."""

from __future__ import annotations

from collections.abc import Callable

from ..progress import Progress


class Bytes:
    """The bytes of one command."""

    def __init__(self, progress: Progress, total: int = 0) -> None:
        self._progress, self.total, self._done = progress, total, 0

    def of(self, repository: str, total: int) -> Callable[[int], None]:
        """What counts the bytes of one repository, and with them those of all."""
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            self._done += size
            self._progress(f"hf://{repository}", done, total)
            self._progress("all repositories", self._done, max(self.total, self._done))

        return count
