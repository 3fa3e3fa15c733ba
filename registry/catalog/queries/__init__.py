"""Queries: every question the catalog answers. Each takes a Connection, and `at` where it asks for a state.

`at` is the number of an entry and means the state right after it; without it, the newest. `as_of` turns a moment into one.
"""

from __future__ import annotations

from .history import as_of, from_time, head, log, registry_wide, skipped, time_of
from .hub_copies import copies
from .reachability import Needs, needs
from .resolve import resolve
from .rows import UNREADABLE
from .search import find, numbers_called
from .versions import (
    aliases,
    children,
    files,
    from_hub,
    models,
    spelled,
    taken,
    tokens,
    version,
    versions,
    with_evidence,
    with_file,
    with_manifest,
    with_tokenizer,
    with_vocabulary,
    with_weights,
)

__all__ = [
    "UNREADABLE",
    "Needs",
    "aliases",
    "as_of",
    "children",
    "copies",
    "files",
    "find",
    "from_hub",
    "from_time",
    "head",
    "log",
    "models",
    "needs",
    "numbers_called",
    "registry_wide",
    "resolve",
    "skipped",
    "spelled",
    "taken",
    "time_of",
    "tokens",
    "version",
    "versions",
    "with_evidence",
    "with_file",
    "with_manifest",
    "with_tokenizer",
    "with_vocabulary",
    "with_weights",
]
