"""Where a version came from: git, command line, library versions, the training's run. No path of this machine is kept."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import masked

if TYPE_CHECKING:
    from .parents import Known

PARENT_EVIDENCE = "parent-evidence"
"""Id of the check that a declared parent is the one that evidence names."""
OVERRIDDEN = f"--force {PARENT_EVIDENCE}:"
"""How the record of the evidence begins, in `fix` of an entry's source."""

LIBRARIES = (
    "st-registry",
    "sentence-transformers",
    "transformers",
    "peft",
    "torch",
    "tokenizers",
    "safetensors",
)
RUN_VARIABLES = ("WANDB_RUN_ID", "MLFLOW_RUN_ID")
GIT_WAIT = 5.0
"""Seconds; a slow work tree is no reason to make somebody wait."""


def provenance(*, run: str | None = None, **more: Any) -> dict[str, Any]:
    """What an entry's `source` holds: what is known of the present moment, and `more`, which is asked for nowhere else."""
    present: dict[str, Callable[[], Any]] = {
        "git": _git,
        "command": lambda: command_line(sys.argv),
        "libraries": _libraries,
        "run": lambda: run or _run(),
        "python": lambda: ".".join(map(str, sys.version_info[:3])),
    }
    known = {key: more[key] if key in more else ask() for key, ask in present.items()} | more
    return {key: _storable(part) for key, part in known.items() if part not in (None, [], {})}


def _storable(source: Any) -> Any:
    """Return a part of a source with the bytes of names that are not UTF-8 escaped."""
    if isinstance(source, str):
        return source.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(source, dict):
        return {key: _storable(part) for key, part in source.items()}
    return [_storable(part) for part in source] if isinstance(source, list) else source


def with_overridden_evidence(
    source: dict[str, Any], parent: Known | None, forced: Sequence[str]
) -> dict[str, Any]:
    """Return the source with the evidence that a forced declaration of the parent
    contradicts.
    """
    if parent is None or not parent.contrary or PARENT_EVIDENCE not in forced:
        return source
    record = f"{OVERRIDDEN} evidence names the parent {parent.contrary}"
    return {**source, "fix": [*source.get("fix", []), record]}


def command_line(arguments: list[str]) -> list[str]:
    """The words of a command, each path cut to its last part; only of this package's own command, others may hold anything."""
    program = Path(arguments[0]).name if arguments else ""
    if program not in ("registry", "__main__.py"):
        return [program] if program else []
    return ["registry", *(_cut(word) for word in arguments[1:])]


def _cut(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    value = re.sub(r"^file://", "", value)
    if value.startswith(("/", "~", ".")) or "\\" in value:
        value = re.split(r"[/\\]", value.rstrip("/\\"))[-1] or value[:1]
    return masked(option + equals + value)


def _git() -> dict[str, Any] | None:
    commit = _ask_git("rev-parse", "HEAD")
    if not commit:
        return None
    status = _ask_git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": bool(status)} if status is not None else {"commit": commit}


def _ask_git(*words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=GIT_WAIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def _libraries() -> dict[str, str]:
    """Versions of what is installed; read from the first lines of the metadata, since parsing all of it takes longer than the rest."""
    found = {}
    for name in LIBRARIES:
        try:
            text = importlib.metadata.distribution(name).read_text("METADATA")
        except importlib.metadata.PackageNotFoundError:
            continue
        version = re.search(r"^Version: *(\S+)", text or "", re.MULTILINE)
        found[name] = version[1] if version else importlib.metadata.version(name)
    return found


def _run() -> str | None:
    return next((os.environ[name] for name in RUN_VARIABLES if os.environ.get(name)), None)
