"""Progress: how long work tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""progress(what, done, total): `what` names the stage; done and total are in bytes, or in steps for stages without bytes;
total is None where it is not known. Called from the threads at work, one at a time, often."""


_IN_BYTES = ("reading", "storing", "hashing", "bundling", "unpacking", "all repositories")


def is_in_bytes(what: str) -> bool:
    """Whether a stage counts bytes; a repository's transfer, named `hf://org/name`, does."""
    return what in _IN_BYTES or what.startswith("hf://")


def silent(what: str, done: int, total: int | None) -> None:
    """The progress of a caller who does not want to know."""
