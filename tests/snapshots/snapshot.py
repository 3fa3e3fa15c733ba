"""Compare values with their stored copies.

Run the tests with UPDATE_SNAPSHOTS=1 to write the stored copies again; a commit that
does so names the change of behaviour.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

STORED = Path(__file__).parent / "stored"


def assert_same_text(name: str, text: str) -> None:
    """Assert that a text equals the file `stored/<name>`; on failure show a diff."""
    file = STORED / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    expected = file.read_text(encoding="utf-8")
    if text != expected:
        lines = difflib.unified_diff(
            expected.splitlines(), text.splitlines(), f"stored/{name}", "now", lineterm="", n=2
        )
        raise AssertionError("the snapshot differs:\n" + "\n".join(list(lines)[:200]))


def assert_same_json(name: str, value: Any) -> None:
    """Assert that a value, as indented JSON, equals the file `stored/<name>`."""
    assert_same_text(name, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
