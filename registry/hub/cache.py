"""The Hub's cache on this disk: which repository and commit a folder is, and where a repository lies. Never asks the Hub.

Layout: CACHE/models--org--name/{refs/<branch>, snapshots/<commit>/…, blobs/…}. Source: huggingface_hub, "Manage your cache".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from registry.core.reference import is_commit, path_of
from registry.util import regular_file


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where the client of the Hub keeps what it fetched: HF_HUB_CACHE, else HF_HOME/hub, else its default. Raises FolderNotFound."""
    env = os.environ if environment is None else environment
    if env.get("HF_HUB_CACHE"):
        return path_of(env["HF_HUB_CACHE"])
    home = env.get("HF_HOME") or Path(env.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return path_of(home) / "hub"


def repository_of(folder: Path) -> tuple[str, str] | None:
    """(repository, commit) of a folder that is a snapshot in a cache, wherever the cache lies."""
    snapshots, repository = folder.parent, folder.parent.parent
    if (
        snapshots.name != "snapshots"
        or not repository.name.startswith("models--")
        or not is_commit(folder.name)
    ):
        return None
    return repository.name.removeprefix("models--").replace("--", "/"), folder.name


def snapshot(repository: str, revision: str | None = None) -> Path | None:
    """The folder of a repository at a commit or branch (by default main), if the cache has it."""
    root = cache_folder() / ("models--" + repository.replace("/", "--"))
    commit = revision if is_commit(revision) else _ref(root, revision or "main")
    folder = root / "snapshots" / commit if commit else None
    return folder if folder is not None and regular_file.is_folder(folder) else None


def commits(repository: str) -> list[str]:
    """The commits of a repository of which the cache has a snapshot, by name."""
    place = cache_folder() / ("models--" + repository.replace("/", "--")) / "snapshots"
    return (
        sorted(item.name for item in place.iterdir() if is_commit(item.name) and item.is_dir())
        if regular_file.is_folder(place)
        else []
    )


def _ref(root: Path, name: str) -> str | None:
    path = root / "refs" / name
    if ".." in name.split("/") or not regular_file.is_file(path):
        return None
    commit = path.read_text(encoding="ascii", errors="replace").strip()
    return commit if is_commit(commit) else None
