"""Entries: the words of the journal. What was said or done, once each, never rewritten.

The file of an entry is canonical JSON: format, number, id, time, by, kind, body, previous, digest; in format 2 also login
and uid where they are known. `digest` is the SHA-256 of it without that field; `previous` repeats the predecessor's.
Entry 1 is Init. Times are UTC with six decimals and Z.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, get_args

from registry.errors import Invalid, InvalidManifest, NewerFormat

from .digest import Digest, canonical, digest_of, known, parse_canonical, rendered
from .json_types import written

FORMAT = 2
"""The format in which entries are written. Format 1 has no `login`, `uid`, Facts, Approve and Format."""

FEATURES: frozenset[str] = frozenset({"code"})
"""Features that this package implements, of those that a Format entry can demand."""

EVIDENCE = ("witnessed", "hub", "path", "given", "rebuilt")
"""How a parent is known, strongest first; `rebuilt`: lost rows were replaced."""

_KEYS = {"format", "number", "id", "time", "by", "kind", "body", "previous", "digest"}
_OPTIONAL_KEYS = {"login", "uid"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


@dataclass(frozen=True)
class Edge:
    """A parent as the registering person or program knew it."""

    role: str
    digest: Digest
    evidence: str
    reference: str
    """The pinned reference of the parent when this was said, e.g. `minilm@1`."""


@dataclass(frozen=True)
class Init:
    """A store begins."""

    kind: ClassVar[str] = "Init"
    store: str
    """A random id, so that a catalog is never folded from another store's journal."""


@dataclass(frozen=True)
class Register:
    """A manifest becomes a version of a model."""

    kind: ClassVar[str] = "Register"
    name: str
    number: int
    manifest: Digest
    facts: Digest
    probes: Digest | None = None
    edges: tuple[Edge, ...] = ()
    message: str | None = None
    checkpoint: bool = False
    """A checkpoint of a training is never `latest`."""
    forced: tuple[str, ...] = ()
    """Names of the checks of judgement that were overruled."""
    source: dict[str, Any] = field(default_factory=dict)
    """Where it came from and how it was made: git, command, libraries, run, recipe. No path of a machine."""


@dataclass(frozen=True)
class Alias:
    """An alias points to a version from now on, or with number None to nothing."""

    kind: ClassVar[str] = "Alias"
    name: str
    alias: str
    number: int | None
    message: str | None = None


@dataclass(frozen=True)
class Yank:
    """A version is hidden from `latest` and aliases; or, with undo, shown again."""

    kind: ClassVar[str] = "Yank"
    name: str
    number: int
    reason: str | None = None
    undo: bool = False


@dataclass(frozen=True)
class Annotate:
    """Notes of a version are set; a value of None removes one. Numbers are kept as their text."""

    kind: ClassVar[str] = "Annotate"
    name: str
    number: int
    notes: dict[str, str | None]


@dataclass(frozen=True)
class Probes:
    """Probes of a version are recorded later than it, or anew; they take the place of earlier ones."""

    kind: ClassVar[str] = "Probes"
    name: str
    number: int
    probes: Digest
    message: str | None = None


@dataclass(frozen=True)
class Publish:
    """A version is known to be in a repository of the Hub, at a commit; it takes the place of an earlier copy there."""

    kind: ClassVar[str] = "Publish"
    name: str
    number: int
    repository: str
    """`org/name`."""
    commit: str
    """40 hex digits."""
    tag: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    """Path in the repository to the SHA-256 of what lies there, rendered files as they are rendered there."""
    message: str | None = None


@dataclass(frozen=True)
class Delete:
    """A version is forgotten; its number is never used again."""

    kind: ClassVar[str] = "Delete"
    name: str
    number: int
    message: str | None = None


@dataclass(frozen=True)
class FactsUpdate:
    """Facts of a version computed again, in a newer schema; they replace the earlier ones."""

    kind: ClassVar[str] = "Facts"
    name: str
    number: int
    facts: Digest
    message: str | None = None


@dataclass(frozen=True)
class Approve:
    """Custom code of models is approved for execution; or, with undo, no longer."""

    kind: ClassVar[str] = "Approve"
    code: Digest
    """The code digest: it covers all code files and the references to them."""
    message: str | None = None
    undo: bool = False


@dataclass(frozen=True)
class Format:
    """From here on a reader must implement these features; a package that does not refuses the registry."""

    kind: ClassVar[str] = "Format"
    features: tuple[str, ...]


Body = (
    Init
    | Register
    | FactsUpdate
    | Probes
    | Alias
    | Yank
    | Annotate
    | Publish
    | Delete
    | Approve
    | Format
)
BODIES: dict[str, type[Body]] = {body.kind: body for body in get_args(Body)}
_SINCE_FORMAT_2 = frozenset({"Facts", "Approve", "Format"})
_FIELDS = {
    kind: frozenset(item.name for item in dataclasses.fields(body)) for kind, body in BODIES.items()
}

_FORMS = {kind: written(body) for kind, body in BODIES.items()}


@dataclass(frozen=True)
class Entry:
    """One recorded change."""

    number: int
    id: str
    time: str
    by: str
    body: Body
    previous: Digest | None
    login: str | None = None
    """Login name of the process that wrote the entry, beside `by`, which the user can set freely."""
    uid: int | None = None
    """Numeric user id of that process."""
    format: int = FORMAT

    @property
    def kind(self) -> str:
        """The name of the body's kind, e.g. `Register`."""
        return self.body.kind

    @cached_property
    def content(self) -> dict[str, Any]:
        """The body as JSON values: those that stand in the entry's file, where it was read from one."""
        return dataclasses.asdict(self.body)

    def _value(self) -> dict[str, Any]:
        identity = {"login": self.login, "uid": self.uid}
        return {
            **{key: value for key, value in identity.items() if value is not None},
            "format": self.format,
            "number": self.number,
            "id": self.id,
            "time": self.time,
            "by": self.by,
            "kind": self.kind,
            "body": self.content,
            "previous": self.previous,
        }

    @cached_property
    def text(self) -> str:
        """The canonical JSON of the body."""
        return canonical(self.content).decode()

    @cached_property
    def digest(self) -> Digest:
        """The SHA-256 of the canonical JSON without the digest field."""
        return digest_of(canonical(self._value()))

    def to_bytes(self) -> bytes:
        """The bytes of the entry's file."""
        return canonical({**self._value(), "digest": self.digest})


def apart(entry: Entry) -> tuple[Any, ...]:
    """An entry that was read, as plain values that another process of this package can be given; `together` makes it of them again."""
    previous = None if entry.previous is None else str(entry.previous)
    return (
        entry.number,
        entry.id,
        entry.time,
        entry.by,
        entry.kind,
        entry.content,
        previous,
        str(entry.digest),
        entry.text,
        entry.login,
        entry.uid,
        entry.format,
    )


def together(values: tuple[Any, ...]) -> Entry:
    """The entry that was taken apart, which was checked when it was read."""
    number, id_, time, by, kind, content, previous, digest, text, login, uid, format_ = values
    entry = Entry(
        number,
        id_,
        time,
        by,
        _body(BODIES[kind], content),
        None if previous is None else known(previous),
        login,
        uid,
        format_,
    )
    entry.__dict__.update(content=content, digest=known(digest), text=text)
    return entry


def now() -> str:
    """The present as entries write it: UTC, six decimals, Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(content: bytes, what: str = "the entry") -> Entry:
    """The entry these bytes are, its own digest checked. Raises InvalidManifest, or NewerFormat for newer words."""
    value = parse_canonical(content, what)
    try:
        return _parse(value, content, what)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidManifest(f"{what} is malformed: {error}") from None


def _parse(value: dict[str, Any], content: bytes, what: str) -> Entry:
    if value["format"] > FORMAT:
        raise _newer(value, content, what, f"format {value['format']}, known is {FORMAT}")
    if value["kind"] not in BODIES:
        raise _newer(value, content, what, repr(value["kind"]))
    if type(value["format"]) is not int or not 1 <= value["format"] <= FORMAT:
        raise InvalidManifest(f"{what} has the format {value['format']!r}, which never was")
    optional = _OPTIONAL_KEYS if value["format"] >= 2 else set()
    if not _KEYS <= value.keys() <= _KEYS | optional:
        raise InvalidManifest(f"{what} has the wrong fields: {', '.join(sorted(value))}")
    if value["kind"] in _SINCE_FORMAT_2 and value["format"] < 2:
        raise InvalidManifest(
            f"{what} has format 1 and the kind {value['kind']!r}, which format 1 does not have"
        )
    if (
        type(value["number"]) is not int
        or value["number"] < 1
        or not _TIME.fullmatch(value["time"])
    ):
        raise InvalidManifest(
            f"{what} has the number {value['number']!r} and the time {value['time']!r}"
        )
    if type(value["by"]) is not str or type(value["id"]) is not str:
        raise InvalidManifest(
            f"{what} is by {value['by']!r} and has the id {value['id']!r}, which are no texts"
        )
    if type(value.get("login", "")) is not str or type(value.get("uid", 0)) is not int:
        raise InvalidManifest(
            f"{what} has the login {value.get('login')!r} and the uid {value.get('uid')!r},"
            " expected a text and a whole number"
        )
    body_class = BODIES[value["kind"]]
    if not value["body"].keys() <= _FIELDS[value["kind"]]:
        unknown = sorted(value["body"].keys() - _FIELDS[value["kind"]])
        raise _newer(value, content, what, f"{value['kind']} with {', '.join(unknown)}")
    previous = Digest(value["previous"]) if value["previous"] is not None else None
    entry = Entry(
        value["number"],
        value["id"],
        value["time"],
        value["by"],
        _body(body_class, value["body"]),
        previous,
        value.get("login"),
        value.get("uid"),
        value["format"],
    )
    # what the file says, not what this package would write: an older one may have had fewer fields
    entry.__dict__["content"] = value["body"]
    entry.__dict__.update(_within(content, value))
    if entry.digest != value["digest"]:
        raise _damaged(value, what, entry.digest)
    for name, holds in _FORMS[value["kind"]].items():
        if name in value["body"] and not holds(value["body"][name]):
            raise InvalidManifest(
                f"{what}, a {value['kind']}, has the {name} {value['body'][name]!r:.80}, which no registry wrote"
            )
    if isinstance(entry.body, Format):
        unknown = sorted(set(entry.body.features) - FEATURES)
        if unknown:
            raise _newer(value, content, what, f"the feature {', '.join(map(repr, unknown))}")
    return entry


def _newer(value: dict[str, Any], content: bytes, what: str, said: str) -> Invalid:
    """The error for words that are not known here. Newer ones have the right digest too; else a flipped bit made a word of an old one."""
    digest = _within(content, value)["digest"]
    if digest != value["digest"]:
        return _damaged(value, what, digest)
    newer = NewerFormat(
        f"{what} is of a newer kind than this registry reads: {said}", hint="update st-registry"
    )
    newer.digest, newer.previous = digest, value.get("previous")
    return newer


def _damaged(value: dict[str, Any], what: str, digest: Digest) -> InvalidManifest:
    return InvalidManifest(f"{what} says its digest is {value['digest']}, its content has {digest}")


def _within(content: bytes, value: dict[str, Any]) -> dict[str, Any]:
    """The digest of canonical bytes without their field of that name, and the text of the body, both cut out rather than made again."""
    # Inside a text each quote is escaped, and of what stands behind the body nothing is an object: so the last of each is the field.
    before, found, after = content.rpartition(f',"digest":"{value["digest"]}"'.encode())
    body, _, _ = before.rpartition(b',"by":')
    digest = digest_of(before + after)
    if found and digest == value["digest"]:
        return {"digest": digest, "text": body.removeprefix(b'{"body":').decode()}
    return {
        "digest": digest_of(
            rendered({key: item for key, item in value.items() if key != "digest"}).encode()
        )
    }


def _body(body_class: type[Body], value: dict[str, Any]) -> Body:
    if body_class is Probes:
        return Probes(**{**value, "probes": Digest(value["probes"])})
    if body_class is FactsUpdate:
        return FactsUpdate(**{**value, "facts": Digest(value["facts"])})
    if body_class is Approve:
        return Approve(**{**value, "code": Digest(value["code"])})
    if body_class is Format:
        return Format(tuple(value["features"]))
    if body_class is not Register:
        return body_class(**value)
    return Register(
        **{
            **value,
            "manifest": Digest(value["manifest"]),
            "facts": Digest(value["facts"]),
            "probes": Digest(value["probes"]) if value["probes"] is not None else None,
            "edges": tuple(_edge(item) for item in value["edges"]),
            "forced": tuple(value["forced"]),
        }
    )


def _edge(item: dict[str, Any]) -> Edge:
    edge = Edge(item["role"], Digest(item["digest"]), item["evidence"], item["reference"])
    if len(item) > 4:
        raise InvalidManifest(f"an edge has the fields {', '.join(sorted(item))}")
    if not all(isinstance(item, str) for item in (edge.role, edge.evidence, edge.reference)):
        raise InvalidManifest(
            f"an edge has the role {edge.role!r:.40}, the evidence {edge.evidence!r:.40} and the reference {edge.reference!r:.40}"
        )
    return edge
