"""Saved: what a live model became, and what a trainer says of its training. Frozen values, as in results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .results import Added
from .version import Version


@dataclass(frozen=True)
class Saved:
    """What a live model became."""

    versions: tuple[Version, ...]
    """One, or one for each of several adapters, in the order in which they were put on."""
    base: Version | None
    """The full model that the adapters stand on; None for a model without adapters."""
    added: tuple[Added, ...]
    """Each part that was registered, the base first; a part that the model had before says `already`."""
    warnings: tuple[str, ...] = ()
    """What to know: first in what the versions are not what acted in memory, then what was said of each part."""

    @property
    def version(self) -> Version:
        """The version, of a model that became one."""
        return self.versions[0]


@dataclass(frozen=True)
class Said:
    """What a trainer knows of its training at some step."""

    step: int
    metrics: Mapping[str, float]
    source: Mapping[str, Any]
    """Arguments and data sets, as values of JSON without real numbers."""
    run: str | None = None
