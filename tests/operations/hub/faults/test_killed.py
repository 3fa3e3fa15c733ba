"""kill -9 at twenty places of a push and of a pull: what is there is whole, and the same command finishes the work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import registry
from tests.operations.hub.faults.promises import broken_promises, entries, versions
from tests.support.hub.lines import wait_for
from tests.support.hub_server import HubServer
from tests.support.warm import KILLED, Warm

STEPS = (
    "POST /repos/create",
    "/__s3__/put/|/__cas__/v1/(xorbs|shards)",
    "POST /org/{name}/commit/",
    "POST /org/{name}/tag/",
)
REPOSITORIES = ("minilm", "minilm-medical", "medical")

DYING = """
import os, signal, sys
left = int(sys.argv.pop(1))
def die(event, arguments):
    global left
    if event in ("os.link", "os.rename", "os.remove", "os.mkdir", "sqlite3.connect"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
from registry.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""The command, killed when it is about to change a folder for the n-th time."""


class Kill:
    """Kills the process it is told of, when a fault calls it."""

    def __init__(self) -> None:
        self._known = threading.Event()
        self._kill: Callable[[], None] = lambda: None

    def aim(self, kill: Callable[[], None]) -> None:
        """Tell whom."""
        self._kill = kill
        self._known.set()

    def __call__(self) -> None:
        assert self._known.wait(10.0)
        self._kill()


def killed_at(
    hub: HubServer, warm: Warm, home: Path, on: str, when: str, *arguments: str, skip: int = 0
) -> int:
    """The exit code of a command that is killed at a request: `first`, so that the hub never acts on it, or `after` it did."""
    kill = Kill()
    hub.fault(on, **{when: kill}, cut_upload=0 if when == "first" else None, skip=skip)
    running = warm.start(*arguments, REGISTRY_HOME=str(home))
    kill.aim(running.kill)
    return running.wait().code


@pytest.mark.slow
def test_a_push_that_is_killed_at_every_step_again_and_again_arrives(hub, lfs, xet, home):
    push = ("push", "medical@1", "--to", "org/medical", "--parents-to", "org")
    places = [
        (step.format(name=name), when)
        for name in REPOSITORIES
        for step in STEPS
        for when in ("first", "after")
    ]
    codes = []

    for number, (step, when) in enumerate(places):
        codes.append(killed_at(hub, xet if number % 4 in {1, 2} else lfs, home, step, when, *push))
        hub.faults.clear()
        assert broken_promises(hub, home) == []
    last = lfs.run(*push, REGISTRY_HOME=str(home))

    assert codes.count(KILLED) >= 20, codes
    assert last.code == 0, last.err
    assert {name: len(hub.history(f"org/{name}")) for name in REPOSITORIES} == dict.fromkeys(
        REPOSITORIES, 2
    )
    assert {body["name"]: body["commit"] for body in entries(home, "Publish")} == {
        name: hub.tags(f"org/{name}")["v1"] for name in REPOSITORIES
    }
    assert broken_promises(hub, home, last) == []


PLACES = [("request", number, "lfs") for number in range(1, 21, 2)] + [
    ("folder", number, "xet") for number in range(5, 105, 10)
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("where", "number", "warm"), PLACES, indirect=["warm"])
def test_a_pull_that_is_killed_is_finished_by_the_same_command(
    published, warm, empty, filled, where, number
):
    pull = ("pull", "hf://org/medical")

    if where == "request":
        code = killed_at(
            published, warm, empty, "/", "after" if number % 4 == 1 else "first", *pull, skip=number
        )
    else:
        code = warm.run(number, *pull, code=DYING, REGISTRY_HOME=str(empty)).code
    published.faults.clear()
    promises = broken_promises(published, empty)
    again = warm.run(*pull, REGISTRY_HOME=str(empty))

    assert code == KILLED
    assert promises == []
    assert again.code == 0, again.err
    assert versions(empty) == versions(filled)
    assert broken_promises(published, empty, again) == []
    with registry.Registry(empty) as reg:
        reg.collect(older_than=0)
    assert not list((empty / "staging").iterdir())


@pytest.mark.slow
def test_a_killed_pull_of_a_large_file_goes_on_where_it_was(
    hub, lfs, tmp_path, minilm_folder, empty
):
    with registry.init(tmp_path / "large") as made:
        made.add(minilm_folder, "minilm", measure=False)
    pushed = lfs.run(
        "push", "minilm@1", "--to", "org/minilm", REGISTRY_HOME=str(tmp_path / "large")
    )
    size = (minilm_folder / "model.safetensors").stat().st_size
    hub.requests.clear()
    hub.fault("GET /__cdn__/", cut=60_000_000, stall=60.0)

    running = lfs.start("pull", "hf://org/minilm", REGISTRY_HOME=str(empty))
    wait_for(
        lambda: hub.asked("GET /__cdn__/") and hub.asked("GET /__cdn__/")[0].answered == 60_000_000
    )
    running.kill()
    killed = running.wait()
    hub.faults.clear()
    again = lfs.run("pull", "hf://org/minilm", REGISTRY_HOME=str(empty))

    assert (pushed.code, killed.code, again.code) == (0, KILLED, 0), pushed.err + again.err
    first, second = hub.asked("GET /__cdn__/")
    assert first.headers.get("range") is None
    assert second.status == 206 and second.answered < size - 55_000_000
    assert broken_promises(hub, empty, again) == []
