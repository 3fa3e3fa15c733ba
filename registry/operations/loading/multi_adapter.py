"""several: one base with several adapters on it, by names, of which some act."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.core.progress import Progress
from registry.core.version import Version
from registry.errors import DigestMismatch, Invalid, ParentMismatch
from registry.home.home import Home
from registry.operations.shared.resolve import VersionLike, facts_of, resolve, stored

from .checkout import home_checkout

_adapters: weakref.WeakKeyDictionary[Any, dict[str, Version]] = weakref.WeakKeyDictionary()
"""Of the models that load put several adapters on, and of those whose adapters were saved: name to version."""


def chosen(home: Home, base: Version, adapters: Mapping[str, VersionLike]) -> dict[str, Version]:
    """The adapters' versions by name, each of which stands on that base. Raises ParentMismatch, Invalid, NotLoadable."""
    from registry.runtime import multi_adapter

    multi_adapter.check_names(list(adapters))
    if not adapters:
        raise Invalid("adapters= is empty", hint="give at least one adapter, or leave it out")
    if base.kind == "adapter":
        raise ParentMismatch(
            f"{base.reference} is an adapter, and adapters= requires the base of all adapters",
            hint=f"give the full model that all of them are based on: {base.parents[0].reference}",
        )
    versions = {name: resolve(home, version) for name, version in adapters.items()}
    for version in versions.values():
        if version.kind != "adapter":
            raise ParentMismatch(
                f"{version.reference} is not an adapter but a full model ({version.kind})",
                hint="load it by itself",
            )
        parent = version.parents[0]
        if parent.digest != base.digest:
            raise ParentMismatch(
                f"{version.reference} is based on {parent.reference}, not on {base.reference}",
                hint=f"load it on {parent.reference}",
            )
    seen = {
        name: (version.reference, stored(home, version), facts_of(home, version))
        for name, version in versions.items()
    }
    multi_adapter.refuse_misfits((base.reference, stored(home, base), facts_of(home, base)), seen)
    return versions


def put_on(home: Home, model: Any, versions: Mapping[str, Version], *, progress: Progress) -> None:
    """Put adapters on a loaded base; the first of them acts. Raises DigestMismatch where the result is not what is registered."""
    from registry.runtime import active_adapters, multi_adapter

    folders: dict[str, Path] = {
        name: home_checkout(home, version, progress=progress).folder
        for name, version in versions.items()
    }
    problems = multi_adapter.put_on(model, folders)
    if problems:
        raise DigestMismatch(
            f"adapters were loaded, and are not what was registered: {'; '.join(problems)}"
        )
    active_adapters.activate(model, list(versions)[:1])
    know(model, versions)


def know(model: Any, versions: Mapping[str, Version]) -> None:
    """Remember which versions the adapters of a model are, by name; of a model without adapters there is nothing to know."""
    if versions:
        _adapters[model] = dict(versions)
    else:
        _adapters.pop(model, None)


def activate(model: Any, *adapters: str) -> None:
    """Let exactly these adapters of a model act."""
    from registry.runtime import active_adapters

    active_adapters.activate(model, adapters)


def acting(model: Any) -> dict[str, Version] | None:
    """The registered adapters that act on a model now, by name; None for a model of which that is not known."""
    known = _adapters.get(model)
    if known is None:
        return None
    from registry.runtime import active_adapters

    return {name: known[name] for name in active_adapters.active(model) if name in known}
