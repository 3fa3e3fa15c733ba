"""local/sources.jsonl: where folders were added from, and what location-free form replaced. Of this machine; never pushed.

One line of JSON for each registration, appended, so that the hundred thousandth costs no more than the first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..digest import Digest
from ..home import Home


def remember(home: Home, manifest: Digest, folder: Path, originals: dict[str, Any]) -> None:
    """Keep, for a manifest, the folder it was added from and the values that were replaced, by path."""
    path = home.root / "local" / "sources.jsonl"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    line = json.dumps({"manifest": manifest, "folder": os.path.abspath(folder), "originals": originals}, sort_keys=True) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def recall(home: Home, manifest: Digest) -> Iterator[dict[str, Any]]:
    """What was kept of each registration of a manifest on this machine: `folder`, and `originals` by path."""
    path = home.root / "local" / "sources.jsonl"
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if manifest in line:
                yield json.loads(line)
