"""bundle: versions and their lines, or a whole home, in one file for a machine without a network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core.digest import Digest
from registry.core.entry import Entry, Register
from registry.core.progress import Progress
from registry.core.provenance import SOURCE
from registry.core.version import Version
from registry.errors import BlobNotFound, Invalid, InvalidManifest
from registry.home.home import Home
from registry.operations.shared.input_file import input_text
from registry.operations.shared.resolve import VersionLike, line_of, look_up, manifest_of, store_of
from registry.results.storage import Bundled
from registry.store.output_file import output_place
from registry.transfer import bundle as _bundle
from registry.transfer.bundle import Bundle, Index, Packed

if TYPE_CHECKING:
    from sqlalchemy import Connection


def bundle(
    home: Home,
    versions: Sequence[VersionLike],
    output: str | os.PathLike[str],
    *,
    have: Path | None,
    everything: bool,
    progress: Progress,
) -> Bundled:
    """What was written to `output`, which is there whole afterwards or not at all.

    have is a bundle, or a text of digests a line, of what the other side has: that is left out. Raises BlobNotFound, DigestMismatch, and
    Invalid for what is no place for a bundle.
    """
    if everything == bool(versions):
        raise Invalid(
            f"{'versions and' if everything else 'neither versions nor'} --all are given",
            hint="give the versions, or --all for the whole registry",
        )
    place = output_place(output, "the bundle", home.root)
    known = _have(have) if have is not None else set()
    with home.store_lock.shared(timeout=60.0):
        index, entries = _whole(home) if everything else (_of_versions(home, versions), [])
        left = {digest: size for digest, size in index.blobs.items() if digest not in known}
        index = Index(
            index.store,
            left,
            tuple(sorted(set(index.blobs) - set(left))),
            index.versions,
            index.entries,
            index.head,
        )
        total, done = sum(left.values()), 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            progress("bundling", done, total)

        size = _bundle.write(place, index, home.blobs.open, entries, count)
    return Bundled(
        Path(output),
        tuple(version.reference for version in index.versions),
        len(index.blobs),
        size,
        len(index.lacks),
        index.entries,
    )


def packed(home: Home, version: Version) -> Packed:
    """A version as the index tells of it, taken from the entry that registered it."""
    entry = home.journal.read(version.entry)
    assert entry is not None
    assert isinstance(entry.body, Register)
    source = {key: value for key, value in entry.body.source.items() if key in SOURCE}
    return Packed(
        version.name,
        version.number,
        version.digest,
        version.probes,
        entry.body.edges,
        entry.body.message,
        source,
        entry.body.checkpoint,
        entry.body.forced,
        entry.time,
        entry.by,
    )


def _of_versions(home: Home, versions: Sequence[VersionLike]) -> Index:
    with home.reading() as connection:
        line = _parents_first(connection, [look_up(connection, version) for version in versions])
    blobs: dict[Digest, int] = {}
    for version in line:
        blobs |= {file.digest: file.size for file in manifest_of(home, version).files}
        for digest in (version.digest, *([version.probes] if version.probes is not None else [])):
            blobs[digest] = home.blobs.size(digest)
    return Index(store_of(home), blobs, (), tuple(packed(home, version) for version in line))


def _parents_first(connection: Connection, versions: Sequence[Version]) -> list[Version]:
    found: dict[Digest, Version] = {}
    for version in versions:
        line = line_of(connection, version)
        there = {item.digest for item in line}
        for item in line:
            lost = [parent for parent in item.parents if parent.digest not in there]
            if lost:
                raise BlobNotFound(
                    f"{item.reference} stands on {lost[0].reference} ({lost[0].digest.short}), which is not here"
                )
        for item in line:
            found.setdefault(item.digest, item)
    ordered: list[Version] = []
    while len(ordered) < len(found):
        done = {item.digest for item in ordered}
        ordered += [
            item
            for digest, item in found.items()
            if digest not in done and all(parent.digest in done for parent in item.parents)
        ]
    return ordered


def _whole(home: Home) -> tuple[Index, list[Entry]]:
    """Every entry, and every blob that a version or the journal needs."""
    from registry.catalog import queries

    home.catch_up() if home.writable else None
    with home.reading() as connection:
        needed = queries.needs(connection).blobs()
    entries = list(home.journal.follow(0, None))
    return Index(
        store_of(home),
        {digest: home.blobs.size(digest) for digest in needed},
        entries=len(entries),
        head=entries[-1].digest,
    ), entries


def _have(path: Path) -> set[Digest]:
    """The digests that a bundle holds or leaves out, or that a file names, one a line."""
    if _bundle.is_bundle(path):
        with Bundle(path) as there:
            return {*there.index.blobs, *there.index.lacks}
    try:
        return {
            Digest(line.strip())
            for line in input_text(path, "list of digests").splitlines()
            if line.strip()
        }
    except InvalidManifest as error:
        raise InvalidManifest(
            f"{str(path)!r} is neither a bundle nor a list of digests, one per line: {error}",
            hint=error.hint,
        ) from None
