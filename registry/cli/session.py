"""Session: one run of the command line. Which home, in what form to print, and the registry, opened when it is needed.

Text on standard output is escaped, so that a token or a message cannot move the cursor or hide what follows.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import click

from registry.cli.output.text import plain
from registry.errors import Invalid, masked

if TYPE_CHECKING:
    from registry.api.registry import Registry
    from registry.core.progress import Progress
    from registry.core.settings import Settings


class Session:
    """What the options before or after a command say, and what commands print with."""

    def __init__(self) -> None:
        self.home: str | None = None
        self.as_json = False
        self.quiet = False
        self.exit_code = 0
        self._opened: Registry | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            if not isinstance(error, KeyboardInterrupt):
                self.warn(self._opened.warnings)
            self._opened.close()

    @cached_property
    def settings(self) -> Settings:
        """Where the home is; told without looking whether it is there."""
        from registry.core.settings import from_environment

        return from_environment(self.home)

    @property
    def registry(self) -> Registry:
        """The registry of the home."""
        if self._opened is None:
            from registry.api.registry import Registry

            self._opened = Registry(self.home)
        return self._opened

    def default(self, key: str) -> str | None:
        """What `registry config` says of an option that was not given."""
        return self.registry.config().get(key)

    def adopt(self, registry: Registry) -> Registry:
        """Use this registry from now on, and close it at the end."""
        self._opened = registry
        return registry

    def form(self, what: str, forms: Mapping[str, bool]) -> str | None:
        """Which of a command's own forms was asked for. Raises Invalid where a second was too, be it --json or --quiet: one can be printed."""
        own = [name for name, is_wanted in forms.items() if is_wanted]
        asked = [
            *own,
            *(
                name
                for name, is_wanted in (("json", self.as_json), ("quiet", self.quiet))
                if is_wanted
            ),
        ]
        if own and len(asked) > 1:
            raise Invalid(
                f"{what} in one form at a time", hint=f"give --{asked[0]} or --{asked[1]}"
            )
        return own[0] if own else None

    def put(
        self, value: Any, lines: Iterable[str], references: Iterable[str] | None = None
    ) -> None:
        """Print the value as JSON if that was asked for, else lines; the references alone if --quiet was."""
        if self.as_json:
            click.echo(to_json(value, indent=2))
            return
        for line in references if self.quiet and references is not None else lines:
            click.echo(line)

    def stream(self, values: Iterable[Any]) -> None:
        """Print JSON lines, each as soon as it is known; with --json one array."""
        if self.as_json:
            click.echo(to_json(list(values)))
            return
        for value in values:
            click.echo(to_json(value))

    def note(self, text: str) -> None:
        """A line for the person who watches; --quiet and --json leave it out."""
        if not self.quiet and not self.as_json:
            click.echo(plain(masked(text)), err=True)

    def warn(self, texts: Iterable[str]) -> None:
        """Lines that should be seen whatever was asked for."""
        for text in texts:
            click.echo(f"warning: {plain(masked(text))}", err=True)

    def complain(self, text: str, hint: str | None = None) -> None:
        """Print an error that does not end the command; --json has it in the value."""
        if not self.as_json:
            click.echo(f"error: {plain(text)}", err=True)
            if hint:
                click.echo(f"hint: {plain(hint)}", err=True)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        """Where long work reports how far it is: bars on a terminal, nowhere else."""
        from registry.core.progress import silent

        if self.quiet or self.as_json or not sys.stderr.isatty():
            yield silent
            return
        from registry.cli.output.progress import Bars

        with Bars() as bars:
            yield bars


def forget_output(stream: TextIO | None = None) -> None:
    """Discard what is still to be printed, or Python would report it when it ends."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, (stream or sys.stdout).fileno())
        os.close(null)


def escaped(text: str) -> str:
    """Return JSON text with every character escaped that does not print.

    json.dumps leaves those beyond ASCII as they are: C1 controls, which terminals obey,
    marks that change the direction of text, and the line separators of Unicode.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[index : index + 4]}" for index in range(0, len(units), 4))


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON text that any stream can carry: escaped where standard output is not UTF-8. A number that is not finite is null there."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    try:
        text = json.dumps(value, ensure_ascii=not utf8, indent=indent, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=not utf8, indent=indent, allow_nan=False)
    return escaped(text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
