"""What must hold after every push and pull, whatever went wrong in it.

Never half a version under a tag, never a wrong byte registered, never an entry that claims more than the Hub holds, never the token in
anything that is written or said; and a failure is one error.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.hub_server import HubServer
from tests.support.warm import Ran

TAG = re.compile(r"v[1-9][0-9]*")
ERROR = re.compile(r"error: [^\n]+\n(hint: [^\n]+\n)?")
"""Standard error of a failed command."""


def broken_promises(hub: HubServer, home: Path, ran: Ran | None = None) -> list[str]:
    """A sentence for each promise that does not hold; none is right."""
    return [
        *_half_versions(hub),
        *_wrong_bytes(home),
        *_empty_claims(hub, home),
        *_secrets(hub, home, ran),
        *(_noise(ran) if ran else ()),
    ]


def entries(home: Path, kind: str) -> list[dict[str, Any]]:
    """The bodies of a home's journal entries of a kind, in order."""
    found = [json.loads(path.read_bytes()) for path in sorted((home / "journal").glob("*.json"))]
    return [entry["body"] for entry in found if entry["kind"] == kind]


def versions(home: Path) -> dict[str, str]:
    """`name@number` to the digest of its manifest, of all that was ever registered."""
    return {
        f"{body['name']}@{body['number']}": body["manifest"] for body in entries(home, "Register")
    }


def everything_outside(home: Path) -> dict[str, bytes]:
    """What a home holds, quarantine apart: what a refused pull must leave as it was."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file()
        and path.relative_to(home).parts[0]
        not in {"staging", "quarantine", "store.lock", "catalog"}
    }


def _half_versions(hub: HubServer) -> Iterator[str]:
    for name in hub.repositories:
        for tag in filter(TAG.fullmatch, hub.tags(name)):
            files = hub.files(name, tag)
            if ".registry/manifest.json" not in files:
                yield f"{name} {tag} has no manifest"
                continue
            for file in json.loads(files[".registry/manifest.json"])["files"]:
                at = f".registry/originals/{file['path']}"
                content = files.get(at, files.get(file["path"]))
                if content is None or _digest(content) != file["digest"]:
                    yield f"{name} {tag} lacks {file['path']} as it was registered"


def _wrong_bytes(home: Path) -> Iterator[str]:
    there = {}
    for path in (home / "blobs").rglob("*"):
        if path.is_file():
            there[f"sha256:{path.name}"] = path.stat().st_size
            if _digest(path.read_bytes()) != f"sha256:{path.name}":
                yield f"the blob {path.name} has other bytes"
    for body in entries(home, "Register"):
        if body["manifest"] not in there:
            yield f"{body['name']}@{body['number']} is registered and its manifest is not there"
            continue
        manifest = json.loads(
            (home / "blobs" / "sha256" / body["manifest"][7:9] / body["manifest"][7:]).read_bytes()
        )
        for file in manifest["files"]:
            if there.get(file["digest"]) != file["size"]:
                yield f"{body['name']}@{body['number']} is registered without {file['path']}"


def _empty_claims(hub: HubServer, home: Path) -> Iterator[str]:
    for body in entries(home, "Publish"):
        name = hub.moved.get(body["repository"], body["repository"])
        commit = (
            hub.repositories[name].commits.get(body["commit"]) if name in hub.repositories else None
        )
        if commit is None:
            yield f"an entry claims {body['repository']}@{body['commit']}, which is not there"
            continue
        for path, digest in body["files"].items():
            if path not in commit.files or f"sha256:{commit.files[path].digest}" != digest:
                yield f"an entry claims {path} at {body['repository']}@{body['commit']}, which is not so"
        if body["tag"] and hub.tags(name).get(body["tag"]) != body["commit"]:
            yield f"an entry claims the tag {body['tag']} of {name}"


def _secrets(hub: HubServer, home: Path, ran: Ran | None) -> Iterator[str]:
    wanted = [token.encode() for token in hub.tokens.values()]
    for path in home.rglob("*"):
        if path.is_file() and any(token in path.read_bytes() for token in wanted):
            yield f"{path.relative_to(home)} holds the token"
    if ran and any(token in (ran.out + ran.err).encode() for token in wanted):
        yield f"the token was said: {ran}"
    yield from (
        f"{name} at {commit.oid} holds the token in {path}"
        for name, repository in hub.repositories.items()
        for commit in repository.commits.values()
        for path, stored in commit.files.items()
        if not stored.lfs and any(token in hub.content(stored.digest) for token in wanted)
    )


def _noise(ran: Ran) -> Iterator[str]:
    if "Traceback" in ran.err:
        yield f"a traceback was shown: {ran.err}"
    elif (
        ran.code > 0
        and len([line for line in ran.err.splitlines() if line.startswith("error: ")]) != 1
    ):
        yield f"a failure is one line, and this was said: {ran.err!r}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
