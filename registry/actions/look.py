"""Looking: list, show, read, tokens, lineage, log, find, resolve. Nothing here changes anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .. import reference as _reference
from ..errors import InvalidReference, ModelNotFound, VersionNotFound
from ..home import Home
from ..manifest import Manifest
from ..results import Details, Found, Lineage, LineageEdge
from ..store.files import StoredFiles
from ..version import LogRow, Model, Version
from .common import VersionLike, facts_of, line_of, look_up, manifest_of, resolve

if TYPE_CHECKING:
    from sqlalchemy import Connection


def list_models(home: Home) -> tuple[Model, ...]:
    """All models, by name."""
    from ..catalog import queries
    with home.reading() as connection:
        return tuple(queries.models(connection))


def list_versions(home: Home, name: str) -> tuple[Version, ...]:
    """The versions of a model, newest first. Raises ModelNotFound."""
    from ..catalog import queries
    _reference.check_name(name)
    with home.reading() as connection:
        return tuple(queries.versions(connection, name))


def show(home: Home, version: VersionLike) -> Details:
    """One version whole: catalog, manifest and facts."""
    found = resolve(home, version)
    return Details(found, manifest_of(home, found).files, facts_of(home, found))


def read(home: Home, reference: str) -> bytes:
    """The bytes of the file that `name@3:path` names, as registered."""
    parsed = _reference.parse(reference)
    if parsed.path is None:
        raise InvalidReference(f"{reference!r} names no file; write {reference}:PATH")
    version = resolve(home, reference.removesuffix(f":{parsed.path}"))
    manifest = manifest_of(home, version)
    file = manifest.file(parsed.path)
    if file is None:
        raise VersionNotFound(f"{version.reference} has no file {parsed.path!r}; it has: {', '.join(item.path for item in manifest.files)}")
    return home.blobs.read(file.digest)


def lineage(home: Home, version: VersionLike) -> Lineage:
    """All ancestors and all descendants, and the edges between them and the version."""
    from ..catalog import queries
    with home.reading() as connection:
        found = look_up(connection, version)
        ancestors = [item for item in line_of(connection, found) if item.digest != found.digest]
        descendants: list[Version] = []
        waiting = [found]
        while waiting:
            for child in queries.children(connection, waiting.pop(0).digest):
                if all(child.reference != item.reference for item in descendants):
                    descendants.append(child)
                    waiting.append(child)
    shown = {item.digest: item.reference for item in reversed([found, *ancestors, *descendants])}
    shown[found.digest] = found.reference
    edges = tuple(LineageEdge(child.reference, shown.get(parent.digest, parent.reference), parent.role, parent.evidence)
                  for child in [found, *ancestors, *descendants] for parent in child.parents)
    return Lineage(found, tuple(ancestors), tuple(descendants), edges)


def log(home: Home, target: str | None = None, *, limit: int | None = None) -> tuple[LogRow, ...]:
    """What was done, newest first: everything, to one model (a bare name), or to one version."""
    from ..catalog import queries
    with home.reading() as connection:
        if target is None:
            return tuple(queries.log(connection, limit=limit))
        reference = _reference.parse(target)
        if reference.bare and not reference.up:
            spelled = queries.spelled(connection, reference.name)
            if spelled is None:
                raise ModelNotFound(f"there is no model {reference.name!r}")
            return tuple(queries.log(connection, spelled, limit=limit))
        found = look_up(connection, target)
        return tuple(queries.log(connection, found.name, found.number, limit=limit))


def find(home: Home, what: str) -> tuple[Found, ...]:
    """Versions that a text matches, or that a folder on disk is (or shares its weights, tokens or tokenizer with)."""
    if _reference.looks_like_path(what):
        return find_folder(home, Path(what).expanduser())
    from ..catalog import queries
    with home.reading() as connection:
        return tuple(Found(version, why) for version, why in queries.find(connection, what))


def find_folder(home: Home, folder: Path) -> tuple[Found, ...]:
    """Versions with the very files of a folder, else those that share its weights or its vocabulary."""
    from .recognise import examine
    found = examine(home, folder)
    with home.reading() as connection:
        same = registered_as(home, connection, found.contents)
        alike = [] if same else _sharing(connection, found.facts.weights.digest, found.facts.vocabulary.digest)
    return tuple(Found(version, "the same files") for version in same) or tuple(Found(*item) for item in alike)


def registered_as(home: Home, connection: Connection, contents: dict[str, str]) -> list[Version]:
    """Versions whose files, adapter_config.json apart, are these: path to digest.

    An adapter's configuration is stored with its parent's digest in it, so it cannot be compared before the parent is known.
    """
    from ..catalog import queries
    anchor = next((digest for path, digest in contents.items() if path.endswith(".safetensors")), None)
    candidates = queries.with_file(connection, anchor) if anchor else []
    return [version for version in candidates if _contents(manifest_of(home, version)) == {
        path: digest for path, digest in contents.items() if not path.endswith("adapter_config.json")}]


def files_of(home: Home, version: Version) -> StoredFiles:
    """The files of a version, read from blobs."""
    return StoredFiles(manifest_of(home, version), home.blobs)


def _contents(manifest: Manifest) -> dict[str, str]:
    return {file.path: file.digest for file in manifest.files if not file.path.endswith("adapter_config.json")}


def _sharing(connection: Connection, weights: str, vocabulary: str) -> list[tuple[Version, str]]:
    from ..catalog import queries
    by_weights = queries.with_weights(connection, weights)
    by_vocabulary = [version for version in queries.with_vocabulary(connection, vocabulary) if version not in by_weights]
    return [(version, "the same weights") for version in by_weights] + [(version, "the same vocabulary") for version in by_vocabulary]
