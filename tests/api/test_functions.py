"""The generated functions of the module are up to date, and are those of Registry."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import registry

ROOT = Path(__file__).parent.parent.parent
NAMES = [name for name in registry.__all__ if callable(getattr(registry.Registry, name, None))]


def test_the_checked_in_file_is_what_the_generator_writes() -> None:
    completed = subprocess.run(
        [sys.executable, ".ci/generate_functions.py", "--check"], cwd=ROOT, check=False
    )

    assert completed.returncode == 0, "run: python .ci/generate_functions.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_function_has_the_parameters_and_the_docstring_of_its_method(name: str) -> None:
    function, method = getattr(registry, name), getattr(registry.Registry, name)
    of_method = [str(item) for item in inspect.signature(method).parameters.values()]
    of_function = [str(item) for item in inspect.signature(function).parameters.values()]

    assert [item for item in of_function if not item.startswith("home:")] == of_method[1:]
    assert inspect.getdoc(function) == inspect.getdoc(method)
