"""The command line and Python are one interface: each command has a function of its name, with the same parameters."""

from __future__ import annotations

import inspect

import click
import pytest

from registry.api import registry
from registry.cli.root import FILES, root

COMMON = {"home", "as_json", "quiet", "print_version", "help"}
ONLY_TYPED = {
    "load": {"texts"},
    "delete": {"yes"},
    "lineage": {"mermaid", "dot", "svg"},
    "log": {"graph"},
    "diff": {"stat", "exit_code"},
    "check": {"listed"},
}
"""What belongs to a command line alone: what to print, and whether to ask."""
SAID_OTHERWISE = {
    "add": {"file": "metrics", "numbers": "metrics"},
    "resize": {"file": "tokens", "words": "tokens"},
    "annotate": {"texts": "notes", "removed": "notes"},
    "load": {"device": "kwargs"},
}
NOT_TYPED = {"self", "progress", "say"}
WITHOUT_FUNCTION = {"completion"}


def parameters_of(name: str) -> set[str]:
    """The parameters of the Python function of a command's name."""
    function = getattr(registry.Registry, name, None) or getattr(registry, name)
    return set(inspect.signature(function).parameters) - NOT_TYPED


def options_of(name: str) -> set[str]:
    """The parameters of a command, under their Python names."""
    command = root.get_command(click.Context(root), name)
    assert command is not None
    typed = (
        {parameter.name or "" for parameter in command.params}
        - COMMON
        - ONLY_TYPED.get(name, set())
    )
    return {SAID_OTHERWISE.get(name, {}).get(parameter, parameter) for parameter in typed}


@pytest.mark.parametrize("name", sorted(set(FILES) - WITHOUT_FUNCTION))
def test_a_command_takes_what_the_function_of_its_name_takes(name):
    assert options_of(name) == parameters_of(name)


@pytest.mark.parametrize(
    ("command", "option", "parameter"),
    [
        ("add", "--as", "name"),
        ("add", "--class", "model_class"),
        ("resize", "--as", "name"),
        ("checkout", "--for", "for_path"),
    ],
)
def test_words_that_python_keeps_to_itself_are_spelled_otherwise(command, option, parameter):
    found = root.get_command(click.Context(root), command)

    assert next(item.name for item in found.params if option in item.opts) == parameter
