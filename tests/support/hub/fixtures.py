"""A hub for each test, and processes that talk to it with the unpatched client, by LFS or by Xet.

    def test_…(hub, lfs, tmp_path):
        ran = lfs.run("push", "medical@1", "--to", "org/medical", REGISTRY_HOME=str(home))       # .code .out .err .json
        ran = lfs.run(code="from huggingface_hub import HfApi; print(HfApi().whoami()['name'])")
        running = xet.start("pull", "hf://org/medical", REGISTRY_HOME=…); running.kill(); running.wait().code == KILLED

`lfs` and `xet` are warm processes: what they start is forked from one that has imported the client already. HF_TOKEN is alice's unless
given otherwise; HF_TOKEN="" is nobody's.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import registry
from tests.support.hub import lines
from tests.support.hub.client import SETUP
from tests.support.hub_server import HubServer, Repository
from tests.support.warm import Warm

CLIENT = (
    "huggingface_hub.hf_api",
    "huggingface_hub.file_download",
    "huggingface_hub._commit_api",
    "huggingface_hub._snapshot_download",
    "encodings.idna",
    "tests.support.hub.ready",
)
OURS = (
    "registry.operations.hub.push",
    "registry.operations.hub.pull",
    "registry.catalog.reader",
    "registry.catalog.migrate",
    "registry.catalog.queries",
    "registry.catalog.apply",
    "registry.model_files.facts",
    "registry.model_files.checks",
    "registry.model_files.layout",
    "registry.hub.huggingface",
    "registry.model_files.weights.safetensors",
    "registry.runtime.probes",
    "registry.api.registry",
    "registry.cli.commands.hub",
    "registry.cli.commands.maintain",
    "yaml",
    "alembic",
)
"""What a push or a pull imports when it is needed: imported once, so that each of many processes need not."""


@pytest.fixture(scope="session")
def hub_of_the_session() -> Iterator[HubServer]:
    """One port for all tests: the client reads its address when it is imported."""
    with HubServer() as hub:
        yield hub


@pytest.fixture
def hub(hub_of_the_session: HubServer) -> Iterator[HubServer]:
    """An empty hub without faults; its own mistakes, and a token that went to another host, fail the test."""
    hub_of_the_session.clear()
    yield hub_of_the_session
    hub_of_the_session.faults.clear()
    assert hub_of_the_session.errors == []
    assert hub_of_the_session.leaks == []


def environment_of(hub: HubServer, home: Path, *, xet: bool) -> dict[str, str]:
    """The environment of a process that is alice's, and online: as the tests' own, with the hub in the real one's place."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    patience = {
        "HF_HUB_DOWNLOAD_TIMEOUT": "2",
        "HF_HUB_ETAG_TIMEOUT": "2",
        "REGISTRY_UPLOAD_WAIT": "2",
        "HF_XET_CLIENT_READ_TIMEOUT": "2s",
        "HF_XET_CLIENT_RETRY_BASE_DELAY": "100ms",
    }
    quick = {
        "SSL_CERT_DIR": str(home)
    }  # else each process reads all certificates, and none is needed here
    return {
        **kept,
        **patience,
        **quick,
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": hub.token,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        **({} if xet else {"HF_HUB_DISABLE_XET": "1"}),
    }


@pytest.fixture
def client_environment(hub: HubServer, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """client_environment(xet=False): the environment for a process started from nothing, its cache in tmp_path."""
    return lambda *, xet=False: environment_of(hub, tmp_path / "huggingface", xet=xet)


@pytest.fixture(scope="session")
def processes(
    hub_of_the_session: HubServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Warm]]:
    """processes("lfs"), processes("xet"): the two warm processes, each started when it is first wanted."""
    started: dict[str, Warm] = {}

    def warm(mode: str) -> Warm:
        if mode not in started:
            started[mode] = Warm(
                environment_of(
                    hub_of_the_session, tmp_path_factory.mktemp(mode), xet=mode == "xet"
                ),
                CLIENT + OURS,
            )
        return started[mode]

    yield warm
    for process in started.values():
        process.close()


@pytest.fixture
def lfs(processes: Callable[[str], Warm]) -> Warm:
    """Processes that send and fetch large files by LFS."""
    return processes("lfs")


@pytest.fixture
def xet(processes: Callable[[str], Warm], tmp_path: Path) -> Warm:
    """Processes that send and fetch large files by Xet. Each test has a cache of its own: the client sends no chunk that it sent before."""
    warm = processes("xet")
    warm.environment["HF_XET_CACHE"] = str(tmp_path / "xet")
    return warm


@pytest.fixture(scope="session")
def line_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the line minilm@1, minilm-medical@1, medical@1, and beside it the folders it came from. Only to be copied."""
    root = tmp_path_factory.mktemp("line")
    lines.fill(root / "home", root / "training")
    return root


@pytest.fixture
def here(hub: HubServer, lfs: Warm, line_template: Path, tmp_path: Path) -> lines.Place:
    """That home, and commands in it that talk to the hub."""
    shutil.copytree(line_template / "home", tmp_path / "home", symlinks=True)
    return lines.Place(tmp_path / "home", lfs)


@dataclass(frozen=True)
class Published:
    """A home that has published its line, and what the hub had then."""

    home: Path
    repositories: dict[str, Repository]
    contents: dict[str, bytes]


@pytest.fixture(scope="session")
def published_template(
    hub_of_the_session: HubServer,
    processes: Callable[[str], Warm],
    line_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Published:
    """The line, pushed once: most tests begin there."""
    root = tmp_path_factory.mktemp("published") / "home"
    shutil.copytree(line_template / "home", root, symlinks=True)
    hub_of_the_session.clear()
    lines.Place(root, processes("lfs")).ok(
        "push", "medical@1", "--to", "org/medical", "--parents-to", "org"
    )
    return Published(
        root, copy.deepcopy(hub_of_the_session.repositories), dict(hub_of_the_session.contents)
    )


@pytest.fixture
def pushed(published_template: Published, hub: HubServer, lfs: Warm, tmp_path: Path) -> lines.Place:
    """A home whose line lies on the hub: minilm@1, minilm-medical@1 and medical@1 in org/."""
    shutil.copytree(published_template.home, tmp_path / "home", symlinks=True)
    hub.repositories = copy.deepcopy(published_template.repositories)
    hub.contents = dict(published_template.contents)
    return lines.Place(tmp_path / "home", lfs)


@pytest.fixture
def there(hub: HubServer, lfs: Warm, tmp_path: Path) -> lines.Place:
    """An empty home."""
    registry.init(tmp_path / "other").close()
    return lines.Place(tmp_path / "other", lfs)


@pytest.fixture
def client(hub: HubServer, lfs: Warm) -> Callable[..., list[Any]]:
    """What a piece of Python said, run in a process of its own with the client at hand."""

    def run(code: str, **environment: str) -> list[Any]:
        ran = lfs.run(code=SETUP + code, **environment)
        assert ran.code == 0, ran.err
        return [json.loads(line) for line in ran.out.splitlines()]

    return run
