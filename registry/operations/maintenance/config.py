"""config: what people set for a home. No part of the registry, never pushed."""

from __future__ import annotations

from collections.abc import Mapping

from registry.core.settings import KEYS, PROBES, read_config, seconds, write_config
from registry.errors import Invalid, InvalidName, NotFound
from registry.home.home import Home


def config(
    home: Home, key: str | None = None, value: str | None = None, *, unset: bool = False
) -> Mapping[str, str]:
    """All settings, or the one asked for, after setting or removing it.

    Raises InvalidName for an unknown key, Invalid for a value that is not one line or that the key cannot have, NotFound for one that is not set.
    """
    known = read_config(home.root)
    if key is None:
        return known
    if key not in KEYS:
        raise InvalidName(f"there is no setting {key!r}", hint=f"use one of {', '.join(KEYS)}")
    if value is not None and (not value.strip() or not value.isprintable()):
        raise Invalid(f"{value!r} cannot be the value of {key}", hint="give one line of text")
    if key == "load.probes" and value is not None and value not in PROBES:
        raise Invalid(
            f"{value!r} cannot be the value of {key}", hint=f"use one of {', '.join(PROBES)}"
        )
    if key == "load.code" and value is not None and value != "never":
        raise Invalid(f"{value!r} cannot be the value of {key}", hint="use never, or --unset")
    if key == "load.verify-age" and value is not None:
        seconds(value)
    if value is not None:
        known[key] = value
    elif key not in known:
        raise NotFound(f"{key} is not set", hint=f"registry config {key} VALUE")
    elif unset:
        del known[key]
    if value is not None or unset:
        write_config(home.root, known)
    return {key: known[key]} if key in known else {}
