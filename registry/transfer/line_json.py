"""line.json: what a repository says of the version in it and of all its ancestors, so that a pull brings back the whole line.

    .registry/line.json        this
    .registry/manifest.json    the version's manifest, canonical
    .registry/facts.json       its facts; whoever pulls computes them anew
    .registry/probes.json      its probes, if it has some
    .registry/originals/PATH   the registered bytes of a file that plain loaders see otherwise: card, adapter_config.json

The first member is the version itself. Where an ancestor lies is said by repository and commit; the version's own commit cannot
stand in it. Everything read here comes from outside: it is checked to be whole and to fit together, and never believed further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.core import manifest as _manifest, reference as _reference
from registry.core.digest import Digest, canonical, digest_of, parse_canonical, parse_json
from registry.core.entry import Edge
from registry.core.manifest import Manifest
from registry.core.provenance import check_edge, check_source, check_text
from registry.core.reference import is_commit
from registry.errors import InvalidManifest, NewerFormat, RegistryError

FORMAT = 1
FOLDER = ".registry"
PATH = f"{FOLDER}/line.json"
MANIFEST, FACTS, PROBES, ORIGINALS = (
    f"{FOLDER}/{name}" for name in ("manifest.json", "facts.json", "probes.json", "originals")
)
LIMIT = 16 << 20
"""Bytes of a line.json that are read."""
MEMBERS_LIMIT = 200


@dataclass(frozen=True)
class Member:
    """A version of the line, and where its files are."""

    name: str
    number: int
    manifest: Manifest
    facts: Digest
    probes: Digest | None
    repository: str
    commit: str | None
    """None for the version itself: it is the commit that line.json is read from."""
    rendered: tuple[str, ...] | None
    """Files whose registered bytes lie among the originals; None where the repository is not of this form, but plain."""
    edges: tuple[Edge, ...]
    date: str
    publisher: str
    message: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: bool = False
    forced: tuple[str, ...] = ()
    """Ids of the checks of judgement that its publisher overruled."""

    @property
    def digest(self) -> Digest:
        """The manifest's."""
        return self.manifest.digest

    @property
    def reference(self) -> str:
        """`name@number`."""
        return f"{self.name}@{self.number}"

    def place_of(self, path: str) -> str:
        """Where in the repository the registered bytes of a file lie."""
        return (
            f"{ORIGINALS}/{path}" if self.rendered is not None and path in self.rendered else path
        )


def to_bytes(members: Sequence[Member]) -> bytes:
    """The canonical bytes of line.json."""
    return canonical(
        {
            "format": FORMAT,
            "line": [
                {
                    "name": member.name,
                    "number": member.number,
                    "digest": member.digest,
                    "manifest": parse_json(member.manifest.to_bytes(), "the manifest"),
                    "facts": member.facts,
                    "probes": member.probes,
                    "repository": member.repository,
                    "commit": member.commit,
                    "rendered": None if member.rendered is None else list(member.rendered),
                    "edges": [
                        {
                            "role": edge.role,
                            "digest": edge.digest,
                            "evidence": edge.evidence,
                            "reference": edge.reference,
                        }
                        for edge in member.edges
                    ],
                    "date": member.date,
                    "publisher": member.publisher,
                    "message": member.message,
                    "source": dict(member.source),
                    "checkpoint": member.checkpoint,
                    "forced": list(member.forced),
                }
                for member in members
            ],
        }
    )


def parse(content: bytes, repository: str) -> tuple[Member, ...]:
    """The members that these bytes of a repository tell of. Raises InvalidManifest, NewerFormat."""
    what = f"{PATH} of hf://{repository}"
    value = parse_canonical(content, what)
    try:
        if value["format"] > FORMAT:
            raise NewerFormat(
                f"{what} has format {value['format']}, this registry reads {FORMAT}",
                hint="update st-registry",
            )
        if len(value["line"]) > MEMBERS_LIMIT:
            raise InvalidManifest(
                f"{what} lists {len(value['line'])} versions (at most {MEMBERS_LIMIT})"
            )
        members = tuple(_member(item, what) for item in value["line"])
        _refuse_unfit(members, what)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, RegistryError):
            raise
        raise InvalidManifest(f"{what} is malformed: {error}") from None
    return members


def ordered(members: Sequence[Member]) -> list[Member]:
    """Parents before children; the version itself last."""
    by_digest = {member.digest: member for member in members}
    done: dict[Digest, Member] = {}

    def visit(member: Member) -> None:
        for parent in member.manifest.parents:
            if parent.digest not in done:
                visit(by_digest[parent.digest])
        done[member.digest] = member

    for member in members:
        visit(member)
    return list(done.values())


def _member(item: dict[str, Any], what: str) -> Member:
    manifest = _manifest.parse(canonical(item["manifest"]))
    if digest_of(manifest.to_bytes()) != Digest(item["digest"]):
        raise InvalidManifest(
            f"{what} says that {item['name']}@{item['number']} is {item['digest']}, its manifest is {manifest.digest}"
        )
    if type(item["number"]) is not int or not 1 <= item["number"] < 10**18:
        raise InvalidManifest(f"{what} has the number {item['number']!r}")
    repository = _reference.parse_hub(item["repository"])
    if repository.revision is not None or (
        item["commit"] is not None and not is_commit(item["commit"])
    ):
        raise InvalidManifest(
            f"{what} contains the repository {item['repository']!r} at {item['commit']!r} "
            "(a repository and a full commit are required)"
        )
    rendered = None if item["rendered"] is None else tuple(str(path) for path in item["rendered"])
    return Member(
        _reference.check_name(item["name"]),
        item["number"],
        manifest,
        Digest(item["facts"]),
        Digest(item["probes"]) if item["probes"] is not None else None,
        repository.repository,
        item["commit"],
        rendered,
        tuple(check_edge(edge) for edge in item["edges"]),
        check_text(item["date"]),
        check_text(item["publisher"]),
        check_text(item["message"]) if item["message"] is not None else None,
        check_source(item["source"]),
        item["checkpoint"] is True,
        tuple(check_text(check) for check in item["forced"]),
    )


def _refuse_unfit(members: Sequence[Member], what: str) -> None:
    """Every parent is there, said by the manifest and the edge alike; all but the first have a commit; nobody stands there twice."""
    if not members:
        raise InvalidManifest(f"{what} tells of no version")
    known = {member.digest for member in members}
    names = [member.reference.casefold() for member in members]
    if len(known) != len(members) or len(set(names)) != len(names):
        raise InvalidManifest(f"{what} tells of a version twice")
    for member in members:
        parents = sorted((parent.role, parent.digest) for parent in member.manifest.parents)
        if parents != sorted((edge.role, edge.digest) for edge in member.edges):
            raise InvalidManifest(
                f"{what} has other parents for {member.reference} than its manifest"
            )
        missing = [digest for _, digest in parents if digest not in known]
        if missing:
            raise InvalidManifest(f"{what} lacks the parent {missing[0]} of {member.reference}")
        unknown = set(member.rendered or ()) - {file.path for file in member.manifest.files}
        if unknown or (member.commit is None and member is not members[0]):
            raise InvalidManifest(f"{what} does not say where the files of {member.reference} lie")
