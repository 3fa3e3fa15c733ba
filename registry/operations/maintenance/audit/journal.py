"""The journal: every entry whole, following its predecessor, and folding; and what a receipt says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.core.digest import Digest
from registry.core.entry import Entry, Init, Register
from registry.core.progress import Progress
from registry.errors import EntryRefused, InvalidName, NewerFormat, RegistryError
from registry.home.home import Home
from registry.home.prefetch import Helped, helped
from registry.results.audit import Finding, Receipt
from registry.store.verified_reader import Reader
from registry.util.gc_pause import uncollected

if TYPE_CHECKING:
    from registry.catalog.compare import Counted
    from registry.catalog.rebuild import Tally, Tallying

ANY_SOURCE = (
    "registry repair, where the catalog has it; else registry repair --from SOURCE, a home or a bundle that has it; "
    "to go on without it and all that follows: registry repair --accept-journal"
)
SET_ASIDE = "registry repair --accept-journal, which sets it and all that follows aside, into the home's folder local"
BEGINNING = (
    "registry repair, where the catalog has entry 1; else registry repair --from SOURCE, a home or a bundle that has it: nothing begins "
    "without it"
)
UPDATE = "update st-registry, then audit again"
CONTINUED = "registry repair, where the catalog has them; else registry pull BACKUP.tar, a bundle --all whose journal goes on from this one"
NEWER = "entry-newer"
"""The name of the finding for entries that a newer version of this package wrote."""
STEP = 500


@dataclass
class Chain:
    """What reading the journal from end to end brought."""

    last: int
    """The highest number of a file."""
    read: int = 0
    whole: int = 0
    """The last entry up to which everything is whole, in order, and folds."""
    linked: int = 0
    """The last entry up to which each names its predecessor, newer entries included."""
    newer: list[tuple[int, NewerFormat]] = field(default_factory=list)
    """Entries that a newer version of this package wrote, by number."""
    store: str = ""
    digests: list[Digest | None] = field(default_factory=list)
    """By number - 1: the digest of each entry that could be read."""
    then: Tally | None = None
    """The fold as of the entry that was asked for, if it was reached."""
    findings: list[Finding] = field(default_factory=list)
    unreadable: dict[Digest, RegistryError] = field(default_factory=dict)
    """Manifests and facts that are lost or damaged."""
    hashed: set[Digest] = field(default_factory=set)
    """Manifests and facts that were read, whole."""
    after: list[str] = field(default_factory=list)
    """References of what entries after the last whole one registered."""

    def digest(self, number: int) -> Digest | None:
        """The digest of an entry; None for one that could not be read or is not there."""
        return self.digests[number - 1] if 1 <= number <= len(self.digests) else None

    def mend(self, otherwise: str) -> str:
        """What mends a fault after the last whole entry: before all else a lost beginning."""
        return otherwise if self.whole else BEGINNING

    def receipt(self, time: str) -> Receipt | None:
        """The head, if there is one."""
        digest = self.digest(self.whole)
        return Receipt(self.store, self.whole, digest, time) if digest is not None else None


def read_chain(
    home: Home, last: int, at: int, counted: Counted | None, progress: Progress
) -> Chain:
    """The journal up to `last`, folded into a tally, which is kept as of entry `at`; `counted` gets on where that has to wait."""
    from registry.catalog.rebuild import Tallying

    reader = Reader(home.blobs)
    chain = Chain(last, hashed=reader.whole)

    def read_blob(digest: Digest) -> bytes:
        try:
            return reader.read(digest)
        except RegistryError as error:
            chain.unreadable[digest] = error
            raise

    with (
        uncollected(),
        helped(
            home.journal,
            home.backend,
            reader,
            last,
            counted.step if counted is not None else lambda: False,
        ) as ahead,
    ):
        _walk(home, chain, ahead, Tallying(read_blob, ahead.made), at, progress)
    return chain


def _walk(
    home: Home, chain: Chain, ahead: Helped, tallying: Tallying, at: int, progress: Progress
) -> None:
    last = chain.last
    seen: set[str] = set()
    for number, found in home.journal.walk(last, ahead.entry):
        if number % STEP == 0 or number == last:
            progress("reading the journal", number, last)
        entry = found if isinstance(found, Entry) else None
        newer = found if isinstance(found, NewerFormat) else None
        digest = newer.digest if newer is not None else entry.digest if entry is not None else None
        chain.digests.append(Digest(digest) if digest is not None else None)
        chain.read += entry is not None
        problem = _problem(chain, number, found, seen)
        if newer is not None and problem is None:
            chain.newer.append((number, newer))
        if problem is None and chain.linked == number - 1:
            chain.linked = number
        if entry is not None and problem is None and chain.whole == number - 1:
            problem = _fold(chain, tallying, entry)
        if problem is not None:
            chain.findings.append(problem)
            if problem.name != NEWER:
                chain.linked = min(chain.linked, number - 1)
        elif entry is not None and chain.whole == number - 1:
            chain.whole = number
            chain.store = entry.body.store if isinstance(entry.body, Init) else chain.store
        if entry is not None and chain.whole < number and isinstance(entry.body, Register):
            chain.after.append(f"{entry.body.name}@{entry.body.number}")
        if number == at == chain.whole:
            chain.then = tallying.tally()


def _problem(
    chain: Chain, number: int, found: Entry | RegistryError | None, seen: set[str]
) -> Finding | None:
    if found is None:
        return _broken(
            chain,
            "entry-missing",
            f"entry {number} of the journal is missing, and entry {chain.last} is there",
        )
    if isinstance(found, RegistryError) and not isinstance(found, NewerFormat):
        return _broken(chain, "entry-damaged", found.with_hint())
    previous = chain.digest(number - 1)
    if number > 1 and previous is not None and found.previous != previous:
        return _broken(
            chain,
            "chain-broken",
            f"entry {number} follows {found.previous}, and entry {number - 1} is {previous}",
        )
    if isinstance(found, NewerFormat):
        return None
    if found.id in seen:
        return Finding(
            "entry-repeated",
            f"entry {number} has the id {found.id!r} of an earlier one",
            (),
            chain.mend(SET_ASIDE),
        )
    seen.add(found.id)
    return None


def _fold(chain: Chain, tallying: Tallying, entry: Entry) -> Finding | None:
    try:
        tallying.fold(entry)
    except NewerFormat as error:
        return Finding(
            NEWER, f"entry {entry.number} names what this version cannot read: {error}", (), UPDATE
        )
    except RegistryError as error:
        return Finding(
            "entry-refused",
            f"entry {entry.number} cannot be folded: {error.with_hint()}",
            (),
            chain.mend(SET_ASIDE if isinstance(error, (EntryRefused, InvalidName)) else ANY_SOURCE),
        )
    return None


def _broken(chain: Chain, name: str, what: str) -> Finding:
    return Finding(name, what, (), chain.mend(ANY_SOURCE))


def against(chain: Chain, receipt: Receipt) -> list[Finding]:
    """What a receipt has against the journal: that something up to its entry was rewritten or taken away."""
    said = f"the receipt of {receipt.time} says entry {receipt.number} is {receipt.digest}"
    if chain.store and receipt.store != chain.store:
        return [
            Finding(
                "journal-rewritten",
                f"the receipt is of the store {receipt.store}, this journal begins the store {chain.store}",
                (),
                "compare with the receipt of this registry, or restore a bundle --all of the other",
            )
        ]
    if chain.last < receipt.number:
        return [
            Finding(
                "journal-truncated",
                f"{said}, and the journal ends with entry {chain.last}",
                (),
                chain.mend(CONTINUED),
            )
        ]
    if chain.digest(receipt.number) != receipt.digest:
        return [
            Finding(
                "journal-rewritten",
                f"{said}, here it is {chain.digest(receipt.number) or 'unreadable'}",
                (),
                "restore a bundle --all, or a home, from before; nothing here can prove what was changed",
            )
        ]
    if chain.linked < receipt.number:
        return [
            Finding(
                "journal-rewritten",
                f"{said}, and the chain up to it is broken after entry {chain.linked}",
                (),
                chain.mend(ANY_SOURCE),
            )
        ]
    return []


def concerning(chain: Chain, names: Mapping[str, list[str]]) -> list[Finding]:
    """The chain's findings, with the versions they cost: those that are registered after the last whole entry."""
    found = list(chain.findings)
    if chain.newer:
        number, error = chain.newer[0]
        more = f" and {len(chain.newer) - 1} more" if len(chain.newer) > 1 else ""
        found.append(
            Finding(NEWER, f"{error} (entry {number}{more}; not checked from there on)", (), UPDATE)
        )
    if found:
        first = found[0]
        costs = tuple(dict.fromkeys([*chain.after, *names.get("after", [])]))
        found[0] = Finding(first.name, first.what, costs, first.mend)
    return found
