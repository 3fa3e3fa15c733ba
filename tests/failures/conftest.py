"""A line of small models: base@1, resized@1 with three distinct new tokens, and the folder of an adapter trained on that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import registry
from tests.support import lively, small


@dataclass(frozen=True)
class Made:
    """What every test starts from; only to be read."""

    home: Path
    resized: Path
    """The checkout of resized@1, as a user trains on it."""
    adapter: Path
    right: list[Any]
    """What the live model encoded before it was saved."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    from peft import LoraConfig

    place = tmp_path_factory.mktemp("line")
    with registry.init(place / "home") as reg:
        reg.add(small.dense(place / "base"), "base")
        reg.resize("base@1", "resized", list(small.NEW))
        resized = reg.checkout("resized@1").folder
    right = lively.save_adapter(
        resized,
        "SentenceTransformer",
        LoraConfig(r=2, target_modules=["query", "value"]),
        place / "adapter",
    )
    return Made(place / "home", resized, place / "adapter", right)


@pytest.fixture
def reg(made: Made, tmp_path: Path) -> Any:
    """The registry of the line, to be changed."""
    shutil.copytree(
        made.home, tmp_path / "home", symlinks=True, ignore=shutil.ignore_patterns("checkouts")
    )
    with registry.open(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    """The adapter's folder, to be spoiled."""
    return Path(shutil.copytree(made.adapter, tmp_path / "adapter"))


@pytest.fixture
def library(made: Made) -> Callable[[Path], float]:
    """How far what plain sentence-transformers loads from a folder is from what was saved; it says nothing of it."""

    def off(folder: Path) -> float:
        return lively.distance(
            lively.encodings(lively.loaded(folder, "SentenceTransformer")), made.right
        )

    return off
