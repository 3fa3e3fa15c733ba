"""Root: all commands by name, as help groups them, each loaded when it is called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from .command import SETTINGS, common_options
from .session import Session
from .usage import WrongUsage

SECTIONS = {
    "Everyday": {
        "add": "register",
        "resize": "register",
        "load": "load",
        "list": "inspect",
        "show": "inspect",
        "diff": "diff",
        "check": "check",
    },
    "Hub": {"push": "hub", "pull": "hub", "status": "hub", "sync": "hub"},
    "Look": {
        "log": "history",
        "lineage": "history",
        "tokens": "inspect",
        "find": "inspect",
        "resolve": "inspect",
    },
    "Name": {"alias": "labels", "annotate": "labels", "yank": "labels", "delete": "labels"},
    "Trust": {"approve": "approve"},
    "Files": {"checkout": "load", "merge": "register", "bundle": "maintain"},
    "House": {
        "init": "maintain",
        "config": "maintain",
        "collect": "maintain",
        "du": "maintain",
        "audit": "maintain",
        "repair": "maintain",
        "demo": "maintain",
        "completion": "maintain",
    },
}
"""Section of the help, then command, then the module of registry.cli.commands that holds it."""
FILES = {name: file for section in SECTIONS.values() for name, file in section.items()}

MEANT = {
    "add": ["commit", "import", "register", "save"],
    "alias": ["tag"],
    "annotate": ["note"],
    "checkout": ["export", "path"],
    "audit": ["fsck", "verify"],
    "check": ["test", "validate"],
    "collect": ["gc", "prune"],
    "config": ["settings"],
    "delete": ["remove", "rm"],
    "diff": ["compare"],
    "find": ["search"],
    "--help": ["help"],
    "lineage": ["graph", "tree"],
    "list": ["ls", "models", "versions"],
    "load": ["encode"],
    "log": ["history"],
    "merge": ["bake", "fuse"],
    "pull": ["clone", "download", "fetch"],
    "push": ["publish", "upload"],
    "repair": ["fix", "rebuild"],
    "resolve": ["lock", "pin"],
    "show": ["cat", "info", "inspect"],
    "yank": ["hide", "unyank"],
}
"""What other tools call it."""

EXIT_CODES = """Exit codes: 0 done, 1 a bug or an answer of no, 2 wrong use, 3 not found, 4 conflict or busy, 5 damaged bytes,
6 refused because it would do harm, 7 something outside does not answer (disk, network), 130 interrupted.

An error is one line on standard error, then a hint where one helps; with --json an object
{"error": {"kind", "message", "hint", "exit_code"}}. REGISTRY_DEBUG=1 adds the traceback, NO_COLOR turns colours off,
REGISTRY_HOME names the home."""


class Commands(click.Group):
    """The group of all commands; a command's file is imported when the command is looked up."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """A context that holds a session, and colours unless NO_COLOR is set."""
        extra.setdefault("obj", Session())
        extra.setdefault("color", False if os.environ.get("NO_COLOR") else None)
        return super().make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the help."""
        return list(FILES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        if cmd_name not in FILES:
            return None
        file = import_module(f".commands.{FILES[cmd_name]}", __package__)
        return next(
            item
            for item in vars(file).values()
            if isinstance(item, click.Command) and item.name == cmd_name
        )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names; else an error with what was probably meant."""
        found = self.get_command(ctx, args[0])
        if found is None and not ctx.resilient_parsing:
            raise NoSuchCommand(args[0], ctx)
        return args[0] if found is not None else None, found, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with a line each, by section."""
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, self._short_help(ctx, name)) for name in names])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Exit codes and the environment."""
        for paragraph in EXIT_CODES.split("\n\n"):
            formatter.write_paragraph()
            formatter.write_text(paragraph)

    def _short_help(self, context: click.Context, name: str) -> str:
        found = self.get_command(context, name)
        return found.get_short_help_str(limit=120) if found is not None else ""


class NoSuchCommand(WrongUsage):
    """Error for a word that is not a command; the hint names the command that was probably meant."""

    def __init__(self, word: str, context: click.Context) -> None:
        from difflib import get_close_matches

        close: Sequence[str] = [
            name for name, others in MEANT.items() if word in others
        ] or get_close_matches(word, FILES, n=1)
        super().__init__(
            f"there is no command {word!r}",
            hint=f"did you mean registry {close[0]}?"
            if close
            else f"see {context.command_path} --help",
            context=context,
        )


@click.group(cls=Commands, context_settings=SETTINGS, params=common_options(version_hidden=False))
def root() -> None:
    """Models, resized bases and adapters of Sentence Transformers: recorded, resolved, loaded exactly.

    \b
    Examples:
      registry add ./all-MiniLM-L6-v2 --as minilm
      registry resize minilm@1 --as minilm-med --tokens words.txt
      registry add ./my-adapter --as medical --alias prod
      registry load medical@prod --encode "zorvaxin 20 mg"
      registry lineage medical
    """
