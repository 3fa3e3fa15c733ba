from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from registry.catalog import fast_reads, queries
from registry.catalog.fast_reads import Glimpse
from registry.catalog.migrate import REVISION, file_name
from registry.catalog.reader import Catalog
from registry.core import reference
from registry.core.entry import Delete
from registry.errors import RegistryError
from tests.catalog.writing import Journal, a_journal, fold


@pytest.fixture
def home(tmp_path: Path, story: Journal) -> Iterator[Path]:
    """A home with the story's journal and catalog."""
    (tmp_path / "journal").mkdir()
    for entry in story.entries:
        (tmp_path / "journal" / f"{entry.number:020}.json").write_bytes(entry.to_bytes())
    catalog = fold(story, tmp_path / "catalog")
    yield tmp_path
    catalog.close()


def everything(home: Path) -> list[object]:
    return [
        fast_reads.list_models(home),
        fast_reads.list_versions(home, "medical"),
        fast_reads.resolve(home, "medical@1"),
        fast_reads.complete(home, "m"),
    ]


def as_queries_say(catalog: Connection, text: str) -> Glimpse | None:
    try:
        version = queries.resolve(catalog, reference.parse(text))
    except RegistryError:
        return None
    base = next(
        (
            parent.digest
            for parent in version.parents
            if parent.role == "base" and version.kind == "adapter"
        ),
        None,
    )
    return Glimpse(
        version.name, version.number, version.digest, version.kind, version.model_class, base
    )


def test_models_and_versions_are_those_that_queries_give(home: Path, catalog: Connection) -> None:
    models = queries.models(catalog)

    assert fast_reads.list_models(home) == models
    assert [fast_reads.list_versions(home, model.name.upper()) for model in models] == [
        queries.versions(catalog, model.name) for model in models
    ]
    assert fast_reads.list_versions(home, "old") == queries.versions(catalog, "old") == []


def test_copies_and_versions_of_a_manifest_are_those_that_queries_give(
    home: Path, catalog: Connection
) -> None:
    versions = [
        version
        for model in queries.models(catalog)
        for version in queries.versions(catalog, model.name)
    ]
    copies = queries.copies(catalog)

    assert copies and fast_reads.copies(home) == copies
    assert [fast_reads.copies(home, name=copy.name.upper()) for copy in copies] == [
        queries.copies(catalog, name=copy.name) for copy in copies
    ]
    assert [fast_reads.copies(home, repository=copy.repository) for copy in copies] == [
        queries.copies(catalog, repository=copy.repository) for copy in copies
    ]
    for version in versions:
        assert fast_reads.with_manifest(home, version.digest) == queries.with_manifest(
            catalog, version.digest
        )
        assert fast_reads.copies(home, manifest=version.digest) == queries.copies(
            catalog, manifest=version.digest
        )
        assert fast_reads.knows(home, [], [version.digest]) and fast_reads.knows(
            home, ["nothing", version.name.upper()], []
        )
    assert fast_reads.with_manifest(home, "sha256:" + "0" * 64) == []
    assert fast_reads.knows(home, ["nothing"], ["sha256:" + "0" * 64]) is False


@pytest.mark.parametrize(
    "text",
    [
        "minilm",
        "MiniLM@1",
        "team/med",
        "medical",
        "medical@latest",
        "medical@3",
        "medical@prod",
        "merged",
        "medical@4",
        "medical@7",
        "medical@x",
        "old",
        "hidden",
        "nothing",
        "medical@dev",
        "medical@1@sha256:00000000",
        "medical@sha256:00000000",
        "a text that is no reference",
        "./medical",
    ],
)
def test_a_reference_means_what_queries_say(home: Path, catalog: Connection, text: str) -> None:
    expected = (
        as_queries_say(catalog, text) if " " not in text and not text.startswith(".") else None
    )

    assert fast_reads.resolve(home, text) == expected
    assert fast_reads.version(home, text) == (
        expected and queries.version(catalog, expected.name, expected.number)
    )


def test_a_digest_means_what_queries_say(home: Path, catalog: Connection) -> None:
    versions = {version.reference: version for version in queries.versions(catalog, "medical")}

    found = [
        fast_reads.resolve(home, f"medical@{versions['medical@3'].digest[:15]}"),
        fast_reads.resolve(home, versions["medical@3"].pinned),
        fast_reads.resolve(home, f"medical@prod@{versions['medical@1'].digest}"),
    ]

    assert found == [
        as_queries_say(catalog, "medical@3"),
        as_queries_say(catalog, "medical@3"),
        as_queries_say(catalog, "medical@1"),
    ]
    assert fast_reads.resolve(home, f"medical@prod@{versions['medical@3'].digest}") is None


@pytest.mark.parametrize("text", ["medical@2", "medical^", "medical@1:config.json"])
def test_what_takes_a_warning_or_another_version_goes_the_long_way(home: Path, text: str) -> None:
    assert fast_reads.resolve(home, text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m", ["medical", "merged", "minilm"]),
        ("old", []),
        ("x", []),
        ("team/", ["team/Med"]),
        ("minilm", ["minilm", "minilm@prod", "minilm@latest", "minilm@1"]),
        (
            "Medical@",
            [
                "Medical@dev",
                "Medical@prod",
                "Medical@latest",
                "Medical@3",
                "Medical@2",
                "Medical@1",
            ],
        ),
        ("medical@p", ["medical@prod"]),
        ("medical@3", ["medical@3"]),
        ("nothing@", []),
    ],
)
def test_completion_offers_what_can_be_meant(home: Path, text: str, expected: list[str]) -> None:
    assert fast_reads.complete(home, text) == expected


def test_completion_offers_the_newest_of_many(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "catalog")
    for number in range(1, 120):
        journal.register("many", number, "same")
    (tmp_path / "journal").mkdir()
    for number in (1, len(journal.entries)):
        (tmp_path / "journal" / f"{number:020}.json").touch()

    offered = fast_reads.complete(tmp_path, "many@")

    assert offered is not None
    assert (offered[:2], offered[-1], len(offered)) == (["many@latest", "many@119"], "many@20", 101)


def test_a_catalog_behind_its_journal_answers_nothing(home: Path, story: Journal) -> None:
    (home / "journal" / f"{len(story.entries) + 1:020}.json").touch()

    assert everything(home) == [None] * 4


def test_a_catalog_ahead_of_its_journal_answers_nothing(home: Path, story: Journal) -> None:
    (home / "journal" / f"{len(story.entries):020}.json").unlink()

    assert everything(home) == [None] * 4


@pytest.mark.parametrize("content", [b"", b"no catalog at all" * 100])
def test_a_damaged_catalog_answers_nothing(home: Path, content: bytes) -> None:
    (home / "catalog" / file_name(REVISION, 2)).write_bytes(content)

    assert everything(home) == [None] * 4


def test_a_home_without_a_catalog_and_no_home_answer_nothing(tmp_path: Path) -> None:
    assert everything(tmp_path) == everything(tmp_path / "missing") == [None] * 4


def test_an_empty_catalog_answers_nothing(tmp_path: Path) -> None:
    Catalog.create(tmp_path / "catalog")

    assert everything(tmp_path) == [None] * 4


def test_the_newest_generation_answers(home: Path, story: Journal) -> None:
    new = Catalog.new_generation(home / "catalog")
    before = fast_reads.list_models(home)
    new.close()
    new.path.unlink()

    assert before is None
    assert fast_reads.list_models(home) is not None


def test_what_was_just_written_and_not_yet_put_into_the_file_is_seen(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "catalog")
    (tmp_path / "journal").mkdir()
    journal.register("a", 1)
    journal.write(Delete("a", 1))
    for number in (1, 3):
        (tmp_path / "journal" / f"{number:020}.json").touch()

    assert fast_reads.list_models(tmp_path) == []


def test_a_glance_imports_neither_sqlalchemy_nor_alembic(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from registry.catalog import fast_reads as glance\n"
        "glance.list_models(Path(sys.argv[1])); print([name for name in ('sqlalchemy', 'alembic') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(home)], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_what_is_given_away_of_a_name_is_what_queries_say(home: Path, catalog: Connection) -> None:
    asked = [
        ("MEDICAL", None),
        ("medical", 1),
        ("medical", 4),
        ("medical", 99),
        ("old", 1),
        ("nothing", 1),
    ]

    told = [fast_reads.taken(home, name, number) for name, number in asked]

    assert told == [queries.taken(catalog, name, number) for name, number in asked]
    assert told[0] is not None
    assert (told[0].spelled, told[0].next_number, told[0].manifest) == ("medical", 5, None)
