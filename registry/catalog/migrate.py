"""Schema: which revision this package reads and writes, where its files lie, and how Alembic makes them.

A catalog is the file `<revision>-<generation>.db`. It is never replaced: a newer one gets the next generation, so that
nobody's open file changes under them. Only the standard library is imported here; Alembic when something is migrated.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

REVISION = "0003"
"""The newest migration. A test compares it with the scripts."""

_one_at_a_time = threading.Lock()
"""Alembic keeps the running environment in a module."""

_FILE = re.compile(r"([0-9]{4})-([0-9]{6})\.db", re.ASCII)
_BESIDE = re.compile(rf"{_FILE.pattern}(\.\d+\.[0-9a-f]+\.tmp)?(-wal|-shm|-journal)?", re.ASCII)


def file_name(revision: str, generation: int) -> str:
    """The name of a catalog's file."""
    return f"{revision}-{generation:06}.db"


def newest(folder: Path, revision: str = REVISION) -> tuple[int, Path | None]:
    """(generation, file) of the newest catalog of a revision; (0, None) where there is none."""
    found = [generation for other, generation in _present(folder) if other == revision]
    return (max(found), folder / file_name(revision, max(found))) if found else (0, None)


def newest_older(folder: Path, revision: str = REVISION) -> Path | None:
    """The newest catalog of the newest revision before this one."""
    found = [item for item in _present(folder) if item[0] < revision]
    return folder / file_name(*max(found)) if found else None


def is_ours(name: str) -> bool:
    """Whether a file of the catalog's folder is a catalog of some revision, what SQLite lays beside one, or one in the making."""
    return _BESIDE.fullmatch(name) is not None


def left_behind(folder: Path, revision: str = REVISION) -> list[Path]:
    """Files that nobody opens any more: generations before the newest, with what lies beside them, and those that were never done."""
    generation, _ = newest(folder, revision)
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _BESIDE.fullmatch(path.name)
        if match is not None and (
            match[3] or (match[1] == revision and int(match[2]) < generation)
        ):
            found.append(path)
    return found


def _present(folder: Path) -> list[tuple[str, int]]:
    if not folder.is_dir():
        return []
    return [
        (match[1], int(match[2]))
        for path in folder.iterdir()
        if (match := _FILE.fullmatch(path.name))
    ]


@dataclass(frozen=True)
class Migrations:
    """The scripts of a folder, and the revision they lead to."""

    scripts: Path
    revision: str = REVISION

    def upgrade(self, connection: Connection) -> None:
        """Bring a database, empty or of an older revision, to this revision, inside the connection's transaction."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(self.scripts).replace("%", "%%"))
        config.attributes["connection"] = connection
        with _one_at_a_time:
            command.upgrade(config, self.revision)


def packaged() -> Migrations:
    """The migrations of this package: inside it when installed, at the top of a working copy."""
    inside = Path(__file__).parent.parent / "_migrations"
    return Migrations(inside if inside.is_dir() else inside.parent.parent / "migrations")
