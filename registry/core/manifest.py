"""Manifests: what a version *is*. Files, parents and class; no name, time, author or location.

A manifest is a blob of canonical JSON, so the same model on the same parents has the same digest on every machine.
Its digest covers the parents' digests, and so the whole line.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from registry.errors import InvalidManifest, InvalidPath, NewerFormat

from .digest import Digest, canonical, digest_of, parse_canonical

FORMAT = 1
KINDS = ("base", "resized", "adapter", "merged")
CLASSES = ("SentenceTransformer", "CrossEncoder", "SparseEncoder", "MultiVectorEncoder")
ROLES = ("base", "adapter", "resized-from", "finetuned-from")
PATH_LIMIT = 200
DEPTH_LIMIT = 8
FILES_LIMIT = 100_000

_FILE_KEYS = {"path", "digest", "size"}
_DEVICES = re.compile(
    r"(?:con|conin\$|conout\$|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\..*)?", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


@dataclass(frozen=True, order=True)
class File:
    """One file of a version: its path, relative and with `/`; the digest of its bytes; its size in bytes."""

    path: str
    digest: Digest
    size: int


@dataclass(frozen=True)
class Parent:
    """A manifest this one came from, and what it is to it: one of ROLES."""

    role: str
    digest: Digest


@dataclass(frozen=True)
class Manifest:
    """Kind, class, files sorted by path, and parents in the order adapter, base."""

    kind: str
    model_class: str
    files: tuple[File, ...]
    parents: tuple[Parent, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidManifest(f"{self.kind!r} is not a kind (one of {', '.join(KINDS)})")
        if self.model_class not in CLASSES:
            raise InvalidManifest(
                f"{self.model_class!r} is not a class of models (one of {', '.join(CLASSES)})"
            )
        object.__setattr__(self, "files", tuple(sorted(self.files, key=lambda file: file.path)))
        object.__setattr__(
            self,
            "parents",
            tuple(sorted(self.parents, key=lambda parent: (parent.role, parent.digest))),
        )
        _check_files(tuple([file.path for file in self.files]))
        _check_parents(self.kind, [parent.role for parent in self.parents])

    def to_bytes(self) -> bytes:
        """The canonical bytes, whose digest is the manifest's."""
        return canonical(
            {
                "format": FORMAT,
                "kind": self.kind,
                "class": self.model_class,
                "files": [
                    {"path": file.path, "digest": file.digest, "size": file.size}
                    for file in self.files
                ],
                "parents": [
                    {"role": parent.role, "digest": parent.digest} for parent in self.parents
                ],
            }
        )

    @property
    def digest(self) -> Digest:
        """The identity of the version, its whole line included."""
        return digest_of(self.to_bytes())

    def file(self, path: str) -> File | None:
        """The file at this path, if there is one."""
        return next((file for file in self.files if file.path == path), None)

    def parent(self, role: str) -> Digest | None:
        """The parent in this role, if there is one."""
        return next((parent.digest for parent in self.parents if parent.role == role), None)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all files, sorted."""
        return tuple(file.path for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of all files, parents not counted."""
        return sum(file.size for file in self.files)


def parse(content: bytes) -> Manifest:
    """The manifest these bytes are. Raises InvalidManifest, or NewerFormat."""
    value = parse_canonical(content, "the manifest")
    try:
        if value["format"] > FORMAT:
            raise NewerFormat(
                f"the manifest has format {value['format']}, this registry reads {FORMAT}",
                hint="update st-registry",
            )
        if (
            set(value) != {"format", "kind", "class", "files", "parents"}
            or value["format"] != FORMAT
        ):
            raise InvalidManifest(f"the manifest has the wrong fields: {', '.join(sorted(value))}")
        manifest = Manifest(
            value["kind"],
            value["class"],
            tuple(_file(item) for item in value["files"]),
            tuple(_parent(item) for item in value["parents"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidManifest(f"the manifest is malformed: {error}") from None
    if (
        type(value["format"]) is not int
        or [file["path"] for file in value["files"]] != list(manifest.paths)
        or [(item["role"], item["digest"]) for item in value["parents"]]
        != [(parent.role, parent.digest) for parent in manifest.parents]
    ):
        raise InvalidManifest(
            "the manifest is not in its one form: files and parents sorted, no fields of others"
        )
    return manifest


@functools.lru_cache(10_000)
def check_path(path: str) -> str:
    """The path, if a file may have it on every system: relative, no `..`, no device name. Raises InvalidPath."""
    parts = path.split("/")
    reason = None
    if not path or path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        reason = "it must be relative, without '.', '..' or empty parts"
    elif len(parts) > DEPTH_LIMIT:
        reason = f"it is {len(parts)} levels deep, {DEPTH_LIMIT} are allowed"
    elif _FORBIDDEN.search(path):
        reason = 'it holds a control character or one of < > : " | ? * \\'
    elif any(part[-1] in ". " or part[0] == " " for part in parts):
        reason = "a part of it ends in '.' or has a blank at an end"
    elif any(_DEVICES.fullmatch(part) for part in parts):
        reason = "it holds a device name of Windows"
    elif len(_utf8(path)) > PATH_LIMIT:
        reason = f"it has more than {PATH_LIMIT} bytes"
    if reason:
        raise InvalidPath(f"no file of a version can have the path {path!r}: {reason}")
    return path


def check_paths(paths: list[str]) -> None:
    """Raises InvalidPath unless every path is allowed and all fit beside each other on every file system.

    Two may not be one when case or Unicode form is ignored, and none may be a folder of another.
    """
    if len(paths) > FILES_LIMIT:
        raise InvalidPath(f"a version may have {FILES_LIMIT} files, this one has {len(paths)}")
    seen: dict[str, str] = {}
    for path in paths:
        check_path(path)
        folded = _folded(path)
        if folded in seen:
            raise InvalidPath(
                f"{seen[folded]!r} and {path!r} are one file on some systems",
                hint="rename one of them",
            )
        seen[folded] = path
    for folded, path in seen.items():
        for end in (position for position, character in enumerate(folded) if character == "/"):
            if folded[:end] in seen:
                raise InvalidPath(
                    f"{seen[folded[:end]]!r} cannot be a file and, for {path!r}, a folder",
                    hint="rename one of them",
                )


@functools.lru_cache(10_000)
def _folded(path: str) -> str:
    """The same for two paths that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _utf8(path: str) -> bytes:
    try:
        return path.encode()
    except UnicodeEncodeError:
        raise InvalidPath(
            f"no file of a version can have the path {path!r}: it is not UTF-8"
        ) from None


@functools.lru_cache(100)
def _check_files(paths: tuple[str, ...]) -> None:
    """As check_paths, once for all versions with the same paths; most have them."""
    check_paths(list(paths))
    # A checkout keeps its marker and an adapter's base there; content at that place could pose as either.
    for path in paths:
        if path.split("/")[0].casefold() == ".registry":
            raise InvalidPath(
                f"no file of a version can have the path {path!r}: '.registry' belongs to the checkout"
            )


def _check_parents(kind: str, roles: list[str]) -> None:
    allowed = {
        "base": [[], ["finetuned-from"]],
        "resized": [["resized-from"], ["finetuned-from"]],
        "adapter": [["base"]],
        "merged": [["adapter", "base"]],
    }[kind]
    if roles not in allowed:
        raise InvalidManifest(f"a version of kind {kind} cannot have the parents {roles or 'none'}")


def _parent(item: dict[str, Any]) -> Parent:
    parent = Parent(item["role"], Digest(item["digest"]))
    if len(item) > 2:
        raise InvalidManifest(
            f"the manifest is not in its one form: a parent has the fields {', '.join(sorted(item))}"
        )
    return parent


def _file(item: dict[str, Any]) -> File:
    if (
        type(item) is not dict
        or item.keys() != _FILE_KEYS
        or type(item["path"]) is not str
        or type(item["size"]) is not int
        or item["size"] < 0
    ):
        raise InvalidManifest(f"the manifest has a malformed file: {item!r}")
    return File(item["path"], Digest(item["digest"]), item["size"])
