"""Installed packages and the model types of transformers, without importing them."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.metadata
import os
import re
import sys
from pathlib import Path

_PAIR = re.compile(r'\(\s*"([\w.-]+)",\s*"(\w+)"')
_DISTRIBUTIONS = {"flash_attn": "flash-attn", "sklearn": "scikit-learn", "yaml": "pyyaml"}


def is_installed(package: str) -> bool:
    """Return whether a module is installed; the working directory is not searched."""
    return package in sys.stdlib_module_names or _spec(package) is not None


def distribution_of(package: str) -> str:
    """Return what pip calls a package that is not installed."""
    return _DISTRIBUTIONS.get(package, package.replace("_", "-"))


def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of the distributions that contain these packages."""
    contained = importlib.metadata.packages_distributions()
    return {
        distribution: importlib.metadata.version(distribution)
        for package in packages
        for distribution in sorted(set(contained.get(package, ())))
    }


@functools.cache
def library_names() -> frozenset[str]:
    """Return the model types and the classes of models that transformers has.

    Read as text from the tables of its automatic classes: an import takes seconds.
    """
    spec = _spec("transformers")
    if spec is None or spec.origin is None:
        return frozenset()
    folder = Path(spec.origin).parent / "models" / "auto"
    tables = ("auto_mappings.py", "configuration_auto.py", "modeling_auto.py")
    return frozenset(
        name
        for table in tables
        if (folder / table).is_file()
        for pair in _PAIR.findall((folder / table).read_text("utf-8"))
        for name in pair
    )


def _spec(package: str) -> importlib.machinery.ModuleSpec | None:
    working_folder = str(Path.cwd())
    folders = [path for path in sys.path if path and os.path.abspath(path) != working_folder]
    try:
        return importlib.machinery.PathFinder.find_spec(package, folders)
    except (ImportError, ValueError):
        return None
