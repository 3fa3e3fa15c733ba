"""Versions: each is prepared as if its files lay in a folder, all before the first is registered, parents first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from registry.core import manifest as _manifest
from registry.core.digest import Digest
from registry.core.entry import Edge
from registry.core.manifest import Manifest
from registry.core.progress import Progress
from registry.core.version import Version
from registry.errors import BlobNotFound, DigestMismatch, Invalid, InvalidManifest
from registry.home.home import Home
from registry.operations.registration.commit import register
from registry.operations.registration.name_conflicts import (
    Origin,
    from_store,
    refuse_name,
    refuse_parent_name,
)
from registry.operations.registration.parents import Known
from registry.operations.registration.pipeline import AddOptions, Prepared, prepare
from registry.operations.registration.provenance import provenance
from registry.operations.shared.resolve import store_of
from registry.results.storage import Unbundled
from registry.store.blob_files import StoredFiles
from registry.transfer.bundle import Bundle, Index, Packed

from .scratch_registry import scratch_of

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class UnbundleOptions:
    """What the versions are called here."""

    name: str | None = None
    renumber: bool = False
    parent_as: Mapping[str, str] = field(default_factory=dict)
    from_any: bool = False


def take_versions(
    home: Home, bundle: Bundle, options: UnbundleOptions, progress: Progress
) -> Unbundled:
    """What came in, and what was here. Raises NumberTaken, NameTaken, InvalidManifest, DigestMismatch, BlobNotFound."""
    index = bundle.index
    if not index.versions:
        raise InvalidManifest(f"the bundle {str(bundle.path)!r} tells of no version")
    take_blobs(home, bundle, progress)
    manifests = {
        version.manifest: _manifest.parse(home.blobs.read(version.manifest))
        for version in index.versions
    }
    _refuse_unfit(home, index.versions, manifests)
    _refuse_other_probes(home, index)
    heads = _heads(index.versions, manifests)
    if options.name is not None and len(heads) > 1:
        raise Invalid(
            f"--as names one version, and the bundle contains {len(heads)} versions without a "
            "descendant in it",
            hint="leave out --as",
        )
    names = _names(index.versions, heads, options)
    with home.reading() as connection:
        here = _here(
            connection,
            index.versions,
            names,
            heads,
            from_store(index.store, store_of(home)),
            options,
        )
    missing = [version for version in index.versions if version.manifest not in here]
    ready = (
        _prepared(
            home, index.versions, {version.manifest for version in missing}, manifests, progress
        )
        if missing
        else {}
    )
    registered = []
    for version in missing:
        number = None if options.renumber and version.manifest in heads else version.number
        here[version.manifest] = _register(
            home,
            version,
            ready[version.manifest],
            names[version.manifest],
            number,
            here,
            index.store,
        )
        registered.append(here[version.manifest].reference)
    already = tuple(
        here[version.manifest].reference for version in index.versions if version not in missing
    )
    return Unbundled(tuple(here[digest] for digest in heads), tuple(registered), already)


def _refuse_unfit(
    home: Home, versions: Sequence[Packed], manifests: Mapping[Digest, Manifest]
) -> None:
    """Parents before children, each said by manifest and edges alike, nothing twice, every file of the size its manifest says."""
    done: set[Digest] = set()
    names: set[str] = set()
    for version in versions:
        manifest = manifests[version.manifest]
        parents = sorted((parent.role, parent.digest) for parent in manifest.parents)
        if parents != sorted((edge.role, edge.digest) for edge in version.edges):
            raise InvalidManifest(
                f"the bundle has other parents for {version.reference} than its manifest"
            )
        if any(digest not in done for _, digest in parents):
            raise InvalidManifest(
                f"the bundle lacks a parent of {version.reference}, or has it after its child"
            )
        if version.manifest in done or version.reference.casefold() in names:
            raise InvalidManifest(f"the bundle tells of {version.reference} twice")
        for file in manifest.files:
            if home.blobs.size(file.digest) != file.size:
                raise DigestMismatch(
                    f"{file.path} of {version.reference} has {home.blobs.size(file.digest)} bytes, its manifest says {file.size}"
                )
        done.add(version.manifest)
        names.add(version.reference.casefold())


def _refuse_other_probes(home: Home, index: Index) -> None:
    """The probes of each version come with the bundle, or are left out because they are here; and they are probes."""
    from registry.runtime import probes

    for version in index.versions:
        if version.probes is None:
            continue
        if version.probes not in index.blobs and version.probes not in index.lacks:
            raise InvalidManifest(
                f"the bundle lacks the probes of {version.reference}, {version.probes}, nothing "
                "was registered"
            )
        probes.parse(home.blobs.read(version.probes))


def _heads(versions: Sequence[Packed], manifests: Mapping[Digest, Manifest]) -> list[Digest]:
    parents = {parent.digest for manifest in manifests.values() for parent in manifest.parents}
    return [version.manifest for version in versions if version.manifest not in parents]


def _names(
    versions: Sequence[Packed], heads: Sequence[Digest], options: UnbundleOptions
) -> dict[Digest, str]:
    return {
        version.manifest: (options.name or version.name)
        if version.manifest in heads
        else options.parent_as.get(version.name, version.name)
        for version in versions
    }


def _here(
    connection: Connection,
    versions: Sequence[Packed],
    names: Mapping[Digest, str],
    heads: Sequence[Digest],
    origin: Origin,
    options: UnbundleOptions,
) -> dict[Digest, Version]:
    """Those that are here: a parent under whatever name, one asked for under its own. Raises NumberTaken, NameTaken."""
    from registry.catalog import queries

    found: dict[Digest, Version] = {}
    lines = {
        version.manifest: item
        for version in versions
        for item in queries.with_manifest(connection, version.manifest)[:1]
    }
    for version in versions:
        name, head = names[version.manifest], version.manifest in heads
        there = queries.with_manifest(connection, version.manifest)
        own = [
            item
            for item in there
            if item.name.casefold() == name.casefold()
            and (options.renumber or item.number == version.number)
        ]
        if own or (there and not head):
            found[version.manifest] = (own or there)[0]
            continue
        if head:
            refuse_name(
                connection,
                name,
                None if options.renumber else version.number,
                version.manifest,
                origin,
                lines,
                from_any=options.from_any,
            )
        else:
            refuse_parent_name(
                connection,
                name,
                version.name,
                version.number,
                version.manifest,
                origin,
                lines,
                from_any=options.from_any,
            )
    return found


def _prepared(
    home: Home,
    versions: Sequence[Packed],
    missing: set[Digest],
    manifests: Mapping[Digest, Manifest],
    progress: Progress,
) -> dict[Digest, Prepared]:
    """Each version prepared as if its files lay in a folder; its manifest, made anew from them, must be the one that came."""
    found: dict[Digest, Prepared] = {}
    with scratch_of(home) as scratch:
        known: dict[Digest, Version] = {}
        for version in versions:
            manifest = manifests[version.manifest]
            edge = next((edge for edge in version.edges if edge.role != "adapter"), None)
            parent = Known(known[edge.digest], edge.evidence) if edge is not None else None
            ready = prepare(
                scratch,
                StoredFiles(manifest, home.blobs),
                parent,
                model_class=manifest.model_class,
                write=False,
                progress=progress,
                forced=version.forced,
            )
            if manifest.kind == "merged":
                ready = replace(
                    ready,
                    manifest=Manifest(
                        "merged", ready.manifest.model_class, ready.manifest.files, manifest.parents
                    ),
                )
            if ready.manifest.digest != version.manifest:
                raise DigestMismatch(
                    f"the files of {version.reference} give the manifest "
                    f"{ready.manifest.digest}, but the bundle has {version.manifest}, nothing "
                    "was registered"
                )
            _keep(home, ready)
            known[version.manifest] = _registered(
                scratch,
                version,
                replace(ready, edges=version.edges),
                version.name,
                version.number,
                {},
            )
            if version.manifest in missing:
                found[version.manifest] = ready
    return found


def _register(
    home: Home,
    version: Packed,
    ready: Prepared,
    name: str,
    number: int | None,
    here: Mapping[Digest, Version],
    store: str,
) -> Version:
    edges = tuple(
        Edge(edge.role, edge.digest, edge.evidence, here[edge.digest].reference)
        for edge in version.edges
    )
    source = provenance(
        **{
            "git": None,
            "run": None,
            **version.source,
            "how": "pull",
            "bundle": {
                "store": store,
                "name": version.name,
                "number": version.number,
                "by": version.by,
                "date": version.date,
                "how": version.source.get("how"),
            },
        }
    )
    return _registered(home, version, replace(ready, edges=edges), name, number, source)


def _registered(
    home: Home,
    version: Packed,
    ready: Prepared,
    name: str,
    number: int | None,
    source: dict[str, Any],
) -> Version:
    added = register(
        home,
        name,
        ready,
        source=source,
        options=AddOptions(message=version.message),
        probes=version.probes,
        number=number,
        checkpoint=version.checkpoint,
    )
    assert added.version is not None
    return added.version


def _keep(home: Home, ready: Prepared) -> None:
    """Facts and vocabulary into the store that the registry of the moment reads from."""
    home.blobs.add(ready.vocabulary)
    home.blobs.add(ready.facts.to_bytes())


def take_blobs(home: Home, bundle: Bundle, progress: Progress) -> None:
    """Every blob into the store, under the digest of its bytes; the first that has another one ends it."""
    total, done = sum(bundle.index.blobs.values()), 0
    for digest, size in sorted(bundle.index.blobs.items()):
        stream = bundle.open(digest)
        assert stream is not None
        with stream:
            found, length = home.blobs.add_stream(stream.read)
        if (found, length) != (digest, size):
            raise DigestMismatch(
                f"the bundle {str(bundle.path)!r} is damaged: the bytes of {digest} have another "
                "digest, nothing was registered"
            )
        done += size
        progress("unpacking", done, total)
    lost = [digest for digest in bundle.index.lacks if not home.blobs.has(digest)]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise BlobNotFound(
            f"the bundle was made for a registry that has {lost[0]}{more}, and this registry "
            "does not",
            hint="make the bundle without --have, or with --have for what this registry has",
        )
