"""The journal, mended: entries that are lost or damaged come back from the catalog's rows or from a source, told by their digests."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.core import entry as _entry
from registry.core.digest import Digest, canonical
from registry.core.entry import Entry, Register
from registry.core.text import shell_word
from registry.errors import (
    BrokenChain,
    CatalogDiverged,
    EntryRefused,
    InvalidName,
    NewerFormat,
    RegistryError,
    StoreUnavailable,
)
from registry.home.home import Home
from registry.results.audit import Lost, Mended

from .sources import Source

if TYPE_CHECKING:
    from registry.catalog.compare import Snapshot


BEGINNING = "registry repair --from HOME|BUNDLE; nothing begins without entry 1"
ENTRIES = (
    "registry repair --from HOME|BUNDLE; to set what breaks the journal, and all that came after, aside: "
    "registry repair --accept-journal"
)


@dataclass
class Journaled:
    """What became of the journal."""

    mended: list[Mended] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    set_aside: list[Path] = field(default_factory=list)
    """Where entries lie now that break the journal, or follow what breaks it."""


def mend_journal(
    home: Home, snapshot: Snapshot | None, sources: Sequence[Source], *, accept_journal: bool
) -> Journaled:
    """Entries put back where their digest is known. With accept_journal a break and what follows it are set aside, and no catalog is asked.

    A break is an entry that is lost, damaged, of another chain, or refused by the fold.
    Raises CatalogDiverged where the catalog and a whole journal tell two stories, and nobody said which counts; NewerFormat and
    StoreUnavailable for an entry that this package, or this machine, cannot read and another may; BrokenChain where nothing would be left.
    """
    known = _Rows(snapshot)
    last = home.journal.end()
    highest = home.journal.last()
    if highest != last:
        file = home.root / "journal" / f"{highest:020}.json"
        raise BrokenChain(
            f"{str(file)!r} cannot be an entry (the journal ends with entry {last})",
            hint=f"mv {shell_word(str(file))} ELSEWHERE, then registry repair",
        )
    until = last if accept_journal else max(last, known.head)
    result = Journaled()
    expected: Digest | None = None
    for number in range(until, 0, -1):
        there = _read(home, number, lost=expected is not None)
        row = known.digest(number) if not accept_journal else None
        wanted = expected or row
        if (
            there is not None
            and row not in (None, there.digest)
            and (
                expected is None
                or (
                    there.digest == expected
                    and number == known.head
                    and known.entry(number) is not None
                )
            )
        ):
            raise CatalogDiverged(
                f"entry {number} of the journal is {there.digest}, and the catalog has {row}",
                hint="if the journal is right: registry repair --accept-journal; if the catalog "
                "is right: move the file of that entry away, then registry repair",
            )
        if there is None or (expected is not None and there.digest != expected):
            there = _put_back(home, number, wanted, known, sources, result)
        expected = there.previous if there is not None else None
    broken = _break(home, until) or _refused(home, until)
    if broken is not None:
        _give_up(home, *broken, until, known, result, accept_journal=accept_journal)
    if accept_journal:
        result.forgotten += known.registered_after(home.journal.last())
    return result


def _put_back(
    home: Home,
    number: int,
    wanted: Digest | None,
    known: _Rows,
    sources: Sequence[Source],
    result: Journaled,
) -> Entry | None:
    for name, entry in [
        ("the catalog", known.entry(number)),
        *((source.name, source.entry(number)) for source in sources),
    ]:
        if (
            entry is not None
            and entry.digest == (wanted or entry.digest)
            and (wanted is not None or _fits(home, entry))
        ):
            home.journal.replace(entry)
            result.mended.append(Mended(f"entry {number}", name))
            return entry
    return None


def _fits(home: Home, entry: Entry) -> bool:
    """Whether an entry whose digest nobody knows follows from the one before it."""
    before = _read(home, entry.number - 1) if entry.number > 1 else None
    return entry.number == 1 or (before is not None and entry.previous == before.digest)


def _break(home: Home, until: int) -> tuple[int, str] | None:
    """The first number that is missing, damaged, or does not follow, and why it is one."""
    previous: Digest | None = None
    for number in range(1, until + 1):
        entry = _read(home, number)
        if entry is None or entry.previous != previous:
            return (
                number,
                "is missing or damaged"
                if entry is None
                else f"follows another than entry {number - 1}",
            )
        previous = entry.digest
    return None


def _refused(home: Home, until: int) -> tuple[int, str] | None:
    """The first entry that no registry can have written after those before it, and why; what another package may read is none."""
    from registry.catalog.rebuild import Tallying

    tallying, seen = Tallying(home.blobs.read_or_miss), set[str]()
    for entry in itertools.islice(home.journal.follow(0, None), until):
        try:
            tallying.fold(entry)
        except (EntryRefused, InvalidName) as error:
            return entry.number, f"cannot be folded: {error}"
        if entry.id in seen:
            return entry.number, f"has the id {entry.id!r} of an earlier one"
        seen.add(entry.id)
    return None


def _give_up(
    home: Home,
    broken: int,
    why: str,
    until: int,
    known: _Rows,
    result: Journaled,
    *,
    accept_journal: bool,
) -> None:
    """Say what a break costs; or, where that is accepted, set what follows it aside, so that the journal ends before it."""
    after = [
        entry for number in range(broken, until + 1) if (entry := _read(home, number)) is not None
    ]
    costs = [
        f"{entry.body.name}@{entry.body.number}"
        for entry in after
        if isinstance(entry.body, Register)
    ]
    costs = list(dict.fromkeys([*costs, *known.registered_after(broken - 1)]))
    if not accept_journal:
        result.lost.append(
            Lost(
                f"entry {broken} of the journal, which {why}, and with it what follows up to entry {until}",
                tuple(costs),
                ENTRIES if broken > 1 else BEGINNING,
            )
        )
        return
    if broken == 1:
        raise BrokenChain(
            f"entry 1 of the journal of {str(home.root)!r} {why}, and no journal begins without it",
            hint="restore it from a registry or a bundle that has it: registry repair --from "
            "SOURCE",
        )
    aside = make_aside(home)
    for number in range(broken, until + 1):
        file = home.root / "journal" / f"{number:020}.json"
        if file.exists():
            file.rename(aside / file.name)
            result.set_aside.append(aside / file.name)
    home.journal.sync()
    result.forgotten += costs


def make_aside(home: Home) -> Path:
    """Make a folder for files that are set aside."""
    aside = home.root / "local" / f"set-aside-{secrets.token_hex(4)}"
    aside.mkdir(parents=True, mode=0o700)
    return aside


def _read(home: Home, number: int, *, lost: bool = False) -> Entry | None:
    """The entry; None for one that is missing or damaged, with `lost` also for one that the disk does not give: its digest is known."""
    try:
        return home.journal.read(number)
    except NewerFormat:
        raise
    except StoreUnavailable:
        if lost:
            return None
        raise
    except RegistryError:
        return None


class _Rows:
    """The entries that a catalog has as rows; nothing where it cannot be read."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._rows: dict[int, Mapping[str, Any]] = {}
        self._versions: list[tuple[str, int]] = []
        self.head = 0
        try:
            self._load(snapshot)
        except (RegistryError, ValueError, TypeError):
            self._rows, self._versions, self.head = {}, [], 0

    def _load(self, snapshot: Snapshot | None) -> None:
        from registry.catalog import schema

        if snapshot is None:
            return
        columns = [column.name for column in schema.entries.columns]
        for rows in snapshot.rows("entries"):
            for row in rows:
                named = dict(zip(columns, row, strict=True))
                self._rows[int(named["number"])] = named
        self.head = max(self._rows, default=0)

    def digest(self, number: int) -> Digest | None:
        """What the catalog says the entry's digest is."""
        row = self._rows.get(number)
        return None if row is None else Digest(str(row["digest"]))

    def entry(self, number: int) -> Entry | None:
        """The entry made of its row, if that gives the digest that stands there."""
        row, before = self._rows.get(number), self._rows.get(number - 1)
        if row is None or (before is None and number > 1):
            return None
        try:
            identity = {key: row[key] for key in ("login", "uid") if row[key] is not None}
            value = {
                **identity,
                "format": row["format"],
                "number": number,
                "id": row["id"],
                "time": row["time"],
                "by": row["by"],
                "kind": row["kind"],
                "body": json.loads(row["body"]),
                "previous": before["digest"] if before is not None else None,
                "digest": row["digest"],
            }
            return _entry.parse(canonical(value), "the entry")
        except (RegistryError, ValueError, TypeError):
            return None

    def registered_after(self, number: int) -> list[str]:
        """References of what the catalog says was registered later."""
        return [
            f"{row['name']}@{row['version']}"
            for key, row in sorted(self._rows.items())
            if key > number and row["kind"] == "Register"
        ]
