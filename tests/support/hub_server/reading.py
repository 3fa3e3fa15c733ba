"""What a repository holds, and its bytes: trees, paths, and the way to a file's content."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

from tests.support.hub_server import storage
from tests.support.hub_server.repositories import admit, paged
from tests.support.hub_server.state import Commit, Repository, Stored
from tests.support.hub_server.wire import Answer, Problem, Request

if TYPE_CHECKING:
    from tests.support.hub_server.hub import HubServer


def tree(
    hub: HubServer, request: Request, name: str, revision: str, below: str | None = None
) -> Answer:
    """The files and folders of a revision, page by page."""
    found = hub.find(request, name)
    commit = hub.find_commit(found, revision)
    prefix = f"{below}/" if below else ""
    entries = [
        _file(hub, path, stored) for path, stored in commit.files.items() if path.startswith(prefix)
    ]
    entries += [_folder(path) for path in _folders(commit) if path.startswith(prefix)]
    if below and not entries:
        raise Problem(404, f'{below} does not exist on "{revision}"', "EntryNotFound")
    if request.first("recursive") != "true":
        entries = [entry for entry in entries if "/" not in entry["path"].removeprefix(prefix)]
    return paged(
        hub,
        request,
        sorted(entries, key=lambda entry: entry["path"]),
        hub.page,
        x_repo_commit=commit.oid,
    )


def paths(hub: HubServer, request: Request, name: str, revision: str) -> Answer:
    """The entries of some paths; those that do not exist are left out."""
    found = hub.find(request, name)
    commit, folders = hub.find_commit(found, revision), _folders(hub.find_commit(found, revision))
    asked = parse_qs(request.body.decode()).get("paths", [])
    return Answer.json(
        [
            _file(hub, path, commit.files[path])
            if path in commit.files
            else {**_folder(path), "size": 0}
            for path in asked
            if path in commit.files or path in folders
        ]
    )


def resolve(hub: HubServer, request: Request, name: str, revision: str, path: str) -> Answer:
    """Where a file's content is: on this host for a small one, on another for a large one."""
    found = hub.find(request, name)
    admit(hub, request, found)
    commit, stored = _locate(hub, found, revision, path)
    etag = f'"{stored.digest if stored.lfs else stored.git}"'
    headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", "X-Linked-Etag": etag}
    if stored.lfs:
        target = storage.link(hub, "/__cdn__/", stored.digest)
        headers |= {
            "Location": target,
            "X-Linked-Size": str(stored.size),
            "Cache-Control": "no-store",
        }
        if stored.digest in hub.hashes:
            route = f"{hub.url}/api/models/{found.id}/xet-read-token/{commit.oid}"
            headers |= {
                "X-Xet-Hash": hub.hashes[stored.digest],
                "Link": f'<{route}>; rel="xet-auth"',
            }
        return Answer(
            302, f"Found. Redirecting to {target}".encode(), headers, "text/plain; charset=utf-8"
        )
    target = f"/api/resolve-cache/models/{found.id}/{commit.oid}/{quote(path)}?{quote(request.path, safe='')}=&etag={quote(etag, safe='')}"
    return Answer(
        307,
        f"Temporary Redirect. Redirecting to {target}".encode(),
        {**headers, "Location": target},
        "text/plain; charset=utf-8",
    )


def cached(hub: HubServer, request: Request, name: str, revision: str, path: str) -> Answer:
    """A small file's bytes."""
    found = hub.find(request, name)
    admit(hub, request, found)
    commit, stored = _locate(hub, found, revision, path)
    headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", "ETag": f'"{stored.git}"'}
    return storage.ranged(request, hub.content(stored.digest), headers)


def _locate(
    hub: HubServer, repository: Repository, revision: str, path: str
) -> tuple[Commit, Stored]:
    commit = hub.find_commit(repository, revision)
    if path not in commit.files:
        raise Problem(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.oid})
    return commit, commit.files[path]


def _file(hub: HubServer, path: str, stored: Stored) -> dict[str, Any]:
    said: dict[str, Any] = {"type": "file", "oid": stored.git, "size": stored.size, "path": path}
    if stored.lfs:
        said["lfs"] = {"oid": stored.digest, "size": stored.size, "pointerSize": 134}
    if stored.lfs and stored.digest in hub.hashes:
        said["xetHash"] = hub.hashes[stored.digest]
    return said


def _folder(path: str) -> dict[str, Any]:
    return {
        "type": "directory",
        "oid": hashlib.sha1(path.encode("utf-8", "surrogatepass")).hexdigest(),
        "size": 0,
        "path": path,
    }


def _folders(commit: Commit) -> set[str]:
    return {
        path[:end] for path in commit.files for end, sign in enumerate(path) if sign == "/" and end
    }
