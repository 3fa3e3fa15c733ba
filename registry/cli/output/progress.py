"""Progress: bars on standard error, drawn only once work has taken a moment, gone when it ends."""

from __future__ import annotations

import time
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

from registry.core.progress import is_in_bytes

from .text import size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.4
"""Seconds of work before anything is drawn: rich takes a tenth to load, and most commands are over by then."""


class Bars:
    """A progress callback for a terminal. May be called from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._since = time.monotonic()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Show that the stage `what` is at done of total."""
        if time.monotonic() - self._since < PATIENCE:
            return
        with self._lock:
            bars = self._bars = self._bars or _begin()
            if what not in self._tasks:
                self._end_those_without_total(bars)
                self._tasks[what] = bars.add_task(what, total=total, amount="")
            bars.update(
                self._tasks[what], completed=done, total=total, amount=_amount(what, done, total)
            )

    def _end_those_without_total(self, bars: Progress) -> None:
        """A stage that does not know how long it takes is over when the next begins."""
        for task in bars.tasks:
            if task.total is None:
                bars.update(task.id, total=1, completed=1)

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._bars is not None:
                self._bars.stop()


def _amount(what: str, done: int, total: int | None) -> str:
    """Bytes done of all bytes; nothing for stages that count steps."""
    if not is_in_bytes(what) or not (done or total):
        return ""
    return size(done) if total is None else f"{size(done)} of {size(total)}"


def _begin() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bars.start()
    return bars
