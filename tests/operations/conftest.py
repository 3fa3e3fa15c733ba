"""A registry in a folder of its own, and the line base -> resized -> adapter made by hand, torch not imported."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import registry
from tests.support import plain

ADDED = ("zorvaxin", "quelora")


@pytest.fixture
def reg(tmp_path):
    opened = registry.init(tmp_path / "home")
    yield opened
    opened.close()


@dataclass(frozen=True)
class Line:
    base: Path
    resized: Path
    adapter: Path


@pytest.fixture
def line(tmp_path) -> Line:
    folder = tmp_path / "training"
    folder.mkdir()
    base = plain.base(folder / "base")
    resized = plain.base(folder / "resized", added=ADDED)
    return Line(base, resized, plain.adapter(folder / "medical", resized, added=ADDED))


@pytest.fixture(scope="session")
def kept(tmp_path_factory) -> Path:
    """A folder with a home of that line, and with the folders that were added to it. Only to be read."""
    place = tmp_path_factory.mktemp("kept")
    resized = plain.base(place / "resized", added=ADDED)
    with registry.init(place / "home") as made:
        made.add(plain.base(place / "base"), "minilm")
        made.add(resized, "minilm-medical", parent="minilm@1")
        made.add(plain.adapter(place / "medical", resized, added=ADDED), "medical")
    return place


@pytest.fixture
def copied(tmp_path, kept):
    """A copy of that home, to be changed or damaged: quicker than making one."""
    shutil.copytree(
        kept / "home", tmp_path / "home", symlinks=True, ignore=shutil.ignore_patterns("checkouts")
    )
    with registry.open(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def registered(copied):
    """The registry with base minilm@1, resized base minilm-medical@1, adapter medical@1."""
    return copied
