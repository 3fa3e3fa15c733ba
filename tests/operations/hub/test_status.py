"""status: what is here, what is there, and what went apart."""

from __future__ import annotations

import pytest

from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import add, another, states


@pytest.fixture
def pushed(here, hub):
    """minilm@1, published."""
    here.ok("push", "minilm@1", "--to", "org/minilm")
    return here


def test_nothing_published_is_said_beside_an_empty_table(here):
    ran = here.run("status")

    assert (
        (ran.code, ran.out) == (0, "")
        and "nothing here is known to be on the Hub" in ran.err
        and ran.err.count("\n") == 1
    )
    assert here.ok("status") == []


def test_the_same_here_and_there(pushed):
    assert states(pushed) == {"minilm@1": "same"}


def test_what_was_registered_since_is_ahead(pushed, tmp_path):
    another(pushed, tmp_path / "second")

    assert states(pushed, "minilm") == {"minilm@1": "same", "minilm@2": "ahead"}
    assert states(pushed, "minilm@2") == {"minilm@2": "ahead"}


def test_what_others_published_since_is_behind(pushed, there, tmp_path):
    there.ok("pull", "hf://org/minilm")
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")

    assert states(there) == {"minilm@1": "same", "minilm@2": "behind"}


def test_two_models_under_one_number_have_diverged(pushed, there, tmp_path):
    there.ok("pull", "hf://org/minilm")
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")
    another(there, tmp_path / "theirs", query="query: ")

    assert states(there) == {"minilm@1": "same", "minilm@2": "diverged"}


def test_what_was_edited_there_is_told_by_file_and_the_card_apart(pushed, hub):
    hub.commit("org/minilm", {"README.md": b"# Edited"})
    card = pushed.ok("status")[0]
    hub.commit("org/minilm", {"modules.json": b"[]"})
    more = pushed.ok("status")[0]

    assert (card["state"], card["detail"], card["files"]) == (
        "changed there",
        "card only",
        ["README.md"],
    )
    assert (more["state"], more["files"]) == ("changed there", ["README.md", "modules.json"])


def test_a_tag_that_is_gone_and_a_repository_that_is_gone(pushed, hub):
    del hub.repository("org/minilm").tags["v1"]
    tag = pushed.ok("status")[0]
    hub.delete("org/minilm")
    repository = pushed.ok("status")[0]

    assert (tag["state"], repository["state"]) == ("gone", "gone")
    assert "v1" in tag["detail"] and "hf://org/minilm" in repository["detail"]


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_unreachable_and_an_error_to_sync_and_offline_nobody_is_asked(
    pushed, hub
):
    away = {"HF_ENDPOINT": "http://127.0.0.1:9", "REGISTRY_HOME": str(pushed.root)}
    syncing = pushed.warm.start(
        "sync", "minilm", **away
    )  # beside the other, since both try again for some seconds
    ran = pushed.ok("status", **away)
    silent = syncing.wait()
    before = len(hub.requests)
    known = pushed.ok("status", "--offline")

    assert [state["state"] for state in ran] == ["unreachable"] and "repeating" not in ran[0][
        "detail"
    ]
    assert (silent.code, silent.out, missing(silent.err, "hf://org/minilm")) == (7, "", [])
    assert len(hub.requests) == before
    assert [
        (state["reference"], state["repository"], state["commit"], state["state"])
        for state in known
    ] == [("minilm@1", "org/minilm", hub.head("org/minilm"), None)]


@pytest.mark.parametrize(
    ("wrong", "quoted"),
    [
        ({"HF_ENDPOINT": "nonsense"}, ["HF_ENDPOINT", "'nonsense'"]),
        ({"HF_TOKEN": "a b"}, ["HF_TOKEN"]),
    ],
)
def test_settings_with_which_nobody_can_be_asked_are_one_error_and_not_a_state_of_each_repository(
    pushed, wrong, quoted
):
    ran = pushed.run("status", **wrong)

    assert (ran.code, ran.out) == (2, "") and is_one_error(ran.err)
    assert missing(ran.err, *quoted) == []
    assert pushed.run("status", "--offline", **wrong).code == 0


def test_a_renamed_repository_is_said(pushed, hub):
    hub.move("org/minilm", "org/renamed")

    assert "hf://org/renamed" in pushed.ok("status")[0]["detail"]


def test_a_model_that_no_registry_published_is_compared_with_its_main(there, hub, tmp_path):
    folder = plain.base(tmp_path / "base")
    hub.commit(
        "bob/minilm",
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )
    there.ok("pull", "hf://bob/minilm")
    same = states(there)
    hub.commit("bob/minilm", {"config.json": b"{}"})

    assert same == {"minilm@1": "same"}
    assert there.ok("status")[0]["files"] == ["config.json"]


def test_tags_of_a_model_that_no_registry_published_are_no_versions(there, hub, tmp_path):
    folder = plain.base(tmp_path / "base")
    hub.commit(
        "bob/minilm",
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )
    there.ok("pull", "hf://bob/minilm")
    hub.tag("bob/minilm", "v1", hub.history("bob/minilm")[-1].oid)
    hub.tag("bob/minilm", "v2")

    assert states(there) == {"minilm@1": "same"}
    assert there.ok("sync", "minilm")["pulled"] == []


def test_a_repository_that_says_nonsense_ends_no_status_of_others(pushed, hub, tmp_path):
    add(pushed, plain.base(tmp_path / "other", seed=3), "other")
    pushed.ok("push", "other@1", "--to", "org/other")
    hub.commit("org/minilm", {".registry/line.json": b"{}"})

    assert states(pushed) == {"minilm@1": "unreadable", "other@1": "same"}
