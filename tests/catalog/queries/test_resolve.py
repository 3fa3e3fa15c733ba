from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection

from registry.catalog import queries
from registry.core import reference
from registry.core.entry import Delete
from registry.core.manifest import Manifest, parse
from registry.errors import (
    AliasNotFound,
    DigestMismatch,
    InvalidReference,
    ModelNotFound,
    ParentNotFound,
    RegistryError,
    VersionNotFound,
)
from tests.catalog.writing import Journal, a_digest, a_journal
from tests.support.refusals import raises


def resolve(catalog: Connection, text: str, at: int | None = None) -> str:
    return queries.resolve(catalog, reference.parse(text), at).reference


def assert_refused(
    catalog: Connection,
    text: str,
    error: type[RegistryError],
    *quoted: str,
    at: int | None = None,
) -> None:
    with raises(error, *quoted) as caught:
        resolve(catalog, text, at)
    assert type(caught.value) is error


def manifest(story: Journal, name: str, number: int) -> Manifest:
    (body,) = [
        entry.body
        for entry in story.entries
        if (entry.kind, getattr(entry.body, "name", ""), getattr(entry.body, "number", 0))
        == ("Register", name, number)
    ]
    return parse(story.blobs[body.manifest])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minilm", "minilm@1"),
        ("MiniLM@1", "minilm@1"),
        ("TEAM/med", "team/Med@1"),
        ("medical", "medical@1"),
        ("medical@latest", "medical@1"),
        ("medical@2", "medical@2"),
        ("medical@3", "medical@3"),
        ("medical@prod", "medical@1"),
        ("medical^", "team/Med@1"),
        ("medical@2^^", "minilm@1"),
        ("merged^", "team/Med@1"),
        ("medical@1:config.json", "medical@1"),
        ("hidden@1", "hidden@1"),
    ],
)
def test_a_reference_means_one_version(catalog: Connection, text: str, expected: str) -> None:
    assert resolve(catalog, text) == expected


def test_a_digest_finds_a_yanked_version_too(catalog: Connection, story: Journal) -> None:
    digest = manifest(story, "medical", 2).digest

    assert (
        resolve(catalog, f"medical@{digest}")
        == resolve(catalog, f"medical@{digest[:15]}")
        == "medical@2"
    )
    assert resolve(catalog, f"medical@2@{digest}") == "medical@2"


def test_a_parent_is_the_version_that_was_named_and_not_another_with_its_content(
    catalog: Connection,
) -> None:
    assert resolve(catalog, "team/Med^") == "minilm@1"


def test_a_parent_that_is_known_under_another_name_is_found(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    base = journal.register("base", 1, "same")
    journal.register("twin", 1, "same")
    journal.register("adapter", 1, kind="adapter", parents=(("base", base.digest, "base@1"),))
    journal.write(Delete("base", 1))

    with journal.catalogs[0].reading() as connection:
        assert resolve(connection, "adapter^") == "twin@1"


def test_a_name_that_is_nearly_there_is_named(catalog: Connection) -> None:
    assert_refused(catalog, "medicla", ModelNotFound, "'medicla'", "medical")
    assert_refused(catalog, "med@1", ModelNotFound, "'med'", "medical", "team/Med")


def test_a_name_like_no_other_brings_the_list(catalog: Connection) -> None:
    names = ("copy", "hidden", "medical", "merged", "minilm", "team/Med")
    assert_refused(catalog, "xyz", ModelNotFound, "'xyz'", *names)


def test_an_empty_registry_says_so(tmp_path: Path) -> None:
    with a_journal(tmp_path).catalogs[0].reading() as connection:
        assert_refused(connection, "minilm", ModelNotFound, "'minilm'")


def test_an_unknown_number_brings_the_known_ones(catalog: Connection) -> None:
    assert_refused(catalog, "medical@7", VersionNotFound, "medical", "7", "1-3")


def test_many_known_numbers_are_shown_from_the_newest(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for number in range(1, 30, 2):
        journal.register("gaps", number)

    with journal.catalogs[0].reading() as connection:
        newest = "29, 27, 25, 23, 21, 19, 17, 15, 13, 11, …"
        assert_refused(connection, "gaps@2", VersionNotFound, "gaps", newest)


def test_a_deleted_version_says_who_deleted_it(catalog: Connection, story: Journal) -> None:
    when = next(entry.time for entry in story.entries if entry.kind == "Delete")
    digest = manifest(story, "medical", 4).digest

    by_number = ("medical@4", when, "bob", "1-3")
    assert_refused(catalog, "medical@4", VersionNotFound, *by_number)
    by_digest = ("medical@4", digest[:19], when, "bob")
    assert_refused(catalog, f"medical@{digest[:19]}", VersionNotFound, *by_digest)


def test_an_unknown_alias_brings_the_known_ones(catalog: Connection) -> None:
    aliases = ("dev", "prod")
    assert_refused(catalog, "medical@staging", AliasNotFound, "medical", "'staging'", *aliases)
    assert_refused(catalog, "hidden@prod", AliasNotFound, "hidden", "'prod'")


def test_an_alias_of_a_yanked_version_says_how_to_have_it_all_the_same(catalog: Connection) -> None:
    yanked = ("medical@dev", "medical@2", "wrong labels")
    assert_refused(catalog, "medical@dev", VersionNotFound, *yanked)


def test_a_name_without_a_latest_version_says_why(catalog: Connection) -> None:
    assert_refused(catalog, "hidden", VersionNotFound, "hidden", " 1")
    assert_refused(catalog, "old", VersionNotFound, "old")


def test_a_digest_of_another_model_is_found_there(catalog: Connection, story: Journal) -> None:
    digest = manifest(story, "team/Med", 1).digest

    assert_refused(catalog, f"medical@{digest}", VersionNotFound, "medical", digest, "team/Med@1")


def test_a_digest_of_nothing_brings_the_known_versions(catalog: Connection) -> None:
    quoted = ("medical", "sha256:00000000", "1-3")
    assert_refused(catalog, "medical@sha256:00000000", VersionNotFound, *quoted)


def test_a_digest_that_begins_several_wants_more_digits(tmp_path: Path) -> None:
    # 32 bits in common take 100,000 tries; a reference made by hand may have fewer digits than one that is typed.
    journal = a_journal(tmp_path)
    first = journal.register("many", 1).digest
    number = 2
    while not (second := journal.register("many", number).digest).hex.startswith(first.hex[0]):
        number += 1

    several = (second.short, f"many@{number}", first.short, "many@1")
    quoted = ("many", f"sha256:{first.hex[0]}", *several)
    with journal.catalogs[0].reading() as connection, raises(InvalidReference, *quoted):
        queries.resolve(connection, reference.Reference("many", digest=first.hex[0]))


def test_a_pinned_version_that_is_another_one_is_refused(
    catalog: Connection, story: Journal
) -> None:
    there, other = manifest(story, "medical", 1).digest, a_digest("other")

    by_number = ("medical@1", str(there), str(other))
    assert_refused(catalog, f"medical@1@{other}", DigestMismatch, *by_number)
    by_alias = ("medical@prod", "medical@1", str(there), other[:15])
    assert_refused(catalog, f"medical@prod@{other[:15]}", DigestMismatch, *by_alias)


def test_a_line_ends_somewhere(catalog: Connection) -> None:
    assert_refused(catalog, "medical^^^", ParentNotFound, "minilm@1")


def test_a_parent_that_was_deleted_is_named(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    base = journal.register("base", 1)
    journal.register("adapter", 1, kind="adapter", parents=(("base", base.digest, "base@1"),))
    journal.write(Delete("base", 1))

    with journal.catalogs[0].reading() as connection:
        quoted = ("adapter@1", "base@1", base.digest.short)
        assert_refused(connection, "adapter^", ParentNotFound, *quoted)


def test_a_reference_can_be_resolved_as_of_an_entry(catalog: Connection) -> None:
    assert resolve(catalog, "medical", at=4) == "medical@1"
    assert resolve(catalog, "medical", at=5) == "medical@2"
    assert_refused(catalog, "medical@prod", AliasNotFound, "medical", "'prod'", at=5)
    assert_refused(catalog, "medical", ModelNotFound, "'medical'", "minilm", at=2)
