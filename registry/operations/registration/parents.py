"""How a parent is known. An adapter names its base by a path or a Hub id; here that becomes a registered version, with evidence.

witnessed: trained on an unchanged checkout of this registry; its marker, or the digest in its path, names the version.
hub:       a full commit is known, and a version was registered from it. The adapter's
configuration names it, or a folder downloaded by the Hub's client, as for `path`.
path:      the folder at the absolute path is a registered version, and change times
prove that it was in place before the adapter.
given:     declared with --parent. Evidence comes first: see `declared_parent`.
What is an unchanged checkout itself is known as the version it is. Anything weaker is refused, with the candidates and the command
to type. Structure excludes parents, it never chooses one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.core.digest import Digest
from registry.core.filenames import ADAPTER_CONFIG
from registry.core.reference import is_commit, parse, path_of, short
from registry.core.text import shell_word
from registry.core.version import Version
from registry.errors import AmbiguousParent, FolderNotFound, ParentNotFound, RegistryError
from registry.home.home import Home
from registry.hub import cache
from registry.operations.shared.examine import contents, open_folder
from registry.operations.shared.resolve import VersionLike, manifest_of, registered_as, resolve
from registry.store import checkout as _checkout
from registry.util import regular_file
from registry.util.change_order import unproved

CANDIDATES_SHOWN = 5
_IN_PATH = re.compile(r"sha256-([0-9a-f]{64})-[0-9a-f]+")


@dataclass(frozen=True)
class Known:
    """A parent and the evidence for it; warning says what the evidence leaves open."""

    version: Version
    evidence: str
    warning: str = ""
    contrary: str = ""
    """The base that evidence names, where another one was declared."""


@dataclass(frozen=True)
class Evidence:
    """The base that an adapter was trained on, known without a declaration."""

    digest: Digest
    kind: str
    """`witnessed`, `hub` or `path`."""
    version: Version | None
    """None if this registry does not have it."""
    files: Mapping[str, Digest] | None = None
    """Path to digest, without README.md; None where they are not known."""

    def __str__(self) -> str:
        reference = (
            self.version.reference if self.version is not None else "a version not in this registry"
        )
        return f"{reference} ({self.digest.short}, {self.kind})"


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
    evidence = evidence_of(home, folder, named, revision)
    if evidence is not None and evidence.version is not None:
        return Known(evidence.version, evidence.kind)
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
) -> Unregistered:
    """Return the unregistered base at a path.

    Raises ParentNotFound where it may be another base.
    """
    if not regular_file.is_folder(place):
        raise _unknown(
            f"{str(folder)!r} names the base {short(str(place))}, which does not exist any more",
            folder,
            _candidates(home, vocabulary),
            vocabulary,
        )
    reason = None if cache.repository_of(place) is not None else unproved(place, _written(folder))
    if reason is None:
        return Unregistered(place, str(place))
    registered = _registered_at(home, place) or _downloaded(home, place)
    message = (
        f"base at {str(place)!r} was changed or moved there after {str(folder)!r} was saved, "
        f"or its age cannot be proved ({reason})"
    )
    if registered is not None:
        hint = f"if it is the same model: --parent {registered.reference}"
        raise ParentNotFound(message, hint=hint)
    raise ParentNotFound(
        message,
        hint=f"if it is the base: registry add {shell_word(str(place))} --as BASE, then "
        f"registry add {shell_word(str(folder))} --as NAME --parent BASE@1",
    )


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


def evidence_of(
    home: Home, folder: Path | None, named: str | None, revision: str | None
) -> Evidence | None:
    """Return what proves which base an adapter was trained on, strongest first.

    folder is the adapter's; None for one that another machine made, whose path names
    nothing here.
    """
    if folder is not None and (folder / ".registry" / "marker.json").is_file():
        digest = _base_of_checkout(home, folder)
        if digest is not None:
            return digest
    place = place_of(named) if named else None
    if named and place is not None and place.is_absolute():
        in_path = digest_in(named)
        recorded = in_path if folder is None else recorded_at(place)
        if folder is None or not regular_file.is_folder(place):
            return _recorded(home, recorded, place) if recorded is not None else None
        if in_path is not None and recorded == in_path:
            return _recorded(home, recorded, place)
        # other folders may have been replaced since, a checkout in one by another
        # checkout
        is_cache = cache.repository_of(place) is not None
        if not is_cache and unproved(place, _written(folder)) is not None:
            return None
        if recorded is not None:
            return _recorded(home, recorded, place)
        downloaded = _downloaded(home, place)
        if downloaded is not None:
            return of_version(home, downloaded, "hub")
        return of_version(home, _registered_at(home, place), "hub" if is_cache else "path")
    if named and (manifest := digest_in(named)) is not None:
        # a relative path, whose last part is the name of a checkout
        version = _with_manifest(home, manifest)
        return of_version(home, version, "witnessed") or Evidence(manifest, "witnessed", None)
    if named and not named.startswith(".") and is_commit(revision):
        return of_version(home, _from_commit(home, named, str(revision)), "hub")
    return None


def declared_parent(
    home: Home,
    declared: VersionLike,
    evidence: Evidence | None,
    fits: Callable[[Version], bool],
) -> Known:
    """Return the version that a declaration names, in the light of the evidence.

    A bare name means the version of that name that evidence names. Without evidence it
    means the only version (not yanked, not a checkpoint) that fits the folder. What
    contradicts evidence that fits is reported in `contrary`, which the check parent-
    evidence refuses. Raises AmbiguousParent for a bare name that several versions fit.
    """
    reference = parse(declared) if isinstance(declared, str) else None
    if reference is None or not reference.bare or reference.up:
        version = resolve(home, declared)
    else:
        agreeing = _agreeing(home, reference.name, evidence) if evidence is not None else None
        version = agreeing or only_fitting(home, reference.name, fits)
    if evidence is None:
        return Known(version, "given")
    if agrees(home, version, evidence):
        return Known(version, evidence.kind)
    if evidence.version is not None and not fits(evidence.version):
        return Known(version, "given")  # it was changed in memory before the training
    if any(agrees(home, base, evidence) for base in merged_into(home, version)):
        # merging an adapter in memory keeps the name of the base
        warning = (
            f"the adapter names the base {evidence}, and {version.reference} is that base with an "
            "adapter merged into it: recorded as declared"
        )
        return Known(version, "given", warning)
    return Known(version, "given", contrary=str(evidence))


def merged_into(home: Home, version: Version) -> Iterator[Version]:
    """Yield the models into which adapters were merged, nearest first."""
    while version.kind == "merged":
        digest = next(parent.digest for parent in version.parents if parent.role == "base")
        base = _with_manifest(home, digest)
        if base is None:
            return
        yield base
        version = base


def agrees(home: Home, version: Version, evidence: Evidence) -> bool:
    """Return whether a version is the base that evidence names, or has the same files."""
    if version.digest == evidence.digest:
        return True
    return evidence.files is not None and evidence.files == _files_of(home, version)


def only_fitting(home: Home, name: str, fits: Callable[[Version], bool]) -> Version:
    """Return the only version of a model that fits; the latest where at most one
    exists, or none fits.

    Raises AmbiguousParent, and what resolving raises.
    """
    latest, versions = resolve(home, name), candidates(home, name)
    if len(versions) < 2:
        return latest
    fitting = [version for version in versions if fits(version)]
    if len(fitting) > 1:
        raise ambiguous(name, fitting)
    return fitting[0] if fitting else latest


def candidates(home: Home, name: str) -> list[Version]:
    """Return the versions that a bare name may mean as a parent: not yanked, and not
    checkpoints.
    """
    from registry.catalog import queries

    with home.reading() as connection:
        versions = {
            version.digest: version
            for version in queries.versions(connection, name)
            if not version.yanked and not version.checkpoint
        }
    return sorted(versions.values(), key=lambda version: version.number)


def ambiguous(name: str, versions: Sequence[Version]) -> AmbiguousParent:
    """Return the error for a bare name that several versions fit."""
    numbers = ", ".join(sorted(version.reference for version in versions))
    return AmbiguousParent(
        f"{name!r} names {len(versions)} versions that fit: {numbers}",
        hint=f"name the one that it was trained on: --parent {versions[-1].reference}",
    )


def recorded_at(place: Path) -> Digest | None:
    """Return the manifest of the checkout that a place is or was, of any registry.

    It is named by an unchanged marker, else by the digest in the path.
    """
    if not regular_file.is_anything(place / ".registry") and regular_file.is_file(
        place.parent / ".registry" / "marker.json"
    ):
        place = place.parent  # the transformer of an older layout lies in a folder of its own
    if regular_file.is_file(place / ".registry" / "marker.json"):
        if _checkout.verify(place):
            return None
        marker = _checkout.read_marker(place)
        return marker.manifest if marker is not None else None
    return None if regular_file.is_anything(place) else digest_in(str(place))


def digest_in(path: str) -> Digest | None:
    """Return the manifest that the path of a registry's own checkout names."""
    match = _IN_PATH.search(path)
    return Digest(f"sha256:{match[1]}") if match else None


def witnessed(home: Home, place: Path) -> Version | None:
    """The version whose checkout the place is, or was."""
    recorded = recorded_at(place)
    return _with_manifest(home, recorded) if recorded is not None else None


def _base_of_checkout(home: Home, folder: Path) -> Evidence | None:
    """Return the base of an adapter that is itself an unchanged checkout, known as it
    was registered.
    """
    recorded = recorded_at(folder)
    if recorded is None:
        return None
    adapter = _with_manifest(home, recorded)
    if adapter is not None:
        base = next((parent for parent in adapter.parents if parent.role == "base"), None)
        kind, digest = (base.evidence, base.digest) if base is not None else ("", None)
    else:  # of another registry
        marker = _checkout.read_marker(folder)
        bases = [part for part in marker.line if part["role"] == "base"] if marker else []
        kind, digest = "witnessed", Digest(bases[0]["manifest"]) if bases else None
    if digest is None:
        return None
    return of_version(home, _with_manifest(home, digest), kind) or Evidence(digest, kind, None)


def _agreeing(home: Home, name: str, evidence: Evidence) -> Version | None:
    """Return the version of a model that evidence names, the same manifest before the
    same files.
    """
    from registry.catalog import queries

    with home.reading() as connection:
        versions = queries.versions(connection, name)
    agreeing = [version for version in versions if agrees(home, version, evidence)]
    return min(
        agreeing,
        key=lambda version: (
            version.digest != evidence.digest,
            version.checkpoint,
            -version.number,
        ),
        default=None,
    )


def _recorded(home: Home, manifest: Digest, place: Path) -> Evidence:
    version = _with_manifest(home, manifest)
    if version is not None:
        return Evidence(manifest, "witnessed", version, _files_of(home, version))
    marker = _checkout.read_marker(place) or _checkout.read_marker(place.parent)
    files = None if marker is None else {path: digest for path, (digest, _) in marker.files.items()}
    return Evidence(manifest, "witnessed", None, _without_card(files) if files else None)


def of_version(home: Home, version: Version | None, kind: str) -> Evidence | None:
    """Return the evidence that names a version."""
    if version is None:
        return None
    return Evidence(version.digest, kind, version, _files_of(home, version))


def _files_of(home: Home, version: Version) -> dict[str, Digest]:
    return _without_card({file.path: file.digest for file in manifest_of(home, version).files})


def _without_card(files: Mapping[str, Digest]) -> dict[str, Digest]:
    return {path: digest for path, digest in files.items() if path != "README.md"}


def _written(folder: Path) -> list[Path]:
    """Return the files that tell when an adapter was saved: its weights and its
    configuration.
    """
    weights = [path for path in folder.glob("adapter_model*") if path.is_file()]
    return [path for path in (folder / ADAPTER_CONFIG, *weights) if path.is_file()]


def _from_commit(home: Home, repository: str | None, commit: str) -> Version | None:
    from registry.catalog import queries

    with home.reading() as connection:
        found = queries.from_hub(connection, repository, commit)
    return found[0] if found else None


def _downloaded(home: Home, place: Path) -> Version | None:
    """Return the version of the commit from which the Hub's client filled a folder.

    Its metadata does not name the repository.
    """
    from registry.model_files.layout import layout

    try:
        files = open_folder(home, place)
        paths = layout(files, parent_class="SentenceTransformer").belongs
    except RegistryError:
        return None
    commit = cache.commit_of_download(place, [path for path in paths if path != "README.md"])
    version = _from_commit(home, None, commit) if commit is not None else None
    return version if version is not None and version.kind != "adapter" else None


def _registered_at(home: Home, place: Path) -> Version | None:
    from registry.model_files.layout import layout

    try:
        files = open_folder(home, place)
        content = contents(files, layout(files, parent_class="SentenceTransformer"))
    except RegistryError:
        return None
    with home.reading() as connection:
        found = registered_as(home, connection, content)
    return found[0] if found else None


def _with_manifest(home: Home, manifest: Digest) -> Version | None:
    from registry.catalog import queries

    with home.reading() as connection:
        found = queries.with_manifest(connection, manifest)
    return found[0] if found else None


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
