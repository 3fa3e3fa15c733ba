"""Results of the read-only operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry.core.facts import Facts, Token
from registry.core.manifest import File
from registry.core.text import Shown, Told, counted
from registry.core.version import Version


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
