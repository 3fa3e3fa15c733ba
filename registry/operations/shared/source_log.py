"""local/sources.jsonl: where folders were added from, and what location-free form replaced. Of this machine; never pushed.

One line of JSON for each registration, appended, so that the hundred thousandth costs no more than the first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry.core.digest import Digest
from registry.errors import reason
from registry.home.home import Home


def remember(home: Home, manifest: Digest, folder: Path, originals: dict[str, Any]) -> None:
    """Keep, for a manifest, the folder it was added from and the values that were replaced, by path.

    A version is registered by then, so what cannot be kept is a warning.
    """
    path = _path(home)
    line = (
        json.dumps(
            {"manifest": manifest, "folder": os.path.abspath(folder), "originals": originals},
            sort_keys=True,
        )
        + "\n"
    )
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with open(path, "a+b", opener=lambda name, flags: os.open(name, flags, 0o600)) as out:
            if out.tell():
                out.seek(-1, os.SEEK_END)
                line = (
                    line if out.read() == b"\n" else "\n" + line
                )  # the disk was full in the middle of a line
            out.write(line.encode())
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        home.warn(
            f"registered, but {str(path)!r} cannot keep that it came from {os.path.abspath(folder)!r}: {reason(error)}"
        )


def recall(home: Home, manifest: Digest) -> Iterator[dict[str, Any]]:
    """What was kept of each registration of a manifest on this machine: `folder`, and `originals` by path."""
    yield from (source for source in _read(home, manifest) if source["manifest"] == manifest)


def sources(home: Home) -> Iterator[dict[str, Any]]:
    """Yield what was kept of each registration: `manifest`, `folder` and `originals` by
    path.
    """
    return _read(home)


def folders(home: Home) -> list[tuple[str, Digest]]:
    """Each folder something was added from, with the manifest it became."""
    return list(
        dict.fromkeys((source["folder"], Digest(source["manifest"])) for source in _read(home))
    )


def _read(home: Home, word: str = "") -> Iterator[dict[str, Any]]:
    """What the lines say that hold a word. One that was not written to its end, or by hand, is passed over."""
    path = _path(home)
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if word in line and (found := _parsed(line)) is not None:
                yield found


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
        Digest(found["manifest"])
    except (ValueError, KeyError, TypeError):
        return None
    return (
        found
        if isinstance(found.get("folder"), str) and isinstance(found.get("originals"), dict)
        else None
    )


def _path(home: Home) -> Path:
    return home.root / "local" / "sources.jsonl"
