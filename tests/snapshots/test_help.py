"""The help of the program and of every command does not change."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from registry.cli import main
from tests.snapshots.package import command_names
from tests.snapshots.snapshot import assert_same_text

COLUMNS = 100


@pytest.fixture
def help_of(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """Return the output of a command with --help, at a fixed width, without colours."""
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(*arguments: str) -> str:
        assert main([*arguments, "--help"]) == 0
        output = capsys.readouterr()
        assert output.err == ""
        return output.out

    return run


def test_the_help_of_the_program_and_of_every_command(help_of):
    text = f"$ registry --help\n{help_of()}"
    names = command_names()
    for name in names:
        text += f"\n$ registry {name} --help\n{help_of(name)}"

    assert len(names) == len(set(names)) > 25
    assert_same_text("help.txt", text)


def test_the_help_fits_the_width(help_of):
    lines = [line for name in command_names() for line in help_of(name).splitlines()]
    examples = [line for line in lines if "registry " in line]

    assert [line for line in lines if len(line) > COLUMNS and line not in examples] == []


def test_the_program_without_arguments_prints_its_help(help_of, capsys):
    text = help_of()

    assert main([]) == 0
    assert capsys.readouterr().out == text


def test_the_short_option_prints_the_same_help(help_of, capsys):
    text = help_of("add")

    assert main(["add", "-h"]) == 0
    assert capsys.readouterr().out == text
