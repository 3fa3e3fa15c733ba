"""Commands that are typed often load no more modules than they do now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.snapshots.snapshot import STORED, assert_same_json
from tests.support.hub import lines

COMMANDS = (("--version",), ("list",), ("show", "medical@1"))
PROGRAM = """
import json, sys
before = set(sys.modules)
from registry.cli import main
code = main(sys.argv[1:])
# Libraries compiled by Cython add modules without a specification, named by its release.
names = [name for name, module in sys.modules.items() if getattr(module, "__spec__", None)]
print(json.dumps([code, sorted(set(names) - before)]), file=sys.stderr)
"""
COUNTS = STORED / "module_counts.json"
"""The number of modules of the package that each command loads; it may only shrink."""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return the modules that each command loads in a new process, by command."""
    folder = tmp_path_factory.mktemp("modules")
    lines.fill(folder / "home", folder / "training")
    return {" ".join(command): loaded_by(command, folder / "home") for command in COMMANDS}


def loaded_by(command: tuple[str, ...], home: Path) -> list[str]:
    """Return the names of all modules that a command loads."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "REGISTRY_HOME": str(home)},
    )
    code, names = json.loads(ran.stderr.splitlines()[-1])
    assert (code, ran.stdout != "") == (0, True), ran.stderr
    return names


def test_the_libraries_that_are_loaded(modules: dict[str, list[str]]) -> None:
    libraries: dict[str, Any] = {}
    for command, names in modules.items():
        packages = {name.split(".")[0] for name in names}
        libraries[command] = sorted(packages - sys.stdlib_module_names - {"registry"})

    assert_same_json("loaded_libraries.json", libraries)


def test_the_number_of_modules_of_the_package_does_not_grow(modules: dict[str, list[str]]) -> None:
    counts = {
        command: sum(name.split(".")[0] == "registry" for name in names)
        for command, names in modules.items()
    }
    if os.environ.get("UPDATE_SNAPSHOTS"):
        assert_same_json(COUNTS.name, counts)
    limits = json.loads(COUNTS.read_text(encoding="utf-8"))

    assert set(counts) == set(limits)
    assert {command: count for command, count in counts.items() if count > limits[command]} == {}
