"""Who did what when, and what anything was at any moment; the state after each entry is kept by hand and compared."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import registry
from registry.errors import (
    AliasNotFound,
    BlobNotFound,
    EntryNotFound,
    Invalid,
    InvalidTime,
    ModelNotFound,
    VersionNotFound,
)
from tests.support import plain
from tests.support.refusals import raises

BEFORE = "2020-01-01"


@pytest.fixture
def moved(reg, tmp_path):
    """minilm@1 to minilm@3; prod went from 1 to 3 and was taken away; minilm@2 was yanked, then deleted."""
    for seed in range(3):
        reg.add(plain.base(tmp_path / str(seed), seed=seed), "minilm")
    reg.alias("minilm@1", "prod", message="the first")
    reg.alias("minilm@3", "prod", message="F1 0.91")
    reg.annotate("minilm@3", {"owner": "anna"})
    reg.yank("minilm@2", reason="wrong words")
    reg.delete("minilm@2")
    reg.alias("minilm@prod", remove=True)
    return reg


def entry(reg, kind: str, position: int = 0) -> int:
    return [row.entry for row in reg.log(kind=kind)][::-1][position]


def test_the_log_of_an_alias_is_its_moves_with_who_from_to_and_why(moved, monkeypatch):
    rows = moved.log("minilm@prod")

    assert [(row.before, row.number, row.body["message"]) for row in rows] == [
        (3, None, None),
        (1, 3, "F1 0.91"),
        (None, 1, "the first"),
    ]
    assert {row.by for row in rows} == {moved.home.user}
    with raises(AliasNotFound, "minilm", "'stage'"):
        moved.log("minilm@stage")


def test_a_deleted_version_keeps_its_log(moved):
    assert [row.kind for row in moved.log("minilm@2")] == ["Delete", "Yank", "Register"]
    with pytest.raises(VersionNotFound):
        moved.log("minilm@9")
    with pytest.raises(ModelNotFound):
        moved.log("nothing")


def test_the_log_by_kind_person_and_beginning(moved):
    first_alias = entry(moved, "alias")

    assert {row.kind for row in moved.log(kind=["alias", "Yank"])} == {"Alias", "Yank"}
    assert moved.log(by=moved.home.user[1:].upper()) == moved.log()
    assert moved.log(by="nobody in particular") == ()
    assert [row.entry for row in moved.log(since=first_alias, at=first_alias + 1)] == [
        first_alias + 1,
        first_alias,
    ]
    assert (
        moved.log(since=datetime.now(UTC).date().isoformat())
        == moved.log(since=BEFORE)
        == moved.log()
    )
    assert moved.log(since="2999-01-01") == ()
    with raises(
        Invalid,
        "'push'",
        "init",
        "register",
        "probes",
        "alias",
        "yank",
        "annotate",
        "publish",
        "delete",
    ):
        moved.log(kind="push")


def test_every_look_answers_as_of_then(moved, tmp_path):
    then = entry(moved, "annotate")

    assert moved.resolve("minilm@prod", at=then).number == 3
    assert moved.resolve("minilm@prod", at=then - 2).number == 1
    assert [version.number for version in moved.list("minilm", at=then)] == [3, 2, 1]
    assert (moved.list(at=then)[0].versions, moved.list(at=then)[0].aliases) == (3, {"prod": 3})
    assert moved.show("minilm@3", at=then - 1).version.notes == {}
    assert moved.show("minilm@2", at=then).version.reference == "minilm@2"
    assert b"{" in moved.read("minilm@prod:config.json", at=then)
    assert [item.version.number for item in moved.find("prod", at=then)] == [3]
    assert [item.version.number for item in moved.find(str(tmp_path / "1"), at=then)] == [2]
    assert moved.lineage("minilm@2", at=then).version.deleted is False
    assert moved.tokens("minilm@2", at=then) == ()
    assert moved.log(at=then)[0].entry == then
    assert moved.checkout("minilm@prod", at=then).version.number == 3
    assert moved.check("minilm@prod", at=then - 2, measure=False).target.startswith("minilm@1@")
    assert [item.reference for item in moved.du("minilm@prod", at=then - 2)] == ["minilm@1"]
    assert moved.bundle("minilm@prod", tmp_path / "prod.tar", at=then).versions == ("minilm@3",)


def test_a_moment_without_a_reference_means_nothing_where_bytes_of_now_are_looked_at(
    moved, tmp_path
):
    for look in (
        lambda: moved.du(at=3),
        lambda: moved.check(tmp_path / "1", at=3, measure=False),
        lambda: moved.bundle(output=tmp_path / "all.tar", everything=True, at=3),
    ):
        with raises(Invalid, "--at"):
            look()


def test_a_version_deleted_since_is_known_and_not_laid_out(moved):
    then = entry(moved, "yank") - 1

    assert moved.resolve("minilm@2", at=then).number == 2
    (deleted,) = moved.log(kind="delete")
    with raises(VersionNotFound, "minilm@2", deleted.time, deleted.by, "1, 3"):
        moved.checkout("minilm@2", at=then)


def test_a_moment_that_never_was_is_said_with_those_there_were(moved):
    last, first = moved.log(limit=1)[0].entry, moved.log()[-1]

    with raises(EntryNotFound, f"entry {last + 1}", str(last)):
        moved.list(at=last + 1)
    with raises(EntryNotFound, "entry 0", str(last)):
        moved.log(at="0")
    with raises(EntryNotFound, "2020-01-01T23:59:59.999999Z", first.time):
        moved.resolve("minilm", at=BEFORE)
    with raises(InvalidTime, "'yesterday'"):
        moved.find("minilm", at="yesterday")


def test_the_functions_take_a_moment_as_the_methods_do(moved):
    home, then = moved.settings.home, entry(moved, "alias")

    assert registry.resolve("minilm@prod", at=then, home=home).number == 1
    assert registry.list("minilm", at=2, home=home) == moved.list("minilm", at=2)
    assert registry.log("minilm@prod", at=then, home=home)[0].entry == then


def test_lineage_reaches_across_names_and_knows_only_what_was_there(registered):
    found = registered.lineage("minilm@1")
    earlier = registered.lineage("minilm@1", at=3)

    assert [item.reference for item in found.descendants] == ["minilm-medical@1", "medical@1"]
    assert {(edge.child, edge.evidence) for edge in found.edges} == {
        ("minilm-medical@1", "given"),
        ("medical@1", "path"),
    }
    assert [item.reference for item in earlier.descendants] == ["minilm-medical@1"]


def test_lineage_calls_a_parent_what_its_child_calls_it(registered, line):
    registered.add(line.base, "a-first-name", measure=False)

    assert [item.reference for item in registered.lineage("medical@1").ancestors] == [
        "minilm-medical@1",
        "minilm@1",
    ]


def test_a_deleted_version_whose_files_were_freed_is_said_to_be_that(copied):
    copied.delete("medical@1")
    copied.collect(older_than=0)

    (deleted,) = copied.log(kind="delete")
    for ask in (
        lambda: copied.tokens("medical@1", at=4),
        lambda: copied.read("medical@1:adapter_config.json", at=4),
        lambda: copied.diff("minilm@1", "medical@1", at=4),
        lambda: copied.diff("medical@1", "medical@1", at=4),
    ):
        with raises(BlobNotFound, "medical@1", deleted.time, deleted.by, "--at"):
            ask()
    assert copied.show("medical@1", at=4).version.number == 1
