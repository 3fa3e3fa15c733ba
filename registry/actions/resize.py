"""resize: a version and a token list become a resized base. Old rows stay bit-identical, and that is checked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import reference as _reference
from ..errors import FolderNotFound, InvalidTokens, ParentMismatch
from ..facts import Files
from ..home import Home, make_private
from ..results import Added, Progress
from ..version import Version
from .add import AddOptions, prepare, register
from .checkout import home_checkout
from .common import VersionLike, resolve, stored
from .parents import Known
from .provenance import provenance
from .recognise import open_folder


@dataclass(frozen=True)
class ResizeOptions:
    """How tokens are added, and what is said of the result."""

    special: bool = False
    single_word: bool = False
    normalized: bool | None = None
    init: str = "subwords"
    seed: int | None = None
    skip_existing: bool = False
    alias: str | None = None
    message: str | None = None
    run: str | None = None
    dry_run: bool = False


def resize(home: Home, version: VersionLike, name: str, tokens: os.PathLike[str] | str | Sequence[str | Mapping[str, Any]], *,
           options: ResizeOptions, progress: Progress) -> Added:
    """Add tokens to a full model and register it as `name`. Raises InvalidTokens naming every bad one."""
    _reference.check_name(name)
    if options.alias is not None:
        _reference.check_alias(options.alias)
    parent = resolve(home, version)
    if parent.kind == "adapter":
        raise ParentMismatch(f"{parent.reference} is an adapter; tokens are added to its base, {parent.parents[0].reference}, and the adapter trained anew")
    with home.store_lock.shared(timeout=60.0):
        return _resize_version(home, parent, name, tokens, options, progress)


def _resize_version(home: Home, parent: Version, name: str, tokens: Any, options: ResizeOptions, progress: Progress) -> Added:
    from ..artifacts import resize as _resize
    wanted = _resize.parse_tokens(_given(tokens), special=options.special, single_word=options.single_word, normalized=options.normalized)
    source = home_checkout(home, parent, progress=progress).folder
    make_private(home.root / "staging")
    work = Path(tempfile.mkdtemp(prefix="resize-", dir=home.root / "staging"))
    try:
        plans: list[str] = []
        report = _resize.resize(source, wanted, work / "model", model_class=parent.model_class, init=options.init, seed=options.seed,
                                skip_existing=options.skip_existing, say=lambda plan: _say(plans, plan, progress))
        files = _Resized(open_folder(home, work / "model"), stored(home, parent))
        add_options = AddOptions(None, False, parent.model_class, None, options.alias, options.message, options.run, options.dry_run)
        prepared = prepare(home, files, Known(parent, "witnessed"), model_class=parent.model_class, write=not options.dry_run, progress=progress)
        _refuse_changed_rows(parent, prepared.edges[0].role if prepared.edges else None, prepared.rows)
        record = provenance(run=options.run, how="resize", recipe=report.recipe())
        return register(home, name, prepared, source=record, options=add_options, plan="; ".join(plans), warnings=tuple(report.warnings))
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Resized:
    """What resize wrote, in the parent's bytes wherever nothing that loaders read has changed.

    Saving rewrites configurations in the form of the installed library; a file that says the same keeps the parent's bytes.
    """

    def __init__(self, written: Files, parent: Files) -> None:
        self._written, self._parent = written, parent
        there = set(parent.paths())
        self._kept = {path for path in written.paths() if path in there and _says_the_same(written, parent, path)}
        self._only_parent = [path for path in parent.paths() if path == "README.md"]

    def paths(self) -> Sequence[str]:
        """Relative paths, sorted."""
        return sorted({*self._written.paths(), *self._only_parent})

    def open(self, path: str) -> Any:
        """The file, from wherever it is taken."""
        return self._from(path).open(path)

    def size(self, path: str) -> int:
        """Bytes of the file."""
        return self._from(path).size(path)

    def _from(self, path: str) -> Files:
        return self._parent if path in self._kept or path in self._only_parent else self._written


def _says_the_same(written: Files, parent: Files, path: str) -> bool:
    from ..artifacts.encoder import same_meaning
    return same_meaning(written, parent, path)


def _given(tokens: os.PathLike[str] | str | Sequence[str | Mapping[str, Any]]) -> Any:
    """Lines of a file, or what was given from Python."""
    if not isinstance(tokens, (str, os.PathLike)):
        return tokens
    path = Path(tokens)
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InvalidTokens(f"the token list {str(path)!r} is not UTF-8") from None
    except OSError as error:
        raise FolderNotFound(f"cannot read the token list {str(path)!r}: {error.strerror}") from None


def _say(plans: list[str], plan: str, progress: Progress) -> None:
    plans.append(plan)
    progress(plan, 0, None)


def _refuse_changed_rows(parent: Version, role: str | None, rows: str | None) -> None:
    if role != "resized-from":
        raise ParentMismatch(f"the resized model is not {parent.reference} with rows added ({rows}); nothing was registered")
