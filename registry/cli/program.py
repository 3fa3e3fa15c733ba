"""The program: runs a command, and turns what goes wrong into one line and an exit code.

With --json that line is an object {"error": {"kind", "message", "exit_code"}}. A traceback is for who asks: REGISTRY_DEBUG=1.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from types import TracebackType

import click

from ..errors import RegistryError, Unavailable, reason
from . import INTERRUPTED
from .root import root
from .session import Session
from .text import plain

USAGE = 2
PIPE_CLOSED = 141


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is what comes back."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "_REGISTRY_COMPLETE" in os.environ:
        from .completing import answer
        return answer(root, os.environ["_REGISTRY_COMPLETE"])
    sys.excepthook = report_bug
    _print_anything()
    session = Session()
    try:
        return _invoke(given, session)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return PIPE_CLOSED
    except click.ClickException as error:
        return _fail("Usage", _usage(error), error.exit_code, session, given)
    except RegistryError as error:
        return _fail(type(error).__name__, str(error), error.exit_code, session, given)
    except OSError as error:
        _forget_output()
        return _fail(type(error).__name__, _refusal(error), Unavailable.exit_code, session, given)


def _invoke(arguments: list[str], session: Session) -> int:
    try:
        with session, root.make_context("registry", arguments or ["--help"], obj=session) as context:
            root.invoke(context)
        return session.exit_code
    except click.exceptions.Exit as ended:
        return ended.exit_code
    finally:
        sys.stdout.flush()


def report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python calls for an exception nobody expected: one line, and how to see more."""
    if os.environ.get("REGISTRY_DEBUG"):
        import traceback
        traceback.print_exception(kind, error, trace)
    elif issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        what = f"{kind.__name__}: {plain(str(error))}"
        print(f"error: this is a bug in registry: {what}; REGISTRY_DEBUG=1 shows where", file=sys.stderr)


def _fail(kind: str, message: str, exit_code: int, session: Session, arguments: Sequence[str]) -> int:
    if os.environ.get("REGISTRY_DEBUG"):
        import traceback
        traceback.print_exc()
    if session.as_json or "--json" in arguments:
        line = json.dumps({"error": {"kind": kind, "message": message, "exit_code": exit_code}})
    else:
        line = f"error: {plain(message)}"
    click.echo(line, err=True)
    return exit_code


def _usage(error: click.ClickException) -> str:
    """Click's message in this house's form, with the command whose help says more."""
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        message = f"there is no option {error.option_name}"
        message += f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
    message = (message[:1].lower() + message[1:]).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message}; see {context.command_path} --help" if context is not None and not message.endswith("?") else message


def _refusal(error: OSError) -> str:
    said = reason(error)
    return f"{said}: {os.fsdecode(error.filename)!r}" if isinstance(error.filename, (str, bytes)) else said


def _print_anything() -> None:
    """A terminal or pipe that cannot show a character gets its number, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _forget_output() -> None:
    """Nobody can take what is still to be printed; without this Python would complain of it at its end."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        return
