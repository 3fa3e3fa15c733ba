"""What a hub keeps: repositories of commits with parents, branches, tags; files by content; who may do what."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property

ATTRIBUTES = b"".join(
    f"*.{end} filter=lfs diff=lfs merge=lfs -text\n".encode()
    for end in (
        "7z",
        "arrow",
        "bin",
        "gz",
        "h5",
        "model",
        "msgpack",
        "npy",
        "npz",
        "onnx",
        "ot",
        "parquet",
        "pickle",
        "pkl",
        "pt",
        "pth",
        "safetensors",
        "tar",
        "tflite",
        "tgz",
        "zip",
    )
)
"""What a new repository's .gitattributes says: which files are large ones, whatever their size."""
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Stored:
    """A file of a commit; its bytes lie in the hub's table of contents, by digest."""

    digest: str
    size: int
    git: str
    """What Git calls the blob: that of the bytes, or of the pointer that stands for a large file."""
    lfs: bool

    @classmethod
    def regular(cls, content: bytes) -> Stored:
        """A file that Git itself keeps."""
        return cls(hashlib.sha256(content).hexdigest(), len(content), git_blob(content), lfs=False)

    @classmethod
    def large(cls, digest: str, size: int) -> Stored:
        """A file that Git keeps a pointer to."""
        return cls(digest, size, git_blob(pointer(digest, size)), lfs=True)


def pointer(digest: str, size: int) -> bytes:
    """What Git keeps in the place of a large file."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n".encode()
    )


def git_blob(content: bytes) -> str:
    """The name Git gives to these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass(frozen=True)
class Commit:
    """A tree of files with its parent, message, author and time. Two made alike are still two."""

    parent: str | None
    files: Mapping[str, Stored]
    title: str
    message: str
    author: str
    date: datetime = field(default_factory=lambda: datetime.now(UTC))
    number: int = field(default_factory=lambda: next(_NUMBERS))

    @cached_property
    def oid(self) -> str:
        """The commit's name, 40 hex digits."""
        tree = [f"{path}\0{stored.git}" for path, stored in sorted(self.files.items())]
        said = [
            self.parent or "",
            *tree,
            self.title,
            self.message,
            self.author,
            self.date.isoformat(),
            str(self.number),
        ]
        return hashlib.sha1("\n".join(said).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass
class Repository:
    """Commits and the names that point to them. `objects` are the large files that may be committed here."""

    id: str
    private: bool = False
    gated: str | bool = False
    """False, "auto" or "manual"; `granted` names the users who may read nevertheless."""
    granted: set[str] = field(default_factory=set)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    """Pull requests: number to the head of refs/pr/<number>."""
    objects: set[str] = field(default_factory=set)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def namespace(self) -> str:
        return self.id.partition("/")[0]

    @property
    def head(self) -> str:
        return self.branches["main"]

    def resolve(self, revision: str) -> Commit | None:
        """The commit that a branch, tag, refs/… or commit (whole, or its first seven digits or more) names."""
        oid = self._named(revision)
        if oid is None and re.fullmatch(r"[0-9a-f]{7,40}", revision):
            oid = next((known for known in self.commits if known.startswith(revision)), None)
        return self.commits.get(oid) if oid else None

    def _named(self, revision: str) -> str | None:
        for prefix, table in (
            ("refs/heads/", self.branches),
            ("refs/tags/", self.tags),
            ("refs/pr/", self.requests),
        ):
            if revision.startswith(prefix):
                return table.get(revision.removeprefix(prefix))
        return self.branches.get(revision) or self.tags.get(revision)

    def point(self, revision: str, oid: str) -> None:
        """Move a branch or a pull request."""
        if revision.startswith("refs/pr/"):
            self.requests[revision.removeprefix("refs/pr/")] = oid
        else:
            self.branches[revision.removeprefix("refs/heads/")] = oid

    def line(self, oid: str | None) -> Iterable[Commit]:
        """A commit and its ancestors, newest first."""
        while oid is not None:
            yield self.commits[oid]
            oid = self.commits[oid].parent

    def forget_unreachable(self) -> None:
        """Drop every commit that no name leads to, as the Hub does some time after history was rewritten."""
        names = [*self.branches.values(), *self.tags.values(), *self.requests.values()]
        kept = {commit.oid for name in names for commit in self.line(name)}
        self.commits = {oid: commit for oid, commit in self.commits.items() if oid in kept}


@dataclass(frozen=True)
class User:
    """Who a token belongs to, and the organizations that it may write to."""

    name: str
    organizations: tuple[str, ...] = ()

    def may_write(self, namespace: str) -> bool:
        """Whether repositories of this namespace are theirs to change."""
        return namespace == self.name or namespace in self.organizations

    def may_read(self, repository: Repository) -> bool:
        """Whether they see that the repository is there."""
        return not repository.private or self.may_write(repository.namespace)


def is_large(attributes: bytes, path: str, sample: bytes, size: int, limit: int) -> bool:
    """Whether the Hub wants a file as a large one: by .gitattributes, by size, or since it is no text."""
    return size > limit or matches(attributes, path) or b"\0" in sample


def matches(attributes: bytes, path: str) -> bool:
    """Whether a .gitattributes says that Git keeps only a pointer to this path."""
    for line in attributes.decode("utf-8", "replace").splitlines():
        pattern, *settings = line.split()[:1] + line.split()[1:] or [""]
        if "filter=lfs" in settings and fnmatchcase(
            path if "/" in pattern else path.rpartition("/")[2], pattern
        ):
            return True
    return False
