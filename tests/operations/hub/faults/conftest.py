"""A small line base -> resized base -> adapter, a hub that has it, and what must hold of both whatever went wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import registry
from tests.operations.hub.faults.promises import ERROR, broken_promises, everything_outside
from tests.support.hub_server import HubServer
from tests.support.warm import Ran, Warm


@pytest.fixture(scope="session")
def filled(line_template: Path) -> Path:
    """A home with minilm@1, minilm-medical@1 and the adapter medical@1. Only to be read."""
    return line_template / "home"


@pytest.fixture
def home(tmp_path: Path, filled: Path) -> Path:
    """A copy of it, to push from."""
    return Path(shutil.copytree(filled, tmp_path / "home", symlinks=True))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A home without a version, to pull into."""
    registry.init(tmp_path / "empty").close()
    return tmp_path / "empty"


@pytest.fixture
def warm(request: pytest.FixtureRequest) -> Warm:
    """Processes with the client, by LFS unless the test says otherwise: parametrize("warm", ["lfs", "xet"], indirect=True)."""
    return request.getfixturevalue(getattr(request, "param", "lfs"))


@pytest.fixture(scope="session")
def pushed(
    hub_of_the_session: HubServer, filled: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Warm], Any]:
    """What a hub holds after the line was pushed from `filled` by such a process; pushed once."""
    states: dict[Warm, Any] = {}

    def state(warm: Warm) -> Any:
        if warm not in states:
            hub_of_the_session.clear()
            home = shutil.copytree(
                filled, tmp_path_factory.mktemp("pushing") / "home", symlinks=True
            )
            ran = warm.run(
                "push",
                "medical@1",
                "--to",
                "org/medical",
                "--parents-to",
                "org",
                REGISTRY_HOME=str(home),
            )
            assert ran.code == 0, ran.err
            states[warm] = hub_of_the_session.state()
        return states[warm]

    return state


@pytest.fixture
def published(hub: HubServer, pushed: Callable[[Warm], Any], warm: Warm) -> HubServer:
    """A hub that has the line, put there in the mode of `warm`."""
    state = pushed(warm)
    hub.clear()
    hub.restore(state)
    return hub


@pytest.fixture
def run(hub: HubServer, warm: Warm) -> Callable[..., Ran]:
    """Run the command on a home; what it said is checked as all of them are: one line where it failed, and no token anywhere."""

    def run_command(home: Path, *arguments: object, **environment: str) -> Ran:
        ran = warm.run(*arguments, REGISTRY_HOME=str(home), **environment)
        assert broken_promises(hub, home, ran) == []
        return ran

    return run_command


SEVERAL = """
import contextlib, io, json, sys
from registry.cli import main
for what in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(["pull", what])
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""
"""Pull one after the other, and tell of each what it came to."""


@pytest.fixture
def all_refused(warm, hub, empty, tmp_path) -> Callable[..., dict[str, int]]:
    """Pull several repositories, each made like org/minilm and then spoilt: the exit code of each. Nothing was written, each reported one error."""
    beside, before = sorted(tmp_path.iterdir()), everything_outside(empty)

    def pull(spoil: dict[str, Callable[[str], object]]) -> dict[str, int]:
        names = [f"org/spoilt-{number}" for number in range(len(spoil))]
        for name, change in zip(names, spoil.values(), strict=True):
            hub.commit(name, hub.files("org/minilm"))
            change(name)
        ran = warm.run(*(f"hf://{name}" for name in names), code=SEVERAL, REGISTRY_HOME=str(empty))
        assert broken_promises(hub, empty) == []
        assert (everything_outside(empty), sorted(tmp_path.iterdir())) == (before, beside)
        told = dict(zip(spoil, map(json.loads, ran.out.splitlines()), strict=True))
        assert {what: out for what, (_, out, _) in told.items()} == dict.fromkeys(spoil, "")
        assert {what: err for what, (_, _, err) in told.items() if not ERROR.fullmatch(err)} == {}
        return {what: code for what, (code, _, _) in told.items()}

    return pull
