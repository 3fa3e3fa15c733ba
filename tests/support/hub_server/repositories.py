"""Repositories as such: made, described, listed, named, moved, deleted; their branches, tags and commits."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.support.hub_server import cards
from tests.support.hub_server.state import Commit, Repository
from tests.support.hub_server.wire import Answer, Problem, Request

if TYPE_CHECKING:
    from tests.support.hub_server.hub import HubServer

_ALWAYS = ("_id", "id", "modelId")


def whoami(hub: HubServer, request: Request) -> Answer:
    """Who the token belongs to, and the organizations."""
    user = hub.user(request)
    if user is None:
        raise Problem(401, "Invalid username or password.")
    return Answer.json(
        {
            "type": "user",
            "id": f"u-{user.name}",
            "name": user.name,
            "fullname": user.name.title(),
            "email": f"{user.name}@example.org",
            "emailVerified": True,
            "canPay": False,
            "isPro": False,
            "orgs": [
                {"type": "org", "name": name, "roleInOrg": "admin"} for name in user.organizations
            ],
            "auth": {"type": "access_token", "accessToken": {"displayName": "t", "role": "write"}},
        }
    )


def create(hub: HubServer, request: Request) -> Answer:
    """A new repository, or 409 with the address of the one that is there."""
    user, asked = hub.user(request), request.json
    if user is None:
        raise Problem(401, "Invalid username or password.")
    namespace = asked.get("organization") or user.name
    name = f"{namespace}/{asked['name']}"
    if not user.may_write(namespace):
        raise Problem(
            403, f'You don\'t have the rights to create a model under the namespace "{namespace}"'
        )
    if name in hub.repositories:
        raise Problem(409, "You already created this model repo", url=f"{hub.url}/{name}")
    hub.create(name, private=asked.get("visibility") == "private")
    return Answer.json({"url": f"{hub.url}/{name}", "name": name, "id": _id(name)})


def move(hub: HubServer, request: Request) -> Answer:
    """Another name; the old one redirects."""
    asked = request.json
    hub.find(request, asked["fromRepo"], write=True)
    if asked["toRepo"] in hub.repositories:
        raise Problem(409, f"{asked['toRepo']} exists")
    hub.move(asked["fromRepo"], asked["toRepo"])
    return Answer.json({})


def delete(hub: HubServer, request: Request) -> Answer:
    """Gone with everything in it."""
    asked = request.json
    name = f"{asked['organization']}/{asked['name']}"
    hub.find(request, name, write=True)
    hub.delete(name)
    return Answer.json({})


def settings(hub: HubServer, request: Request, name: str) -> Answer:
    """Private or public, gated or not."""
    found, asked = hub.find(request, name, write=True), request.json
    found.gated = asked.get("gated", found.gated)
    found.private = asked["visibility"] == "private" if "visibility" in asked else found.private
    return Answer.json({"private": found.private, "gated": found.gated})


def check(hub: HubServer, request: Request, name: str, write: str | None) -> Answer:
    """Whether one may read, or write."""
    found = hub.find(request, name, write=write is not None)
    admit(hub, request, found)
    return Answer.json({})


def admit(hub: HubServer, request: Request, repository: Repository) -> None:
    """Raises Problem if files of this repository are not for whoever asks; what it holds may be listed nevertheless."""
    user = hub.user(request)
    if repository.gated and not (
        user and (user.may_write(repository.namespace) or user.name in repository.granted)
    ):
        raise Problem(
            401 if user is None else 403,
            f"Access to model {repository.id} is restricted.",
            "GatedRepo",
        )


def info(hub: HubServer, request: Request, name: str, revision: str = "main") -> Answer:
    """What a repository says of itself at a revision."""
    found = hub.find(request, name)
    return Answer.json(_described(hub, request, found, hub.find_commit(found, revision)))


def listing(hub: HubServer, request: Request) -> Answer:
    """Repositories by author, text and tags; children of a base are those with the tag base_model:adapter:ID."""
    user, author, text = hub.user(request), request.first("author"), request.first("search").lower()
    wanted = [tag for value in request.all("filter") for tag in value.split(",")]
    found = []
    for name, repository in sorted(hub.repositories.items()):
        if not (user.may_read(repository) if user else not repository.private):
            continue
        described = _described(hub, request, repository, repository.commits[repository.head])
        tags = cards.tags(
            _card(hub, repository.commits[repository.head]),
            repository.commits[repository.head].files,
        )
        if (
            (not author or repository.namespace == author)
            and text in name.lower()
            and set(wanted) <= set(tags)
        ):
            found.append(described)
    return paged(hub, request, found, int(request.first("limit") or hub.page))


def paged(hub: HubServer, request: Request, items: list[Any], size: int, **headers: str) -> Answer:
    """One page of a listing, and the address of the next."""
    start = int(request.first("cursor") or 0)
    answer = Answer.json(items[start : start + size], **headers)
    if start + size < len(items):
        kept = [f"{key}={value}" for key, value in request.query if key != "cursor"]
        answer.headers["Link"] = (
            f'<{hub.url}{request.path}?{"&".join([*kept, f"cursor={start + size}"])}>; rel="next"'
        )
    return answer


def refs(hub: HubServer, request: Request, name: str) -> Answer:
    """Branches and tags with the commits they point to."""
    found = hub.find(request, name)

    def named(table: dict[str, str], prefix: str) -> list[dict[str, str]]:
        return [
            {"name": key, "ref": prefix + key, "targetCommit": oid}
            for key, oid in sorted(table.items())
        ]

    said: dict[str, Any] = {
        "branches": named(found.branches, "refs/heads/"),
        "converts": [],
        "tags": named(found.tags, "refs/tags/"),
    }
    if request.first("include_prs"):
        said["pullRequests"] = named(found.requests, "refs/pr/")
    return Answer.json(said)


def commits(hub: HubServer, request: Request, name: str, revision: str) -> Answer:
    """A revision's commits, newest first."""
    found = hub.find(request, name)
    line = [
        {
            "id": commit.oid,
            "title": commit.title,
            "message": commit.message,
            "authors": [{"user": commit.author, "avatar": ""}],
            "date": _time(commit.date),
        }
        for commit in found.line(hub.find_commit(found, revision).oid)
    ]
    return paged(hub, request, line, hub.page, x_total_count=str(len(line)))


def tag(hub: HubServer, request: Request, name: str, revision: str) -> Answer:
    """A new tag; one that exists is never moved."""
    found, asked = hub.find(request, name, write=True), request.json
    target = hub.find_commit(found, revision)
    if asked["tag"] in found.tags:
        raise Problem(409, f"Reference refs/tags/{asked['tag']} already exists")
    found.tags[asked["tag"]] = target.oid
    return Answer.json({})


def untag(hub: HubServer, request: Request, name: str, tag: str) -> Answer:
    """A tag removed."""
    found = hub.find(request, name, write=True)
    if found.tags.pop(tag, None) is None:
        raise Problem(404, f"Invalid rev id: {tag}", "RevisionNotFound")
    return Answer.json({})


def branch(hub: HubServer, request: Request, name: str, branch: str) -> Answer:
    """A new branch, from main or where it is asked for."""
    found = hub.find(request, name, write=True)
    if branch in found.branches:
        raise Problem(409, f"Reference refs/heads/{branch} already exists")
    found.branches[branch] = hub.find_commit(found, request.json.get("startingPoint") or "main").oid
    return Answer.json({})


def unbranch(hub: HubServer, request: Request, name: str, branch: str) -> Answer:
    """A branch removed, main never."""
    found = hub.find(request, name, write=True)
    if branch == "main":
        raise Problem(400, "Cannot delete refs/heads/main")
    if found.branches.pop(branch, None) is None:
        raise Problem(404, f"Invalid rev id: {branch}", "RevisionNotFound")
    return Answer.json({})


def squash(hub: HubServer, request: Request, name: str, branch: str) -> Answer:
    """A branch's history rewritten into one commit."""
    hub.find(request, name, write=True)
    hub.squash(name, branch)
    return Answer.json({})


def _described(
    hub: HubServer, request: Request, repository: Repository, commit: Commit
) -> dict[str, Any]:
    card = _card(hub, commit)
    tags = cards.tags(card, commit.files)
    bases = cards.bases(card)
    children = [
        other
        for other in hub.repositories.values()
        if not other.private and repository.id in cards.bases(_card(hub, other.commits[other.head]))
    ]
    large = {stored.digest: stored.size for stored in commit.files.values() if stored.lfs}
    everything = {
        "_id": _id(repository.id),
        "id": repository.id,
        "modelId": repository.id,
        "author": repository.namespace,
        "sha": commit.oid,
        "lastModified": _time(commit.date),
        "createdAt": _time(repository.created),
        "private": repository.private,
        "gated": repository.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [*tags, "region:us"],
        "library_name": card.get("library_name"),
        "pipeline_tag": card.get("pipeline_tag"),
        "cardData": card,
        "siblings": [
            _sibling(path, commit, blobs=request.first("blobs") == "true")
            for path in sorted(commit.files)
        ],
        "spaces": [],
        "usedStorage": sum(large.values()),
        "childrenModelCount": len(children),
        "baseModels": {
            "relation": cards.relation(card, commit.files),
            "models": [{"id": base} for base in bases],
        }
        if bases
        else None,
    }
    if wanted := request.all("expand"):
        return {key: everything.get(key) for key in (*_ALWAYS, *wanted)}
    return {
        key: value
        for key, value in everything.items()
        if key not in ("childrenModelCount", "baseModels")
    }


def _sibling(path: str, commit: Commit, *, blobs: bool) -> dict[str, Any]:
    stored = commit.files[path]
    said: dict[str, Any] = {"rfilename": path}
    if blobs:
        said |= {"size": stored.size, "blobId": stored.git}
    if blobs and stored.lfs:
        said["lfs"] = {"sha256": stored.digest, "size": stored.size, "pointerSize": 134}
    return said


def _card(hub: HubServer, commit: Commit) -> dict[str, Any]:
    readme = commit.files.get("README.md")
    return cards.front_matter(hub.contents[readme.digest]) if readme else {}


def _time(date: datetime) -> str:
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]
