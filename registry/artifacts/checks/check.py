"""What a check is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...errors import RegistryError
from ...facts import Facts, Files, Token
from ..encoder.layout import Layout
from ..inspect import Inspection


@dataclass(frozen=True)
class ParentView:
    """A registered parent, as far as a check may ask: its reference, for messages, and what it is."""

    reference: str
    files: Files
    layout: Layout
    facts: Facts
    tokens: Sequence[Token]


@dataclass(frozen=True)
class Candidate:
    """A folder that is to become a version, read already; parent is None for a model without one."""

    files: Files
    layout: Layout
    inspection: Inspection
    parent: ParentView | None = None


Find = Callable[[Candidate], str | None]
"""The message of what is wrong, or None: one line, what is so with its values, then what would do."""


@dataclass(frozen=True)
class Check:
    """A named check. Without an error what it finds is a warning."""

    name: str
    reason: str
    """What it protects from."""
    error: type[RegistryError] | None
    find: Find


def checks() -> tuple[list[Check], Callable[[str, str, type[RegistryError] | None], Callable[[Find], Find]]]:
    """(the checks of a theme, the decorator that puts a function among them in the order of the file)."""
    found: list[Check] = []

    def check(name: str, reason: str, error: type[RegistryError] | None) -> Callable[[Find], Find]:
        def register(find: Find) -> Find:
            found.append(Check(name, reason, error, find))
            return find
        return register

    return found, check
