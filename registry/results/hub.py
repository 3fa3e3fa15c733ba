"""Published: what push, pull, status and sync return. Frozen values that any caller can print, store or compare."""

from __future__ import annotations

from dataclasses import dataclass

from registry.core.version import Version

STATES = (
    "same",
    "ahead",
    "behind",
    "diverged",
    "changed there",
    "base changed",
    "gone",
    "unreachable",
    "unreadable",
)
"""What a version is to its repository: there as it is here; here only; there only; another content under its number; edited in the
repository since; an adapter whose base has another model on main, which plain loaders
take; not there any more; not to be asked now; what the repository says of itself is damaged, or of a newer package."""


@dataclass(frozen=True)
class Sent:
    """One version of a line that was pushed, and what became of it."""

    reference: str
    repository: str
    commit: str | None
    """None in a dry run, for what would be sent."""
    tag: str | None
    what: str
    """pushed, already (the repository has it), upstream (it came from there unmodified), or would push."""
    files: int = 0
    size: int = 0
    """Files and bytes sent, or in a dry run to be sent."""
    url: str | None = None
    """Where a proposal waits to be merged."""


@dataclass(frozen=True)
class Pushed:
    """A version and those of its ancestors that a push was about, parents first."""

    version: Version
    sent: tuple[Sent, ...]
    dry_run: bool = False


@dataclass(frozen=True)
class Received:
    """One version of a line that was pulled."""

    reference: str
    repository: str
    commit: str
    what: str
    """registered, already, or in the dry run of a sync would pull."""
    size: int = 0
    """Bytes fetched."""


@dataclass(frozen=True)
class Pulled:
    """A version and its ancestors as they are here now, parents first."""

    version: Version
    received: tuple[Received, ...]
    already: bool
    """Nothing was written: the model had it."""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """A version and what it is to its repository."""

    name: str
    number: int
    repository: str
    commit: str | None
    """Where it is known to be, or, for one that is there only, where its tag points."""
    state: str | None
    """One of STATES; None where nobody was asked."""
    detail: str | None = None
    files: tuple[str, ...] = ()
    """What was changed there."""

    @property
    def reference(self) -> str:
        """`name@number`."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True)
class Synced:
    """What a sync did, or in a dry run would do, and what it left alone."""

    name: str
    repository: str
    pushed: tuple[Sent, ...]
    pulled: tuple[Received, ...]
    left: tuple[State, ...]
    dry_run: bool = False
