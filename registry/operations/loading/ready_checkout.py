"""ready: where a version's checkout lies, told by a glance: no SQLAlchemy, no torch, no bytes read beside the markers."""

from __future__ import annotations

from pathlib import Path

from registry.catalog import fast_reads
from registry.core.digest import Digest
from registry.core.settings import Settings
from registry.store import checkout as _store


def ready(settings: Settings, version: str) -> Path | None:
    """The folder of a checkout that is there and unchanged, its base's too; None where the long way must be taken."""
    found = fast_reads.resolve(settings.home, version)
    if found is None:
        return None
    roots = (settings.home / "checkouts", settings.cache)
    needed = [found.manifest] + ([found.base] if found.base else [])
    for root in roots:
        folders = [
            root / _store.folder_name(settings.home, Digest(manifest)) for manifest in needed
        ]
        if all(
            (folder / ".registry" / "marker.json").is_file() and not _store.verify(folder)
            for folder in folders
        ):
            return folders[0]
    return None
