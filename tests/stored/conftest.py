"""Fixtures: copies of the stored registries, the stored Hub, and the old package."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from registry.cli import main
from tests.stored.observe import Run
from tests.stored.repositories import serve_repositories
from tests.support.hub.fixtures import CLIENT, OURS, environment_of
from tests.support.hub_server import HubServer
from tests.support.old_package import OldPackage, build_old_package
from tests.support.warm import Ran, Warm

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class StoredRegistry:
    """A copy of a stored registry, and the observations by version 0.1.0."""

    name: str
    root: Path
    """The unpacked archive."""
    run: Run
    """Run a command on it in this process."""

    @property
    def home(self) -> Path:
        return self.root / "home"

    @cached_property
    def expected(self) -> Any:
        return json.loads((FOLDER / "expected" / f"{self.name}.json").read_text())


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that unpacks an archive once. Do not change its folder."""
    folder = tmp_path_factory.mktemp("stored")

    def unpack(name: str) -> Path:
        if not (folder / name).exists():
            with tarfile.open(FOLDER / f"{name}.tar.xz") as archive:
                archive.extractall(folder / name, filter="tar")
        return folder / name

    return unpack


@pytest.fixture
def copy_of(
    unpacked: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], StoredRegistry]:
    """Return a function that copies a stored registry, to be changed by the test."""
    monkeypatch.setenv("REGISTRY_USER", "Vera Rubin <vera@example.org>")

    def copy(name: str) -> StoredRegistry:
        root = Path(shutil.copytree(unpacked(name), tmp_path / name, symlinks=True))
        return StoredRegistry(name, root, command_in_this_process(root / "home"))

    return copy


def command_in_this_process(home: Path) -> Run:
    """Return a function that runs commands on a registry in this process."""

    def run(*arguments: object) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        hook = sys.excepthook
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(["--home", str(home), *map(str, arguments)])
        finally:
            sys.excepthook = hook
        return Ran(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def old_package(tmp_path_factory: pytest.TempPathFactory) -> OldPackage:
    """Build version 0.1.0 of the package."""
    return build_old_package(tmp_path_factory.mktemp("old-package"))


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    """Run a Hub server."""
    with HubServer() as server:
        yield server


@pytest.fixture(scope="module")
def hub_process(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Start a process that knows the server, from which commands are forked."""
    environment = environment_of(hub, tmp_path_factory.mktemp("client"), xet=False)
    process = Warm(environment, CLIENT + OURS)
    yield process
    process.close()


@pytest.fixture
def stored_hub(hub: HubServer, unpacked: Callable[[str], Path]) -> Iterator[HubServer]:
    """Serve the stored repositories, which version 0.1.0 pushed."""
    hub.clear()
    serve_repositories(hub, unpacked("hub") / "repositories")
    yield hub
    assert hub.errors == []
    assert hub.leaks == []


@pytest.fixture
def run_online(hub_process: Warm) -> Callable[[Path], Run]:
    """Return a function that runs commands on a registry, with access to the Hub."""
    return lambda home: lambda *arguments: hub_process.run("--home", home, *arguments)
