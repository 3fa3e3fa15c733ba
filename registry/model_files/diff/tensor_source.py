"""Sources: where the numbers of a tensor come from: a file, or one with what an adapter does to it. Nothing is read here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.core.digest import Digest
from registry.core.facts import Files
from registry.model_files.weights.safetensors import Header

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Stored:
    """A tensor where it lies. digest is the tensor digest, if it is known without reading."""

    files: Files = field(repr=False)
    path: str
    header: Header
    digest: Digest | None = None

    @property
    def dtype(self) -> str:
        """As safetensors spells it."""
        return self.header.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """As stored."""
        return self.header.shape

    @property
    def identity(self) -> object:
        """What two equal tensors have in common; None where it takes reading to tell."""
        return self.digest


class _Over:
    """What an adapter makes of a tensor: of its dtype and shape, and otherwise to be read."""

    under: Any

    @property
    def dtype(self) -> str:
        """That of the tensor."""
        return str(self.under.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the tensor."""
        return tuple(self.under.shape)

    @property
    def identity(self) -> object:
        """What two equal ones have in common; None, for it takes reading to tell."""
        return None


@dataclass(frozen=True)
class Patched(_Over):
    """A table some of whose rows an adapter replaces: row ids[i] is row i of `delta`."""

    under: Stored
    delta: Stored
    ids: tuple[int, ...]

    @property
    def identity(self) -> object:
        """What two equal ones have in common."""
        return (
            (self.under.digest, self.ids, self.delta.digest)
            if self.under.digest and self.delta.digest
            else None
        )


@dataclass(frozen=True)
class Summed(_Over):
    """A weight with what an adapter adds to it, b times a: (out, rank) and (rank, in), the scaling within b."""

    under: Stored | Patched
    a: Array
    b: Array


@dataclass(frozen=True)
class Factored(_Over):
    """A weight whose rows, or columns, are multiplied by a number each."""

    under: Stored | Patched | Summed
    factors: Array
    by_row: bool


Source = Stored | Patched | Summed | Factored


def width_of(source: Source) -> int:
    """Values of a row."""
    width = 1
    for length in source.shape[1:]:
        width *= length
    return width
