"""Commands: what all of them share. --home, --json, --quiet and --version are understood before a command and after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from .params import Folder, VersionReference
from .session import Session

Function = TypeVar("Function", bound=Callable[..., Any])

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


def command(name: str) -> Callable[[Callable[..., Any]], Command]:
    """Make a function the command of this name."""
    return click.command(name, cls=Command, context_settings=SETTINGS)


def version_argument() -> Callable[[Function], Function]:
    """The argument REF, a version."""
    return click.argument("version", metavar="REF", type=VersionReference())


def at_option(
    said: str = "As of then: 17 (an entry), 2026-03-03 (its end, UTC) or 2026-03-03T12:30Z.",
) -> Callable[[Function], Function]:
    """The option --at of what only looks: the answer is what it was right then."""
    return click.option("--at", metavar="TIME|ENTRY", help=said)


def recording_options(function: Function) -> Function:
    """The options of what records a version: --alias, --message, --run, --dry-run."""
    for option in reversed(
        [
            click.option("--alias", metavar="A", help="Point this alias at the version."),
            click.option(
                "--message",
                "-m",
                metavar="TEXT",
                help="Why it was made, for those who read the log.",
            ),
            click.option("--run", metavar="ID", help="The training run it came from."),
            click.option(
                "--dry-run",
                is_flag=True,
                help="Check everything, say what would be registered, write nothing.",
            ),
        ]
    ):
        function = option(function)
    return function


def common_options(*, version_hidden: bool) -> list[click.Parameter]:
    """The options that every command has."""
    return [
        click.Option(
            ["--home"],
            metavar="DIR",
            type=Folder(),
            expose_value=False,
            callback=_remember,
            help="The registry's home, else REGISTRY_HOME, else your data folder.",
        ),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Print JSON: dates ISO 8601, sizes in bytes, digests whole.",
        ),
        click.Option(
            ["--quiet", "-q"],
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="No notes, no progress; of versions the references alone, unless --json.",
        ),
        click.Option(
            ["--version", "print_version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            hidden=version_hidden,
            help="Print the version of this program.",
        ),
    ]


class Command(click.Command):
    """A command with the options that all have."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.params += common_options(version_hidden=True)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep what one of the common options says; what stands after the command wins."""
    if value and parameter.name is not None:
        setattr(context.find_object(Session), parameter.name, value)


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from registry import __version__

        click.echo(f"registry {__version__}")
        context.exit()
