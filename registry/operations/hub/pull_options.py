"""Options of a pull."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.operations.shared.resolve import VersionLike

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class PullOptions:
    """What the versions are called here, and what is allowed."""

    name: str | None = None
    aliases: bool = False
    renumber: bool = False
    parent_as: Mapping[str, str] = field(default_factory=dict)
    from_any: bool = False
    parent: VersionLike | None = None
    model_class: str | None = None
    convert: bool = False
    """These three for a repository that no registry made."""
    message: str | None = None
    run: str | None = None
