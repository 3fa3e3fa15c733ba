"""Places: where versions are on the Hub, as the journal says and as the Hub says now; and whether a repository is still the known one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence

from registry.core import reference as _reference
from registry.core.digest import Digest, digest_of
from registry.core.entry import Publish
from registry.core.manifest import Manifest
from registry.core.version import Copy, Version
from registry.errors import (
    FolderNotFound,
    Invalid,
    InvalidReference,
    Refused,
    RegistryError,
    RemoteMoved,
    RemoteNotFound,
    StoreUnavailable,
    VersionNotFound,
)
from registry.home.home import Home
from registry.hub import download
from registry.hub.plan import tag_of
from registry.hub.protocol import Refs, Remote, Tree, git_blob
from registry.operations.shared.examine import REWRITTEN_LIMIT, is_rewritten
from registry.operations.shared.resolve import manifest_of
from registry.transfer import line_json as _line

from .repository_content import Place, holds


def the_hub() -> Remote:
    """The Hub that this machine's client is set up for."""
    from registry.hub.huggingface import HuggingFace

    return HuggingFace()


def require_writable(home: Home) -> None:
    """Raises StoreUnavailable where nothing could be recorded, before anything is sent or fetched."""
    if not home.writable:
        raise StoreUnavailable(
            f"the registry {str(home.root)!r} is read-only, so nothing can be recorded in it"
        )


def copies_of(home: Home, version: Version) -> list[Copy]:
    """Where a version, under whatever name, is known to be; the newest knowledge first."""
    return sorted(_copies(home, manifest=version.digest), key=lambda copy: copy.entry, reverse=True)


def copies_at(home: Home, repository: str) -> list[Copy]:
    """What is known to be in a repository; the newest knowledge first."""
    return sorted(_copies(home, repository=repository), key=lambda copy: copy.entry, reverse=True)


def remembered(home: Home, name: str) -> str | None:
    """The repository where a model was published last, or from where it came."""
    newest = max(_copies(home, name=name), key=lambda copy: copy.entry, default=None)
    return newest.repository if newest is not None else None


def repository_of(text: str, what: str) -> str:
    """`org/repo`, or `hf://org/repo`, that may name a place to write to. Raises InvalidReference."""
    with contextlib.suppress(InvalidReference):
        found = _reference.parse_hub(text)
        if found.revision is None and "/" in found.repository:
            return found.repository
    meant = _reference.hub_hint(text)
    raise InvalidReference(
        f"{what} requires a repository such as org/name, not {text!r}",
        hint=f"did you mean {meant.partition('@')[0]}?" if meant else None,
    )


def repository_of_owner(owner: str, name: str) -> str:
    """The repository of that name of an organization or user. Raises InvalidReference."""
    try:
        return repository_of(f"{owner.removeprefix('hf://').rstrip('/')}/{name}", "--parents-to")
    except InvalidReference:
        raise InvalidReference(
            f"--parents-to requires an organization or a user of the Hub, not {owner!r}",
            hint="e.g. --parents-to org",
        ) from None


def refuse_repository(text: str) -> None:
    """Raises FolderNotFound where what should be the file of a bundle is none, but may be a repository's name."""
    hint = "" if os.path.lexists(text) else _reference.version_hint(text)
    if hint and "/" not in text:
        raise FolderNotFound(f"there is no bundle {text!r}", hint=hint.removeprefix("; "))
    if "://" in text and not os.path.lexists(text):
        meant = _reference.hub_hint(text)
        raise FolderNotFound(
            f"{text!r} is a URL, and the file of a bundle or a repository is required",
            hint=f"write a repository of the Hub as hf://{meant or 'org/name'}",
        )
    if text.startswith(("/", "~", ".")) or text.endswith(".tar") or os.path.lexists(text):
        return
    repository = text if "/" in text else f"org/{text}"
    with contextlib.suppress(Invalid):
        _reference.parse_hub(f"hf://{repository}")
        raise FolderNotFound(
            f"there is no bundle {text!r}",
            hint=f"write a repository of the Hub as hf://{repository}",
        )


def place_of(home: Home, remote: Remote, version: Version, *, plain_too: bool) -> Place | None:
    """Where a version is now, of the places where it is known to be: looked at, not believed. None where it is nowhere any more."""
    manifest = manifest_of(home, version)
    for copy in copies_of(home, version):
        try:
            tree = remote.tree(copy.repository)
            if tree.commit != copy.commit:
                tree = remote.tree(copy.repository, copy.commit)
        except RemoteNotFound:
            continue
        if tree.repository != copy.repository:
            home.warn(f"hf://{copy.repository} is now called hf://{tree.repository}")
        if holds(home, tree, manifest):
            return Place(tree.repository, copy.commit)
        if (
            plain_too
            and _line.MANIFEST not in tree.files
            and is_plain(home, remote, tree, manifest)
        ):
            return Place(tree.repository, copy.commit, plain=True)
    return None


def is_plain(home: Home, remote: Remote, tree: Tree, manifest: Manifest) -> bool:
    """Whether a repository that no registry made has a version's files; those that held a path are fetched and compared."""
    for file in manifest.files:
        there = tree.files.get(file.path)
        if there is None:
            return False
        if there.size == file.size and there.oid == (
            file.digest.hex if there.lfs else git_blob(home.blobs.read(file.digest))
        ):
            continue
        if not is_rewritten(file.path, there.size) or manifest.kind == "adapter":
            return False
        content = download.read(
            remote, tree.repository, tree.commit, file.path, limit=REWRITTEN_LIMIT
        )
        if digest_of(as_registered(file.path, content)) != file.digest:
            return False
    return True


def as_registered(path: str, content: bytes) -> bytes:
    """A file of a plain repository in the form in which it is stored."""
    from registry.model_files.layout import location_free

    return (
        location_free(path, content, parent=None)[0]
        if is_rewritten(path, len(content))
        else content
    )


def line_at(remote: Remote, tree: Tree) -> tuple[_line.Member, ...] | None:
    """What a repository says of the version in it; None where no registry made it. Raises InvalidManifest, NewerFormat."""
    file = tree.files.get(_line.PATH)
    if file is None:
        return None
    if file.size > _line.LIMIT:
        raise Refused(
            f"{_line.PATH} of hf://{tree.repository} has {file.size} bytes (at most "
            f"{_line.LIMIT} are read)"
        )
    content = download.read(remote, tree.repository, tree.commit, _line.PATH, limit=_line.LIMIT)
    return _line.parse(content, tree.repository)


def refuse_other_history(
    remote: Remote,
    tree: Tree,
    tags: Mapping[str, str],
    known: Sequence[Copy],
    newest: int | None,
    *,
    hint: str,
) -> None:
    """Raise RemoteMoved if a repository is not the known one: deleted and created again,
    or its history was rewritten.

    hint has the way to use it in spite of that; known are the copies there; newest is the
    number of the version that main has, if it is one of ours. Of the newest known copy the
    commit must be in main's history. An older one may be on another branch from there if
    its tag exists.
    """
    if not known or any(copy.commit == tree.commit for copy in known):
        return
    last = max(known, key=lambda copy: copy.number)
    history = set(remote.history(tree.repository, tree.commit))
    if last.commit in history:
        return
    held = tags.get(tag_of(last.number)) == last.commit
    if (
        held
        and newest is not None
        and newest > last.number
        and not history.isdisjoint(remote.history(tree.repository, last.commit))
    ):
        return
    gone = not held and not _resolves(remote, tree.repository, last.commit)
    if not held and not gone and last.tag is None:
        return  # it was pulled from another branch
    what = "the repository was deleted and made again" if gone else "its history was rewritten"
    raise RemoteMoved(
        f"hf://{tree.repository} is not what it was: {last.name}@{last.number} was at commit "
        f"{last.commit[:12]}, and main is now at {tree.commit[:12]}, which does not descend from "
        f"it ({what})",
        hint=hint,
    )


def record(
    home: Home,
    version: Version,
    repository: str,
    commit: str,
    tag: str | None,
    files: Mapping[str, Digest],
    message: str | None,
) -> None:
    """Let the journal say where a version is, unless it says so already. Raises VersionNotFound for one that was deleted meanwhile."""

    def is_said() -> bool:
        known = _copies(home, name=version.name, repository=repository)
        return any(
            (copy.number, copy.commit, copy.tag) == (version.number, commit, tag) for copy in known
        )

    def decide() -> Publish | None:
        if not _is_there(home, version):
            raise VersionNotFound(
                f"{version.reference} was deleted meanwhile, nothing was recorded "
                f"(hf://{repository} has it at {commit[:12]})"
            )
        return (
            None
            if is_said()
            else Publish(
                version.name, version.number, repository, commit, tag, dict(files), message
            )
        )

    if not is_said():
        home.record(decide)


def _is_there(home: Home, version: Version) -> bool:
    """Whether a version is still registered, asked by who holds the write lock."""
    from registry.catalog import fast_reads

    if fast_reads.version(home.root, version.pinned) is not None:
        return True
    from registry.catalog import queries

    with home.reading() as connection:
        now = queries.version(connection, version.name, version.number)
    return now is not None and not now.deleted and now.digest == version.digest


def move_tag(remote: Remote, repository: str, name: str, commit: str, refs: Refs) -> None:
    """Let a tag with the alias's name point to the commit. Between taking away and making there is no tag, and a repeated push makes it."""
    there = refs.tags.get(name)
    if there == commit:
        return
    if there is not None:
        remote.remove_tag(repository, name)
    remote.tag(repository, name, commit)


def looked_again(remote: Remote, repository: str, revision: str) -> Tree | None:
    """What is there now, if that can be told."""
    try:
        return remote.tree(repository, revision)
    except RegistryError:
        return None


def _resolves(remote: Remote, repository: str, commit: str) -> bool:
    try:
        remote.tree(repository, commit)
    except RemoteNotFound:
        return False
    return True


def _copies(
    home: Home,
    *,
    name: str | None = None,
    repository: str | None = None,
    manifest: str | None = None,
) -> list[Copy]:
    """At a glance if that suffices, which saves the import of SQLAlchemy."""
    from registry.catalog import fast_reads

    found = fast_reads.copies(home.root, name=name, repository=repository, manifest=manifest)
    if found is not None:
        return found
    from registry.catalog import queries

    with home.reading() as connection:
        return queries.copies(connection, name=name, repository=repository, manifest=manifest)
