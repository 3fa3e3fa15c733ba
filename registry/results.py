"""Results: what the actions return. Frozen values that any caller can print, store or compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .digest import Digest
from .errors import RegistryError
from .facts import Facts, Token
from .manifest import File
from .plural import counted
from .shown import Shown, Told
from .version import Version


@dataclass(frozen=True, repr=False)
class Added(Shown):
    """What became of one folder, or of one resize or merge."""

    version: Version | None
    """None for a dry run that would register something new."""
    already: bool
    """The model had this very content; nothing was written."""
    kind: str
    digest: Digest
    name: str
    number: int
    """The number it has, or in a dry run would get."""
    evidence: str | None = None
    parent: str | None = None
    """Reference of the parent, and `evidence` how it is known; both None for a base."""
    warnings: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    """(path, reason) of files in the folder that do not belong to a version."""
    rows: str | None = None
    """For a full model with a parent: which token rows are new and which moved, in a sentence."""
    plan: str | None = None
    """For a resize what was done with the embedding table, for a merge how near it came, in a sentence."""
    fixed: tuple[str, ...] = ()
    """What add with fix put right, and what proves it, a sentence each."""

    def told(self) -> Told:
        """Which version, what it is, on what."""
        yield (
            "version",
            f"{self.name}@{self.number} {self.kind} {self.digest.short}"
            + (" already" if self.already else ""),
        )
        yield (
            "parent",
            f"{self.parent} (known: {self.evidence})" if self.parent is not None else None,
        )
        yield from (
            ("plan", self.plan),
            ("rows", self.rows),
            ("fixed", "; ".join(self.fixed)),
            ("warnings", "; ".join(self.warnings)),
        )


@dataclass(frozen=True)
class Verdict:
    """One folder of several: what it became, or why not."""

    folder: str
    added: Added | None
    error: RegistryError | None


@dataclass(frozen=True, repr=False)
class Details(Shown):
    """One version whole."""

    version: Version
    files: tuple[File, ...]
    facts: Facts

    def told(self) -> Told:
        """The version, where it comes from, what is in it."""
        version, words = self.version, self.facts.vocabulary
        yield (
            "version",
            f"{version.reference} {version.kind} {version.model_class} {version.digest.short}",
        )
        yield (
            "parents",
            ", ".join(
                f"{parent.role} {parent.reference} (known: {parent.evidence})"
                for parent in version.parents
            ),
        )
        yield "aliases", ", ".join(version.aliases)
        yield "vocabulary", f"{counted(words.size, 'entry', 'entries')}, {len(words.added)} added"
        yield (
            "weights",
            f"{counted(self.facts.weights.parameters, 'parameter')}, {self.facts.weights.dtype}",
        )
        yield "files", f"{counted(len(self.files), 'file')}, {counted(version.size, 'byte')}"
        yield "message", version.message

    def to_dict(self) -> dict[str, Any]:
        """What `show --json` prints."""
        version, facts = self.version, self.facts
        return {
            "reference": version.reference,
            "kind": version.kind,
            "class": version.model_class,
            "digest": version.digest,
            "parents": [
                {
                    "role": parent.role,
                    "reference": parent.reference,
                    "digest": parent.digest,
                    "evidence": parent.evidence,
                }
                for parent in version.parents
            ],
            "aliases": list(version.aliases),
            "latest": version.latest,
            "vocabulary": {
                "digest": facts.vocabulary.digest,
                "size": facts.vocabulary.size,
                "added": [token_to_dict(token) for token in facts.vocabulary.added],
            },
            "tokenizer": facts.tokenizer,
            "weights": {
                "digest": facts.weights.digest,
                "tensors": len(facts.weights.tensors),
                "parameters": facts.weights.parameters,
                "dtype": facts.weights.dtype,
            },
            "rows": facts.rows,
            "width": facts.width,
            "max_length": facts.max_length,
            "modules": list(facts.modules),
            "architecture": facts.architecture,
            "settings": dict(facts.settings),
            "adapter": None
            if facts.adapter is None
            else {
                "type": facts.adapter.type,
                "rank": facts.adapter.rank,
                "alpha": facts.adapter.alpha,
                "targets": list(facts.adapter.targets),
                "modules_to_save": list(facts.adapter.modules_to_save),
                "trainable_tokens": list(facts.adapter.trainable_tokens),
                "dora": facts.adapter.dora,
            },
            "files": [
                {"path": file.path, "digest": file.digest, "size": file.size} for file in self.files
            ],
            "source": dict(version.source),
            "message": version.message,
            "notes": dict(version.notes),
            "metrics": dict(version.metrics),
            "created_at": version.created_at,
            "created_by": version.created_by,
            "yanked": version.yanked,
            "yank_reason": version.yank_reason,
            "forced": list(version.forced),
            "checkpoint": version.checkpoint,
            "entry": version.entry,
            "size": version.size,
        }


def token_to_dict(token: Token) -> dict[str, Any]:
    """A token as --json prints it."""
    return {
        "id": token.id,
        "content": token.content,
        "special": token.special,
        "lstrip": token.lstrip,
        "rstrip": token.rstrip,
        "single_word": token.single_word,
        "normalized": token.normalized,
    }


@dataclass(frozen=True)
class TokenHistory:
    """An added token: where it came from, what it was before, who last trained its row, how often a corpus holds it."""

    token: Token
    brought: Version
    """The first version of the line that has it; its author, time and message are who, when and why."""
    pieces: tuple[str, ...] | None
    """What the tokenizer of that version's parent makes of it; None where that is not here."""
    trained: Version | None
    """The nearest version whose row for it differs from its parent's; None where the row is as it was brought."""
    count: int | None = None
    """Times it stands in the texts that were given."""

    @property
    def id(self) -> int:
        """The token's."""
        return self.token.id

    @property
    def content(self) -> str:
        """The token's."""
        return self.token.content

    def to_dict(self) -> dict[str, Any]:
        """What `tokens --json` prints."""
        brought, trained = (
            None
            if version is None
            else {
                "reference": version.reference,
                "digest": version.digest,
                "by": version.created_by,
                "at": version.created_at,
                "message": version.message,
            }
            for version in (self.brought, self.trained)
        )
        return {
            **token_to_dict(self.token),
            "brought": brought,
            "pieces": None if self.pieces is None else list(self.pieces),
            "trained": trained,
            "count": self.count,
        }


@dataclass(frozen=True)
class LineageEdge:
    """child came from parent, in this role, known by this evidence; both are references."""

    child: str
    parent: str
    role: str
    evidence: str


@dataclass(frozen=True, repr=False)
class Lineage(Shown):
    """The graph around one version: all ancestors, all descendants, and the edges between them."""

    version: Version
    ancestors: tuple[Version, ...]
    """Nearest first."""
    descendants: tuple[Version, ...]
    edges: tuple[LineageEdge, ...]

    def told(self) -> Told:
        """The version, what it comes from, what stands on it."""
        yield "version", self.version.reference
        yield "ancestors", ", ".join(item.reference for item in self.ancestors)
        yield "descendants", ", ".join(item.reference for item in self.descendants)


@dataclass(frozen=True)
class Found:
    """A version that matches, and by what, e.g. `token 'zorvaxin'`, `weights`, `the same files`."""

    version: Version
    why: str


@dataclass(frozen=True)
class Checkout:
    """A version as files in a folder."""

    folder: Path
    version: Version
    fresh: bool
    """False where the folder was there, ready."""


@dataclass(frozen=True)
class AliasMove:
    """An alias that points elsewhere now; before and after are references or None."""

    name: str
    alias: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Kept:
    """Bytes that collect leaves, and why."""

    size: int
    why: str


@dataclass(frozen=True, repr=False)
class Collected(Shown):
    """What collect freed, or in a dry run would free."""

    blobs: int
    size: int
    """Bytes."""
    checkouts: int
    checkouts_size: int
    staging: int
    kept: tuple[Kept, ...] = ()
    young: int = 0
    """Bytes that are not needed and not yet old."""
    dry_run: bool = False
    catalogs: int = 0
    """Bytes of catalogs that a newer one took the place of."""
    shorter: tuple[tuple[str, int], ...] = ()
    """(age as `--older-than` takes it, bytes of the young that it would free)."""

    def told(self) -> Told:
        """What went, and what stays."""
        freed = self.size + self.checkouts_size + self.staging + self.catalogs
        yield "freed", f"{'would free' if self.dry_run else 'freed'} {counted(freed, 'byte')}"
        yield (
            "kept",
            f"{counted(sum(item.size for item in self.kept), 'byte')} for {counted(len(self.kept), 'reason')}",
        )


@dataclass(frozen=True)
class Deleted:
    """Versions that were forgotten, or in a dry run would be."""

    versions: tuple[Version, ...]
    freed: int
    """Bytes that collect can free because of it, checkouts not counted; what `du` said of one."""
    notes: Mapping[str, str] = field(default_factory=dict)
    young: int = 0
    """Of them, those that are not yet an hour old, which collect leaves until they are."""
    checkouts: int = 0
    """Bytes of unpacked folders that collect frees too."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo found out; each number was computed in it."""

    reference: str
    """The adapter that was made, moved and loaded."""
    evidence: str
    difference: float
    """Largest difference between what training ended with and what was loaded; 0, else the demo fails."""
    wrong_cosine: float
    """Mean cosine to the right vectors, of what plain sentence-transformers loads on the wrong base."""
    wrong_cosine_lowest: float
    refusal: str
    """What the registry says to the wrong base."""
    seconds: float
    folder: Path | None
    """Where everything lies, if it was kept."""
