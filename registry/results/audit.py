"""Findings: what audit finds and repair mends, and what bytes are counted as. Frozen values that any caller can print or store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.core.digest import Digest, canonical, parse_canonical
from registry.core.text import Shown, Told, counted
from registry.errors import InvalidManifest, NewerFormat

RECEIPT_FORMAT = 1
_WRITE_RECEIPT = "to write a receipt: registry audit --receipt FILE"


@dataclass(frozen=True)
class Finding:
    """Something that is not what it says."""

    name: str
    """What kind of thing, e.g. `blob-missing`; stable, for programs."""
    what: str
    """What is so, in a line."""
    versions: tuple[str, ...]
    """References of the versions that it concerns; none where it concerns the catalog or the whole journal alone."""
    mend: str
    """The command that mends it."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "what": self.what,
            "versions": list(self.versions),
            "mend": self.mend,
        }


@dataclass(frozen=True)
class Receipt:
    """The head of a journal at a moment, to be kept elsewhere: proof, later, that nothing up to it was rewritten."""

    store: str
    number: int
    digest: Digest
    time: str
    """When it was written: UTC, six decimals, Z."""

    def to_bytes(self) -> bytes:
        """The canonical bytes of its file."""
        return canonical(
            {
                "format": RECEIPT_FORMAT,
                "store": self.store,
                "number": self.number,
                "digest": self.digest,
                "time": self.time,
            }
        )


def parse_receipt(content: bytes, what: str) -> Receipt:
    """The receipt these bytes are. Raises InvalidManifest, or NewerFormat."""
    value = parse_canonical(content, what)
    try:
        if value["format"] > RECEIPT_FORMAT:
            raise NewerFormat(
                f"{what} has format {value['format']}, this registry reads {RECEIPT_FORMAT}",
                hint="update st-registry",
            )
        known = value["format"] == RECEIPT_FORMAT and set(value) == {
            "format",
            "store",
            "number",
            "digest",
            "time",
        }
        if not known or type(value["number"]) is not int or value["number"] < 1:
            raise InvalidManifest(f"{what} is not a receipt", hint=_WRITE_RECEIPT)
        return Receipt(
            str(value["store"]), value["number"], Digest(value["digest"]), str(value["time"])
        )
    except (KeyError, TypeError) as error:
        raise InvalidManifest(f"{what} is not a receipt: {error}", hint=_WRITE_RECEIPT) from None


@dataclass(frozen=True, repr=False)
class Audited(Shown):
    """What an audit looked at, and what it found; nothing, for a registry that is what it says."""

    findings: tuple[Finding, ...]
    entries: int
    """Entries of the journal that were read."""
    blobs: int
    size: int
    """Bytes of all blobs."""
    hashed: bool
    """Whether every byte was read, as with full."""
    head: Receipt | None
    """The last entry that was found whole, as a receipt of now; None where not even the first was."""
    notes: tuple[str, ...] = ()
    """What is no fault, and worth knowing, e.g. bytes that nobody needs."""

    def told(self) -> Told:
        """Whether all is what it says, and each finding."""
        yield "audit", counted(len(self.findings), "finding") if self.findings else "whole"
        yield (
            "looked at",
            f"{counted(self.entries, 'entry', 'entries')}, {counted(self.blobs, 'blob')}, {counted(self.size, 'byte')}",
        )
        yield from ((item.name, item.what) for item in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """What `audit --json` prints."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "entries": self.entries,
            "blobs": self.blobs,
            "size": self.size,
            "hashed": self.hashed,
            "head": None
            if self.head is None
            else {"store": self.head.store, "number": self.head.number, "digest": self.head.digest},
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Mended:
    """A blob or an entry that was lost or damaged and is whole again."""

    what: str
    """The blob's digest, or `entry N`."""
    source: str
    """Where the bytes came from."""


@dataclass(frozen=True)
class Lost:
    """What no source had, and the versions that it costs."""

    what: str
    versions: tuple[str, ...]
    mend: str = "registry repair --from HOME|BUNDLE|FOLDER, or add the same folder again"
    """How it comes back from whoever has it."""


@dataclass(frozen=True)
class Repaired:
    """What repair did."""

    entries: int
    catalog: Path | None
    """The file of the new generation; None where the journal is broken, so that the old catalog says more."""
    mended: tuple[Mended, ...]
    lost: tuple[Lost, ...]
    forgotten: tuple[str, ...] = ()
    """With accept_journal: versions that an older catalog knew and this journal does not."""
    blobs: int = 0
    """Blobs that versions or the journal need and that are there, each hashed."""
    size: int = 0
    """Bytes of those that are there."""
    set_aside: tuple[Path, ...] = ()
    """Where files are now that were moved: settings that cannot be read, and with
    accept_journal the entries from the first broken one on.
    """
    remaining: tuple[Finding, ...] = ()
    """What an audit of every byte finds after the repair, lost blobs apart."""

    def to_dict(self) -> dict[str, Any]:
        """What `repair --json` prints."""
        return {
            "entries": self.entries,
            "blobs": self.blobs,
            "size": self.size,
            "catalog": self.catalog.name if self.catalog is not None else None,
            "mended": [{"what": item.what, "source": item.source} for item in self.mended],
            "lost": [{"what": item.what, "versions": list(item.versions)} for item in self.lost],
            "forgotten": list(self.forgotten),
            "set_aside": list(map(str, self.set_aside)),
            "remaining": [finding.to_dict() for finding in self.remaining],
        }
