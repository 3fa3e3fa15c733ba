"""Movement: how far texts moved from one model's encodings to another's. Frozen values; `diff --encodings` returns them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from registry.core.text import Shown, Told, counted

NOISE = 1e-5
"""Of a cosine, or a score: what rounding can do. A text that moved no further is said to be nearly where it was, and how near."""
_RESIZED = 0.01
"""Share by which the median length of vectors must differ to be another one."""


@dataclass(frozen=True)
class MovedText:
    """One text, or pair of texts, before and after."""

    text: str
    value: float | None
    """The measure of the whole: a cosine, or of a CrossEncoder the change of its score; None where there is none to take."""
    moved: float
    """How far it moved, larger for further: 1 - cosine, or the absolute change of the score."""
    before: tuple[float, float] | None = None
    after: tuple[float, float] | None = None
    """Its two places in the plane, if it is shown there."""
    left: tuple[int, ...] = ()
    entered: tuple[int, ...] = ()
    """Numbers of the texts that are no longer among its nearest, and of those that are now."""
    distance: float | None = None
    """From the one encoding to the other, in the length of the first: 0 where they are equal to the bit; None where their shapes differ."""


@dataclass(frozen=True)
class PiecesChange:
    """A word that falls into other pieces; `count` is how often the texts hold it."""

    word: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    count: int


@dataclass(frozen=True, repr=False)
class Encodings(Shown):
    """What encoding the same texts with both models shows."""

    measure: str
    """What the values are, e.g. `cosine`."""
    source: str
    """Where the texts are from, in a few words."""
    texts: tuple[MovedText, ...]
    """In the order given."""
    neighbours: int
    """How many nearest texts were looked at for each; 0 where none were."""
    compared: int
    """How many texts, from the first on, took part in that."""
    pieces: tuple[PiecesChange, ...]
    plane: str | None
    """What the two axes are; None where the two models have no space in common."""
    sentence: str
    """All of it in a sentence or two."""
    lengths: tuple[float, float] | None = None
    """Median length of the vectors before and after, where each text has one."""

    def told(self) -> Told:
        """All of it in a sentence, and how far the texts moved."""
        yield "encodings", self.sentence
        if self.comparable:
            yield "moved", f"{self.count} of {counted(len(self.texts), self.what)}"
            yield f"median {self.measure}", self.said(self.quantile(0.5))

    @property
    def what(self) -> str:
        """What was encoded: texts, or of a CrossEncoder pairs."""
        return "pair" if self.measure == SCORE else "text"

    @property
    def comparable(self) -> bool:
        """Whether the encodings could be compared number by number."""
        return all(item.value is not None for item in self.texts)

    @property
    def exact(self) -> bool:
        """Whether every text has the encoding it had, to the bit."""
        return all(item.distance == 0 for item in self.texts)

    @property
    def resized(self) -> bool:
        """Whether the vectors have another length than before, whatever their directions."""
        return (
            self.lengths is not None
            and abs(self.lengths[1] - self.lengths[0]) > _RESIZED * self.lengths[0]
        )

    @property
    def by_distance(self) -> tuple[int, ...]:
        """Numbers of the texts, what moved furthest first."""
        return tuple(
            sorted(
                range(len(self.texts)),
                key=lambda index: (
                    -self.texts[index].moved,
                    -(self.texts[index].distance or 0),
                    index,
                ),
            )
        )

    @property
    def count(self) -> int:
        """How many texts moved by more than noise."""
        return sum(item.moved > NOISE for item in self.texts)

    def values(self) -> list[float]:
        """The measured values, ascending."""
        return sorted(item.value for item in self.texts if item.value is not None)

    def quantile(self, share: float) -> float | None:
        """The value below which that share of the texts lies."""
        values = self.values()
        return values[min(int(share * len(values)), len(values) - 1)] if values else None

    def said(self, value: float | None) -> str:
        """A measured value as people read it: of a change three digits with its sign, of a cosine as many as tell it from 1."""
        if value is None:
            return "–"
        if self.measure == SCORE:
            return f"{value:+.3g}" if value else "0"
        gap = abs(1 - value)
        return "1" if gap < 5e-13 else f"{value:.{max(3, math.ceil(-math.log10(gap)) + 1)}f}"

    def histogram(self, bins: int = 20) -> tuple[tuple[float, float, int], ...]:
        """(from, to, how many) of the measured values, equally wide; one where all are equal."""
        values = self.values()
        if not values:
            return ()
        low, high = values[0], values[-1]
        if self.measure != SCORE:
            high = max(1.0, high)
        if high - low < NOISE:
            return ((low, high, len(values)),)
        counts = [0] * bins
        for value in values:
            counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
        step = (high - low) / bins
        return tuple(
            (low + index * step, low + (index + 1) * step, count)
            for index, count in enumerate(counts)
        )


COSINE, MAXSIM, SCORE = "cosine", "mean of both ways' MaxSim", "change of the score"
