"""How a parent is known. An adapter names its base by a path or a Hub id; here that becomes a registered version, with evidence.

witnessed: trained on an unchanged checkout of this registry; its marker, or the digest in its path, names the version.
hub:       a full commit is known, and a version was registered from it.
path:      what lies at the absolute path now is a registered version, and none of its files is newer than the adapter's.
given:     somebody said so.
What is an unchanged checkout itself is known as the version it is. Anything weaker is refused, with the candidates and the command
to type. Structure excludes parents, it never chooses one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.core.digest import Digest
from registry.core.reference import is_commit, path_of, short
from registry.core.text import shell_word
from registry.core.version import Version
from registry.errors import FolderNotFound, ParentNotFound, RegistryError
from registry.home.home import Home
from registry.hub import cache
from registry.store import checkout as _checkout
from registry.util import regular_file

CANDIDATES_SHOWN = 5
_IN_PATH = re.compile(r"sha256-([0-9a-f]{64})-[0-9a-f]+")


@dataclass(frozen=True)
class Known:
    """A parent and the evidence for it; warning says what the evidence leaves open."""

    version: Version
    evidence: str
    warning: str = ""


@dataclass(frozen=True)
class Unregistered:
    """A base that lies on this disk and is not registered: its folder, and what the adapter calls it; warning as in Known."""

    folder: Path
    named: str
    warning: str = ""


def place_of(named: str) -> Path | None:
    """Where a configuration says that a base lies, if that is a path; None for what can be none here, as with an unknown user's folder."""
    try:
        return path_of(named)
    except FolderNotFound:
        return None


def find_parent(
    home: Home,
    folder: Path,
    named: str | None,
    revision: str | None,
    vocabulary: Callable[[], Digest],
) -> Known | Unregistered:
    """Return the registered version that an adapter's configuration names.

    Raises ParentNotFound, with the command to type as its hint.

    named and revision are those of adapter_config.json, verbatim; vocabulary reads that of the adapter's own tokenizer, for a
    refusal's candidates.
    """
    own = _of_checkout(home, folder)
    if own is not None:
        return own
    if not named:
        raise _unknown(
            f"{str(folder)!r} does not name its base",
            folder,
            _candidates(home, vocabulary),
            vocabulary,
        )
    place = place_of(named)
    if place is None:
        raise _unknown(
            f"{str(folder)!r} names the base {short(named)}, and no registered version is known "
            "to be that base",
            folder,
            _candidates(home, vocabulary),
            vocabulary,
        )
    if place.is_absolute():
        return _at_path(home, folder, place, vocabulary)
    if not named.startswith(".") and is_commit(revision):
        found = _from_commit(home, named, str(revision))
        if found is not None:
            return found
    if regular_file.is_folder(place):
        registered = _registered_at(home, place)
        as_version = f" and is registered as {registered.reference}" if registered else ""
        raise _unknown(
            f"{str(folder)!r} names its base by the relative path {named!r}, which depends on "
            f"the working directory (a folder of that name exists here{as_version})",
            folder,
            [registered] if registered else [],
            vocabulary,
        )
    snapshot = cache.snapshot(named, revision) if not named.startswith(".") else None
    if snapshot is not None:
        return _in_the_cache(home, folder, named, revision, snapshot, vocabulary)
    pinned = f" at {short(revision)}" if revision else ", without a commit"
    raise _unknown(
        f"{str(folder)!r} names the base {short(named)}{pinned}, and no registered version is "
        "known to be that base",
        folder,
        _candidates(home, vocabulary),
        vocabulary,
    )


def _at_path(
    home: Home, folder: Path, place: Path, vocabulary: Callable[[], Digest]
) -> Known | Unregistered:
    seen = witnessed(home, place)
    if seen is not None:
        return Known(seen, "witnessed")
    if not regular_file.is_folder(place):
        raise _unknown(
            f"{str(folder)!r} names the base {short(str(place))}, which does not exist any more",
            folder,
            _candidates(home, vocabulary),
            vocabulary,
        )
    registered, pinned = _registered_at(home, place), cache.repository_of(place)
    if registered is not None and pinned is not None:
        return Known(registered, "hub")
    if pinned is None and _newest(place) > _newest(folder):
        message = (
            f"the base at {str(place)!r} was changed after {str(folder)!r} was saved, "
            "so it may be another one now"
        )
        if registered is None:
            raise ParentNotFound(
                message,
                hint=f"if it is the base: registry add {shell_word(str(place))} --as BASE, then "
                f"registry add {shell_word(str(folder))} --as NAME --parent BASE@1",
            )
        raise _unknown(message, folder, [registered], vocabulary)
    return Known(registered, "path") if registered is not None else Unregistered(place, str(place))


def _in_the_cache(
    home: Home,
    folder: Path,
    named: str,
    revision: str | None,
    snapshot: Path,
    vocabulary: Callable[[], Digest],
) -> Unregistered:
    """A repository's snapshot in the Hub's cache, which without a commit is what a branch was when it was last fetched.

    Raises ParentNotFound where the cache has other commits too, or this one is registered: then nothing tells which one it was.
    """
    found = Unregistered(snapshot, f"hf://{named}@{snapshot.name}")
    if is_commit(revision):
        return found
    unpinned = f"{str(folder)!r} names the base {named!r} without a commit"
    registered, others = (
        _registered_at(home, snapshot),
        [item for item in cache.commits(named) if item != snapshot.name],
    )
    if registered is None and not others:
        warning = (
            f"{unpinned}, so {revision or 'main'} was taken as it was last fetched, {snapshot.name}; if the adapter was trained on "
            "another one, name that with --parent"
        )
        return Unregistered(snapshot, found.named, warning)
    also = f", and {', '.join(others[:CANDIDATES_SHOWN])}" if others else ""
    raise _unknown(
        f"{unpinned}, and {revision or 'main'} may have moved since it was trained: the cache "
        f"has {snapshot.name}{also}",
        folder,
        _candidates(home, vocabulary),
        vocabulary,
    )


def witnessed(home: Home, place: Path) -> Version | None:
    """The version whose checkout the place is, or was: named by an unchanged marker, else by the digest in the path."""
    if not regular_file.is_anything(place / ".registry") and regular_file.is_file(
        place.parent / ".registry" / "marker.json"
    ):
        place = place.parent  # the transformer of an older layout lies in a folder of its own
    if regular_file.is_file(place / ".registry" / "marker.json"):
        if _checkout.verify(place):
            return None
        marker = _checkout.read_marker(place)
        return _with_manifest(home, marker.manifest) if marker is not None else None
    found = None if regular_file.is_anything(place) else _IN_PATH.search(str(place))
    return _with_manifest(home, Digest(f"sha256:{found[1]}")) if found else None


def _of_checkout(home: Home, folder: Path) -> Known | None:
    """What an adapter stands on that is itself a checkout of this registry, unchanged, wherever it was moved since; known as it was then."""
    own = witnessed(home, folder) if (folder / ".registry" / "marker.json").is_file() else None
    base = (
        next((parent for parent in own.parents if parent.role == "base"), None)
        if own is not None
        else None
    )
    found = _with_manifest(home, base.digest) if base is not None else None
    return Known(found, base.evidence) if base is not None and found is not None else None


def _from_commit(home: Home, repository: str, commit: str) -> Known | None:
    from registry.catalog import queries

    with home.reading() as connection:
        found = queries.from_hub(connection, repository, commit)
    return Known(found[0], "hub") if found else None


def _registered_at(home: Home, place: Path) -> Version | None:
    from registry.operations.shared.examine import examine
    from registry.operations.shared.resolve import registered_as

    try:
        contents = examine(home, place).contents
    except RegistryError:
        return None
    with home.reading() as connection:
        found = registered_as(home, connection, contents)
    return found[0] if found else None


def _with_manifest(home: Home, manifest: Digest) -> Version | None:
    from registry.catalog import queries

    with home.reading() as connection:
        found = queries.with_manifest(connection, manifest)
    return found[0] if found else None


def _newest(folder: Path) -> int:
    """Nanoseconds: the latest change of content of any file of the model. .registry is ours and counts for nothing."""
    return max(
        (
            path.stat().st_mtime_ns
            for path in folder.rglob("*")
            if path.is_file() and ".registry" not in path.relative_to(folder).parts
        ),
        default=0,
    )


def _candidates(home: Home, vocabulary: Callable[[], Digest]) -> list[Version]:
    """Return the registered full models with the token list of the adapter."""
    from registry.catalog import queries

    with home.reading() as connection:
        found = [
            version
            for version in queries.with_vocabulary(connection, vocabulary())
            if version.kind != "adapter"
        ]
    found.sort(
        key=lambda version: version.kind == "merged"
    )  # what an adapter was merged into is seldom what one was trained on
    return found


def _unknown(
    message: str, folder: Path, candidates: Sequence[Version], vocabulary: Callable[[], Digest]
) -> ParentNotFound:
    """Return the error, with the versions that are not excluded and the command as its hint."""
    add = f"registry add {shell_word(str(folder))} --as NAME --parent"
    if not candidates:
        return ParentNotFound(
            message,
            hint=f"no registered model has its token list ({vocabulary().short}), so register "
            f"the base first: registry add BASE_FOLDER --as NAME, then {add} NAME@1",
        )
    shown = ", ".join(version.reference for version in candidates[:CANDIDATES_SHOWN])
    shown += ", …" if len(candidates) > CANDIDATES_SHOWN else ""
    return ParentNotFound(message, hint=f"if it is {shown}: {add} {candidates[0].reference}")
