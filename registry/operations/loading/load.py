"""load: a version becomes a working model of its class, verified on disk, asked when loaded, and probed in each new environment."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from registry.core.digest import Digest
from registry.core.progress import Progress
from registry.core.settings import PROBES
from registry.core.version import Version
from registry.errors import DigestMismatch, Invalid, ProbeMismatch, VersionNotFound
from registry.home.home import Home
from registry.operations.shared.resolve import VersionLike, facts_of, resolve
from registry.store import checkout as _store

from . import multi_adapter
from .checkout import home_checkout

_loaded: weakref.WeakKeyDictionary[Any, tuple[Path, Version]] = weakref.WeakKeyDictionary()
"""What load made an object from, whatever was done to it since."""
_now: weakref.WeakKeyDictionary[Any, tuple[Path, Version, tuple[object, ...]]] = (
    weakref.WeakKeyDictionary()
)
"""What an object was when it was loaded, or saved last, and the mark that it had then."""


def load(
    home: Home,
    version: VersionLike,
    *,
    probes: str,
    progress: Progress,
    adapters: Mapping[str, VersionLike] | None = None,
    **kwargs: Any,
) -> Any:
    """The model as registered, an object of its class; with adapters, that base with all of them on, the first one acting.

    Keywords go through to the class.

    Raises DigestMismatch if what was loaded is not what lies in the store, ProbeMismatch if a recorded text encodes otherwise.
    """
    if probes not in PROBES:
        raise Invalid(f"probes cannot be {probes!r}", hint=f"use one of {', '.join(PROBES)}")
    found = resolve(home, version)
    beside = multi_adapter.chosen(home, found, adapters) if adapters is not None else {}
    folder = home_checkout(home, found, progress=progress).folder
    from registry.runtime import loading

    facts = facts_of(home, found)
    progress("loading", 0, None)
    model = loading.load(folder, found.model_class, **kwargs)
    problems = loading.ask(
        model, facts, folder=folder, adapter=found.kind == "adapter", kwargs=kwargs
    )
    if problems:
        raise DigestMismatch(
            f"{found.reference} was loaded, and is not what was registered: {'; '.join(problems)}"
        )
    if probes != "skip" and found.probes is not None:
        _probe(home, found, found.probes, folder, model, kwargs, probes)
    if beside:
        multi_adapter.put_on(home, model, beside, progress=progress)
    _loaded[model] = (home.root, found)
    is_version(home, model, found)
    return model


def is_version(
    home: Home, model: Any, version: Version, adapters: Mapping[str, Version] | None = None
) -> None:
    """Remember that an object is this version now, or with adapters, by name, the base of them."""
    from registry.runtime.verify_loaded import mark

    if adapters is not None:
        multi_adapter.know(model, adapters)
    _now[model] = (home.root, version, mark(model))


def passed_as(model: Any, probes: Digest) -> str:
    """The line that a checkout's marker holds where these probes have passed in this environment; other probes have not by that."""
    from registry.runtime.probes import environment_name

    return f"probes={probes.short} {environment_name(model)}"


def version_of(home: Home, model: Any) -> Version:
    """The version that this object is: what load made it from, or what save made of it last; of several adapters the one that acts, of
    none the base.

    Raises VersionNotFound for an object that did not come from this home or was changed since, by training or more tokens, and where two
    adapters act together. What is written through a parameter's `.data` goes unseen.
    """
    from registry.runtime.verify_loaded import mark

    try:
        known = _now.get(model)
    except TypeError:
        known = None
    if known is None or known[0] != home.root:
        raise VersionNotFound(
            f"this {type(model).__name__} was not loaded from the registry at {str(home.root)!r}"
        )
    acting = multi_adapter.acting(model)
    if acting is not None and len(acting) > 1:
        shown = ", ".join(f"{name} ({version.reference})" for name, version in acting.items())
        raise VersionNotFound(
            f"{len(acting)} adapters act together on {known[1].reference}, {shown}: together they are no one version"
        )
    found = next(iter(acting.values())) if acting else known[1]
    if mark(model) != known[2]:
        raise VersionNotFound(
            f"this {type(model).__name__} was {found.reference} and was changed since",
            hint="register its present state as a version: registry.save(model, NAME)",
        )
    return resolve(home, found)


def loaded_as(home: Home, model: Any) -> Version | None:
    """The version that load made this object from, whatever was done to it since; None where it came from elsewhere."""
    try:
        known = _loaded.get(model)
    except TypeError:
        return None
    return known[1] if known is not None and known[0] == home.root else None


def encode(model: Any, inputs: Iterable[Any]) -> Iterator[Any]:
    """For each input its encoding as JSON values."""
    from registry.runtime import loading

    return iter(loading.encode(model, list(inputs)))


def _probe(
    home: Home,
    version: Version,
    digest: Digest,
    folder: Path,
    model: Any,
    kwargs: dict[str, Any],
    probes: str,
) -> None:
    """Compare with what was recorded, once for each environment in which this checkout is loaded."""
    from registry.runtime import probes as _probes

    environment = passed_as(model, digest)
    marker = _store.read_marker(folder)
    passed = marker is not None and environment in marker.environments
    if passed and not kwargs.keys() - {"device"}:
        return
    recorded = _probes.parse(home.blobs.read(digest))
    reason = _probes.unmeasured(model, recorded, kwargs)
    if reason is not None:
        home.warn(f"{version.reference} is not measured here: {reason}")
        return
    if passed:
        return
    differences = _probes.compare(model, recorded)
    if not differences:
        _store.add_environment(folder, environment)
        return
    more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
    message = (
        f"{version.reference} does not encode as it did when it was registered: "
        f"{differences[0]}{more}"
    )
    if not all(probe.finite for probe in recorded.probes):
        diverged = ProbeMismatch(
            f"{version.reference} produces NaN or infinite embeddings, as it did when it was "
            f"registered: {differences[0]} (its training diverged)",
            hint="register an earlier checkpoint, and delete this version",
        )
        if probes == "refuse":
            raise diverged
        message = diverged.with_hint()
    elif probes == "refuse":
        raise ProbeMismatch(
            f"{message} (its files are as registered, so a library or this machine differs)",
            hint="load it in spite of this: --probes warn",
        )
    home.warn(message)
