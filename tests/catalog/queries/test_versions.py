from __future__ import annotations

from sqlalchemy import Connection

from registry.catalog import queries
from registry.core.manifest import File
from registry.core.version import Model, ParentVersion, Version
from registry.errors import ModelNotFound
from tests.catalog.conftest import HUB, TOKENS
from tests.catalog.writing import Journal, a_digest, a_manifest, some_facts
from tests.support.refusals import raises


def references(versions: list[Version]) -> list[str]:
    return [version.reference for version in versions]


def the(catalog: Connection, name: str, number: int) -> Version:
    found = queries.version(catalog, name, number)
    assert found is not None
    return found


def test_models_are_listed_by_name_with_what_is_latest(catalog: Connection, story: Journal) -> None:
    times = {entry.number: entry.time for entry in story.entries}

    models = queries.models(catalog)

    assert [model.name for model in models] == [
        "copy",
        "hidden",
        "medical",
        "merged",
        "minilm",
        "team/Med",
    ]
    assert models[2] == Model(
        "medical", 3, 1, "adapter", "SentenceTransformer", {"dev": 2, "prod": 1}, times[18]
    )
    assert models[1] == Model("hidden", 1, None, "base", "SentenceTransformer", {}, times[17])
    assert models[3].model_class == "SparseEncoder"


def test_versions_are_listed_newest_first_without_deleted_ones(catalog: Connection) -> None:
    assert references(queries.versions(catalog, "Medical")) == [
        "medical@3",
        "medical@2",
        "medical@1",
    ]
    assert queries.versions(catalog, "old") == []


def test_versions_of_no_model_are_an_error(catalog: Connection) -> None:
    with raises(ModelNotFound, "'medicla'", "medical"):
        queries.versions(catalog, "medicla")


def test_a_version_has_all_that_its_entry_its_manifest_and_its_facts_say(
    catalog: Connection, story: Journal
) -> None:
    parent = a_manifest("minilm@1").digest
    facts = some_facts("team/med@1", tokens=TOKENS)

    assert the(catalog, "team/med", 1) == Version(
        name="team/Med",
        number=1,
        digest=a_manifest("team/med@1", kind="resized", parents=(("resized-from", parent),)).digest,
        kind="resized",
        model_class="SentenceTransformer",
        facts=story.add(facts.to_bytes()),
        probes=None,
        parents=(ParentVersion("resized-from", "minilm@1", parent, "given"),),
        aliases=(),
        latest=True,
        yanked=False,
        yank_reason=None,
        deleted=False,
        checkpoint=False,
        message=None,
        notes={},
        source={},
        forced=(),
        created_at=story.entries[2].time,
        created_by="anna",
        entry=3,
        size=1600,
        vocabulary=facts.vocabulary.digest,
        vocabulary_size=102,
        added=2,
        weights=facts.weights.digest,
        parameters=880,
        dtype="F32",
    )


def test_a_version_has_what_was_said_of_it_later(catalog: Connection) -> None:
    first, second = the(catalog, "medical", 1), the(catalog, "medical", 2)

    assert (first.aliases, first.notes, first.latest, first.yanked) == (
        ("prod",),
        {"mrr": "0.5", "owner": "Anna"},
        True,
        False,
    )
    assert (second.aliases, second.notes, second.latest, second.yanked, second.yank_reason) == (
        ("dev",),
        {},
        False,
        True,
        "wrong labels",
    )
    assert (the(catalog, "hidden", 1).yanked, the(catalog, "hidden", 1).yank_reason) == (True, None)
    assert the(catalog, "minilm", 1).source == HUB


def test_a_deleted_version_is_shown_as_it_was_before(story: Journal, catalog: Connection) -> None:
    gone, before = the(catalog, "medical", 4), queries.version(catalog, "medical", 4, at=17)

    assert before is not None
    assert (gone.deleted, gone.latest, before.deleted, before.latest) == (True, False, False, True)
    assert (gone.facts, gone.kind, gone.parents) == (before.facts, before.kind, before.parents)


def test_a_version_is_deleted_from_the_deleting_entry_on(catalog: Connection) -> None:
    before, after = (
        queries.version(catalog, "medical", 4, at=17),
        queries.version(catalog, "medical", 4, at=18),
    )

    assert before is not None
    assert after is not None
    assert (before.deleted, after.deleted) == (False, True)
    assert references(queries.versions(catalog, "medical", at=17))[0] == "medical@4"
    assert references(queries.versions(catalog, "medical", at=18))[0] == "medical@3"


def test_what_never_was_is_none(catalog: Connection) -> None:
    assert queries.version(catalog, "medical", 5) is None
    assert queries.version(catalog, "nothing", 1) is None


def test_a_number_is_never_given_twice(catalog: Connection) -> None:
    assert queries.taken(catalog, "MEDICAL").next_number == 5
    assert queries.taken(catalog, "old").next_number == 2
    assert queries.taken(catalog, "nothing").next_number == 1


def test_a_name_keeps_its_first_spelling(catalog: Connection) -> None:
    assert queries.spelled(catalog, "TEAM/MED") == "team/Med"
    assert queries.spelled(catalog, "nothing") is None


def test_aliases_of_a_model(catalog: Connection) -> None:
    assert queries.aliases(catalog, "Medical") == {"dev": 2, "prod": 1}
    assert queries.aliases(catalog, "nothing") == {}


def test_children_name_a_manifest_as_a_parent(catalog: Connection) -> None:
    resized = the(catalog, "team/Med", 1)

    assert references(queries.children(catalog, resized.digest)) == [
        "medical@3",
        "medical@2",
        "medical@1",
        "merged@1",
    ]
    assert references(queries.children(catalog, the(catalog, "medical", 1).digest)) == ["merged@1"]
    assert references(queries.children(catalog, resized.digest, at=4)) == ["medical@1"]


def test_one_manifest_may_have_several_names(catalog: Connection) -> None:
    assert references(queries.with_manifest(catalog, the(catalog, "minilm", 1).digest)) == [
        "copy@1",
        "minilm@1",
    ]


def test_deleted_versions_of_a_manifest_come_last_and_only_when_asked_for(
    catalog: Connection,
) -> None:
    old = the(catalog, "old", 1).digest

    assert queries.with_manifest(catalog, old) == []
    assert references(queries.with_manifest(catalog, old, deleted=True)) == ["old@1"]


def test_versions_are_found_by_what_they_share(catalog: Connection) -> None:
    base, adapter = the(catalog, "minilm", 1), the(catalog, "medical", 1)

    assert references(queries.with_weights(catalog, base.weights)) == ["copy@1", "minilm@1"]
    assert references(queries.with_vocabulary(catalog, adapter.vocabulary)) == [
        "medical@3",
        "medical@2",
        "medical@1",
        "merged@1",
        "team/Med@1",
    ]
    assert references(queries.with_tokenizer(catalog, a_digest("tokenizer ()"))) == [
        "copy@1",
        "hidden@1",
        "minilm@1",
    ]
    assert references(queries.with_file(catalog, a_digest("weights file medical@2"))) == [
        "medical@2"
    ]
    assert references(queries.with_file(catalog, a_digest("weights file old@1"))) == []


def test_versions_are_found_by_the_commit_they_came_from(catalog: Connection) -> None:
    assert references(queries.from_hub(catalog, "org/minilm", "c" * 40)) == ["minilm@1"]
    assert queries.from_hub(catalog, "org/minilm", "d" * 40) == []
    assert queries.from_hub(catalog, "org/other", "c" * 40) == []


def test_the_files_of_a_manifest(catalog: Connection) -> None:
    assert queries.files(catalog, the(catalog, "old", 1).digest) == [
        File("config.json", a_digest("config"), 600),
        File("model.safetensors", a_digest("weights file old@1"), 1000),
    ]


def test_the_added_tokens_of_a_version(catalog: Connection) -> None:
    assert queries.tokens(catalog, the(catalog, "medical", 1)) == list(TOKENS)
    assert queries.tokens(catalog, the(catalog, "minilm", 1)) == []
