"""README as a contract: every command is in it, and whatever it shows of the command line can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

import registry
from registry.cli.root import FILES, root
from registry.cli.session import Session

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
ROWS = re.findall(r"^\| `([a-z]+)(?: [^`]*)?` \| `(.+?)` \|", README, re.MULTILINE)
SHOWN = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("registry ")
]
EXAMPLES = [
    *SHOWN,
    *(example.replace("\\|", "|") for _, example in ROWS if example.startswith("registry ")),
]


def test_every_command_has_a_row() -> None:
    assert {name for name, _ in ROWS} == set(FILES)


@pytest.mark.parametrize("line", EXAMPLES)
def test_a_command_that_is_shown_is_one_that_can_be_typed(line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)[1:]
    command = root.get_command(click.Context(root), name)
    assert command is not None

    with (
        root.make_context("registry", [name], obj=Session()) as above,
        command.make_context(name, arguments, parent=above) as context,
    ):
        assert context.args == []


def test_each_name_of_the_package_that_is_shown_is_there() -> None:
    shown = set(re.findall(r"\bregistry\.([a-z_]+)\(", README))

    assert shown
    assert shown <= set(registry.__all__)


def test_a_link_within_leads_somewhere() -> None:
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    }

    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors
