"""Version 0.1.0 of the package, run on a registry that it made."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.stored.observe import json_of, observe_audit
from tests.support.old_package import OldPackage

ROOT = Path(__file__).parent.parent.parent
LOCATION = """
import importlib.metadata, json, registry
version = importlib.metadata.version("st-registry")
print(json.dumps([registry.__file__, registry.__version__, version]))
"""


def test_a_process_imports_the_old_package_and_not_the_checkout(old_package: OldPackage):
    completed = old_package.python("-c", LOCATION, cwd=ROOT)

    assert completed.code == 0, completed.err
    package = old_package.packages / "registry" / "__init__.py"
    assert json.loads(completed.out) == [str(package), "0.1.0", "0.1.0"]
    assert not package.is_relative_to(ROOT)


@pytest.mark.slow
def test_the_old_package_lists_and_audits_a_registry_that_it_made(old_package, copy_of):
    stored = copy_of("lineage")
    run = partial(old_package.run, home=stored.home)

    assert json_of(run, "list") == stored.expected["list"]
    assert observe_audit(run) == stored.expected["audit"]
