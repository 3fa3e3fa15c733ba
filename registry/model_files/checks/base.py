"""What a check is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from registry.core.facts import Facts, Files, Token
from registry.errors import RegistryError
from registry.model_files.facts import Inspection
from registry.model_files.layout.layout import Layout
from registry.model_files.tokenizer.equivalence import Decision
from registry.model_files.tokenizer.pipeline import Pipeline, read_pipeline

IDENTITY, INTEGRITY, STRUCTURE, EFFECT, MEASUREMENT = (
    "identity",
    "integrity",
    "structure",
    "effect",
    "measurement",
)


@dataclass(frozen=True)
class ParentView:
    """A registered parent, as far as a check may ask: its reference, for messages, and what it is."""

    reference: str
    files: Files
    layout: Layout
    facts: Facts
    tokens: Sequence[Token]
    loaded_shapes: Callable[[], Mapping[str, tuple[int, ...]] | None] = lambda: None
    """Return the shapes of the transformer's parameters by the names that the installed
    library gives them; None if they are not known."""

    @cached_property
    def pipeline(self) -> Pipeline:
        """The canonical form of its tokenizer files."""
        return read_pipeline(self.files, self.layout)


Decide = Callable[["Candidate", ParentView], Decision]
"""Function that decides with the installed library whether two tokenizers are
equivalent."""


@dataclass(frozen=True)
class Candidate:
    """A folder that is to become a version, read already; parent is None for a model without one."""

    files: Files
    layout: Layout
    inspection: Inspection
    parent: ParentView | None = None
    from_memory: bool = False
    """Split from a live model together with its parent, so that what the adapter did to its base is in that parent."""
    linted: bool = False
    """Made by resize, which has looked at every new token."""
    contrary: str = ""
    """The base that evidence names, where another one was declared."""
    decide: Decide | None = None
    """Decides where the tokenizer files do not; None where the library may not be
    asked."""


@dataclass(frozen=True)
class Problem:
    """What a check found wrong, and what the user can do about it."""

    message: str
    hint: str | None = None

    @classmethod
    def of(cls, error: RegistryError) -> Problem:
        """Return the message and the hint of an error."""
        return cls(str(error), error.hint)

    def with_hint(self) -> str:
        """Return message and hint as one line, for reports that have no second line."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


Find = Callable[[Candidate], Problem | None]
"""Function of a check that returns what is wrong with a candidate, or None."""


@dataclass(frozen=True)
class Check:
    """A named check. Without an error what it finds is a warning."""

    id: str
    """Stable, in kebab case: what --force and `registry check` call it."""
    name: str
    """What is true where it passes."""
    reason: str
    """What it protects from."""
    error: type[RegistryError] | None
    find: Find
    net: str = STRUCTURE
    judgement: bool = False
    """Whether somebody who knows better may let it pass, by name; identity and integrity are no matter of judgement."""


class Decorator(Protocol):
    """Puts a function among the checks of its theme."""

    def __call__(
        self,
        id: str,
        name: str,
        reason: str,
        error: type[RegistryError] | None,
        *,
        net: str = STRUCTURE,
        judgement: bool = False,
    ) -> Callable[[Find], Find]:
        """The decorator for one check."""
        ...


def checks() -> tuple[list[Check], Decorator]:
    """(the checks of a theme, the decorator that puts a function among them in the order of the file)."""
    found: list[Check] = []

    def check(
        id: str,
        name: str,
        reason: str,
        error: type[RegistryError] | None,
        *,
        net: str = STRUCTURE,
        judgement: bool = False,
    ) -> Callable[[Find], Find]:
        def register(find: Find) -> Find:
            found.append(Check(id, name, reason, error, find, net, judgement))
            return find

        return register

    return found, check
