"""Differences: what diff returns. Frozen values; real numbers are plain floats, computed in float64 sums over float32 blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.core.facts import Token
from registry.core.text import Shown, Told, counted

from .drift import Encodings

SETTINGS_TOLD = 5


@dataclass(frozen=True)
class Compared:
    """One of the two that were compared: a reference or a folder's last part, its kind, class and, for a version, digest."""

    title: str
    kind: str
    model_class: str
    digest: str | None = None


@dataclass(frozen=True)
class TokenChange:
    """A token that was added, removed, moved to another id, or has other flags."""

    content: str
    kind: str
    """added, removed, moved or flags; a moved one may have other flags too."""
    before: Token | None
    after: Token | None


@dataclass(frozen=True)
class TensorChange:
    """How one tensor differs. The numbers are over the values that both have: all, or of a table the rows that both have."""

    name: str
    kind: str
    """changed, dtype (the same values in another dtype), moved (the same rows, where their tokens now are), merged (an adapter's
    product went into it, and it differs from that by rounding alone), resized, added or removed."""
    dtypes: tuple[str | None, str | None]
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    values: int = 0
    """Values that were compared."""
    changed: int = 0
    largest: float = 0.0
    """Largest absolute change."""
    total: float = 0.0
    """Sum of the absolute changes."""
    norm: float = 0.0
    """Euclidean norm of the change, and `before` that of the values before."""
    before: float = 0.0
    rows: int | None = None
    """Of a table, or a resized tensor: old rows that both have, compared by token where there is one for each row."""
    changed_rows: int | None = None
    new_rows: int | None = None
    not_finite: int = 0
    """Of the changed values those that are NaN or infinite on one of the two sides; they have no size, and no rounding explains them."""

    @property
    def module(self) -> str:
        """The tensor's name without its last part."""
        return self.name.rpartition(".")[0] or self.name

    @property
    def mean(self) -> float:
        """Mean absolute change over all values compared."""
        return self.total / self.values if self.values else 0.0

    @property
    def relative(self) -> float | None:
        """The change's norm in the norm of what was there; None where that was 0."""
        return self.norm / self.before if self.before else None

    @property
    def alike(self) -> bool:
        """Whether every value that both have is the same."""
        return self.kind == "merged" or (
            self.kind in ("dtype", "moved", "resized") and self.changed == 0
        )


@dataclass(frozen=True)
class ModuleChange:
    """The changed tensors of one module taken together."""

    name: str
    kinds: tuple[str, ...]
    tensors: int
    values: int
    changed: int
    largest: float
    mean: float
    norm: float
    relative: float | None
    not_finite: int


@dataclass(frozen=True)
class Effect:
    """What adapters do to one weight: Euclidean norms of what is added to it before and after (of LoRA alpha/r·BA; of DoRA and IA3 the weight
    that they make, less the base's), and of the difference of the two; None where an adapter is of a kind whose effect is not computed."""

    module: str
    before: float | None
    after: float | None
    change: float | None
    weight: float | None
    """Norm of the base's weight, if it has one of that name; `relative` is the change in it."""

    @property
    def relative(self) -> float | None:
        """The change in the norm of the weight that it is added to."""
        return self.change / self.weight if self.weight and self.change is not None else None


@dataclass(frozen=True)
class SettingChange:
    """A setting that has another value; None where a side lacks it. area is e.g. tokenizer, pooling, prompts, length."""

    area: str
    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class TextChange:
    """A text file that differs: how many lines, and the lines of a unified diff without its head."""

    path: str
    added: int
    removed: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class MetricChange:
    """A recorded metric, numbers as text; None where a side lacks it."""

    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Advice:
    """What to do with stored vectors: `line` says it and why."""

    keep: bool
    """Every stored vector stays as it is."""
    everything: bool
    """All have to be computed anew; where both are False, only some, or they are cut, and the line says which."""
    line: str
    reasons: tuple[str, ...] = ()
    cut: int | None = None
    """How many of its first numbers each vector has from now on that is not computed anew; None where it stays as long as it is."""


@dataclass(frozen=True, repr=False)
class Difference(Shown):
    """All that differs between two models, as they would be loaded."""

    before: Compared
    after: Compared
    tokens: tuple[TokenChange, ...]
    tensors: tuple[TensorChange, ...]
    same_tensors: int
    effects: tuple[Effect, ...]
    """Of adapters, the largest change first."""
    settings: tuple[SettingChange, ...]
    texts: tuple[TextChange, ...]
    metrics: tuple[MetricChange, ...]
    files: tuple[str, ...]
    """Files that have other bytes, or are on one side only, without meaning anything that is listed above."""
    advice: Advice
    read: int = 0
    """Bytes of tensors that were read; 0 where digests told that all are equal."""
    encodings: Encodings | None = None

    @property
    def same(self) -> bool:
        """Whether nothing differs at all."""
        return not (
            self.tokens
            or self.tensors
            or self.effects
            or self.settings
            or self.texts
            or self.metrics
            or self.files
        )

    def told(self) -> Told:
        """Of what, how much of each area, and what to do with stored vectors."""
        yield "difference", f"{self.before.title} to {self.after.title}"
        yield from (
            ("tokens", counted(len(self.tokens), "change") if self.tokens else None),
            (
                "weights",
                f"{counted(len(self.tensors), 'tensor')}, {self.same_tensors} the same"
                if self.tensors
                else None,
            ),
            ("adapter", self.changed_modules if self.effects else None),
            (
                "settings",
                ", ".join(f"{item.area} {item.key}" for item in self.settings[:SETTINGS_TOLD]),
            ),
            ("encodings", self.encodings.sentence if self.encodings is not None else None),
            ("advice", self.advice.line),
        )

    @property
    def changed_modules(self) -> str:
        """How many modules adapters change, and for how many of them that is not computed."""
        unknown = sum(effect.change is None for effect in self.effects)
        return counted(len(self.effects), "module") + (
            f", {unknown} of them in a way that is not computed" if unknown else ""
        )

    @property
    def modules(self) -> tuple[ModuleChange, ...]:
        """The changed tensors by module, the largest relative change first, then what is only on one side."""
        groups: dict[str, list[TensorChange]] = {}
        for tensor in self.tensors:
            groups.setdefault(tensor.module, []).append(tensor)
        found = [_module(name, tensors) for name, tensors in groups.items()]
        return tuple(
            sorted(found, key=lambda module: (-(module.relative or 0.0), -module.norm, module.name))
        )


def _module(name: str, tensors: Sequence[TensorChange]) -> ModuleChange:
    values, before = (
        sum(item.values for item in tensors),
        math.sqrt(sum(item.before**2 for item in tensors)),
    )
    norm = math.sqrt(sum(item.norm**2 for item in tensors))
    return ModuleChange(
        name,
        tuple(sorted({item.kind for item in tensors})),
        len(tensors),
        values,
        sum(item.changed for item in tensors),
        max(item.largest for item in tensors),
        sum(item.total for item in tensors) / values if values else 0.0,
        norm,
        norm / before if before else None,
        sum(item.not_finite for item in tensors),
    )
