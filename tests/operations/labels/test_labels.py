import re

import pytest

from registry.errors import (
    AliasMoved,
    AliasNotFound,
    InUse,
    Invalid,
    InvalidName,
    InvalidReference,
    VersionNotFound,
)
from tests.support import plain
from tests.support.refusals import raises, text_of


def test_an_alias_moves_and_says_from_where(registered, tmp_path):
    registered.add(plain.base(tmp_path / "second", seed=2), "minilm")
    registered.alias("minilm@1", "prod")

    move = registered.alias("minilm@2", "prod")

    assert (move.before, move.after) == ("minilm@1", "minilm@2")
    assert registered.resolve("minilm@prod").number == 2


def test_an_alias_that_points_there_already_writes_nothing(registered):
    registered.alias("minilm@1", "prod")
    entries = len(registered.log())

    registered.alias("minilm@1", "prod")

    assert len(registered.log()) == entries


def test_expect_refuses_an_alias_that_somebody_moved(registered, tmp_path):
    registered.add(plain.base(tmp_path / "second", seed=2), "minilm")
    registered.alias("minilm@2", "prod")

    with raises(AliasMoved, "minilm@prod", "minilm@2", "minilm@1"):
        registered.alias("minilm@2", "prod", expect="minilm@1")


def test_a_bare_name_is_refused_where_something_changes(registered):
    with raises(InvalidReference, "'minilm'", "alias", "minilm@"):
        registered.alias("minilm", "prod")


@pytest.mark.parametrize("word", ["latest", "main", "v3", "3", "sha256", "a b", ""])
def test_a_word_with_a_meaning_of_its_own_is_no_alias(registered, word):
    with pytest.raises(InvalidName):
        registered.alias("minilm@1", word)


def test_an_alias_is_taken_away_by_its_reference(registered):
    registered.alias("minilm@1", "prod")

    move = registered.alias("minilm@prod", remove=True)

    assert (move.before, move.after) == ("minilm@1", None)
    with raises(AliasNotFound, "minilm", "'prod'"):
        registered.resolve("minilm@prod")


def test_removing_an_alias_that_is_not_there_names_the_known_ones(registered):
    registered.alias("minilm@1", "prod")

    with raises(AliasNotFound, "minilm", "'stage'", "prod"):
        registered.alias("minilm@stage", remove=True)


def test_notes_are_set_changed_and_removed(registered):
    registered.annotate("minilm@1", {"owner": "anna", "spearman": 0.8125})
    version = registered.annotate("minilm@1", {"owner": None})

    assert dict(version.notes) == {"spearman": "0.8125"}


def test_a_yanked_version_is_not_latest_but_loads_by_number_with_a_warning(registered, tmp_path):
    registered.add(plain.base(tmp_path / "second", seed=2), "minilm")

    registered.yank("minilm@2", reason="wrong words")

    assert registered.resolve("minilm").number == 1
    _ = registered.warnings
    assert registered.resolve("minilm@2").yanked
    assert any("wrong words" in line for line in registered.warnings)
    registered.yank("minilm@2", undo=True)
    assert registered.resolve("minilm").number == 2


def test_a_version_that_an_alias_points_to_is_not_yanked(registered):
    registered.alias("minilm@1", "prod")

    with raises(InUse, "minilm@1", "registry alias --remove minilm@prod"):
        registered.yank("minilm@1", reason="x")


def test_a_yank_needs_a_reason(registered):
    with raises(Invalid, "--reason"):
        registered.yank("minilm@1")


def test_a_base_is_not_deleted_while_something_stands_on_it(registered):
    with raises(InUse) as refused:
        registered.delete("minilm-medical@1")

    references = re.findall(r"[\w-]+@\d+", text_of(refused.value))
    assert set(references) == {"minilm-medical@1", "medical@1"}


def test_a_whole_line_is_deleted_children_first(registered):
    deleted = registered.delete(["minilm@1", "medical@1", "minilm-medical@1"])

    assert [version.reference for version in deleted.versions] == [
        "medical@1",
        "minilm-medical@1",
        "minilm@1",
    ]
    assert all(model.versions == 0 for model in registered.list())


def test_a_number_is_never_used_again(registered, tmp_path):
    registered.delete("medical@1")

    added = registered.add(
        plain.adapter(tmp_path / "next", "/x", seed=8, added=("zorvaxin", "quelora")),
        "medical",
        parent="minilm-medical@1",
    )

    assert added.version.reference == "medical@2"
    with raises(VersionNotFound, "medical@1") as refused:
        registered.resolve("medical@1")
    assert re.search(r"\b2\b", text_of(refused.value))


def test_keep_last_spares_what_is_used(reg, tmp_path):
    for seed in range(4):
        reg.add(plain.base(tmp_path / f"model-{seed}", seed=seed), "minilm")
    reg.alias("minilm@1", "prod")

    deleted = reg.delete("minilm", keep_last=1)

    assert [version.number for version in deleted.versions] == [3, 2] or sorted(
        version.number for version in deleted.versions
    ) == [2, 3]
    assert list(deleted.notes) == ["minilm@1"]
    assert [version.number for version in reg.list("minilm")] == [4, 1]
