"""Answers of the Hub as values of ours. Each is looked at before it is believed to be a name, a commit, a size or a digest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from registry.core import reference as _reference
from registry.core.manifest import FILES_LIMIT
from registry.core.reference import is_commit
from registry.errors import HubUnavailable, Invalid, Refused
from registry.hub.protocol import Refs, RemoteFile, Tree

_OID = {
    True: re.compile(r"[0-9a-f]{64}", re.ASCII),
    False: re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII),
}
"""Whether it is a large file to what its id looks like: the SHA-256 of its bytes, else git's own."""
SHOWN = 60
"""Characters of a senseless value that are said."""


def tree_of(info: Any, repository: str) -> Tree:
    """The files of a repository at a commit. Raises HubUnavailable, Refused."""
    siblings = info.siblings or []
    if len(siblings) > FILES_LIMIT:
        raise Refused(f"hf://{repository} has {len(siblings)} files (at most {FILES_LIMIT})")
    commit, files = commit_of(info.sha, repository), [_file(item, repository) for item in siblings]
    tags = info.tags if isinstance(info.tags, (list, tuple)) else ()
    return Tree(
        repository_of(info.id, repository),
        commit,
        {file.path: file for file in files},
        tuple(str(tag) for tag in tags),
    )


def refs_of(found: Any, repository: str) -> Refs:
    """Branches and tags. Raises HubUnavailable."""
    return Refs(_targets(found.branches, repository), _targets(found.tags, repository))


def commit_of(value: object, repository: str) -> str:
    """A full commit. Raises HubUnavailable."""
    if not isinstance(value, str) or not is_commit(value):
        raise _senseless(repository, "a commit", value)
    return value


def repository_of(value: object, repository: str) -> str:
    """The id of a repository. Raises HubUnavailable."""
    try:
        found = _reference.parse_hub(value) if isinstance(value, str) else None
    except Invalid:
        found = None
    if found is None or found.revision is not None or found.repository != value:
        raise _senseless(repository, "a repository", value)
    return found.repository


def _file(item: Any, repository: str) -> RemoteFile:
    path, size, large = item.rfilename, item.size, bool(item.lfs)
    oid = item.lfs.sha256 if large else item.blob_id
    if not isinstance(path, str):
        raise _senseless(repository, "the name of a file", path)
    if type(size) is not int or size < 0:
        raise _senseless(repository, f"the size of {_shown(path)}", size)
    if not isinstance(oid, str) or not _OID[large].fullmatch(oid):
        raise _senseless(repository, f"the id of {_shown(path)}", oid)
    return RemoteFile(path, size, oid, large)


def _targets(refs: Iterable[Any], repository: str) -> dict[str, str]:
    found = {}
    for ref in refs:
        if not isinstance(ref.name, str):
            raise _senseless(repository, "a branch or tag", ref.name)
        found[ref.name] = commit_of(ref.target_commit, repository)
    return found


def _senseless(repository: str, what: str, value: object) -> HubUnavailable:
    return HubUnavailable(
        f"the Hub gives no sensible answer for hf://{repository}: as {what} it names {_shown(value)}"
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
