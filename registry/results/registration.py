"""Results: what the actions return. Frozen values that any caller can print, store or compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.core.digest import Digest
from registry.core.text import Shown, Told
from registry.core.version import Version
from registry.errors import RegistryError


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


@dataclass(frozen=True)
class AliasMove:
    """An alias that points elsewhere now; before and after are references or None."""

    name: str
    alias: str
    before: str | None
    after: str | None


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


@dataclass(frozen=True)
class Saved:
    """What a live model became."""

    versions: tuple[Version, ...]
    """One, or one for each of several adapters: the first active one, then the others.

    An adapter that was not trained is left out.
    """
    base: Version | None
    """The full model that the adapters stand on; None for a model without adapters."""
    added: tuple[Added, ...]
    """Each part that was registered, the base first; a part that the model had before says `already`."""
    warnings: tuple[str, ...] = ()
    """What to know: first in what the versions are not what acted in memory, then what was said of each part."""

    @property
    def version(self) -> Version:
        """The version of the model; of several adapters, that of the first active one."""
        return self.versions[0]


@dataclass(frozen=True)
class Said:
    """What a trainer knows of its training at some step."""

    step: int
    metrics: Mapping[str, float]
    source: Mapping[str, Any]
    """Arguments and data sets, as values of JSON without real numbers."""
    run: str | None = None


@dataclass(frozen=True)
class Approval:
    """Custom code, and whether its approval was changed just now."""

    code: Digest
    """The code digest."""
    files: tuple[tuple[str, Digest], ...]
    """(path, digest) of its files; none where only the digest was given."""
    changed: bool
