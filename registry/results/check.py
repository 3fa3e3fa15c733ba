"""Verdicts: what `check` returns. One outcome for each thing that was looked at, and a report of them all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from registry.core.text import Shown, Told

OK, WARNED, FORCED, UNMEASURED, FAILED = "ok", "warned", "forced", "unmeasured", "failed"
"""What an outcome can be. Only `failed` makes a report fail: what cannot be measured here, or was let pass by name, is told."""

NETS = ("identity", "integrity", "structure", "effect", "measurement", "line", "drift", "metric")
"""Where checks belong, in the order in which they run."""


@dataclass(frozen=True)
class CheckInfo:
    """A check, as `check --list` tells it."""

    id: str
    net: str
    claim: str
    """What is true where it passes."""
    reason: str
    """What it protects from."""
    refuses: bool
    """Whether a folder that fails it is refused at registration; else it is a warning."""
    judgement: bool
    """Whether `add --force` can let it pass."""


@dataclass(frozen=True)
class Outcome:
    """One thing that was looked at. Where two values were compared they are told, and how far they are apart."""

    check: str
    """The id of the check."""
    net: str
    stage: str
    """The version or the folder that it is about."""
    verdict: str
    subject: str = ""
    """The text of a probe, a file, or another stage; empty where it is the stage as a whole."""
    expected: str = ""
    found: str = ""
    difference: float | None = None
    """Of encodings as a part of their length, of an encoding's direction (drift) 1 - cosine; infinite where they cannot be compared."""
    tolerance: float | None = None
    message: str = ""
    """A sentence where the values do not say it all."""

    @property
    def failed(self) -> bool:
        """Whether this makes the report fail."""
        return self.verdict == FAILED

    def to_dict(self) -> dict[str, Any]:
        """What `check --json` prints of it; an infinite difference is None, which `found` and `message` explain."""
        return {
            "check": self.check,
            "net": self.net,
            "stage": self.stage,
            "verdict": self.verdict,
            "subject": self.subject,
            "expected": self.expected,
            "found": self.found,
            "difference": _finite(self.difference),
            "tolerance": self.tolerance,
            "message": self.message,
        }


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """What became of a check. passed is what a gate asks."""

    target: str
    """The pinned reference of the version, or the folder."""
    outcomes: tuple[Outcome, ...]
    recorded: str | None = None
    """Digest of the probes that were recorded just now."""

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """What failed, in the order in which it was looked at."""
        return tuple(outcome for outcome in self.outcomes if outcome.failed)

    @property
    def drift(self) -> float | None:
        """The largest drift from the version that it was compared with; None where it was compared with none."""
        return max(
            (
                item.difference
                for item in self.outcomes
                if item.net == "drift" and item.difference is not None
            ),
            default=None,
        )

    def told(self) -> Told:
        """Of what, whether it passed, and each failure."""
        yield "target", f"{self.target} {'passed' if self.passed else 'FAILED'}"
        yield (
            "outcomes",
            ", ".join(
                f"{self.count(verdict)} {verdict}"
                for verdict in dict.fromkeys(item.verdict for item in self.outcomes)
            ),
        )
        yield from (
            ("failed", f"{item.stage} {item.check}" + (f": {item.message}" if item.message else ""))
            for item in self.failures
        )

    def count(self, verdict: str) -> int:
        """How many outcomes are this."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """What `check --json` prints."""
        return {
            "target": self.target,
            "passed": self.passed,
            "drift": _finite(self.drift),
            "recorded": self.recorded,
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
        }


def _finite(number: float | None) -> float | None:
    """The number as JSON can hold it."""
    return number if number is not None and math.isfinite(number) else None
