"""The command line on a real home: minilm@1, minilm-medical@1 resized from it, and the adapter medical@1 on that."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.cli import main
from tests.support import plain
from tests.support.refusals import staging_paths

ADDED = ("zorvaxin", "quelora")


@dataclass(frozen=True)
class Ran:
    """What one run of the command left."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Folders:
    base: Path
    resized: Path
    adapter: Path


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> Folders:
    """The folders of a training. Only to be read."""
    training = tmp_path_factory.mktemp("training")
    resized = plain.base(training / "resized", added=ADDED)
    return Folders(
        plain.base(training / "base"),
        resized,
        plain.adapter(training / "medical", resized, added=ADDED),
    )


@pytest.fixture(scope="session")
def filled(tmp_path_factory, folders) -> Path:
    """A home with the line registered. Only to be read."""
    home = tmp_path_factory.mktemp("filled") / "home"
    with registry.init(home) as made:
        made.add(folders.base, "minilm", message="as published")
        made.add(folders.resized, "minilm-medical", parent="minilm@1")
        made.add(folders.adapter, "medical", alias="prod")
        made.annotate("medical@1", {"owner": "anna"})
    return home


@pytest.fixture
def home(tmp_path, filled) -> Path:
    """A copy of the filled home, to be changed."""
    return Path(shutil.copytree(filled, tmp_path / "home", symlinks=True))


@pytest.fixture
def run(capsys, monkeypatch) -> Callable[..., Ran]:
    """Run the command in this process: run("list", "--json", home=...)."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run_command(*arguments: object, home: Path | None = None, text: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        if home is not None:
            monkeypatch.setenv("REGISTRY_HOME", str(home))
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert staging_paths(captured.err) == []
        return Ran(code, captured.out, captured.err)

    return run_command


@pytest.fixture
def process(tmp_path) -> Callable[..., Ran]:
    """Run the command as a process of its own."""

    def run_process(
        *arguments: object, home: Path | None = None, text: str | None = None, **environment: str
    ) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "registry", *map(str, arguments)],
            input=text or "",
            capture_output=True,
            text=True,
            env=process_environment(home, **environment),
            cwd=tmp_path,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run_process


def process_environment(home: Path | None, **more: str) -> dict[str, str]:
    """What a process of the command gets: this one's environment, and a home."""
    return {**os.environ, **({"REGISTRY_HOME": str(home)} if home is not None else {}), **more}
