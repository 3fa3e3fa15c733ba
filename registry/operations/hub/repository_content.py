"""Rendering: what a repository holds of a version. Its files as plain loaders want them, the card, and `.registry/` for a pull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.core.digest import Digest, digest_of
from registry.core.filenames import ADAPTER_CONFIG
from registry.core.manifest import File, Manifest
from registry.core.provenance import SOURCE
from registry.core.version import Version
from registry.home.home import Home
from registry.hub import card as _card
from registry.hub.protocol import Tree, Upload
from registry.operations.shared.resolve import facts_of, manifest_of
from registry.transfer import line_json as _line

UNKNOWN_COMMIT = "0" * 40
"""In the place of a commit that a dry run does not make."""


@dataclass(frozen=True)
class Place:
    """Where a version is on the Hub. A plain repository holds its files and nothing of ours."""

    repository: str
    commit: str
    plain: bool = False


def line_from(line: Sequence[Version], version: Version) -> list[Version]:
    """The part of a line that begins at an ancestor."""
    wanted = {version.digest}
    part = []
    for item in line:
        if item.digest in wanted:
            part.append(item)
            wanted |= {parent.digest for parent in item.parents}
    return part


def render(
    home: Home,
    line: Sequence[Version],
    repository: str,
    places: Mapping[Digest, Place],
    readme: str | None = None,
) -> list[Upload]:
    """All files of a repository at line[0]. places say where its ancestors are; readme stands in for the registered one."""
    version = line[0]
    manifest = manifest_of(home, version)
    uploads = [
        _upload(home, version, file, places) for file in manifest.files if file.path != _card.PATH
    ]
    own = manifest.file(_card.PATH)
    text = readme if readme is not None else _text_of(home, own)
    uploads.append(
        _made(
            _card.PATH,
            _card.complete(text, subject(home, line, repository, places)).encode(
                "utf-8", "surrogateescape"
            ),
        )
    )
    uploads += _of_registry(home, line, manifest, repository, places)
    return uploads


def subject(
    home: Home, line: Sequence[Version], repository: str, places: Mapping[Digest, Place]
) -> _card.Subject:
    """What the card of line[0] tells."""
    version = line[0]
    facts = facts_of(home, version)
    edges = {parent.digest: parent for item in line for parent in item.parents}
    rows = [_card.Row("this", version.reference, version.kind, version.digest, repository)]
    for item in line[1:]:
        place, edge = places[item.digest], edges[item.digest]
        rows.append(
            _card.Row(
                edge.role,
                item.reference,
                item.kind,
                item.digest,
                f"{place.repository} at `{place.commit}`",
                edge.evidence,
            )
        )
    base = next((parent.digest for parent in version.parents if parent.role != "adapter"), None)
    return _card.Subject(
        repository,
        version.model_class,
        version.kind,
        places[base].repository if base else None,
        rows,
        [token.content for token in facts.vocabulary.added],
        {
            "weights": facts.weights.digest,
            "vocabulary": facts.vocabulary.digest,
            "tokenizer": facts.tokenizer,
        },
    )


def member(home: Home, version: Version, place: Place | None, repository: str) -> _line.Member:
    """A version as line.json tells of it; place is None for the one whose repository it is.

    What was pulled once keeps the date and the name of who published it first.
    """
    manifest = manifest_of(home, version)
    said = version.source.get("published") or {}
    source = {key: value for key, value in version.source.items() if key in SOURCE}
    source |= {"how": said["how"]} if said.get("how") else {}
    return _line.Member(
        version.name,
        version.number,
        manifest,
        version.facts,
        version.probes,
        place.repository if place else repository,
        place.commit if place else None,
        None if place is not None and place.plain else rendered_paths(manifest),
        tuple(_edge(parent) for parent in version.parents),
        said.get("date") or version.created_at,
        said.get("by") or version.created_by,
        version.message,
        source,
        version.checkpoint,
        tuple(version.forced),
    )


def rendered_paths(manifest: Manifest) -> tuple[str, ...]:
    """Files that a repository holds otherwise than registered; the registered bytes lie among the originals."""
    return tuple(
        file.path
        for file in manifest.files
        if file.path == _card.PATH or _names_a_base(manifest.kind, file)
    )


def holds(home: Home, tree: Tree, manifest: Manifest) -> bool:
    """Whether a repository of our form has, at this commit, every file of a manifest; told by its listing alone."""
    rendered = rendered_paths(manifest)
    for file in manifest.files:
        path = f"{_line.ORIGINALS}/{file.path}" if file.path in rendered else file.path
        if not _stored(home, file, path).is_at(tree.files.get(path)):
            return False
    return _made(_line.MANIFEST, manifest.to_bytes()).is_at(tree.files.get(_line.MANIFEST))


def placed(manifest: Manifest) -> dict[str, Digest]:
    """Where a repository of our form has the registered bytes of each file: digests by path there."""
    rendered = rendered_paths(manifest)
    return {
        f"{_line.ORIGINALS}/{file.path}" if file.path in rendered else file.path: file.digest
        for file in manifest.files
    }


def ours(tree: Tree, manifest: Manifest | None) -> list[str]:
    """Files of a commit that an earlier push put there: those of its manifest, and all of `.registry/`."""
    return [
        path
        for path in tree.files
        if path.startswith(f"{_line.FOLDER}/")
        or (manifest is not None and manifest.file(path) is not None)
    ]


def _upload(home: Home, version: Version, file: File, places: Mapping[Digest, Place]) -> Upload:
    if not _names_a_base(version.kind, file):
        return _stored(home, file, file.path)
    from registry.model_files.adapter.config import render_config

    place = places[version.parents[0].digest]
    return _made(
        file.path, render_config(home.blobs.read(file.digest), place.repository, place.commit)
    )


def _of_registry(
    home: Home,
    line: Sequence[Version],
    manifest: Manifest,
    repository: str,
    places: Mapping[Digest, Place],
) -> list[Upload]:
    version = line[0]
    members = [
        member(home, version, None, repository),
        *(member(home, item, places[item.digest], repository) for item in line[1:]),
    ]
    found = [
        _made(_line.MANIFEST, manifest.to_bytes()),
        _made(_line.FACTS, home.blobs.read(version.facts)),
        _made(_line.PATH, _line.to_bytes(members)),
    ]
    if version.probes is not None:
        found.append(_made(_line.PROBES, home.blobs.read(version.probes)))
    rendered = rendered_paths(manifest)
    return found + [
        _stored(home, file, f"{_line.ORIGINALS}/{file.path}")
        for file in manifest.files
        if file.path in rendered
    ]


def _stored(home: Home, file: File, path: str) -> Upload:
    place = home.blobs.path(file.digest)
    return Upload(
        path, file.digest, file.size, place if place is not None else home.blobs.read(file.digest)
    )


def _made(path: str, content: bytes) -> Upload:
    return Upload(path, digest_of(content), len(content), content)


def _text_of(home: Home, file: File | None) -> str:
    return (
        home.blobs.read(file.digest).decode("utf-8", "surrogateescape") if file is not None else ""
    )


def _names_a_base(kind: str, file: File) -> bool:
    return kind == "adapter" and file.path.rsplit("/", 1)[-1] == ADAPTER_CONFIG


def _edge(parent: Any) -> Any:
    from registry.core.entry import Edge

    return Edge(parent.role, parent.digest, parent.evidence, parent.reference)
