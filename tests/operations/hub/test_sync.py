"""sync: a model and its repository get what the other has, what went apart is left alone, and nothing comes from strangers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import add, another, states


@pytest.fixture
def pushed(here, hub):
    """minilm@1, published."""
    here.ok("push", "minilm@1", "--to", "org/minilm")
    return here


def test_sync_leaves_alone_what_lies_under_the_tag_of_another_number(pushed, there, hub, tmp_path):
    there.ok("pull", "hf://org/minilm")
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")
    hub.tag("org/minilm", "v7")
    hub.tag("org/minilm", "v8", hub.history("org/minilm")[-1].oid)

    done = there.ok("sync", "minilm")

    assert [item["reference"] for item in done["pulled"]] == ["minilm@2"] and set(
        there.digests()
    ) == {"minilm@1", "minilm@2"}
    assert [(state["reference"], state["detail"]) for state in done["left"]] == [
        ("minilm@7", "the tag v7 holds minilm@2"),
        ("minilm@8", "the tag v8 holds nothing that a registry published"),
    ]


def test_sync_fills_an_empty_repository(here, hub):
    hub.create("org/minilm")

    done = here.ok("sync", "minilm", "--with", "org/minilm")

    assert [item["what"] for item in done["pushed"]] == ["pushed"] and hub.tags("org/minilm") == {
        "v1": hub.head("org/minilm")
    }


def test_sync_brings_each_what_the_other_has_and_leaves_alone_what_went_apart(
    pushed, there, hub, tmp_path
):
    there.ok("pull", "hf://org/minilm")
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")
    another(there, tmp_path / "theirs", query="query: ")
    another(there, tmp_path / "third", query="third: ")
    another(pushed, tmp_path / "fourth", query="fourth: ")
    another(pushed, tmp_path / "fifth", query="fifth: ")
    pushed.ok("push", "minilm@4")
    before = there.digests()["minilm@2"]

    dry = there.ok("sync", "minilm", "--dry-run")
    unchanged = hub.tags("org/minilm"), there.digests()
    done = there.ok("sync", "minilm")

    assert unchanged == (
        hub.tags("org/minilm"),
        {key: value for key, value in there.digests().items() if key != "minilm@4"},
    )
    assert (
        [item["reference"] for item in dry["pulled"]]
        == [item["reference"] for item in done["pulled"]]
        == ["minilm@4"]
    )
    assert [(state["reference"], state["state"]) for state in done["left"]] == [
        ("minilm@2", "diverged")
    ]
    assert (
        there.digests()["minilm@2"] == before
        and there.digests()["minilm@4"] == pushed.digests()["minilm@4"]
    )


def test_sync_pushes_what_is_ahead(pushed, hub, tmp_path):
    another(pushed, tmp_path / "second")

    dry = pushed.ok("sync", "minilm", "--dry-run")
    untouched = set(hub.tags("org/minilm"))
    done = pushed.ok("sync", "minilm")

    assert [(item["reference"], item["what"]) for item in dry["pushed"]] == [
        ("minilm@2", "would push")
    ] and untouched == {"v1"}
    assert [item["reference"] for item in done["pushed"]] == ["minilm@2"] and set(
        hub.tags("org/minilm")
    ) == {"v1", "v2"}


def test_sync_with_a_repository_fills_an_empty_home(pushed, there, hub, tmp_path):
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")

    there.ok("sync", "minilm", "--with", "org/minilm")

    assert {
        key: value for key, value in pushed.digests().items() if key.startswith("minilm@")
    } == there.digests()


def test_sync_wants_to_know_with_what(here):
    ran = here.run("sync", "minilm")

    assert ran.code == 2 and "--with org/minilm" in ran.err


def test_sync_with_what_is_not_there_is_an_error_and_not_nothing_to_do(pushed, hub):
    wrong = pushed.run("sync", "minilm", "--with", "org/typo")

    assert (wrong.code, wrong.out, missing(wrong.err, "hf://org/typo")) == (3, "", [])


def test_sync_takes_nothing_from_a_repository_that_is_not_the_known_one(
    pushed, there, hub, tmp_path
):
    there.ok("pull", "hf://org/minilm")
    pulled = hub.head("org/minilm")
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")
    files = hub.files("org/minilm")
    hub.move("org/minilm", "org/renamed")
    renamed = there.run("sync", "minilm")
    hub.delete("org/renamed")
    hub.moved.clear()
    hub.commit("org/minilm", files)
    hub.tag("org/minilm", "v2")
    made_again = there.run("sync", "minilm")

    assert renamed.code == made_again.code == 4
    names = ("hf://org/minilm", "hf://org/renamed", "--with org/renamed")
    assert missing(renamed.err, *names) == []
    heads = (pulled[:12], hub.head("org/minilm")[:12])
    assert missing(made_again.err, "hf://org/minilm", "minilm@1", *heads) == []
    assert set(there.digests()) == {"minilm@1"}


def test_sync_takes_no_version_of_another_model(here, there, hub, tmp_path):
    for number in (1, 2):
        add(here, plain.base(tmp_path / f"reranker{number}", seed=number), "reranker")
        here.ok("push", f"reranker@{number}", "--to", "org/reranker")
    add(there, plain.base(tmp_path / "mine"), "medical")

    beside = there.ok("sync", "medical", "--with", "org/reranker")
    anew = there.ok("sync", "other", "--with", "org/reranker")
    there.ok("pull", "hf://org/reranker@v1", "--as", "ranking")
    otherwise_called = there.ok("sync", "ranking")

    assert (beside["pulled"], anew["pulled"]) == ([], []) and set(there.digests()) == {
        "medical@1",
        "ranking@1",
        "ranking@2",
    }
    assert [
        (state["reference"], state["detail"]) for state in [*beside["left"], *anew["left"]]
    ] == [
        ("medical@1", "the tag v1 points to another model"),
        ("medical@2", "the tag v2 holds reranker@2"),
        ("other@1", "the tag v1 holds reranker@1"),
        ("other@2", "the tag v2 holds reranker@2"),
    ]
    assert [item["reference"] for item in otherwise_called["pulled"]] == ["ranking@2"]


def test_sync_takes_nothing_of_a_stranger_s_model_of_the_same_name(pushed, there, hub, tmp_path):
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")
    another(there, tmp_path / "own", seed=5)

    dry = there.run("sync", "minilm", "--with", "org/minilm", "--dry-run")
    ran = there.run("sync", "minilm", "--with", "org/minilm")

    assert (dry.code, dry.err) == (ran.code, ran.err) and ran.code == 4 and is_one_error(ran.err)
    ways = ("registry pull hf://org/minilm --as NAME", "--from-any")
    assert missing(ran.err, "minilm", "hf://org/minilm", *ways) == []
    assert set(there.digests()) == {"minilm@1"} and there.ok("status") == []


def test_sync_goes_on_with_a_repository_that_was_renamed(pushed, there, hub, tmp_path):
    there.ok("pull", "hf://org/minilm", "--as", "mine")
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")
    hub.move("org/minilm", "org/renamed")

    dry = there.ok("sync", "mine", "--with", "org/renamed", "--dry-run")
    before = set(there.digests())
    done = there.ok("sync", "mine", "--with", "org/renamed")

    assert ([item["what"] for item in dry["pulled"]], before) == (["would pull"], {"mine@1"})
    assert [item["reference"] for item in done["pulled"]] == ["mine@2"] and states(
        there, "mine@2"
    ) == {"mine@2": "same"}


@pytest.mark.slow
def test_sync_takes_no_parent_of_a_stranger_s_under_a_name_that_is_here(
    pushed, there, hub, tmp_path
):
    add(pushed, plain.adapter(tmp_path / "first", tmp_path), "tuned", parent="minilm@1")
    pushed.ok("push", "tuned@1", "--to", "org/tuned")
    there.ok("pull", "hf://org/tuned")
    add(there, plain.base(tmp_path / "own", seed=5), "tiny")
    for number in (1, 2):
        add(pushed, plain.base(tmp_path / f"tiny{number}", seed=10 + number), "tiny")
    add(pushed, plain.adapter(tmp_path / "second", tmp_path, seed=2), "tuned", parent="tiny@2")
    pushed.ok("push", "tuned@2", "--parents-to", "org")

    ran = there.run("sync", "tuned")

    assert ran.code == 4 and is_one_error(ran.err)
    command = "registry pull hf://org/tuned@v2 --as tuned"
    assert missing(ran.err, "tiny@2", "hf://org/tiny", command) == []
    assert set(there.digests()) == {"minilm@1", "tuned@1", "tiny@1"}


def test_sync_looks_again_when_somebody_was_quicker(pushed, hub, tmp_path):
    another(pushed, tmp_path / "second")
    hub.fault("POST /commit/", first=lambda: hub.commit("org/minilm", {"notes.txt": b"mine"}))

    done = pushed.ok("sync", "minilm")

    assert [item["reference"] for item in done["pushed"]] == [
        "minilm@2"
    ] and "notes.txt" in hub.files("org/minilm")


def test_sync_leaves_yanked_versions_and_checkpoints_here(pushed, hub, tmp_path):
    another(pushed, tmp_path / "second")
    another(pushed, tmp_path / "third", query="third: ")
    with pushed.registry as reg:
        reg.yank("minilm@3", reason="too early")
        first = reg.home.journal.read(reg.resolve("minilm@2").entry).body
        reg.home.commit(lambda connection: replace(first, number=4, checkpoint=True))

    pushed.ok("sync", "minilm")

    assert set(hub.tags("org/minilm")) == {"v1", "v2"}
