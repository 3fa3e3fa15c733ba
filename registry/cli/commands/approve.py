"""The command approve: permit custom code of models, or withdraw the permission."""

from __future__ import annotations

import click

from registry.cli.command import command
from registry.cli.session import Session


@command("approve")
@click.argument("version", metavar="REF")
@click.option("--undo", is_flag=True, help="Withdraw the approval.")
@click.option("--message", "-m", metavar="TEXT", help="Reason, recorded in the log.")
@click.pass_obj
def approve(session: Session, /, version: str, undo: bool, message: str | None) -> None:
    """Approve the custom code of a version, or a code digest.

    The approval is for these bytes. Other versions with the same code need none.

    \b
    Examples:
      registry approve jina@1 -m "read by Anna"
      registry approve jina@1 --undo
    """
    approval = session.registry.approve(version, message=message, undo=undo)
    for path, digest in approval.files:
        session.note(f"code: {path} {digest}")
    state = "not approved" if undo else "approved"
    session.put(
        {
            "code": approval.code,
            "files": [{"path": path, "digest": digest} for path, digest in approval.files],
            "approved": not undo,
            "changed": approval.changed,
        },
        [f"{approval.code} {state}{'' if approval.changed else ' already'}"],
        [approval.code],
    )
