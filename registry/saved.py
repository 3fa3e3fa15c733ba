"""Saved: what a live model became. Frozen values, as in results."""

from __future__ import annotations

from dataclasses import dataclass

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

    @property
    def version(self) -> Version:
        """The version, of a model that became one."""
        return self.versions[0]
