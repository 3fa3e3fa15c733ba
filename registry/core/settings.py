"""Settings: where the home is, and who is at work. From flags, then the environment, then defaults.

REGISTRY_HOME names the home, REGISTRY_CACHE where checkouts go when the home is read-only, REGISTRY_USER who is at work.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.errors import HomeNotFound, Invalid, InvalidManifest, StoreUnavailable, reason
from registry.util.durable import replacing
from registry.util.regular_file import read_file

from .digest import parse_json
from .reference import path_of, refuse_address

PROBES = ("refuse", "warn", "skip")
"""What a load can do where a recorded text encodes otherwise."""
KEYS = {
    "user.name": "who is at work, as entries record it; a claim, not a proof",
    "load.device": "where registry load runs a model, if --device does not say",
    "load.probes": "what registry load does where a recorded text encodes otherwise, if --probes does not say: refuse, warn or skip",
    "load.code": "never refuses all custom code of models on this machine, approved or not",
    "load.verify-age": "after how long a load hashes weights again, e.g. 12h or 7d (the default); 0 is always",
    "push.parents-to": "whose repositories registry push sends parents to, if --parents-to does not say",
}
"""What can be set for a home. Defaults are the command line's: a program says what it wants."""

VERIFY_AGE = 7.0 * 24 * 60 * 60
"""Seconds, the default of load.verify-age."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)


def seconds(text: str) -> float:
    """Return a duration in seconds. Raises Invalid."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise Invalid(f"invalid duration {text!r}", hint="write 0, 90 (seconds), 30m, 1h or 7d")
    return float(match[1]) * _UNITS[match[2] or "s"]


_MEND = "correct that file; to set it aside: registry repair"


@dataclass(frozen=True)
class Settings:
    """Everything that can be set from outside, once."""

    home: Path
    home_was_named: bool
    """Only a home that nobody named makes itself."""
    cache: Path
    user: str | None = None


def from_environment(
    home: str | os.PathLike[str] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """The settings for a home given by flag or argument, else by the environment, else the user's data folder."""
    env = os.environ if environment is None else environment
    named = os.fspath(home) if home is not None else env.get("REGISTRY_HOME") or None
    refuse_address(named, "a registry")
    refuse_address(env.get("REGISTRY_CACHE"), "the folder REGISTRY_CACHE")
    root = path_of(named if named is not None else _data_folder(env) / "st-registry")
    cache = path_of(env.get("REGISTRY_CACHE") or _cache_folder(env, root) / "st-registry")
    return Settings(
        Path(os.path.abspath(root)),
        named is not None,
        Path(os.path.abspath(cache)),
        env.get("REGISTRY_USER") or None,
    )


def _data_folder(env: Mapping[str, str]) -> Path:
    user_folder = home_folder()
    if sys.platform == "darwin" and user_folder is not None:
        return user_folder / "Library" / "Application Support"
    if env.get("XDG_DATA_HOME"):
        return Path(env["XDG_DATA_HOME"])
    if user_folder is None:
        raise HomeNotFound(
            f"the folder of the registry is unknown (HOME is not set, and the user {os.getuid()} "
            "has no entry in the password file)",
            hint="set REGISTRY_HOME, or give --home DIR",
        )
    return user_folder / ".local" / "share"


def _cache_folder(env: Mapping[str, str], registry_folder: Path) -> Path:
    """Return the folder for caches; without a home folder, one next to the registry."""
    user_folder = home_folder()
    if sys.platform == "darwin" and user_folder is not None:
        return user_folder / "Library" / "Caches"
    if env.get("XDG_CACHE_HOME"):
        return Path(env["XDG_CACHE_HOME"])
    return registry_folder.parent if user_folder is None else user_folder / ".cache"


def home_folder() -> Path | None:
    """Return the user's home folder, or None if HOME and the system name none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def read_config(home: Path) -> dict[str, str]:
    """What people set for a home, kept in HOME/local/config.json; nothing where that is missing. Raises Invalid, StoreUnavailable."""
    path = config_path(home)
    try:
        content = read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise StoreUnavailable(f"cannot read {str(path)!r}: {reason(error)}") from error
    try:
        value = parse_json(content, repr(str(path)))
    except InvalidManifest as error:
        raise Invalid(str(error), hint=_MEND) from None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise Invalid(f"{str(path)!r} is not a JSON object whose values are texts", hint=_MEND)
    return value


def config_path(home: Path) -> Path:
    """Return the path of the settings that people set for a home."""
    return home / "local" / "config.json"


def write_config(home: Path, values: Mapping[str, str]) -> None:
    """Keep these settings, all of them, for the home."""
    folder = home / "local"
    folder.mkdir(mode=0o700, exist_ok=True)
    for abandoned in folder.glob("config.*.tmp"):  # of version 0.1, from a process that was killed
        abandoned.unlink(missing_ok=True)
    with replacing(config_path(home), mode=0o600) as out:
        out.write(f"{json.dumps(values, indent=1, sort_keys=True)}\n".encode())
