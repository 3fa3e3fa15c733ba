"""A registry made once and copied for each test: minilm@1, minilm-medical@1 resized from it, the adapter medical@1 on that."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import registry
from tests.support import plain

ADDED = ("zorvaxin", "quelora")


@pytest.fixture(scope="session")
def kept(tmp_path_factory) -> Path:
    """A folder with the home, and with the folders that were added to it. Only to be read."""
    place = tmp_path_factory.mktemp("kept")
    resized = plain.base(place / "resized", added=ADDED)
    with registry.init(place / "home") as made:
        made.add(plain.base(place / "base"), "minilm")
        made.add(resized, "minilm-medical", parent="minilm@1")
        made.add(plain.adapter(place / "medical", resized, added=ADDED), "medical")
    return place


@pytest.fixture
def registered(tmp_path, kept):
    """A copy of the home, to be damaged."""
    shutil.copytree(kept / "home", tmp_path / "home", symlinks=True)
    with registry.open(tmp_path / "home") as opened:
        yield opened
