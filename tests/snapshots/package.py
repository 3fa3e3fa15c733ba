"""Modules and commands of the package, without the name of a module that may move."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import registry.cli

ROOT = Path(registry.__file__).parent


def module_names() -> list[str]:
    """Return the dotted names of all modules of the package except `__main__`."""
    paths = [path.relative_to(ROOT.parent).with_suffix("") for path in ROOT.rglob("*.py")]
    names = sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)
    return [name for name in names if not name.endswith(".__main__")]


def command_names() -> list[str]:
    """Return the names of all commands in the order of the program's help."""
    if not command_groups():
        registry.cli.main(["--version"])
    (group,) = command_groups()
    return group.list_commands(click.Context(group))


def command_groups() -> set[click.Group]:
    """Return the groups that loaded modules of the command line define."""
    return {
        value
        for name, module in [*sys.modules.items()]
        if name.startswith("registry.cli")
        for value in vars(module).values()
        if isinstance(value, click.Group)
    }
