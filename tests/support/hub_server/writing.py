"""Commits: what is to be sent how, what a commit holds, and on whose head it stands."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.hub_server import cards
from tests.support.hub_server.state import Commit, Repository, Stored, is_large, matches
from tests.support.hub_server.wire import Answer, Problem, Request

if TYPE_CHECKING:
    from tests.support.hub_server.hub import HubServer


def validate(hub: HubServer, request: Request) -> Answer:
    """Whether a card's front matter is YAML, with names where names belong."""
    try:
        card = cards.parse(request.json["content"])
    except yaml.YAMLError as error:
        problem = Problem(400, f"Invalid metadata in README.md: {str(error).splitlines()[0]}")
        raise problem from None
    errors = [
        f'"base_model" with value "{base}" is not valid. Use a model id from https://hf.co/models.'
        for base in cards.bases(card)
        if base.count("/") > 1 or base.startswith((".", "/", "~"))
    ]
    if errors:
        raise Problem(
            400, "\n".join(errors), errors=[{"message": error} for error in errors], warnings=[]
        )
    return Answer.json({"errors": [], "warnings": []})


def preupload(hub: HubServer, request: Request, name: str, revision: str) -> Answer:
    """Which files go as large ones, and what the head of the branch has in their places."""
    found = hub.find(request, name, write=True)
    head = _start(hub, found, revision, request)
    attributes = _attributes(hub, head)
    files = []
    for file in request.json["files"]:
        sample = base64.b64decode(file["sample"])
        large = is_large(attributes, file["path"], sample, file["size"], hub.large)
        there = head.files.get(file["path"])
        files.append(
            {
                "path": file["path"],
                "uploadMode": "lfs" if large else "regular",
                "shouldIgnore": False,
                "oid": None if there is None else there.digest if there.lfs else there.git,
            }
        )
    return Answer.json({"files": files, "commitOid": head.oid})


def commit(hub: HubServer, request: Request, name: str, revision: str) -> Answer:
    """One commit, all or nothing; refused if its parent is not the head any longer."""
    found, user = hub.find(request, name, write=True), hub.user(request)
    head = _start(hub, found, revision, request)
    lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
    header = next(line["value"] for line in lines if line["key"] == "header")
    if (parent := header.get("parentCommit")) and not head.oid.startswith(parent):
        raise Problem(
            412, "The branch was updated since you opened this page. Please refresh and try again."
        )
    files = dict(head.files)
    for line in lines:
        if line["key"] != "header":
            _apply(hub, found, files, line["key"], line["value"])
    _track(hub, head, files)
    said: dict[str, Any] = {"success": True, "hookOutput": ""}
    if request.first("create_pr"):
        number = str(len(found.requests) + 1)
        found.requests[number] = head.oid
        revision, said["pullRequestUrl"] = (
            f"refs/pr/{number}",
            f"{hub.url}/{found.id}/discussions/{number}",
        )
    oid = hub.add_commit(
        found,
        revision,
        files,
        header["summary"],
        header.get("description", ""),
        user.name if user else "",
    )
    return Answer.json(
        {**said, "commitOid": oid, "commitUrl": f"{hub.url}/{found.id}/commit/{oid}"}
    )


def _start(hub: HubServer, repository: Repository, revision: str, request: Request) -> Commit:
    """The head that a commit would stand on: of a branch or pull request, never of a tag or a bare commit."""
    is_head = revision in repository.branches or revision.startswith(("refs/heads/", "refs/pr/"))
    if not is_head and not request.first("create_pr"):
        raise Problem(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return hub.find_commit(repository, revision)


def _apply(
    hub: HubServer,
    repository: Repository,
    files: dict[str, Stored],
    key: str,
    value: dict[str, Any],
) -> None:
    path = value["path"]
    parts = path.removesuffix("/" if key == "deletedFolder" else "").split("/")
    if not path or path.startswith("/") or any(part in ("", ".", "..", ".git") for part in parts):
        raise Problem(422, f"path in repo {path!r} is not allowed")
    if key == "file":
        files[path] = hub.keep(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        if value["oid"] not in repository.objects:
            raise Problem(
                400, f"LFS pointer {path} points to a file that does not exist: {value['oid']}"
            )
        files[path] = Stored.large(value["oid"], hub.size(value["oid"]))
    elif key == "deletedFile":
        if files.pop(path, None) is None:
            raise Problem(404, "A file with this name doesn't exist", "EntryNotFound")
    elif key == "deletedFolder":
        below = [name for name in files if name.startswith(f"{path.rstrip('/')}/")]
        if not below:
            raise Problem(404, "A file with this name doesn't exist", "EntryNotFound")
        for name in below:
            del files[name]
    else:
        raise Problem(400, f"unknown operation {key!r}")


def _attributes(hub: HubServer, commit: Commit) -> bytes:
    stored = commit.files.get(".gitattributes")
    return hub.contents[stored.digest] if stored else b""


def _track(hub: HubServer, head: Commit, files: dict[str, Stored]) -> None:
    """Write large files that no pattern names into .gitattributes, as the Hub does by itself."""
    stored = files.get(".gitattributes")
    attributes = hub.contents[stored.digest] if stored else b""
    new = [
        path
        for path, file in files.items()
        if file.lfs and head.files.get(path) != file and not matches(attributes, path)
    ]
    if new:
        files[".gitattributes"] = hub.keep(
            attributes
            + b"".join(f"{path} filter=lfs diff=lfs merge=lfs -text\n".encode() for path in new)
        )
