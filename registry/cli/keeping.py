"""Keeping: audit and repair. Is everything what it says, and if not, what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import Corrupt
from .commands import command
from .parameters import File
from .session import Session
from .text import plain, size

if TYPE_CHECKING:
    from ..findings import Audited, Finding

VERSIONS_SHOWN = 5


@command("audit")
@click.option("--full", is_flag=True, help="Read every byte: hash all blobs on all processors, compute facts and checkouts anew.")
@click.option("--probes", is_flag=True, help="Load the latest versions and those with an alias, and compare their recorded encodings.")
@click.option("--receipt", metavar="FILE", type=File(), help="Write the head of the journal there, to be kept elsewhere.")
@click.option("--against", metavar="FILE", type=File(), help="Prove by an earlier receipt that nothing before it was rewritten.")
@click.pass_obj
def audit(session: Session, /, full: bool, probes: bool, receipt: str | None, against: str | None) -> None:
    """Prove that everything is what it says: the journal's chain, the catalog, the blobs. Changes nothing.

    Exit code 0 where nothing is found, 5 where something is; each finding names the versions it concerns and what mends it.

    \b
    Examples:
      registry audit --full
      registry audit --receipt head.json      keep that file elsewhere, and later:
      registry audit --against head.json
    """
    with session.progress() as progress:
        result = session.registry.audit(full=full, probes=probes, receipt=receipt, against=against, progress=progress)
    session.put(result.to_dict(), _lines(result), [item.name for item in result.findings])
    for note in result.notes:
        session.note(note)
    if result.findings:
        session.exit_code = Corrupt.exit_code


@command("repair")
@click.option("--from", "sources", metavar="SOURCE", type=File(), multiple=True,
              help="Another home, a bundle, or a folder of a model, that may have lost bytes; again for more.")
@click.option("--accept-journal", is_flag=True, help="Take the journal as it is, though a catalog or a later entry says it was longer or other.")
@click.pass_obj
def repair(session: Session, /, sources: tuple[str, ...], accept_journal: bool) -> None:
    """Make the catalog anew from the journal, and fetch lost or damaged bytes by digest from wherever they still are.

    Looked in without being named: the folders that versions were added from, and this home's checkouts. Nothing is trusted but
    the digest. What no source has is listed with the versions it costs, and then the exit code is 5.

    \b
    Examples:
      registry repair
      registry repair --from /mnt/backup/models --from handover.tar
    """
    with session.progress() as progress:
        result = session.registry.repair(sources, accept_journal=accept_journal, progress=progress)
    lines = [f"mended {plain(item.what)} from {plain(item.source)}" for item in result.mended]
    lines += [f"lost {plain(item.what)}{_of(item.versions)}" for item in result.lost]
    lines += [f"forgotten {plain(item)}" for item in result.forgotten]
    session.put(result.to_dict(), [*lines, f"{result.catalog.name} made from {result.entries} entries"])
    if result.lost:
        session.exit_code = Corrupt.exit_code


def _lines(result: Audited) -> list[str]:
    looked = f"{result.entries} entries, {result.blobs} blobs, {size(result.size)}{', every byte read' if result.hashed else ''}"
    if not result.findings:
        return [f"whole: {looked}"]
    return [line for item in result.findings for line in _finding(item)] + [f"{len(result.findings)} findings in {looked}"]


def _finding(item: Finding) -> list[str]:
    return [f"{item.name}: {plain(item.what)}{_of(item.versions)}", f"  mend: {plain(item.mend)}"]


def _of(versions: tuple[str, ...]) -> str:
    if not versions:
        return ""
    more = f" and {len(versions) - VERSIONS_SHOWN} more" if len(versions) > VERSIONS_SHOWN else ""
    return f" (concerns {', '.join(map(plain, versions[:VERSIONS_SHOWN]))}{more})"
