"""Pipes where files should be: whoever waits at one is let go after some seconds, and fails the test."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISFIFO

PATIENCE = 5.0
"""Seconds. It decides how long a test takes that fails, not whether it does: only where somebody waits can the pipe be opened to write."""


@contextlib.contextmanager
def pipe_at(place: Path) -> Iterator[None]:
    """A pipe with this path, in the place of what has it."""
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    ended, waited = threading.Event(), []

    def let_go() -> None:
        while not ended.wait(0.5 if waited else PATIENCE):
            with contextlib.suppress(OSError):
                descriptor = os.open(place, os.O_WRONLY | os.O_NONBLOCK)
                waited.extend([place] if S_ISFIFO(os.fstat(descriptor).st_mode) else [])
                os.close(descriptor)

    watching = threading.Thread(target=let_go)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
    assert not waited, f"somebody waited at {place}"


def socket_at(place: Path) -> None:
    """A socket with this path, whatever its length."""
    place.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{folder}/socket")
        Path(folder, "socket").rename(place)
