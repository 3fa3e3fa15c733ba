"""Naming: alias, annotate, yank, delete. What people say of versions, and unsay."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from registry.cli.command import command, version_argument
from registry.cli.output import json_output
from registry.cli.output.text import size
from registry.cli.params import VersionReference, notes
from registry.cli.session import Session
from registry.cli.usage import WrongUsage
from registry.core.text import shell_word

if TYPE_CHECKING:
    from registry.results.registration import AliasMove
    from registry.results.storage import Deleted


@command("alias")
@version_argument()
@click.argument("alias", metavar="[ALIAS]", required=False)
@click.option(
    "--expect", metavar="REF", type=VersionReference(), help="Only if the alias points there now."
)
@click.option("--remove", is_flag=True, help="Take the alias away; REF is then NAME@ALIAS.")
@click.option("--message", "-m", metavar="TEXT", help="Why, for those who read the log.")
@click.pass_obj
def alias(
    session: Session,
    /,
    version: str,
    alias: str | None,
    expect: str | None,
    remove: bool,
    message: str | None,
) -> None:
    """Point an alias at a version, or take one away.

    \b
    Examples:
      registry alias medical@4 prod --expect medical@3
      registry alias --remove medical@prod
    """
    if remove and alias is not None:
        raise WrongUsage(
            f"--remove does not accept the second argument {alias!r}",
            hint=f"registry alias --remove {shell_word(version.partition('@')[0] + '@' + alias)}",
        )
    moved = session.registry.alias(version, alias, expect=expect, remove=remove, message=message)
    _tell_before(session, moved)
    line = f"{moved.name}@{moved.alias} -> {moved.after or 'nothing'}"
    session.put(json_output.move(moved), [line], [moved.after] if moved.after else [])


@command("annotate")
@version_argument()
@click.argument("texts", metavar="KEY=VALUE...", nargs=-1)
@click.option("--remove", "removed", metavar="KEY", multiple=True, help="Take this note away.")
@click.pass_obj
def annotate(
    session: Session, /, version: str, texts: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    """Write notes on a version: results, an owner, a ticket. Notes are for ever in the log.

    \b
    Example:
      registry annotate medical@4 spearman=0.861 owner=anna
    """
    found = session.registry.annotate(version, notes(texts, removed))
    session.put(json_output.version(found), [found.reference])


@command("yank")
@version_argument()
@click.option("--reason", metavar="TEXT", help="Why; shown to whoever still loads it.")
@click.option("--undo", is_flag=True, help="Show the version again.")
@click.pass_obj
def yank(session: Session, /, version: str, reason: str | None, undo: bool) -> None:
    """Hide a version from latest and from aliases. By number or digest it still loads, with a warning.

    \b
    Examples:
      registry yank medical@3 --reason "trained on the test set"
      registry yank medical@3 --undo
    """
    found = session.registry.yank(version, reason=reason, undo=undo)
    session.put(
        json_output.version(found),
        [f"{found.reference} {'shown' if undo else 'yanked'}"],
        [found.reference],
    )


@command("delete")
@click.argument("versions", metavar="REF...", nargs=-1, required=True, type=VersionReference())
@click.option(
    "--keep-last",
    type=click.IntRange(min=0),
    metavar="N",
    help="REF is a model's name: all but its newest N go.",
)
@click.option("--message", "-m", metavar="TEXT", help="Why, for those who read the log.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and forget nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(
    session: Session,
    /,
    versions: tuple[str, ...],
    keep_last: int | None,
    message: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Forget versions for ever; their numbers are not used again. The bytes go with the next collect.

    \b
    Examples:
      registry delete medical@2
      registry delete medical --keep-last 5 --yes
    """
    if not (yes or dry_run) and not _agreed(session, versions, keep_last):
        return
    gone = session.registry.delete(versions, keep_last=keep_last, message=message, dry_run=dry_run)
    _tell_kept(session, gone)
    references = [version.reference for version in gone.versions]
    session.put(json_output.deleted(gone, dry_run=dry_run), references, references)
    session.note(_freed(gone, dry_run=dry_run))


def _freed(gone: Deleted, *, dry_run: bool) -> str:
    unpacked = f", and {size(gone.checkouts)} of checkouts" if gone.checkouts else ""
    later = (
        f"; {size(gone.young)} more once that is an hour old, or now with --older-than 0"
        if gone.young
        else ""
    )
    return f"the next collect {'would free' if dry_run else 'frees'} {size(gone.freed - gone.young)} of it{unpacked}{later}"


def _agreed(session: Session, versions: tuple[str, ...], keep_last: int | None) -> bool:
    """Return whether the user confirms. Raises WrongUsage without a terminal."""
    if not sys.stdin.isatty():
        raise WrongUsage(
            "delete asks for confirmation, and standard input is not a terminal",
            hint="add --yes, or --dry-run to see what would be deleted",
        )
    doomed = session.registry.delete(versions, keep_last=keep_last, dry_run=True)
    names = ", ".join(version.reference for version in doomed.versions)
    agreed = not names or click.confirm(
        f"forget {names} for ever ({size(doomed.freed)})?", err=True
    )
    if not agreed:
        session.exit_code = 1
        click.echo("nothing was deleted", err=True)
    return agreed


def _tell_kept(session: Session, gone: Deleted) -> None:
    for why in gone.notes.values():
        session.note(f"kept: {why}")


def _tell_before(session: Session, moved: AliasMove) -> None:
    if moved.before is not None and moved.before != moved.after:
        session.note(f"{moved.name}@{moved.alias} pointed to {moved.before}")
