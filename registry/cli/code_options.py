"""The options of commands that decide on custom code, and what they print about it."""

from __future__ import annotations

from typing import Any

import click

from .command import Function
from .params import Folder
from .session import Session


def code_options(function: Function) -> Function:
    """Add --trust-code, --ignore-code and --code to a command."""
    for option in reversed(
        [
            click.option(
                "--trust-code",
                is_flag=True,
                help="Approve the model's Python files, after printing them.",
            ),
            click.option(
                "--ignore-code",
                is_flag=True,
                help="Use the library's classes although auto_map differs.",
            ),
            click.option(
                "--code", metavar="DIR", type=Folder(), help="Python files of other repositories."
            ),
        ]
    ):
        function = option(function)
    return function


def print_code(session: Session, folder: str, options: dict[str, Any]) -> str | bool:
    """Print the files that would be approved; return their code digest.

    Return False for a folder or repository without code.
    """
    code = session.registry.code_in(
        folder, code=options["code"], model_class=options["model_class"]
    )
    if code is None:
        return False
    for path, digest in code.files:
        session.note(f"code: {path} {digest}")
    session.note(f"code digest: {code.code}")
    return str(code.code)
