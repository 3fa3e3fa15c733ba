"""pull FILE: what a bundle holds comes in, whole or not at all: versions with the names and numbers they have there, or a whole home.

Nothing in it is believed. Every byte is hashed; every version is prepared like a folder that is added, in a registry of the moment
that shares this one's blobs, before the first entry is written here.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .. import entry as _entry, manifest as _manifest, reference as _reference
from ..digest import Digest
from ..entry import Edge, Register
from ..errors import (
    BlobNotFound,
    DigestMismatch,
    Invalid,
    InvalidManifest,
    NumberTaken,
    StoreUnavailable,
    WrongStore,
)
from ..findings import Unbundled
from ..home import FIRST_ENTRY, WRITE_WAIT, Home, make_private, refuse_foreign
from ..manifest import Manifest
from ..progress import Progress
from ..settings import Settings
from ..store.backend import Backend, Staged, Stat
from ..store.bundle import Bundle, Packed
from ..store.files import StoredFiles
from ..store.journal import Journal
from ..store.local import LocalBackend, try_place
from ..version import Version
from .add import Prepared, prepare
from .parents import Known
from .provenance import provenance

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class UnbundleOptions:
    """What the versions are called here."""

    name: str | None = None
    renumber: bool = False
    parent_as: Mapping[str, str] = field(default_factory=dict)


def unbundle(settings: Settings, opened: Callable[[], Home], path: Path, *, options: UnbundleOptions, progress: Progress) -> Unbundled:
    """What came in. A whole home comes into a place without one, or with one that is its own past; versions into any.

    Raises NumberTaken, WrongStore, and for a file that is not what it says UnsafeFile, InvalidManifest, DigestMismatch; then nothing
    was registered.
    """
    for name in (*options.parent_as.values(), *([options.name] if options.name is not None else [])):
        _reference.check_name(name)
    with Bundle(path) as bundle:
        if bundle.index.entries:
            if options != UnbundleOptions():
                raise Invalid(f"{str(path)!r} is a whole home, and names in it stay; --as, --renumber and --parent-as are for bundles of versions")
            return _restore(settings, opened, bundle, progress)
        home = opened()
        with home.store_lock.shared(timeout=60.0):
            return _take_versions(home, bundle, options, progress)


# versions

def _take_versions(home: Home, bundle: Bundle, options: UnbundleOptions, progress: Progress) -> Unbundled:
    index = bundle.index
    if not index.versions:
        raise InvalidManifest(f"the bundle {str(bundle.path)!r} tells of no version")
    _take_blobs(home, bundle, progress)
    manifests = {version.manifest: _manifest.parse(home.blobs.read(version.manifest)) for version in index.versions}
    _refuse_unfit(home, index.versions, manifests)
    heads = _heads(index.versions, manifests)
    if options.name is not None and len(heads) > 1:
        raise Invalid(f"the bundle holds {len(heads)} versions that nothing else in it stands on; --as is for one")
    names = _names(index.versions, heads, options)
    with home.reading() as connection:
        here = _here(connection, index.versions, names, heads, options)
    missing = [version for version in index.versions if version.manifest not in here]
    ready = _prepared(home, index.versions, {version.manifest for version in missing}, manifests, progress) if missing else {}
    registered = []
    for version in missing:
        number = None if options.renumber and version.manifest in heads else version.number
        here[version.manifest] = _register(home, version, ready[version.manifest], names[version.manifest], number, here, index.store)
        registered.append(here[version.manifest].reference)
    already = tuple(here[version.manifest].reference for version in index.versions if version not in missing)
    return Unbundled(tuple(here[digest] for digest in heads), tuple(registered), already)


def _take_blobs(home: Home, bundle: Bundle, progress: Progress) -> None:
    """Every blob into the store, under the digest of its bytes; the first that has another one ends it."""
    total, done = sum(bundle.index.blobs.values()), 0
    for digest, size in sorted(bundle.index.blobs.items()):
        stream = bundle.open(digest)
        assert stream is not None
        with stream:
            found, length = home.blobs.add_stream(stream.read)
        if (found, length) != (digest, size):
            raise DigestMismatch(f"the bundle {str(bundle.path)!r} is damaged: the bytes of {digest} have another digest; nothing was registered")
        done += size
        progress("unpacking", done, total)
    lost = [digest for digest in bundle.index.lacks if not home.blobs.has(digest)]
    if lost:
        raise BlobNotFound(f"the bundle was made for somebody who has {lost[0]}" + (f" and {len(lost) - 1} more" if len(lost) > 1 else "") +
                           ", and this registry does not; make it without --have, or with what is here")


def _refuse_unfit(home: Home, versions: Sequence[Packed], manifests: Mapping[Digest, Manifest]) -> None:
    """Parents before children, each said by manifest and edges alike, nothing twice, every file of the size its manifest says."""
    done: set[Digest] = set()
    names: set[str] = set()
    for version in versions:
        manifest = manifests[version.manifest]
        parents = sorted((parent.role, parent.digest) for parent in manifest.parents)
        if parents != sorted((edge.role, edge.digest) for edge in version.edges):
            raise InvalidManifest(f"the bundle has other parents for {version.reference} than its manifest")
        if any(digest not in done for _, digest in parents):
            raise InvalidManifest(f"the bundle lacks a parent of {version.reference}, or has it after its child")
        if version.manifest in done or version.reference.casefold() in names:
            raise InvalidManifest(f"the bundle tells of {version.reference} twice")
        for file in manifest.files:
            if home.blobs.size(file.digest) != file.size:
                raise DigestMismatch(f"{file.path} of {version.reference} has {home.blobs.size(file.digest)} bytes, its manifest says {file.size}")
        done.add(version.manifest)
        names.add(version.reference.casefold())


def _heads(versions: Sequence[Packed], manifests: Mapping[Digest, Manifest]) -> list[Digest]:
    parents = {parent.digest for manifest in manifests.values() for parent in manifest.parents}
    return [version.manifest for version in versions if version.manifest not in parents]


def _names(versions: Sequence[Packed], heads: Sequence[Digest], options: UnbundleOptions) -> dict[Digest, str]:
    return {version.manifest: (options.name or version.name) if version.manifest in heads else options.parent_as.get(version.name, version.name)
            for version in versions}


def _here(connection: Connection, versions: Sequence[Packed], names: Mapping[Digest, str], heads: Sequence[Digest],
          options: UnbundleOptions) -> dict[Digest, Version]:
    """Those that are here: a parent under whatever name, one asked for under its own. Raises NumberTaken for a number of another content."""
    from ..catalog import queries
    found: dict[Digest, Version] = {}
    for version in versions:
        name, head = names[version.manifest], version.manifest in heads
        there = queries.with_manifest(connection, version.manifest)
        own = [item for item in there if item.name.casefold() == name.casefold() and (options.renumber or item.number == version.number)]
        if own or (there and not head):
            found[version.manifest] = (own or there)[0]
            continue
        spelled = queries.spelled(connection, name)
        taken = queries.version(connection, spelled, version.number) if spelled is not None else None
        if taken is not None and taken.digest != version.manifest and not (head and options.renumber):
            mend = "--renumber gives it the next number here, --as NAME another name"
            mend = mend if head else f"--parent-as {version.name}=NAME calls it otherwise"
            raise NumberTaken(f"{taken.reference} is another model here ({taken.digest.short}) than {version.reference} of the bundle "
                              f"({version.manifest.short}); {mend}")
    return found


def _prepared(home: Home, versions: Sequence[Packed], missing: set[Digest], manifests: Mapping[Digest, Manifest],
              progress: Progress) -> dict[Digest, Prepared]:
    """Each version prepared as if its files lay in a folder; its manifest, made anew from them, must be the one that came."""
    found: dict[Digest, Prepared] = {}
    with _scratch(home) as scratch:
        known: dict[Digest, Version] = {}
        for version in versions:
            manifest = manifests[version.manifest]
            edge = next((edge for edge in version.edges if edge.role != "adapter"), None)
            parent = Known(known[edge.digest], edge.evidence) if edge is not None else None
            ready = prepare(scratch, StoredFiles(manifest, home.blobs), parent, model_class=manifest.model_class, write=False, progress=progress,
                            forced=version.forced)
            if manifest.kind == "merged":
                ready = replace(ready, manifest=Manifest("merged", ready.manifest.model_class, ready.manifest.files, manifest.parents))
            if ready.manifest.digest != version.manifest:
                raise DigestMismatch(f"the files of {version.reference} make the manifest {ready.manifest.digest}, the bundle says "
                                     f"{version.manifest}; nothing was registered")
            facts = _keep(home, ready)
            known[version.manifest] = _commit(scratch, version, ready, facts, version.name, version.number, version.edges, {})
            if version.manifest in missing:
                found[version.manifest] = ready
    return found


def _register(home: Home, version: Packed, ready: Prepared, name: str, number: int | None, here: Mapping[Digest, Version], store: str) -> Version:
    edges = tuple(Edge(edge.role, edge.digest, edge.evidence, here[edge.digest].reference) for edge in version.edges)
    source = provenance(**{"git": None, "run": None, **version.source, "how": "pull", "bundle": {
        "store": store, "name": version.name, "number": version.number, "by": version.by, "date": version.date,
        "how": version.source.get("how")}})
    return _commit(home, version, ready, _keep(home, ready), name, number, edges, source)


def _keep(home: Home, ready: Prepared) -> Digest:
    """The digest of the facts, which are in the store now, and the vocabulary with them."""
    home.blobs.add(ready.vocabulary)
    return home.blobs.add(ready.facts.to_bytes())


def _commit(home: Home, version: Packed, ready: Prepared, facts: Digest, name: str, number: int | None, edges: tuple[Edge, ...],
            source: dict[str, object]) -> Version:
    from ..catalog import queries

    def decide(connection: Connection) -> _entry.Body | None:
        spelled = queries.spelled(connection, name) or name
        if any(item.name == spelled and number in (None, item.number) for item in queries.with_manifest(connection, version.manifest)):
            return None
        taken = queries.version(connection, spelled, number) if number is not None else None
        if taken is not None and taken.digest != version.manifest:
            raise NumberTaken(f"{taken.reference} was taken by another model while the bundle was read; run the command again")
        return Register(spelled, number or queries.next_number(connection, spelled), version.manifest, facts, version.probes, edges,
                        message=version.message, checkpoint=version.checkpoint, forced=ready.forced, source=source)

    home.commit(decide)
    with home.reading() as connection:
        return next(item for item in queries.with_manifest(connection, version.manifest)
                    if item.name.casefold() == name.casefold() and number in (None, item.number))


# a whole home

def _restore(settings: Settings, opened: Callable[[], Home], bundle: Bundle, progress: Progress) -> Unbundled:
    entries = bundle.entries()
    if (settings.home / FIRST_ENTRY).exists():
        home = opened()
        if home.journal.last() > 1:
            return _go_on(home, bundle, entries, progress)
    else:
        make_private(settings.home)
        refuse_foreign(settings.home)
        try_place(settings.home)
        home = Home(settings)
    with home.store_lock.shared(timeout=60.0), home.write_lock.exclusive(WRITE_WAIT):
        _take_blobs(home, bundle, progress)
        _refuse_unsound(home, entries)
        _put_journal(home, entries)
    return Unbundled((), (), (), len(entries), len(entries))


def _refuse_unsound(home: Home, entries: Sequence[_entry.Entry]) -> None:
    """Fold it where nobody sees it, and look whether every blob that a version needs is here, before anything is recorded."""
    from ..catalog import queries
    from ..catalog.engine import Catalog
    from ..catalog.folding import fill
    catalog = Catalog.passing(lambda connection: fill(connection, entries, home.blobs.read))
    try:
        with catalog.reading() as connection:
            needs = queries.needs(connection)
    finally:
        catalog.close()
    lost = [digest for digest in needs.blobs() if not home.blobs.has(digest)]
    if lost:
        raise BlobNotFound(f"the bundle lacks {needs.what(lost[0])}" + (f" and {len(lost) - 1} more" if len(lost) > 1 else "") +
                           "; nothing was restored")


def _put_journal(home: Home, entries: Sequence[_entry.Entry]) -> None:
    """The whole journal at once: it is written beside its place, and one rename is the commit. One of Init alone makes way."""
    place = home.root / "staging" / f"restore-{secrets.token_hex(8)}"
    aside = Journal(LocalBackend(place))
    for entry in entries:
        aside.append(entry)
    home.close()
    try:
        if (home.root / FIRST_ENTRY).exists():
            (home.root / "journal").rename(place / "made-by-init")
            shutil.rmtree(home.root / "catalog", ignore_errors=True)
        elif (home.root / "journal").exists():
            (home.root / "journal").rmdir()
        (place / "journal").rename(home.root / "journal")
        LocalBackend(home.root).sync(".")
    except OSError as error:
        raise StoreUnavailable(f"cannot put the journal into {str(home.root)!r}: {error.strerror}") from error
    shutil.rmtree(place, ignore_errors=True)
    home.catch_up()


def _go_on(home: Home, bundle: Bundle, entries: Sequence[_entry.Entry], progress: Progress) -> Unbundled:
    """Entries of the same store that are not here yet, where what is here is their past."""
    first = home.journal.read(1)
    if first is None or first.digest != entries[0].digest:
        raise WrongStore(f"the bundle is the whole of another registry, and {str(home.root)!r} has entries of its own; pull it with --home NEW, "
                         "or bundle the versions that are wanted")
    last = home.journal.last()
    for entry in entries[:last]:
        there = home.journal.read(entry.number)
        if there is None or there.digest != entry.digest:
            raise WrongStore(f"the bundle and {str(home.root)!r} were one registry up to entry {entry.number - 1} and differ since; "
                             "bundle the versions that are wanted")
    with home.store_lock.shared(timeout=60.0), home.write_lock.exclusive(WRITE_WAIT):
        _take_blobs(home, bundle, progress)
        _refuse_unsound(home, entries)
        for entry in entries[last:]:
            home.journal.append(entry)
        home.catch_up()
    return Unbundled((), (), (), len(entries), max(0, len(entries) - last))


@contextlib.contextmanager
def _scratch(home: Home) -> Iterator[Home]:
    """A registry of the moment whose blobs are this one's."""
    with tempfile.TemporaryDirectory(prefix="registry-") as folder:
        scratch = Home(replace(home.settings, home=Path(folder)), _Shared(LocalBackend(Path(folder)), home.backend))
        try:
            scratch.commit(lambda connection: _entry.Init(secrets.token_hex(16)))
            yield scratch
        finally:
            scratch.close()


class _Shared:
    """A back end whose blobs are another's, to be read; what is staged is its own."""

    def __init__(self, own: Backend, blobs: Backend) -> None:
        self._own, self._blobs = own, blobs

    def _of(self, name: str) -> Backend:
        return self._blobs if name.startswith("blobs/") else self._own

    def stage(self) -> Staged:
        return self._own.stage()

    def open(self, name: str) -> BinaryIO:
        return self._of(name).open(name)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        return self._of(name).read(name, offset, length)

    def stat(self, name: str) -> Stat | None:
        return self._of(name).stat(name)

    def list(self, prefix: str) -> Iterator[str]:
        return self._of(f"{prefix}/").list(prefix)

    def remove(self, name: str) -> None:
        self._of(name).remove(name)

    def touch(self, name: str) -> None:
        self._of(name).touch(name)

    def sync(self, prefix: str) -> None:
        self._of(f"{prefix}/").sync(prefix)

    def local_path(self, name: str) -> Path | None:
        return self._of(name).local_path(name)
