import pytest

import registry
from registry.cli.root import EXIT_CODES, FILES, SECTIONS


@pytest.mark.parametrize("command", FILES)
def test_the_help_of_a_command_shows_a_use_of_it(run, command):
    helped = run(command, "--help")

    assert helped.code == 0
    assert f"registry {command}" in helped.out.partition("Example")[2]
    assert helped.err == ""


@pytest.mark.parametrize("command", FILES)
def test_every_command_takes_the_common_options(run, command):
    helped = run(command, "--help")

    assert all(option in helped.out for option in ("--home DIR", "--json", "-q, --quiet"))


def test_help_groups_the_commands_and_tells_the_exit_codes(run):
    helped = run("--help")

    assert all(f"{section}:\n" in helped.out for section in SECTIONS)
    assert all(f"\n  {command} " in helped.out for command in FILES)
    assert " ".join(EXIT_CODES.split()) in " ".join(helped.out.split())


def test_a_command_alone_is_a_call_for_help(run):
    assert run().out == run("--help").out


def test_each_line_of_the_overview_is_whole(run):
    assert "...\n" not in run("--help").out.partition("Everyday")[2]


@pytest.mark.parametrize("arguments", [["--version"], ["list", "--version"]])
def test_the_version_is_told_before_and_after_a_command(run, arguments):
    told = run(*arguments)

    assert (told.code, told.out) == (0, f"registry {registry.__version__}\n")
