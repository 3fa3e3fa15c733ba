"""What several actions need: a Version from what a user gave, and the files and facts behind it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from registry.catalog import fast_reads
from registry.core import (
    facts as _facts,
    manifest as _manifest,
    point_in_time as _moment,
    reference as _reference,
)
from registry.core.facts import Facts
from registry.core.manifest import Manifest
from registry.core.point_in_time import When
from registry.core.version import ParentVersion, Version
from registry.errors import (
    BlobNotFound,
    EntryNotFound,
    InUse,
    Invalid,
    InvalidReference,
    NotFound,
    NotLoadable,
    VersionNotFound,
)
from registry.home.home import Home
from registry.store.blob_files import StoredFiles

if TYPE_CHECKING:
    from sqlalchemy import Connection


VersionLike = str | Version


def entry_at(connection: Connection, at: When | None) -> int | None:
    """The number of the entry that a moment means, None for now. Raises InvalidTime, EntryNotFound."""
    if at is None:
        return None
    from registry.catalog import queries

    parsed, head = _moment.parse(at), queries.head(connection)
    if isinstance(parsed, int):
        if not 1 <= parsed <= head:
            raise EntryNotFound(
                f"there is no entry {parsed} (entries are numbered from 1 to {head})"
            )
        return parsed
    number = queries.as_of(connection, parsed)
    if number == 0:
        raise EntryNotFound(
            f"this registry did not exist at {parsed} (its first entry is of "
            f"{queries.time_of(connection, 1)})"
        )
    return number


def look_up(connection: Connection, version: VersionLike, at: int | None = None) -> Version:
    """The version a reference means, or the Version as the catalog knows it now, or knew it right after entry `at`.

    Raises what queries.resolve raises.
    """
    from registry.catalog import queries

    text = version.pinned if isinstance(version, Version) else version
    reference = _reference.parse(text)
    if reference.path is not None:
        raise InvalidReference(
            f"{text!r} names a file, and a version is required",
            hint=f"leave out ':{reference.path}'",
        )
    return queries.resolve(connection, reference, at)


def look_up_named(connection: Connection, version: VersionLike, verb: str) -> Version:
    """As look_up, but a bare name is refused: `verb` is not done to whatever happens to be latest."""
    if isinstance(version, str) and _reference.parse(version).bare:
        raise InvalidReference(
            f"{version!r} does not name a version ({verb} does not default to the latest one)",
            hint=f"write {version}@NUMBER or {version}@ALIAS",
        )
    return look_up(connection, version)


def pointed_at(version: Version) -> InUse:
    """Return the error for a version that aliases point to, with the commands as its hint."""
    aliases = [f"{version.name}@{alias}" for alias in version.aliases]
    commands = "; ".join(f"registry alias --remove {alias}" for alias in aliases)
    point, them = ("points", "it") if len(aliases) == 1 else ("point", "them")
    return InUse(
        f"{' and '.join(aliases)} {point} to {version.reference}",
        hint=f"move {them} first, or remove {them}: {commands}",
    )


def resolve(home: Home, version: VersionLike, at: When | None = None) -> Version:
    """The version a reference means now, or meant at a moment. A yanked one is given with a warning.

    A glance suffices for most, and saves the import of SQLAlchemy.
    """
    found = at_a_glance(home, version) if at is None else None
    if found is not None:
        return found
    with home.reading() as connection:
        found = look_up(connection, version, entry_at(connection, at))
    warn_if_yanked(home, found)
    return found


def at_a_glance(home: Home, version: VersionLike) -> Version | None:
    """The version, where the catalog is up to date and the reference is a plain one, not yanked; else None."""
    return fast_reads.version(
        home.root, version.pinned if isinstance(version, Version) else version
    )


@contextlib.contextmanager
def reading_files(home: Home, *versions: Version | None) -> Iterator[None]:
    """Around what reads files of versions as of a moment: where one was deleted since and collect has freed them, BlobNotFound says so."""
    try:
        yield
    except BlobNotFound:
        for version in filter(None, versions):
            with home.reading() as connection:
                try:
                    look_up(connection, version)
                except VersionNotFound as error:
                    raise BlobNotFound(
                        f"the files of {version.reference} were freed: {error}",
                        hint=f"registry log {version.reference}, or show and lineage with --at",
                    ) from None
        raise


def still_there(connection: Connection, version: Version) -> tuple[str, int]:
    """(name, number) of a version that an entry is about to be written of. Raises VersionNotFound if it was deleted meanwhile."""
    from registry.catalog import queries

    now = queries.version(connection, version.name, version.number)
    if now is None or now.deleted or now.digest != version.digest:
        raise VersionNotFound(
            f"{version.reference} was deleted meanwhile, nothing was recorded of it"
        )
    return version.name, version.number


def warn_if_yanked(home: Home, version: Version) -> None:
    """Keep the one line that somebody who uses a yanked version should see."""
    if version.yanked:
        home.warn(f"{version.reference} was yanked: {version.yank_reason or 'no reason given'}")


def manifest_of(home: Home, version: Version) -> Manifest:
    """What the version is. Raises BlobNotFound, DigestMismatch."""
    return _manifest.parse(home.blobs.read(version.digest))


def store_of(home: Home) -> str:
    """The id of a registry, the same on every machine that has its journal; "" for one without an entry."""
    first = home.journal.read(1)
    return str(getattr(first.body, "store", "")) if first is not None else ""


def facts_of(home: Home, version: Version) -> Facts:
    """What its files say of themselves. Raises BlobNotFound, DigestMismatch."""
    return _facts.parse(home.blobs.read(version.facts))


def stored(home: Home, version: Version) -> StoredFiles:
    """Its files, read from blobs."""
    return StoredFiles(manifest_of(home, version), home.blobs)


def line_of(connection: Connection, version: Version, at: int | None = None) -> Sequence[Version]:
    """The version and all its ancestors, each once, nearest first, under the name by which its child knows it if that is still here."""
    from registry.catalog import queries

    return _followed(
        version, lambda parent: queries.with_manifest(connection, parent.digest, at, deleted=True)
    )


def line_here(home: Home, version: Version, *, whole: bool = False) -> Sequence[Version]:
    """As line_of, now. A glance suffices for most, and saves the import of SQLAlchemy.

    With whole raises NotLoadable where an ancestor was never here.
    """

    def glimpsed(parent: ParentVersion) -> Sequence[Version]:
        found = fast_reads.with_manifest(home.root, parent.digest)
        if not found:
            raise _NotToldError
        return found

    try:
        return _followed(version, glimpsed)
    except _NotToldError:
        with home.reading() as connection:
            line = line_of(connection, version)
    here = {item.digest for item in line}
    lost = next(
        ((item, parent) for item in line for parent in item.parents if parent.digest not in here),
        None,
    )
    if whole and lost is not None:
        child, parent = lost
        raise NotLoadable(
            f"{child.reference} stands on {parent.reference} ({parent.digest.short}), which is not here"
        )
    return line


class _NotToldError(Exception):
    """A glance does not suffice."""


def _followed(
    version: Version, with_manifest: Callable[[ParentVersion], Sequence[Version]]
) -> list[Version]:
    line, waiting = [], [version]
    while waiting:
        current = waiting.pop(0)
        line.append(current)
        for parent in current.parents:
            found = with_manifest(parent)
            if found and all(item.digest != parent.digest for item in (*line, *waiting)):
                waiting.append(
                    next(
                        (
                            item
                            for item in found
                            if item.reference == parent.reference and not item.deleted
                        ),
                        found[0],
                    )
                )
    return line


def registered_as(
    home: Home, connection: Connection, contents: dict[str, str], at: int | None = None
) -> list[Version]:
    """Versions whose files, adapter_config.json apart, are these: path to digest.

    An adapter's configuration is stored with its parent's digest in it, so it cannot be compared before the parent is known.
    """
    from registry.catalog import queries

    anchor = next(
        (digest for path, digest in contents.items() if path.endswith(".safetensors")), None
    )
    candidates = queries.with_file(connection, anchor, at) if anchor else []
    return [
        version
        for version in candidates
        if _contents(manifest_of(home, version))
        == {
            path: digest
            for path, digest in contents.items()
            if not path.endswith("adapter_config.json")
        }
    ]


def _contents(manifest: Manifest) -> dict[str, str]:
    return {
        file.path: file.digest
        for file in manifest.files
        if not file.path.endswith("adapter_config.json")
    }


Operand = str | os.PathLike[str] | Version


def is_folder(operand: Operand) -> bool:
    """Whether an operand is a folder: a path, or a text that starts as one."""
    return not isinstance(operand, Version) and (
        not isinstance(operand, str) or _reference.looks_like_path(operand)
    )


def meant(
    home: Home | None, operands: Sequence[Any], at: When | None, *, folders: bool = False
) -> list[Any]:
    """The operands, each reference the version that it meant then; folders, and None for what was not given, as they are.

    With folders, each could have been one, and what is raised says so.

    Raises what resolving raises, and Invalid where a moment is given and no reference.
    """
    references = [item for item in operands if item is not None and not is_folder(item)]
    if at is None or (references and home is None):
        return list(operands)
    if not references or home is None:
        raise Invalid(
            "--at requires a reference (it sets the moment at which one is resolved)",
            hint="give a reference",
        )
    ask = named if folders else resolve
    return [ask(home, item, at) if item in references else item for item in operands]


def named(home: Home, operand: VersionLike, at: When | None = None) -> Version:
    """Return the version, where a folder is accepted too. Raises what resolving raises.

    Where a folder has that name, the hint shows how it is written.
    """
    try:
        return resolve(home, operand, at)
    except (NotFound, InvalidReference) as error:
        hint = _reference.folder_hint(operand).strip()
        if not hint or "./" in error.with_hint():
            raise
        before = f"{error.hint}{'' if error.hint.endswith('?') else ';'} " if error.hint else ""
        raise type(error)(str(error), hint=f"{before}{hint}") from None
