"""Site: where a home lies, or may be made."""

from __future__ import annotations

from pathlib import Path

from registry.catalog.handle import last_known
from registry.core.filenames import LEFT_BY_DESKTOPS
from registry.errors import StoreUnavailable, reason
from registry.store.journal import Journal
from registry.store.local import LocalBackend

FOLDERS = ("journal", "blobs", "staging", "catalog", "checkouts", "local", "queue")
OURS = frozenset({*FOLDERS, "write.lock", "store.lock"})
"""What lies in a home."""
FIRST_ENTRY = Path("journal") / f"{1:020}.json"


def is_home(folder: Path) -> bool:
    """Whether a home lies there, also one whose journal lost its beginning. Raises StoreUnavailable where this user may not look."""
    try:
        return (
            (folder / FIRST_ENTRY).exists()
            or Journal(LocalBackend(folder)).last() > 0
            or last_known(folder) > 0
        )
    except OSError as error:
        raise StoreUnavailable(f"cannot look into {str(folder)!r}: {reason(error)}") from error


def make_private(folder: Path, *, variable: str | None = None) -> None:
    """Make the folder for this user alone, if it is missing. Raises StoreUnavailable.

    `variable` is the environment variable that names another folder, for the hint.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot make the folder {str(folder)!r}: {reason(error)}",
            hint=f"set {variable} to a folder where this user may write" if variable else None,
        ) from error


def refuse_foreign(folder: Path) -> None:
    """Raises StoreUnavailable if a folder holds anything that is no part of a home."""
    foreign = sorted(
        item.name
        for item in folder.iterdir()
        if item.name not in OURS | LEFT_BY_DESKTOPS and not item.name.startswith(".try-")
    )
    if foreign:
        raise StoreUnavailable(
            f"{str(folder)!r} is not empty: it contains {foreign[0]!r}",
            hint="give a new or empty folder",
        )
