"""The repair: journal, catalog, blobs, in this order, since each tells what the next must be."""

from __future__ import annotations

import contextlib
import errno
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from registry.core import manifest as _manifest
from registry.core.digest import Digest, digest_of, digest_of_stream
from registry.core.facts import SCHEMA
from registry.core.manifest import File, Manifest, Parent
from registry.core.progress import Progress
from registry.core.settings import config_path, read_config
from registry.errors import (
    BrokenChain,
    CatalogDiverged,
    EntryRefused,
    Invalid,
    RegistryError,
    StoreUnavailable,
    reason,
)
from registry.home.home import WRITE_WAIT, Home
from registry.operations.maintenance.audit import audit
from registry.operations.maintenance.audit.blobs import damaged
from registry.operations.maintenance.audit.full import facts_of
from registry.operations.shared.resolve import line_of
from registry.results.audit import Finding, Lost, Mended, Repaired
from registry.store.verified_reader import Reader
from registry.util.gc_pause import uncollected

from .journal import Journaled, make_aside, mend_journal
from .sources import HubCopies, Opener, Source, Wanted, named_sources, own_sources

if TYPE_CHECKING:
    from registry.catalog.compare import Snapshot
    from registry.catalog.queries import Needs

_DIGESTS = re.compile("sha256:[0-9a-f]{64}", re.ASCII)
FULL = (errno.ENOSPC, errno.EDQUOT)
LOSSES = ("blob-missing", "blob-damaged", "blob-size")
"""Findings for blobs, which repair lists as lost."""


def repair(
    home: Home, sources: Sequence[str], *, accept_journal: bool, progress: Progress
) -> Repaired:
    """What was mended, and what no source had, with the versions it costs. The catalog is a new generation beside the old.

    Raises CatalogDiverged where the catalog tells another story than the journal and accept_journal is not given.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            uncollected()
        )  # for millions of values, none in a circle, the collector would look at all again and again
        named = stack.enter_context(named_sources(home, sources))
        set_aside = _set_config_aside(home)
        stack.enter_context(home.store_lock.shared(timeout=60.0))
        with home.write_lock.exclusive(WRITE_WAIT):
            snapshot = stack.enter_context(_old_catalog(home))
            reader = Reader(home.blobs)
            progress("folding the journal", 0, None)
            path = (
                _fold_at_once(home, reader)
                if not accept_journal and _agree(home, snapshot)
                else None
            )
            journal = Journaled()
            if path is None:
                progress("mending the journal", 0, None)
                journal = mend_journal(home, snapshot, named, accept_journal=accept_journal)
                if journal.lost:
                    return Repaired(
                        home.journal.last(),
                        None,
                        tuple(journal.mended),
                        tuple(journal.lost),
                        set_aside=set_aside,
                    )
                path = home.renew(reader=reader)
        mended = _mend_manifests(home, snapshot, _skipped(home), [*named, HubCopies(home)])
        path = home.renew(reader=reader) if mended else path
        sizes = {digest: stat.size for digest, stat in home.blobs.all()}
        bad, needs = _bad_blobs(home, sizes, reader.whole, progress)
        found = _mend_blobs(
            home, needs, bad, [*named, *own_sources(home), HubCopies(home)], progress
        )
        found += _derive(home, needs, bad)
        if any(digest not in bad for digest in _skipped(home)):
            path = home.renew()
        remaining = _remaining(home, bad, reader.whole | needs.blobs().keys(), progress)
    lost = [Lost(needs.what(digest), tuple(needs.users_of(digest))) for digest in bad]
    whole = [digest for digest in needs.blobs() if digest not in bad]
    size = sum(sizes[digest] if digest in sizes else home.blobs.size(digest) for digest in whole)
    return Repaired(
        home.journal.last(),
        path,
        (*journal.mended, *mended, *found),
        tuple(lost),
        tuple(journal.forgotten),
        len(whole),
        size,
        (*set_aside, *journal.set_aside),
        remaining,
    )


def _set_config_aside(home: Home) -> tuple[Path, ...]:
    """Set settings aside that cannot be read, which block every change."""
    path = config_path(home.root)
    try:
        read_config(home.root)
    except Invalid:
        pass
    except StoreUnavailable as error:
        if getattr(error.__cause__, "errno", None) in (errno.EACCES, errno.EPERM):
            return ()
    else:
        return ()
    target = make_aside(home) / path.name
    path.rename(target)
    return (target,)


def _remaining(
    home: Home, bad: Mapping[Digest, None], hashed: Collection[Digest], progress: Progress
) -> tuple[Finding, ...]:
    """Return what an audit of every byte still finds, lost blobs apart."""
    audited = audit(
        home,
        full=True,
        probes=False,
        receipt=None,
        against=None,
        progress=progress,
        verified=[digest for digest in hashed if digest not in bad],
    )
    return tuple(
        finding
        for finding in audited.findings
        if finding.name not in LOSSES or bad.keys().isdisjoint(_DIGESTS.findall(finding.what))
    )


def _agree(home: Home, snapshot: Snapshot | None) -> bool:
    """Whether the journal has the entry that the old catalog ends with; the chain then says the same of all before it."""
    number, digest = snapshot.head() if snapshot is not None else (0, None)
    try:
        entry = home.journal.read(number) if number else None
    except RegistryError:
        return False
    return number == 0 or (entry is not None and entry.digest == digest)


def _fold_at_once(home: Home, reader: Reader) -> Path | None:
    """The new catalog, if the journal is whole: folding reads it all anyway."""
    try:
        return home.renew(reader=reader)
    except (BrokenChain, EntryRefused, CatalogDiverged, StoreUnavailable):
        return None  # what it is, and whether it can be mended, the journal is asked entry by entry


@contextlib.contextmanager
def _old_catalog(home: Home) -> Iterator[Snapshot | None]:
    """What the catalog that lies there says, for what the store has lost; None where it cannot be read."""
    from registry.catalog.compare import Snapshot, closed_if_it_fails
    from registry.catalog.reader import newest_migrated

    path = newest_migrated(home.root / "catalog", writable=True)
    try:
        snapshot = Snapshot.of(path) if path is not None else None
        if snapshot is not None:
            with closed_if_it_fails(snapshot):
                snapshot.head()
    except CatalogDiverged:
        snapshot = None
    with snapshot or contextlib.nullcontext():
        yield snapshot


def _skipped(home: Home) -> dict[Digest, tuple[str, str]]:
    """Manifests and facts that the fold could not read."""
    from registry.catalog import queries

    with home.reading() as connection:
        return queries.skipped(connection)


def _mend_manifests(
    home: Home,
    snapshot: Snapshot | None,
    skipped: Mapping[Digest, tuple[str, str]],
    sources: Sequence[Source],
) -> list[Mended]:
    """From a source, or from the rows that the old catalog has of a manifest. They come first: they tell which files are needed."""
    mended = []
    for digest, (what, _) in skipped.items():
        source = _fetch(home, Wanted(digest, (), (digest,) if what == "manifest" else ()), sources)
        if source is None and what == "manifest" and snapshot is not None:
            source = _from_rows(home, snapshot, digest)
        if source is not None:
            mended.append(Mended(f"the {what} {digest}", source))
    return mended


def _from_rows(home: Home, snapshot: Snapshot, digest: Digest) -> str | None:
    try:
        kinds = [row for rows in snapshot.rows("manifests") for row in rows if row[0] == digest]
        files = [
            File(row[1], Digest(row[2]), row[3])
            for rows in snapshot.rows("files")
            for row in rows
            if row[0] == digest
        ]
        parents = [
            Parent(row[1], Digest(row[2]))
            for rows in snapshot.rows("parents")
            for row in rows
            if row[0] == digest
        ]
        content = Manifest(kinds[0][1], kinds[0][2], tuple(files), tuple(parents)).to_bytes()
    except (RegistryError, IndexError, TypeError, ValueError):
        return None
    return "the rows of the catalog" if _add(home, digest, io.BytesIO(content)) else None


def _bad_blobs(
    home: Home, sizes: dict[Digest, int], whole: set[Digest], progress: Progress
) -> tuple[dict[Digest, None], Needs]:
    """Needed blobs that are missing, of a wrong size, or damaged: every one is hashed, but for those that were a moment ago."""
    from registry.catalog import queries

    with home.reading() as connection:
        needs = queries.needs(connection)
    needed = needs.blobs()
    bad = dict.fromkeys(
        digest
        for digest, size in needed.items()
        if digest not in sizes or (size is not None and sizes[digest] != size)
    )
    asked = [
        digest for digest in needed if digest in sizes and digest not in bad and digest not in whole
    ]
    bad |= dict.fromkeys(damaged(home, asked, sizes, progress))
    return bad, needs


def _mend_blobs(
    home: Home, needs: Needs, bad: dict[Digest, None], sources: Sequence[Source], progress: Progress
) -> list[Mended]:
    """What a source has; it is taken out of bad."""
    mended = []
    for count, digest in enumerate(list(bad), 1):
        progress("mending", count, len(bad))
        source = _fetch(
            home,
            Wanted(
                digest,
                _places(home, needs, digest),
                [Digest(owner) for owner in needs.owners(digest)],
            ),
            sources,
        )
        if source is not None:
            del bad[digest]
            mended.append(Mended(needs.what(digest), source))
    return mended


def _places(home: Home, needs: Needs, digest: Digest) -> list[tuple[Digest, Manifest, str]]:
    found = []
    for owner in needs.owners(digest):
        with contextlib.suppress(RegistryError):
            manifest = _manifest.parse(home.blobs.read(Digest(owner)))
            found += [
                (Digest(owner), manifest, file.path)
                for file in manifest.files
                if file.digest == digest
            ]
    return found


def _derive(home: Home, needs: Needs, bad: dict[Digest, None]) -> list[Mended]:
    """Facts and vocabularies that no source had, computed from files that are whole: they are what they were, or they do not count."""
    from registry.catalog import queries

    mended = []
    with home.reading() as connection:
        versions = (
            [
                version
                for model in queries.models(connection)
                for version in queries.versions(connection, model.name)
            ]
            if bad
            else []
        )
        lines = [
            line_of(connection, version)
            for version in versions
            if version.vocabulary == queries.UNREADABLE
            or {version.facts, version.vocabulary} & bad.keys()
        ]
    for line in lines:
        version, root = line[0], line[-1]
        with contextlib.suppress(RegistryError):
            manifest = _manifest.parse(home.blobs.read(version.digest))
            contents: list[bytes] = []
            for schema in (1, SCHEMA):  # the lost facts may have been recorded in either
                facts, vocabulary = facts_of(
                    home, manifest, root if root.digest != version.digest else None, schema
                )
                contents += (facts.to_bytes(), vocabulary)
            for content in contents:
                digest = digest_of(content)
                if digest in bad:
                    del bad[home.blobs.add(content)]
                    mended.append(Mended(needs.what(digest), f"the files of {version.reference}"))
    return mended


def _fetch(home: Home, wanted: Wanted, sources: Sequence[Source]) -> str | None:
    """The name of the source whose bytes are in the store now; None if none had them. Raises StoreUnavailable for a full disk here."""
    for source in sources:
        for opener in source.candidates(wanted):
            stream = _opened(opener)
            if stream is None:
                continue
            with stream:
                if _add(home, wanted.digest, stream):
                    return source.name
    return None


def _opened(opener: Opener) -> BinaryIO | None:
    """None for what a source does not give; a disk that is full is no fault of it."""
    try:
        return opener()
    except (RegistryError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno in FULL:
            raise StoreUnavailable(
                f"cannot store fetched files: {reason(cause)}",
                hint="free some space and run registry repair again",
            ) from error
        return None


def _add(home: Home, digest: Digest, stream: BinaryIO) -> bool:
    """Whether the stream has the digest; then its bytes are in the store. Read twice, so that nothing else ever gets in."""
    try:
        if digest_of_stream(stream.read)[0] != digest:
            return False
        stream.seek(0)
        return home.blobs.add_stream(stream.read)[0] == digest
    except OSError:  # of reading: what cannot be written is a StoreUnavailable
        return False
