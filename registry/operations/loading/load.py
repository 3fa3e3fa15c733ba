"""load: a version becomes a working model of its class, verified on disk, asked when loaded, and probed in each new environment."""

from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.core.digest import Digest
from registry.core.progress import Progress
from registry.core.settings import PROBES, VERIFY_AGE, read_config, seconds
from registry.core.text import counted
from registry.core.version import Version
from registry.errors import (
    DigestMismatch,
    Invalid,
    NotLoadable,
    ProbeMismatch,
    RegistryError,
    StoreUnavailable,
    VersionNotFound,
)
from registry.home.home import Home
from registry.operations.shared.resolve import VersionLike, facts_of, resolve
from registry.store import checkout as _store

from . import multi_adapter
from .checkout import folders_of, home_checkout

if TYPE_CHECKING:
    from registry.core.facts import Token
    from registry.runtime.model_state import ModelState
    from registry.runtime.probes import Difference

_DAY = 24 * 60 * 60
_CHANGES = 3
"""How many changes of a model are named."""
_loaded: weakref.WeakKeyDictionary[Any, tuple[Path, Version]] = weakref.WeakKeyDictionary()
"""What load made an object from, whatever was done to it since."""
_now: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()
"""What an object was when it was loaded, or saved last."""


@dataclass(frozen=True)
class _Known:
    root: Path
    version: Version
    state: ModelState
    keywords: tuple[str, ...] = ()
    """Keywords of load that made it another model than the version."""


def load(
    home: Home,
    version: VersionLike,
    *,
    probes: str,
    progress: Progress,
    adapters: Mapping[str, VersionLike] | None = None,
    verify: bool = False,
    **kwargs: Any,
) -> Any:
    """The model as registered, an object of its class; with adapters, that base with all of them on, the first one acting.

    Keywords go through to the class. With verify all files are hashed, else the small
    ones, and weights whose last full hash is older than `config load.verify-age`.

    Raises DigestMismatch if what was loaded is not what lies in the store, ProbeMismatch if a recorded text encodes otherwise.
    """
    if probes not in PROBES:
        raise Invalid(f"probes cannot be {probes!r}", hint=f"use one of {', '.join(PROBES)}")
    found = resolve(home, version)
    beside = multi_adapter.chosen(home, found, adapters) if adapters is not None else {}
    folder = home_checkout(home, found, progress=progress).folder
    from registry.runtime import loading, model_state

    facts = facts_of(home, found)
    progress("loading", 0, None)
    model = _hashed_meanwhile(
        home,
        found,
        0.0 if verify else _verify_age(home),
        lambda: loading.load(folder, found.model_class, **kwargs),
        progress,
    )
    described = model_state.describing(model)
    problems = loading.ask(
        model, facts, folder=folder, adapter=found.kind == "adapter", kwargs=kwargs
    )
    if problems:
        raise DigestMismatch(
            f"{found.reference} was loaded, and is not what was registered: {'; '.join(problems)}"
        )
    model.eval()  # as encoding does, so that the modes are equal before and after it
    state = described()
    equal_tokens = loading.equal_added_tokens(model)
    if equal_tokens:
        _compare_ids(home, found, model, equal_tokens, probes)
    if probes != "skip" and found.probes is not None:
        _probe(home, found, found.probes, folder, model, kwargs, probes)
        model.eval()
    if beside:
        multi_adapter.put_on(home, model, beside, progress=progress)
        state = model_state.describe(model)
    _loaded[model] = (home.root, found)
    keywords = tuple(loading.changing_keywords(kwargs, facts))
    _now[model] = _Known(home.root, found, state, keywords)
    return model


def _hashed_meanwhile(
    home: Home, version: Version, age: float, build: Callable[[], Any], progress: Progress
) -> Any:
    """Build a model, and meanwhile hash the weights whose last full hash is `age`
    seconds old.

    Where bytes were damaged under an unchanged stamp, the checkout is made again from
    the store, and so is the model. Raises DigestMismatch where the store is damaged, too.
    """
    due = {folder: _store.due(folder, age) for folder in folders_of(home, version)}
    count = sum(map(len, due.values()))
    if not count:
        return build()
    began = time.monotonic()
    with ThreadPoolExecutor(1, "hash") as pool:
        hashing = pool.submit(
            lambda: [
                path for folder, paths in due.items() for path in _store.hash_again(folder, paths)
            ]
        )
        try:
            model = build()
        except RegistryError:
            if not hashing.result():
                raise
        damaged = hashing.result()
    if damaged:
        home_checkout(home, version, progress=progress, trust_stamps=False)
        return build()
    home.warn(
        f"hashed {counted(count, 'file')} of weights of {version.reference} again in "
        f"{time.monotonic() - began:.1f} s (the last full hash was older than {age / _DAY:g} days)"
        if age
        else f"hashed all files of {version.reference}"
    )
    return model


def _verify_age(home: Home) -> float:
    """Return the age in seconds from which weights are hashed again."""
    try:
        age = read_config(home.root).get("load.verify-age")
        return seconds(age) if age is not None else VERIFY_AGE
    except (Invalid, StoreUnavailable):
        return VERIFY_AGE


def is_version(
    home: Home, model: Any, version: Version, adapters: Mapping[str, Version] | None = None
) -> None:
    """Remember that an object is this version now, or with adapters, by name, the base of them."""
    from registry.runtime.model_state import describe

    if adapters is not None:
        multi_adapter.know(model, adapters)
    _now[model] = _Known(home.root, version, describe(model))


def passed_as(model: Any, probes: Digest) -> str:
    """The line that a checkout's marker holds where these probes have passed in this environment; other probes have not by that."""
    from registry.runtime.probes import environment_name

    return f"probes={probes.short} {environment_name(model)}"


def version_of(home: Home, model: Any) -> Version:
    """Return the version that this object is: what load made it from, or save of it
    last.

    Of several adapters it is the active one, of none the base. The comparison covers
    the structure, the settings, the tokenizer, the types, the active adapters and all
    bits of all parameters, not the device. Raises VersionNotFound, which names what
    changed, for an object that is not a version of this registry, or is a changed one.
    """
    from registry.runtime.model_state import describe

    try:
        known = _now.get(model)
    except TypeError:
        known = None
    name = type(model).__name__
    if known is None or known.root != home.root:
        raise VersionNotFound(f"this {name} was not loaded from the registry at {str(home.root)!r}")
    version = _acting_version(model, known.version)
    if known.keywords:
        raise VersionNotFound(
            f"this {name} is {version.reference} changed by {', '.join(known.keywords)}",
            hint="load it without these keywords",
        )
    changes = list(itertools.islice(known.state.changes(describe(model)), _CHANGES + 1))
    if changes:
        more = " and more" if len(changes) > _CHANGES else ""
        raise VersionNotFound(
            f"this {name} was {version.reference} and was changed since: "
            f"{'; '.join(changes[:_CHANGES])}{more}",
            hint="register its present state as a version: registry.save(model, NAME)",
        )
    return resolve(home, version)


def _acting_version(model: Any, version: Version) -> Version:
    """Return the version whose adapter is active.

    Raises VersionNotFound if several are, or parts.
    """
    from registry.runtime import active_adapters

    acting = multi_adapter.acting(model)
    if acting is not None and len(acting) > 1:
        shown = ", ".join(f"{name} ({active.reference})" for name, active in acting.items())
        raise VersionNotFound(
            f"{len(acting)} adapters are active on {version.reference} and form no single "
            f"version: {shown}"
        )
    if acting is None or acting:
        try:
            active_adapters.acting(model)
        except (Invalid, NotLoadable) as error:
            raise VersionNotFound(
                f"this {type(model).__name__} was {version.reference} and was changed since: {error}",
                hint=error.hint,
            ) from None
    return next(iter(acting.values())) if acting else version


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


def _compare_ids(
    home: Home, version: Version, model: Any, groups: Sequence[Sequence[Token]], probes: str
) -> None:
    """Compare the ids of added tokens between which the tokenizer chooses at random.

    Such versions were registered before the check ambiguous-tokens existed. Each load
    may choose other ids, so the environments in which probes passed count for nothing.
    """
    from registry.model_files.tokenizer.ambiguous_tokens import describe_equal
    from registry.runtime.probes import other_ids, parse

    ids = {token.id for group in groups for token in group}
    differences: tuple[Difference, ...] = ()
    contained: frozenset[int] = frozenset()
    if version.probes is not None:
        recorded = parse(home.blobs.read(version.probes))
        differences, contained = other_ids(model, recorded, ids)
    if differences:
        message = (
            f"{version.reference} was loaded with other token ids than it was registered with: "
            f"{differences[0]} ({describe_equal(groups)})"
        )
        if probes != "warn":
            raise ProbeMismatch(
                message,
                hint="load it again until the ids agree, or resize and train again with one "
                "spelling of these tokens",
            )
        home.warn(message)
    unproved = [group for group in groups if not any(token.id in contained for token in group)]
    if unproved:
        home.warn(
            f"{version.reference}: {describe_equal(unproved)}; no probe contains them, so whether "
            "the ids are those of the registration is not known"
        )


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
