"""A base with two tokens more, registered, and an adapter on it: made once, copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import registry
from tests.operations.registration.fix.making import NEW, lora
from tests.support import lively, small


@pytest.fixture
def reg(tmp_path):
    opened = registry.init(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def resized_home(tmp_path_factory) -> Path:
    """A home with plain@1 and base@1, which has two tokens more. Only to be copied."""
    folder = tmp_path_factory.mktemp("resized")
    with registry.init(folder / "home") as made:
        made.add(small.dense(folder / "plain"), "plain", measure=False)
        made.resize("plain@1", "base", NEW)
    shutil.rmtree(folder / "home" / "checkouts")
    return folder / "home"


@pytest.fixture(scope="session")
def sound(resized_home) -> tuple[Path, list[Any]]:
    """(the folder of an adapter on base@1, what the live model encoded). Only to be copied."""
    folder = resized_home.with_name("adapter")
    with registry.open(resized_home) as opened:
        return folder, lively.save_adapter(
            opened.checkout("base@1").folder, "SentenceTransformer", lora(109), folder
        )


@pytest.fixture
def resized(resized_home, tmp_path):
    """A registry with plain@1 and base@1."""
    shutil.copytree(resized_home, tmp_path / "home")
    with registry.open(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def copied(sound, tmp_path) -> tuple[Path, list[Any]]:
    """A copy of that adapter, to be spoiled."""
    return Path(shutil.copytree(sound[0], tmp_path / "adapter")), sound[1]
