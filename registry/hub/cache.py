"""Commits that the Hub's client recorded on this disk. Never asks the Hub.

Its cache: CACHE/models--org--name/{refs/<branch>, snapshots/<commit>/…, blobs/…}. Source:
huggingface_hub, "Manage your cache". Downloads into a folder (`hf download --local-dir`):
FOLDER/.cache/huggingface/download/<path>.metadata, of three lines: commit, etag, time.
The etag is the SHA-256 of a large file, else the id of a Git blob. Source:
huggingface_hub 2.4, _local_folder.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from registry.core.digest import digest_of_stream
from registry.core.reference import is_commit, path_of
from registry.util import regular_file

from .protocol import git_blob_of

_METADATA_LIMIT = 4096
"""Bytes of a metadata file that are read."""
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


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


def commit_of_download(folder: Path, paths: Iterable[str]) -> str | None:
    """Return the commit from which the client downloaded these files into a folder.

    None if a file has no metadata, names another commit, or was changed since.
    """
    downloads = folder / ".cache" / "huggingface" / "download"
    etags: dict[str, str] = {}
    commits_named: set[str] = set()
    for path in paths:
        try:
            with regular_file.stream_of(downloads / f"{path}.metadata") as stream:
                lines = stream.read(_METADATA_LIMIT).decode("ascii", "replace").splitlines()
        except OSError:
            return None
        if len(lines) < 2 or not is_commit(lines[0]) or not _HASH.fullmatch(lines[1]):
            return None
        commits_named.add(lines[0])
        etags[path] = lines[1]
    if len(commits_named) != 1 or not all(
        _has_etag(folder / path, etag) for path, etag in etags.items()
    ):
        return None
    return commits_named.pop()


def _has_etag(path: Path, etag: str) -> bool:
    try:
        with regular_file.stream_of(path) as stream:
            if len(etag) == 64:
                return digest_of_stream(stream.read)[0].hex == etag
            return git_blob_of(stream, os.fstat(stream.fileno()).st_size) == etag
    except OSError:
        return False


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
