"""Usage errors of the command line that have a hint of their own."""

from __future__ import annotations

import click


class WrongUsage(click.UsageError):
    """Error for arguments that a command cannot accept; `hint` is the second line."""

    def __init__(self, message: str, *, hint: str, context: click.Context | None = None) -> None:
        super().__init__(message, context)
        self.hint = hint
