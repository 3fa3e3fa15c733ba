"""Bundles: versions, or a whole home, in one file for a machine without a network.

An uncompressed tar (store/tar.py), so that `tar tf` lists it and `tar xf` unpacks it:

    index.json                          canonical JSON, first
    blobs/sha256/ab/<64 hex>            bytes by digest, as they lie in a home
    journal/<20 digits>.json            of a whole home: every entry

index.json:
    format    1
    what      versions, or home
    store     the id of the store it was made from
    blobs     [[digest, size], …] of what is in it, sorted
    lacks     digests of what it needs besides, and left out because the other side has it (--have)
    versions  parents first: name, number, manifest, probes, edges, message, source, checkpoint, forced, date, by
    journal   null, or {"entries": how many, "digest": the last one's}
    digest    of the canonical JSON without this field, so that damage is told from what was meant

Everything read here comes from outside. A file with anything in it but what its index lists is refused whole: as Corrupt where it may be
damage, as UnsafeFile where sums and digests fit, so that somebody made it so, as Invalid where it is no bundle at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from types import TracebackType
from typing import Any, BinaryIO

from registry.core import entry as _entry, reference as _reference
from registry.core.digest import Digest, canonical, digest_of, digest_of_stream, parse_canonical
from registry.core.entry import Edge, Entry
from registry.core.provenance import check_edge, check_source, check_text
from registry.core.text import shell_word
from registry.errors import (
    BrokenChain,
    Corrupt,
    DigestMismatch,
    FolderNotFound,
    Invalid,
    InvalidManifest,
    NewerFormat,
    RegistryError,
    UnsafeFile,
    reason,
)
from registry.store.output_file import writing

from . import tar

FORMAT = 1
INDEX = "index.json"
INDEX_LIMIT = 64 << 20
"""Bytes of an index that are read."""
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})", re.ASCII)
_ENTRY = re.compile(r"journal/([0-9]{20})\.json", re.ASCII)


@dataclass(frozen=True)
class Packed:
    """A version as an index tells of it."""

    name: str
    number: int
    manifest: Digest
    probes: Digest | None
    edges: tuple[Edge, ...]
    message: str | None
    source: dict[str, Any]
    checkpoint: bool
    forced: tuple[str, ...]
    date: str
    by: str

    @property
    def reference(self) -> str:
        """`name@number`."""
        return f"{self.name}@{self.number}"

    def to_value(self) -> dict[str, Any]:
        """What stands in the index."""
        return {
            "name": self.name,
            "number": self.number,
            "manifest": self.manifest,
            "probes": self.probes,
            "edges": [
                {
                    "role": edge.role,
                    "digest": edge.digest,
                    "evidence": edge.evidence,
                    "reference": edge.reference,
                }
                for edge in self.edges
            ],
            "message": self.message,
            "source": self.source,
            "checkpoint": self.checkpoint,
            "forced": list(self.forced),
            "date": self.date,
            "by": self.by,
        }


@dataclass(frozen=True)
class Index:
    """What a bundle holds."""

    store: str
    blobs: dict[Digest, int]
    lacks: tuple[Digest, ...] = ()
    versions: tuple[Packed, ...] = ()
    entries: int = 0
    """Of a whole home, how many entries its journal has; 0 for a bundle of versions."""
    head: Digest | None = None

    def to_bytes(self) -> bytes:
        """The canonical bytes of index.json."""
        value = {
            "format": FORMAT,
            "what": "home" if self.entries else "versions",
            "store": self.store,
            "blobs": [[digest, size] for digest, size in sorted(self.blobs.items())],
            "lacks": sorted(self.lacks),
            "versions": [version.to_value() for version in self.versions],
            "journal": {"entries": self.entries, "digest": self.head} if self.entries else None,
        }
        return canonical({**value, "digest": digest_of(canonical(value))})


def write(
    place: Path,
    index: Index,
    open_blob: Callable[[Digest], BinaryIO],
    entries: Iterable[Entry] = (),
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write a bundle, whole or not at all; its size in bytes. Every blob is hashed on its way. Raises DigestMismatch, StoreUnavailable."""
    with writing(place, "the bundle") as out:
        _put(out, INDEX, index.to_bytes())
        for digest, size in sorted(index.blobs.items()):
            out.write(tar.header(name_of(digest), size))
            with open_blob(digest) as stream:
                found, length = digest_of_stream(stream.read, out.write, progress)
            if (found, length) != (digest, size):
                raise DigestMismatch(
                    f"the stored bytes of {digest} are damaged, no bundle was written",
                    hint="registry repair",
                )
            out.write(tar.padding(size))
        for entry in entries:
            _put(out, f"journal/{entry.number:020}.json", entry.to_bytes())
        out.write(tar.END)
        return out.tell()


def is_bundle(path: Path) -> bool:
    """Whether a file begins as a bundle does, damaged or not; an empty one does not. A pipe is left unread."""
    try:
        if not path.is_file() or not path.stat().st_size:
            return False
        with path.open("rb") as stream:
            return _begun(stream)
    except OSError:
        return False


def _begun(stream: BinaryIO) -> bool:
    block = stream.read(tar.BLOCK)
    return tar.begins_so(block, INDEX) or any(
        form.match(block[: tar.NAME_LIMIT].decode("ascii", "replace")) for form in (_BLOB, _ENTRY)
    )


class Bundle:
    """An open bundle, its index read and compared with what is in it. Contents are checked when they are read."""

    def __init__(self, path: Path) -> None:
        """Raises FolderNotFound, Invalid for what is no bundle, Corrupt for a damaged one, UnsafeFile for one that lies, NewerFormat."""
        self.path = path
        self._what = f"the bundle {str(path)!r}"
        try:
            if not S_ISREG(path.stat().st_mode):
                raise Invalid(
                    f"{str(path)!r} is not a file (a bundle is a file)",
                    hint="to register the folder of a model: registry add "
                    f"{shell_word(str(path))} --as NAME"
                    if path.is_dir()
                    else "save it to a file first",
                )
            self._stream = path.open("rb")
        except OSError as error:
            raise FolderNotFound(f"cannot read {self._what}: {reason(error)}") from None
        try:
            self._members = self._look()
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def open(self, digest: Digest) -> BinaryIO | None:
        """The bytes of a blob, unchecked; None for one that is not in it."""
        member = self._members.get(name_of(digest))
        return tar.part(self.path, member) if member is not None else None

    def entry(self, number: int) -> Entry | None:
        """An entry of a whole home, checked by itself. Raises BrokenChain."""
        member = self._members.get(f"journal/{number:020}.json")
        if member is None:
            return None
        try:
            entry = _entry.parse(self._read(member), f"journal entry {number} of {self._what}")
        except InvalidManifest as error:
            raise BrokenChain(str(error), hint=error.hint) from None
        if entry.number != number:
            raise BrokenChain(
                f"{self._what} has entry {entry.number} where entry {number} should be"
            )
        return entry

    def entries(self) -> list[Entry]:
        """All entries, chained, the last with the digest that the index says. Raises BrokenChain."""
        found: list[Entry] = []
        for number in range(1, self.index.entries + 1):
            entry = self.entry(number)
            if entry is None or entry.previous != (found[-1].digest if found else None):
                raise BrokenChain(f"the journal in {self._what} is broken at entry {number}")
            found.append(entry)
        if found and found[-1].digest != self.index.head:
            raise BrokenChain(
                f"the journal in {self._what} ends with {found[-1].digest}, its index says {self.index.head}"
            )
        return found

    def _look(self) -> dict[str, tar.Member]:
        if not _begun(self._stream):
            self._stream.seek(0)
            raise Invalid(
                f"{str(self.path)!r} is not a bundle: it begins with {self._stream.read(8)!r}",
                hint="to write a bundle: registry bundle REF -o FILE",
            )
        found: dict[str, tar.Member] = {}
        for member in tar.members(
            self._stream, os.fstat(self._stream.fileno()).st_size, self._what
        ):
            if not found:
                self.index = self._index(member)
            elif not (_BLOB.fullmatch(member.name) or _ENTRY.fullmatch(member.name)):
                raise UnsafeFile(
                    f"{self._what} holds {member.name!r}, which is no blob and no entry"
                )
            if member.name in found:
                raise UnsafeFile(f"{self._what} holds {member.name!r} twice")
            found[member.name] = member
        expected = {name_of(digest): size for digest, size in self.index.blobs.items()}
        expected |= {
            f"journal/{number:020}.json": -1 for number in range(1, self.index.entries + 1)
        }
        there = {name: member.size for name, member in found.items() if name != INDEX}
        odd = sorted(expected.keys() ^ there.keys()) or sorted(
            name for name, size in expected.items() if size not in (-1, there[name])
        )
        if odd:
            raise Corrupt(
                f"{self._what} is not what its index says: {odd[0]!r} is missing, too much, or of another size"
            )
        return found

    def _index(self, member: tar.Member) -> Index:
        if member.name != INDEX:
            raise Corrupt(
                f"{self._what} is damaged: it begins with {member.name!r} instead of its index",
                hint=tar.COPY_AGAIN,
            )
        return parse(self._read(member), f"the index of {self._what}")

    def _read(self, member: tar.Member) -> bytes:
        if member.size > INDEX_LIMIT:
            raise UnsafeFile(
                f"{member.name!r} of {self._what} has {member.size} bytes (at most {INDEX_LIMIT} "
                "are read)"
            )
        self._stream.seek(member.offset)
        return self._stream.read(member.size)


def parse(content: bytes, what: str) -> Index:
    """The index these bytes are. Raises DigestMismatch for a damaged one, UnsafeFile for one that was made to be another, or NewerFormat."""
    value = _sealed(content, what)
    try:
        if value["format"] > FORMAT:
            raise NewerFormat(
                f"{what} has format {value['format']}, this registry reads {FORMAT}",
                hint="update st-registry",
            )
        if set(value) != {
            "format",
            "what",
            "store",
            "blobs",
            "lacks",
            "versions",
            "journal",
            "digest",
        }:
            raise InvalidManifest(f"{what} has the wrong fields: {', '.join(sorted(value))}")
        blobs = {Digest(digest): _count(size, what) for digest, size in value["blobs"]}
        journal = value["journal"]
        index = Index(
            check_text(value["store"]),
            blobs,
            tuple(map(Digest, value["lacks"])),
            tuple(_packed(item, what) for item in value["versions"]),
            _count(journal["entries"], what) if journal is not None else 0,
            Digest(journal["digest"]) if journal is not None else None,
        )
    except NewerFormat:
        raise
    except (RegistryError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnsafeFile(
            str(error) if isinstance(error, InvalidManifest) else f"{what} is malformed: {error}",
            hint=error.hint if isinstance(error, RegistryError) else None,
        ) from None
    if (
        len(blobs) != len(value["blobs"])
        or set(blobs) & set(index.lacks)
        or index.to_bytes() != content
    ):
        raise UnsafeFile(f"{what} is not in its one form")
    return index


def _sealed(content: bytes, what: str) -> dict[str, Any]:
    """What stands in an index whose digest is that of the rest."""
    try:
        value: dict[str, Any] = parse_canonical(content, what)
        if value["digest"] == digest_of(
            canonical({key: item for key, item in value.items() if key != "digest"})
        ):
            return value
    except (InvalidManifest, KeyError, TypeError, AttributeError):
        pass
    raise DigestMismatch(
        f"{what} is damaged: its digest is not the one that it contains", hint=tar.COPY_AGAIN
    )


def name_of(digest: Digest) -> str:
    """Where a blob lies in a bundle."""
    return f"blobs/sha256/{digest.hex[:2]}/{digest.hex}"


def _packed(item: dict[str, Any], what: str) -> Packed:
    number = _count(item["number"], what)
    if not 1 <= number < 10**18:
        raise InvalidManifest(f"{what} has the number {number}")
    return Packed(
        _reference.check_name(item["name"]),
        number,
        Digest(item["manifest"]),
        Digest(item["probes"]) if item["probes"] is not None else None,
        tuple(check_edge(edge) for edge in item["edges"]),
        check_text(item["message"]) if item["message"] is not None else None,
        check_source(item["source"]),
        item["checkpoint"] is True,
        tuple(map(check_text, item["forced"])),
        check_text(item["date"]),
        check_text(item["by"]),
    )


def _count(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise InvalidManifest(f"{what} counts {value!r:.40}")
    return value


def _put(out: BinaryIO, name: str, content: bytes) -> None:
    out.write(tar.header(name, len(content)) + content + tar.padding(len(content)))
