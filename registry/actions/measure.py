"""measure: a folder that is to become a version is loaded as its users will load it, and says what it encodes.

It must load as it lies, an adapter must change something, and what it encodes is kept as probes. The files come from the store,
so what is measured is what was registered.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..digest import Digest
from ..errors import FolderNotFound, Invalid, NoEffect, NotLoadable, reason
from ..facts import Facts, Files, Token
from ..home import Home
from ..manifest import Manifest
from ..progress import Progress
from ..version import Version
from .checkout import base_path, home_checkout
from .common import stored
from .staging import lay_out, staging

if TYPE_CHECKING:
    from ..artifacts.effect import Effect
    from ..artifacts.probes import Given, Probes

EFFECT = "adapter-effect"
"""Id of the check that an adapter changes something."""

Texts = os.PathLike[str] | str | Sequence[Any]


@dataclass(frozen=True)
class Subject:
    """What is measured: the files, what they are, and for an adapter the folder of its base and how to load that."""

    files: Files
    model_class: str
    paths: tuple[str, ...]
    facts: Facts
    base: str | None = None
    """Where an adapter's configuration finds its base's weights."""
    load_base: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Measured:
    """What a measurement found."""

    probes: Probes
    effect: Effect | None
    """Of an adapter."""
    warnings: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folder:
    """A folder as it will be registered, and its parent."""

    files: Files
    manifest: Manifest
    facts: Facts
    parent: Version | None


def measured(home: Home, name: str, folder: Folder, *, given: Texts | None, forced: Sequence[str], overruled: Sequence[str], write: bool,
             progress: Progress) -> tuple[Digest | None, tuple[str, ...], tuple[str, ...]]:
    """(probes as a blob, warnings, checks that were let pass) of what is to become a version of `name`.

    Nothing is measured where the model has this very version, nor what was measured under another name.
    """
    from ..catalog import queries
    texts = read_given(given)
    with home.reading() as connection:
        same = queries.with_manifest(connection, folder.manifest.digest)
    if any(version.name.casefold() == name.casefold() for version in same):
        said = "it is registered already, so the probes were not added; to add them: registry check REF --record --probes FILE"
        return None, (said,) if texts else (), ()
    known = next((version.probes for version in same if version.probes is not None and set(version.forced) <= set(overruled)), None)
    if known is not None and not texts:
        return known, (), ()
    with subject_of(home, folder, lasting=write, progress=progress) as subject:
        found = measure(home if write else None, subject, given=texts, forced=forced, progress=progress)
    return (home.blobs.add(found.probes.to_bytes()) if write else None), found.warnings, found.forced


def measure(home: Home | None, subject: Subject, *, given: Sequence[Given], forced: Sequence[str], progress: Progress) -> Measured:
    """Load the files as they lie, and encode. Raises NotLoadable, NoEffect."""
    from ..artifacts import loading, probes
    with loaded(home, subject, progress) as (model, folder):
        progress("measuring", 0, None)
        made = probes.record(model, subject.facts.vocabulary.added, given)
        found = effect_of(model, folder, subject, made) if subject.facts.adapter is not None else None
        warnings, overruled = judge(found, forced) if found is not None else ((), ())
        problems = loading.ask(model, subject.facts, folder=folder, adapter=subject.facts.adapter is not None)
        if problems:
            raise NotLoadable(f"it was loaded as users will load it, and is not what lies in its files: {'; '.join(problems[:3])}")
        return Measured(made, found, warnings, overruled)


@contextlib.contextmanager
def loaded(home: Home | None, subject: Subject, progress: Progress) -> Iterator[tuple[Any, Path]]:
    """(the model, the folder it was loaded from), the files laid out for the moment. Raises NotLoadable."""
    progress("loading", 0, None)
    from ..artifacts import loading
    with staging(home, "measure-") as work:
        folder = lay_out(subject.files, subject.paths, work / "model", base=subject.base)
        yield loading.load(folder, subject.model_class, device="cpu"), folder


def effect_of(model: Any, folder: Path, subject: Subject, made: Probes | None = None) -> Effect:
    """What the adapter of a loaded model changes; made is what this model just made of texts, so that none is encoded twice."""
    from ..artifacts.adapter import read_config
    from ..artifacts.effect import effect
    from ..artifacts.probes import encodings
    config = read_config(subject.files)
    trained = subject.facts.adapter.trainable_tokens if subject.facts.adapter is not None else ()
    added = subject.facts.vocabulary.added
    words = [token.content for token in _trained_first(added, trained)]
    biases = config.fields.get("bias") not in (None, "none", False)
    known = encodings(made) if made is not None else {}
    return effect(model, folder, words=words, trained=trained, parent=subject.load_base if biases else None, known=known)


def judge(found: Effect, forced: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(warnings, ids of checks that were let pass). Raises NoEffect for an adapter that changes nothing."""
    from ..artifacts.checks import refusal
    from ..artifacts.effect import NOISE
    if found.largest > 0:
        small = f"the adapter changes encodings by {found.largest:.1g} at most ({found.where}), no more than noise"
        return ((small,) if found.largest < NOISE else ()), ()
    said = no_effect(found)
    if EFFECT not in forced:
        raise NoEffect(refusal(EFFECT, f"{said} (if it is meant to be untrained: --allow-no-effect)", judgement=True))
    return (f"forced {EFFECT}: {said}",), (EFFECT,)


def no_effect(found: Effect) -> str:
    """The sentence on an adapter that changes nothing."""
    if not found.lost:
        return "with and without the adapter, every text encodes to the same bits, though all of its tensors are in the loaded model"
    more = f" and {len(found.lost) - 1} more" if len(found.lost) > 1 else ""
    return (f"with and without the adapter, every text encodes to the same bits: {found.lost[0]!r}{more} did not land in the loaded model; "
            "save it again with save_pretrained of the model that it was trained in")


def read_given(texts: Texts | None) -> tuple[Given, ...]:
    """The texts of a file, or those given from Python. Raises FolderNotFound, Invalid."""
    if texts is None:
        return ()
    from ..artifacts.given import parse_given
    if not isinstance(texts, (str, os.PathLike)):
        return parse_given(texts)
    path = Path(texts)
    try:
        return parse_given(path.read_text(encoding="utf-8-sig").split("\n"), path.name)
    except UnicodeDecodeError:
        raise Invalid(f"the probes {str(path)!r} are not UTF-8") from None
    except OSError as error:
        raise FolderNotFound(f"cannot read the probes {str(path)!r}: {reason(error)}") from None


@contextlib.contextmanager
def subject_of(home: Home, folder: Folder, *, lasting: bool, progress: Progress) -> Iterator[Subject]:
    """What is to be measured, while an adapter's base lies unpacked: in the home's own checkout, or if nothing is to last in a folder
    that goes away again.
    """
    parent = folder.parent
    if folder.manifest.kind != "adapter" or parent is None:
        yield Subject(folder.files, folder.manifest.model_class, folder.manifest.paths, folder.facts)
    elif lasting:
        yield _on(home, folder, parent, home_checkout(home, parent, progress=progress).folder)
    else:
        with staging(None, "registry-base-") as work:
            there = stored(home, parent)
            yield _on(home, folder, parent, lay_out(there, there.paths(), work / "base"))


def _on(home: Home, folder: Folder, parent: Version, place: Path) -> Subject:
    from ..artifacts import loading
    return Subject(folder.files, folder.manifest.model_class, folder.manifest.paths, folder.facts, base_path(home, parent, place),
                   lambda: loading.load(place, parent.model_class, device="cpu"))


def _trained_first(added: Sequence[Token], trained: Sequence[int]) -> list[Token]:
    chosen = set(trained)
    return sorted(added, key=lambda token: token.id not in chosen)
