"""Repositories of the test Hub server, stored as plain folders.

FOLDER/repositories.json            commits, branches and tags of each repository
FOLDER/ORG/NAME/COMMIT/…            the files of each commit
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.hub_server import HubServer, Repository
from tests.support.hub_server.state import Commit, Stored

INDEX = "repositories.json"


def write_repositories(hub: HubServer, folder: Path) -> None:
    """Write all repositories of a server to a new folder."""
    index: dict[str, Any] = {}
    for name, repository in sorted(hub.repositories.items()):
        index[name] = {
            "branches": repository.branches,
            "tags": repository.tags,
            "commits": [_to_json(commit) for commit in repository.commits.values()],
        }
        for oid, commit in repository.commits.items():
            for path, stored in commit.files.items():
                file = folder / name / oid / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(hub.content(stored.digest))
    (folder / INDEX).write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


def _to_json(commit: Commit) -> dict[str, Any]:
    return {
        "oid": commit.oid,
        "parent": commit.parent,
        "title": commit.title,
        "message": commit.message,
        "author": commit.author,
        "date": commit.date.isoformat(),
        "number": commit.number,
        "large_files": sorted(path for path, stored in commit.files.items() if stored.lfs),
    }


def serve_repositories(hub: HubServer, folder: Path) -> None:
    """Put the repositories of a folder on a server that has none of these names.

    Raises ValueError for a commit that gets a new id: line.json files name the old one.
    """
    for name, fields in json.loads((folder / INDEX).read_text()).items():
        repository = hub.repositories[name] = Repository(name)
        for commit_fields in fields["commits"]:
            oid = commit_fields["oid"]
            commit = _commit_of(hub, folder / name / oid, commit_fields)
            if commit.oid != oid:
                raise ValueError(f"commit {oid} of {name} has the id {commit.oid} now")
            repository.commits[oid] = commit
            repository.objects |= {file.digest for file in commit.files.values() if file.lfs}
        repository.branches, repository.tags = fields["branches"], fields["tags"]


def _commit_of(hub: HubServer, folder: Path, fields: dict[str, Any]) -> Commit:
    files: dict[str, Stored] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        path = file.relative_to(folder).as_posix()
        files[path] = hub.keep(file.read_bytes(), large=path in fields["large_files"])
    return Commit(
        fields["parent"],
        files,
        fields["title"],
        fields["message"],
        fields["author"],
        datetime.fromisoformat(fields["date"]),
        fields["number"],
    )
