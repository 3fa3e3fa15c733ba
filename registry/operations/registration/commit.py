"""registering: what was prepared becomes a version, or is found to be one. One entry, decided on by who holds the write lock.

What the catalog is asked is asked at a glance where that suffices, which saves the import of SQLAlchemy.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.catalog import fast_reads
from registry.core import entry as _entry
from registry.core.digest import Digest
from registry.core.version import Taken, Version
from registry.errors import (
    Busy,
    NumberTaken,
    ParentNotFound,
    StoreUnavailable,
    VersionNotFound,
)
from registry.home.home import Home
from registry.operations.shared.custom_code import record_feature
from registry.operations.shared.resolve import resolve
from registry.operations.shared.source_log import remember
from registry.results.registration import Added

from .store_files import store_small

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .pipeline import AddOptions, Prepared


def register(
    home: Home,
    name: str,
    prepared: Prepared,
    *,
    source: dict[str, Any],
    options: AddOptions,
    folder: Path | None = None,
    plan: str | None = None,
    warnings: tuple[str, ...] = (),
    probes: Digest | None = None,
    number: int | None = None,
    checkpoint: bool = False,
) -> Added:
    """Make a prepared folder a version of `name`, or find the version that has it; then its alias.

    Without a number it gets the next one. Raises NumberTaken where the number is another content's.
    """
    digest = prepared.manifest.digest
    edge = prepared.edges[0] if prepared.edges else None
    result = Added(
        None,
        False,
        prepared.manifest.kind,
        digest,
        name,
        0,
        edge.evidence if edge else None,
        edge.reference if edge else None,
        (*warnings, *prepared.warnings),
        prepared.left_out,
        prepared.rows,
        plan,
    )
    if options.dry_run:
        return _dry_run(home, result)
    if prepared.tokenizer is not None:
        source = {**source, "tokenizer": prepared.tokenizer}
    _, facts, _ = store_small(
        home, (prepared.vocabulary, prepared.facts.to_bytes(), prepared.manifest.to_bytes())
    )

    def decide() -> _entry.Body | None:
        known = _taken(home, name, number)
        spelled = known.spelled or name
        there = _registered(home, spelled, digest, number)
        if there is not None and (checkpoint or not there.checkpoint):
            return None
        for item in prepared.edges:
            if not _with_manifest(home, item.digest):
                raise ParentNotFound(
                    f"the parent {item.reference} was deleted while this was added"
                )
        if number is not None and known.manifest not in (None, digest):
            with home.reading() as connection:
                refuse_taken(connection, spelled, number, digest)
        return _entry.Register(
            spelled,
            number or known.next_number,
            digest,
            facts,
            probes,
            prepared.edges,
            message=options.message,
            checkpoint=checkpoint,
            forced=prepared.forced,
            source=source,
        )

    if any(path.endswith(".py") for path in prepared.manifest.paths):
        record_feature(home)
    entry = home.record(decide)
    version = _registered(home, name, digest, number)
    if version is None:
        raise VersionNotFound(
            f"{name} was registered and deleted again at the same moment",
            hint="run the command again",
        )
    if folder is not None and (entry is not None or prepared.originals):
        remember(home, digest, folder, prepared.originals)
    if options.alias is not None:
        from registry.operations.labels.labels import alias

        try:
            alias(home, version, options.alias)
        except (Busy, StoreUnavailable) as error:
            raise type(error)(
                f"{version.reference} is registered, but its alias {options.alias!r} could not be "
                f"set: {error}",
                hint=f"registry alias {version.reference} {options.alias}",
            ) from error
        version = resolve(home, version)
    return replace(
        result, version=version, already=entry is None, name=version.name, number=version.number
    )


def refuse_taken(connection: Connection, name: str, number: int, digest: Digest) -> None:
    """Raises NumberTaken if a version, be it a deleted one, has the number and another content."""
    from registry.catalog import queries

    there = queries.version(connection, name, number)
    if there is not None and there.digest != digest:
        raise NumberTaken(
            f"{there.reference} is another model in this registry "
            f"({there.digest.short}{', deleted' if there.deleted else ''}) than the incoming one "
            f"({digest.short})",
            hint="give it the next number with --renumber, or another name with --as NAME",
        )


def _taken(home: Home, name: str, number: int | None = None) -> Taken:
    found = fast_reads.taken(home.root, name, number)
    if found is not None:
        return found
    from registry.catalog import queries

    with home.reading() as connection:
        return queries.taken(connection, name, number)


def _with_manifest(home: Home, digest: Digest) -> list[Version]:
    found = fast_reads.with_manifest(home.root, digest)
    if found is not None:
        return found
    from registry.catalog import queries

    with home.reading() as connection:
        return queries.with_manifest(connection, digest)


def _registered(home: Home, name: str, digest: Digest, number: int | None = None) -> Version | None:
    """The version of the model that has this manifest, a checkpoint only where there is no other."""
    found = [
        version
        for version in _with_manifest(home, digest)
        if version.name.casefold() == name.casefold() and number in (None, version.number)
    ]
    return min(found, key=lambda version: version.checkpoint, default=None)


def _dry_run(home: Home, result: Added) -> Added:
    there = _registered(home, result.name, result.digest)
    number = there.number if there is not None else _taken(home, result.name).next_number
    return replace(result, version=there, already=there is not None, number=number)
