"""Settings: where the home is, and who is at work. From flags, then the environment, then defaults.

REGISTRY_HOME names the home, REGISTRY_CACHE where checkouts go when the home is read-only, REGISTRY_USER who is at work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Everything that can be set from outside, once."""

    home: Path
    home_was_named: bool
    """Only a home that nobody named makes itself."""
    cache: Path
    user: str | None = None


def from_environment(home: str | os.PathLike[str] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings for a home given by flag or argument, else by the environment, else the user's data folder."""
    env = os.environ if environment is None else environment
    named = os.fspath(home) if home is not None else env.get("REGISTRY_HOME") or None
    root = Path(named).expanduser() if named else _data_folder(env) / "st-registry"
    cache = Path(env["REGISTRY_CACHE"]).expanduser() if env.get("REGISTRY_CACHE") else _cache_folder(env) / "st-registry"
    return Settings(Path(os.path.abspath(root)), named is not None, Path(os.path.abspath(cache)), env.get("REGISTRY_USER") or None)


def _data_folder(env: Mapping[str, str]) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _cache_folder(env: Mapping[str, str]) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
