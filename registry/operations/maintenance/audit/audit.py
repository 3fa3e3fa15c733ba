"""The audit, part after part."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core.digest import Digest
from registry.core.entry import now
from registry.core.progress import Progress
from registry.errors import CatalogDiverged, Corrupt, StoreUnavailable
from registry.home.home import WRITE_WAIT, Home
from registry.operations.shared.input_file import input_bytes
from registry.results.audit import Audited, Finding, Receipt, parse_receipt
from registry.store.output_file import output_place, writing

from .blobs import Begun, Bytes, begun, check_blobs
from .catalog import (
    OTHER_JOURNAL,
    REPAIR,
    behind,
    check_catalog,
    names_by_entry,
    older,
    state,
)
from .evidence import check_evidence
from .journal import Chain, against as _against, concerning, read_chain
from .strays import beside, check_config, strays

if TYPE_CHECKING:
    from registry.catalog.compare import Counted, IndexCheck, Snapshot


def audit(
    home: Home,
    *,
    full: bool,
    probes: bool,
    receipt: str | os.PathLike[str] | None,
    against: Path | None,
    progress: Progress,
    verified: Collection[Digest] = (),
) -> Audited:
    """Everything that is not what it says. With receipt the journal's head is written
    to a file, if the journal is whole.

    What is found is returned, not raised. Raises FolderNotFound or InvalidManifest for
    an earlier receipt that cannot be read, Corrupt where none can be written, Invalid
    where a receipt cannot lie. Blobs in `verified` were hashed by the caller and are
    not hashed again.
    """
    place = output_place(receipt, "the receipt", home.root) if receipt is not None else None
    earlier = _read(against) if against is not None else None
    with home.store_lock.shared(timeout=60.0), begun(home, full=full, verified=verified) as hashing:
        looked = _look(home)
        with (
            looked.snapshot or contextlib.nullcontext(),
            looked.indexes or contextlib.nullcontext(),
        ):
            chain = read_chain(home, looked.last, looked.at, looked.counted, progress)
            findings = [
                *concerning(chain, names_by_entry(looked.snapshot, chain.whole)),
                *strays(home),
                *check_config(home),
            ]
            rewritten = _against(chain, earlier) if earlier is not None else []
            findings += rewritten
            found, more = _content(
                home, looked, chain, rewritten, full=full, hashing=hashing, progress=progress
            )
    findings += more
    if probes and home.journal.has(1):  # else nothing loads, which is found already
        from .full import check_probes

        findings += check_probes(home, progress)
    found.notes += beside(home)
    head = chain.receipt(now())
    if place is not None:
        found.notes.append(_write(place, head, [*concerning(chain, {}), *rewritten]))
    if earlier is not None and not rewritten:
        found.notes.append(
            f"agrees with the receipt of {earlier.time}: nothing up to entry {earlier.number} was rewritten"
        )
    return Audited(
        tuple(findings),
        chain.read,
        len(found.sizes),
        sum(found.sizes.values()),
        full,
        head,
        tuple(found.notes),
    )


@dataclass(frozen=True)
class _Looked:
    """The catalog's state and the journal's end, as of one moment: no writer was between the two."""

    path: Path | None
    uncompared: str | None
    """Why the catalog was not compared, if it is not at fault."""
    snapshot: Snapshot | None
    counted: Counted | None
    indexes: IndexCheck | None
    error: CatalogDiverged | None
    at: int
    last: int


def _look(home: Home) -> _Looked:
    from registry.catalog.compare import IndexCheck, Snapshot, closed_if_it_fails
    from registry.catalog.migrate import newest_older
    from registry.catalog.reader import newest_migrated

    with home.write_lock.exclusive(WRITE_WAIT) if home.writable else contextlib.nullcontext():
        folder, last = home.root / "catalog", home.journal.end()
        try:
            path = newest_migrated(folder, writable=home.writable)
        except StoreUnavailable:  # no space left
            path = None
        if path is None:
            catalog = newest_older(folder)
            note = older(catalog.name) if catalog is not None else None
            return _Looked(None, note, None, None, None, None, 0, last)
        try:
            snapshot = Snapshot.of(path)
            with closed_if_it_fails(snapshot):
                number, _ = snapshot.head()
                return _Looked(
                    path, None, snapshot, snapshot.counted(), IndexCheck(path), None, number, last
                )
        except StoreUnavailable as error:
            return _Looked(path, f"{error}; it was not compared", None, None, None, None, 0, last)
        except CatalogDiverged as error:
            return _Looked(path, None, None, None, None, error, 0, last)


def _content(
    home: Home,
    looked: _Looked,
    chain: Chain,
    rewritten: list[Finding],
    *,
    full: bool,
    hashing: Begun,
    progress: Progress,
) -> tuple[Bytes, list[Finding]]:
    """The catalog and the blobs."""
    progress("comparing the catalog", 0, None)
    notes: list[str] = []
    if looked.error is not None:
        answers = [Finding("catalog-damaged", str(looked.error), (), REPAIR)]
    elif looked.uncompared is not None:
        answers, notes = [], [looked.uncompared]
    else:
        answers = check_catalog(home, looked.snapshot, looked.counted, looked.indexes, chain)
        notes = behind(looked.at, chain) if not answers else []
    lost = bool(chain.findings or chain.newer or rewritten) or any(
        item.name in OTHER_JOURNAL for item in answers
    )
    with state(
        home, looked.path, chain, sound=not answers and chain.whole == looked.at == looked.last
    ) as connection:
        from registry.catalog.queries import needs

        needed = needs(connection)
        found = check_blobs(
            home, needed, chain, lost=lost, full=full, begun=hashing, progress=progress
        )
        findings = [*answers, *found.findings, *check_evidence(home, connection)]
        if full:
            from .full import check_checkouts, check_facts

            findings += [
                *check_facts(home, connection, found.bad, progress),
                *check_checkouts(home, connection, notes),
            ]
    found.notes += notes
    return found, findings


def _read(path: Path) -> Receipt:
    content = input_bytes(path, "receipt")
    return parse_receipt(content.rstrip(b"\n"), f"{str(path)!r}")


def _write(path: Path, head: Receipt | None, faults: Sequence[Finding]) -> str:
    """Not for a journal with faults: the receipt that it may take the place of is the proof of them."""
    if head is None or faults:
        raise Corrupt(
            "no receipt is written for a journal that is broken, was rewritten or cannot be read "
            f"to its end: {faults[0].what if faults else 'it is empty'}"
        )
    with writing(path, "the receipt") as out:
        out.write(head.to_bytes() + b"\n")
    return f"receipt of entry {head.number}, {head.digest.short}, written to {str(path)!r}; keep it where nobody who writes here can"
