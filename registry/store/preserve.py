"""Aside: where a folder goes that holds files which this package did not make. Nothing but their owner takes it away."""

from __future__ import annotations

import errno
import os
import re
from itertools import count
from pathlib import Path

TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
_CHECKOUT = re.compile(r"sha256-[0-9a-f]{64}-[0-9a-f]{8}-changed-[0-9]+", re.ASCII)


def is_aside(name: str) -> bool:
    """Whether a name among a home's checkouts is that of one that was moved aside."""
    return _CHECKOUT.fullmatch(name) is not None


def aside(folder: Path) -> Path:
    """The first name of that kind that nothing has."""
    return next(
        place
        for number in count(1)
        if not os.path.lexists(place := folder.parent / f"{folder.name}-changed-{number}")
    )


def move_aside(folder: Path) -> Path | None:
    """Where the folder is now; None if another took it away just now."""
    place = aside(folder)
    try:
        folder.rename(place)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in TAKEN:
            return move_aside(folder)
        raise
    return place
