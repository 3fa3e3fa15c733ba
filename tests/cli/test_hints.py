"""Hints that are commands: each is parsed as it would be if it were typed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from registry.cli.commands.hub import pull
from registry.cli.root import root
from registry.cli.session import Session
from registry.operations.hub.pull_options import OPTIONS_OF_ADD, hint_of_pull

SOURCES = Path(__file__).parents[2] / "registry"
_BEGINS = re.compile(r"(?:^|: |, then |, or |or, [^:]*: |; )registry (?=[a-z]+)")
_ENDS = re.compile(r"[,;)]? (?:or|where|and|with write)\b|, |; |[;,)]?$| \(| … |, which|: ")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module, values in them as an upper-case word."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if id(node) in parts | docstrings:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "VALUE"
                    for part in node.values
                ),
            )


def commands(text: str) -> Iterator[str]:
    """Yield the commands in a hint, without the program's name."""
    for match in _BEGINS.finditer(text):
        end = _ENDS.search(text, match.end())
        yield text[match.end() : end.start() if end else None]


def typed() -> list[tuple[str, str]]:
    """Return (place, command) for the commands in all texts of the package."""
    return [
        (f"{path.relative_to(SOURCES)}:{line}", command)
        for path in sorted(SOURCES.rglob("*.py"))
        if path.parent.name not in ("commands", "html_report")
        and path.name not in ("root.py", "demo.py")
        for line, text in texts(path)
        if not text.endswith("--parent")  # completed in the next statement
        for command in commands(text)
    ]


def problem_of(command: str) -> str | None:
    """Return why a command cannot be typed, None if it can."""
    name, *words = shlex.split(command.replace("VALUE", "name@1"))
    context = click.Context(root, obj=Session())
    found = root.get_command(context, name)
    if found is None:
        return f"there is no command {name}"
    try:
        found.make_context(name, words, parent=context, resilient_parsing=False).close()
    except click.ClickException as error:
        return error.format_message()
    return None


def test_hints_that_are_commands_can_be_typed():
    problems = {
        f"{place}: {command}": problem
        for place, command in typed()
        if (problem := problem_of(command)) is not None
    }

    assert problems == {}, "\n".join(f"{key} -> {value}" for key, value in problems.items())


def test_enough_commands_are_found_and_wrong_ones_are_problems():
    assert len(typed()) > 40
    assert problem_of("add FOLDER --as NAME --parent base@1") is None
    for wrong in ("add --fix", "pull hf://org/model --force layout", "mend", "show"):
        assert problem_of(wrong) is not None


@pytest.mark.parametrize("option", OPTIONS_OF_ADD)
def test_a_refused_pull_says_how_to_use_the_options_of_add(option):
    names = {name for parameter in pull.params for name in parameter.opts}
    of_add = root.get_command(click.Context(root), "add")
    assert of_add is not None
    assert option not in names
    assert option in {
        name for parameter in of_add.params for name in (*parameter.opts, *parameter.secondary_opts)
    }

    hint = hint_of_pull(f"if it is intended: {option}", "hf://org/model@v1")

    assert hint is not None
    assert "hf download org/model --local-dir FOLDER --revision v1" in hint
    assert "registry add FOLDER --as NAME" in hint and option in hint
    assert hint_of_pull("add --class SentenceTransformer", "hf://org/model") is not None
