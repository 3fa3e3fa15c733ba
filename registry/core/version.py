"""Models and versions: what queries return. Frozen values; asking again may give newer ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .digest import Digest
from .text import counted, html_table


@dataclass(frozen=True)
class ParentVersion:
    """A parent of a version: role, manifest digest, how it is known, and its reference as it was said at registration."""

    role: str
    reference: str
    digest: Digest
    evidence: str


@dataclass(frozen=True)
class Version:
    """Number `number` of model `name`, as the catalog knows it now."""

    name: str
    number: int
    digest: Digest
    """The manifest's."""
    kind: str
    model_class: str
    facts: Digest
    probes: Digest | None
    parents: tuple[ParentVersion, ...]
    aliases: tuple[str, ...]
    """Those that point here, `latest` not among them; sorted."""
    latest: bool
    yanked: bool
    yank_reason: str | None
    deleted: bool
    checkpoint: bool
    message: str | None
    notes: Mapping[str, str]
    source: Mapping[str, Any]
    forced: tuple[str, ...]
    created_at: str
    created_by: str
    entry: int
    """Number of the entry that registered it."""
    size: int
    """Bytes of its files, parents not counted."""
    vocabulary: Digest
    vocabulary_size: int
    added: int
    """How many entries the root ancestor's vocabulary lacks."""
    weights: Digest
    parameters: int
    dtype: str
    metrics: Mapping[str, str] = field(default_factory=dict)
    """What evaluators found, each a number as its text."""

    @property
    def reference(self) -> str:
        """`name@number`."""
        return f"{self.name}@{self.number}"

    @property
    def pinned(self) -> str:
        """`name@number@sha256:…`, for lock files."""
        return f"{self.reference}@{self.digest}"

    def __repr__(self) -> str:
        state = " deleted" if self.deleted else " yanked" if self.yanked else ""
        return (
            f"<Version {self.reference} {self.kind} {self.model_class} {self.digest.short}{state}>"
        )

    def _repr_html_(self) -> str:
        rows = [
            ("reference", self.reference),
            ("kind", self.kind),
            ("class", self.model_class),
            ("digest", self.digest.short),
            (
                "parents",
                ", ".join(f"{parent.role} {parent.reference}" for parent in self.parents) or "none",
            ),
            ("aliases", ", ".join(self.aliases) or "none"),
            (
                "vocabulary",
                f"{counted(self.vocabulary_size, 'entry', 'entries')}, {self.added} added",
            ),
            ("created", f"{self.created_at} by {self.created_by}"),
        ]
        return html_table(rows)


@dataclass(frozen=True)
class Model:
    """A name under which versions are registered."""

    name: str
    versions: int
    """How many are not deleted."""
    latest: int | None
    kind: str | None
    """Kind of the newest version."""
    model_class: str | None
    aliases: Mapping[str, int] = field(default_factory=dict)
    updated_at: str | None = None

    def __repr__(self) -> str:
        return f"<Model {self.name} {counted(self.versions, 'version')}, latest {self.latest}>"

    def _repr_html_(self) -> str:
        from html import escape

        return (
            f"<b>{escape(self.name)}</b>: {counted(self.versions, 'version')}, latest {self.latest}; "
            + escape(", ".join(f"{alias} → {number}" for alias, number in self.aliases.items()))
        )


@dataclass(frozen=True)
class Copy:
    """A version that is known to be in a repository of the Hub."""

    name: str
    number: int
    repository: str
    """`org/name`."""
    commit: str
    tag: str | None
    """The tag it has there; None for one that came from a repository that no registry made."""
    entry: int
    """Number of the entry that says so."""


@dataclass(frozen=True)
class Taken:
    """What is given away for ever under a name."""

    spelled: str | None
    """The model's name as it was first spelled; None where no model has it in any case."""
    next_number: int
    """The number that the next version gets; deleted ones keep theirs."""
    manifest: Digest | None
    """What the number that was asked about was registered as, be it deleted; None for one that never was."""


@dataclass(frozen=True)
class LogRow:
    """One entry of the journal, as the log shows it."""

    entry: int
    time: str
    by: str
    kind: str
    name: str | None
    number: int | None
    body: Mapping[str, Any]
    digest: Digest
    before: int | None = None
    """Of a move of an alias: the number it pointed to before."""
