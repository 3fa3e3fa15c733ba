"""Looking: list, show, read, find. Nothing here changes anything; each takes a moment, `at`, and answers as of then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registry.core import reference as _reference
from registry.core.filters import near, parse_asked, refuse_malformed, sort_models, sort_versions
from registry.core.point_in_time import When
from registry.core.version import Model, Version
from registry.errors import Invalid, InvalidReference, VersionNotFound
from registry.home.home import Home
from registry.operations.shared.resolve import (
    VersionLike,
    entry_at,
    facts_of,
    manifest_of,
    reading_files,
    registered_as,
    resolve,
)
from registry.results.queries import Details, Found

if TYPE_CHECKING:
    from sqlalchemy import Connection


def list_models(
    home: Home, at: When | None = None, *, sort: str | None = None, ascending: bool = False
) -> tuple[Model, ...]:
    """All models, by name, or as sort says. Raises Invalid for what they cannot be sorted by."""
    from registry.catalog import queries

    with home.reading() as connection:
        found = tuple(queries.models(connection, entry_at(connection, at)))
    return found if sort is None else sort_models(found, sort, ascending=ascending)


def list_versions(
    home: Home,
    name: str,
    at: When | None = None,
    *,
    sort: str | None = None,
    ascending: bool = False,
) -> tuple[Version, ...]:
    """The versions of a model, newest first, or as sort says. Raises ModelNotFound; Invalid for what they cannot be sorted by."""
    from registry.catalog import queries

    _reference.check_name(name)
    with home.reading() as connection:
        found = tuple(queries.versions(connection, name, entry_at(connection, at)))
    return found if sort is None else sort_versions(found, sort, ascending=ascending)


def show(home: Home, version: VersionLike, at: When | None = None) -> Details:
    """One version whole: catalog, manifest and facts."""
    found = resolve(home, version, at)
    return Details(found, manifest_of(home, found).files, facts_of(home, found))


def read(home: Home, reference: str, at: When | None = None) -> bytes:
    """The bytes of the file that `name@3:path` names, as registered."""
    parsed = _reference.parse(reference)
    if parsed.path is None:
        raise InvalidReference(
            f"{reference!r} does not name a file", hint=f"write {reference}:PATH"
        )
    version = resolve(home, reference.removesuffix(f":{parsed.path}"), at)
    manifest = manifest_of(home, version)
    file = manifest.file(parsed.path)
    if file is None:
        raise VersionNotFound(
            f"{version.reference} has no file {parsed.path!r} (its files: "
            f"{', '.join(item.path for item in manifest.files)})"
        )
    with reading_files(home, version):
        return home.blobs.read(file.digest)


def find(home: Home, what: str, at: When | None = None) -> tuple[Found, ...]:
    """Versions that a text matches, or that a folder on disk is (or shares its weights, tokens or tokenizer with).

    Raises Invalid for a blank text, and for what is nearly a comparison and matches nothing as a text.
    """
    if _reference.looks_like_path(what):
        return find_folder(home, _reference.path_of(what), at)
    if not what.strip() or "\0" in what:  # behind which SQLite looks at nothing
        raise Invalid(
            "the text to find is blank or contains a null character",
            hint="give a part of a name, a token, a note, a digest, or a comparison like "
            "'eval_loss < 0.3'",
        )
    from registry.catalog import queries

    with home.reading() as connection:
        point, asked = entry_at(connection, at), parse_asked(what)
        found = tuple(Found(version, why) for version, why in queries.find(connection, what, point))
        names = queries.numbers_called(connection, point) if not found and asked is not None else []
    if not found and _reference.folder_hint(what):
        home.warn(f"nothing is registered under {what!r}; {_reference.folder_hint(what)}")
    elif not found and asked is None:
        refuse_malformed(what)
    elif not found and asked is not None and asked.key not in names:
        home.warn(
            f"no version has a number called {asked.key!r}, as metric or note{near(asked.key, names)}"
        )
    return found


def find_folder(home: Home, folder: Path, at: When | None = None) -> tuple[Found, ...]:
    """Versions with the very files of a folder, else those that share its weights or its vocabulary."""
    from registry.operations.shared.examine import examine

    found = examine(home, folder)
    with home.reading() as connection:
        point = entry_at(connection, at)
        same = registered_as(home, connection, found.contents, point)
        alike = (
            []
            if same
            else _sharing(
                connection, found.facts.weights.digest, found.facts.vocabulary.digest, point
            )
        )
    return tuple(Found(version, "the same files") for version in same) or tuple(
        Found(*item) for item in alike
    )


def _sharing(
    connection: Connection, weights: str, vocabulary: str, at: int | None
) -> list[tuple[Version, str]]:
    from registry.catalog import queries

    by_weights = queries.with_weights(connection, weights, at)
    by_vocabulary = [
        version
        for version in queries.with_vocabulary(connection, vocabulary, at)
        if version not in by_weights
    ]
    return [(version, "the same weights") for version in by_weights] + [
        (version, "the same vocabulary") for version in by_vocabulary
    ]
