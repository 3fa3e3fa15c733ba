"""resize: a version and a token list become a resized base. Old rows stay bit-identical, and that is checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.core import reference as _reference
from registry.core.facts import Token
from registry.core.progress import Progress
from registry.core.provenance import FORMAT
from registry.core.version import Version
from registry.errors import InvalidTokens, ParentMismatch
from registry.home.home import Home
from registry.model_files.tokenizer.token_file import read_token_file
from registry.operations.loading.checkout import home_checkout
from registry.operations.shared.custom_code import derived_folder
from registry.operations.shared.input_file import input_bytes
from registry.operations.shared.resolve import VersionLike, resolve
from registry.operations.shared.staging import staging
from registry.results.registration import Added

from .commit import register
from .measure import record_probes
from .parents import Known
from .pipeline import AddOptions, Prepared, prepare
from .provenance import provenance


@dataclass(frozen=True, kw_only=True)
class ResizeOptions:
    """How tokens are added, and what is said of the result."""

    special: bool = False
    single_word: bool = False
    normalized: bool | None = None
    init: str = "subwords"
    seed: int | None = None
    skip_existing: bool = False
    column: str | None = None
    literal: bool = False
    alias: str | None = None
    message: str | None = None
    run: str | None = None
    dry_run: bool = False


def resize(
    home: Home,
    version: VersionLike,
    name: str,
    tokens: os.PathLike[str] | str | Sequence[str | Mapping[str, Any]],
    *,
    options: ResizeOptions,
    progress: Progress,
) -> Added:
    """Add tokens to a full model and register it as `name`. Raises InvalidTokens naming every bad one."""
    _reference.check_name(name)
    if options.alias is not None:
        _reference.check_alias(options.alias)
    parent = resolve(home, version)
    if parent.kind == "adapter":
        raise ParentMismatch(
            f"{parent.reference} is an adapter, and tokens are added to a full model",
            hint=f"add the tokens to its base, {parent.parents[0].reference}, and train the "
            "adapter again",
        )
    given = _read_tokens(tokens, column=options.column, literal=options.literal)
    with home.adding():
        return _resize(home, parent, name, given, options, progress)


def _resize(
    home: Home, parent: Version, name: str, tokens: Any, options: ResizeOptions, progress: Progress
) -> Added:
    from registry.runtime.resize import resize as _artifacts

    source = home_checkout(home, parent, progress=progress).folder
    with staging(home, "resize-") as work:
        measured: list[bytes] = []

        def measure(model: Any, added: Sequence[Token]) -> None:
            progress("measuring", 0, None)
            measured.append(record_probes(model, added))

        report = _artifacts.resize(
            source,
            tokens,
            work / "model",
            model_class=parent.model_class,
            init=options.init,
            seed=options.seed,
            special=options.special,
            single_word=options.single_word,
            normalized=options.normalized,
            skip_existing=options.skip_existing,
            literal=options.literal,
            say=lambda plan: progress(plan, 0, None),
            measure=None if options.dry_run else measure,
        )
        prepared = prepare(
            home,
            derived_folder(home, work / "model", parent),
            Known(parent, "witnessed"),
            model_class=parent.model_class,
            write=not options.dry_run,
            progress=progress,
            linted=True,
        )
        _refuse_changed_rows(parent, prepared)
        probes = home.blobs.add(measured[0]) if measured else None
        record = provenance(
            run=options.run, how="resize", recipe={"format": FORMAT, **report.recipe()}
        )
        said = AddOptions(
            alias=options.alias, message=options.message, run=options.run, dry_run=options.dry_run
        )
        return register(
            home,
            name,
            prepared,
            source=record,
            options=said,
            plan=report.plan.text,
            warnings=report.warnings,
            probes=probes,
        )


def _read_tokens(
    tokens: os.PathLike[str] | str | Sequence[str | Mapping[str, Any]],
    *,
    column: str | None,
    literal: bool,
) -> Any:
    """Return the words of a file, or those given from Python."""
    if isinstance(tokens, (str, os.PathLike)):
        path = _reference.path_of(tokens)
        content = input_bytes(path, "token list")
        return read_token_file(content, path, column=column, literal=literal)
    if column is not None:
        raise InvalidTokens(
            f"the column {column!r} has no effect on a list of words",
            hint="give a CSV or TSV file, or the words without a column",
        )
    return tokens


def _refuse_changed_rows(parent: Version, prepared: Prepared) -> None:
    if [edge.role for edge in prepared.edges] != ["resized-from"]:
        raise ParentMismatch(
            f"the result is not {parent.reference} with rows added ({prepared.rows}), nothing "
            "was registered"
        )
