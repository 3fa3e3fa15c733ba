"""A registry of three versions that tests copy to the place where the fault happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import registry
from tests.support import plain

ADDED = ("zorvaxin", "quelora")


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """A folder with a registry `home` and with folders of models that are not yet added."""
    place = tmp_path_factory.mktemp("faults")
    resized = plain.base(place / "resized", added=ADDED)
    with registry.init(place / "home") as made:
        made.add(plain.base(place / "base"), "minilm", measure=False)
        made.add(resized, "minilm-medical", parent="minilm@1", measure=False)
        made.add(plain.adapter(place / "medical", resized, added=ADDED), "medical", measure=False)
    plain.base(place / "new", seed=3)
    return place


@pytest.fixture
def put(template) -> Callable[[Path], Path]:
    """A function that copies that registry into a folder."""

    def put(folder: Path) -> Path:
        shutil.rmtree(folder / "home", ignore_errors=True)
        return Path(shutil.copytree(template / "home", folder / "home", symlinks=True))

    return put
