"""An empty registry for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import registry


@pytest.fixture
def reg(tmp_path: Path) -> Iterator[Any]:
    with registry.init(tmp_path / "home") as opened:
        yield opened
