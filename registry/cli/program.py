"""Run a command and turn errors into an error line, a hint line and an exit code.

With --json the error is one line {"error": {"kind", "message", "hint", "exit_code"}}; the hint is null if there is none.
REGISTRY_DEBUG=1 adds a traceback.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from errno import EBADF
from types import TracebackType

import click

from registry.cli.output.text import plain
from registry.errors import INTERRUPTED, RegistryError, Unavailable, masked, reason

from .root import root
from .session import Session, escaped, forget_output
from .usage import WrongUsage

USAGE = 2
PIPE_CLOSED = 141


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is what comes back."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "_REGISTRY_COMPLETE" in os.environ:
        from .completion import answer

        return answer(root, os.environ["_REGISTRY_COMPLETE"])
    sys.excepthook = report_bug
    _open_closed_streams()
    _print_anything()
    session = Session()
    try:
        return _invoke(given, session)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        forget_output()
        return PIPE_CLOSED
    except click.ClickException as error:
        message, hint = _usage(error)
        return _fail("Usage", message, hint, error.exit_code, session, given)
    except RegistryError as error:
        return _fail(type(error).__name__, str(error), error.hint, error.exit_code, session, given)
    except OSError as error:
        forget_output()
        return _fail(
            type(error).__name__, _refusal(error), None, Unavailable.exit_code, session, given
        )


def _invoke(arguments: list[str], session: Session) -> int:
    try:
        with (
            session,
            root.make_context("registry", arguments or ["--help"], obj=session) as context,
        ):
            root.invoke(context)
        return session.exit_code
    except click.exceptions.Exit as ended:
        return ended.exit_code
    finally:
        sys.stdout.flush()


def report_bug(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What Python calls for an exception nobody expected: one line, and how to see more."""
    if os.environ.get("REGISTRY_DEBUG"):
        import traceback

        traceback.print_exception(kind, error, trace)
    elif issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        what = f"{kind.__name__}: {plain(masked(str(error)))}"
        print(
            f"error: this is a bug in registry: {what}\nhint: REGISTRY_DEBUG=1 prints a traceback",
            file=sys.stderr,
        )


def _fail(
    kind: str,
    message: str,
    hint: str | None,
    exit_code: int,
    session: Session,
    arguments: Sequence[str],
) -> int:
    message, hint = masked(message), None if hint is None else masked(hint)
    if os.environ.get("REGISTRY_DEBUG"):
        import traceback

        traceback.print_exc()
    if session.as_json or "--json" in arguments:
        error = {"kind": kind, "message": message, "hint": hint, "exit_code": exit_code}
        lines = [escaped(json.dumps({"error": error}))]
    else:
        lines = [f"error: {plain(message)}", *([f"hint: {plain(hint)}"] if hint else [])]
    try:
        click.echo("\n".join(lines), err=True)
    except OSError:  # a full standard error does not change the exit code
        forget_output(sys.stderr)
    return exit_code


def _usage(error: click.ClickException) -> tuple[str, str | None]:
    """Return Click's message in the form of our own errors, and a hint."""
    message = error.format_message()
    possibilities: Sequence[str] = ()
    if isinstance(error, click.NoSuchOption):
        message = f"there is no option {error.option_name}"
        possibilities = error.possibilities or ()
    message = (message[:1].lower() + message[1:]).rstrip(".")
    if isinstance(error, WrongUsage):
        return message, error.hint
    if possibilities:
        return message, f"did you mean {possibilities[0]}?"
    context = error.ctx if isinstance(error, click.UsageError) else None
    return message, f"see {context.command_path} --help" if context is not None else None


def _refusal(error: OSError) -> str:
    if error.errno == EBADF and error.filename is None:
        return "cannot write to standard output: it is closed"
    said = reason(error)
    return (
        f"{said}: {os.fsdecode(error.filename)!r}"
        if isinstance(error.filename, (str, bytes))
        else said
    )


def _open_closed_streams() -> None:
    """Open the standard streams that the caller closed, or files get their numbers.

    Standard output is opened for reading, so that writing to it still fails.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # it gets the lowest number
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _print_anything() -> None:
    """A terminal or pipe that cannot show a character gets its number, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
