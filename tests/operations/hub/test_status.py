"""status: what is here, what is there, and what went apart."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import ADDED, add, another, states


@pytest.fixture
def published(pushed):
    """minilm@1, minilm-medical@1 and medical@1, published."""
    return pushed


@pytest.fixture
def base_pushed(here, hub):
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


def test_the_same_here_and_there(base_pushed):
    assert states(base_pushed) == {"minilm@1": "same"}


def test_what_was_registered_since_is_ahead(base_pushed, tmp_path):
    another(base_pushed, tmp_path / "second")

    assert states(base_pushed, "minilm") == {"minilm@1": "same", "minilm@2": "ahead"}
    assert states(base_pushed, "minilm@2") == {"minilm@2": "ahead"}


def test_what_others_published_since_is_behind(base_pushed, there, tmp_path):
    there.ok("pull", "hf://org/minilm")
    another(base_pushed, tmp_path / "second")
    base_pushed.ok("push", "minilm@2")

    assert states(there) == {"minilm@1": "same", "minilm@2": "behind"}


def test_two_models_under_one_number_have_diverged(base_pushed, there, tmp_path):
    there.ok("pull", "hf://org/minilm")
    another(base_pushed, tmp_path / "second")
    base_pushed.ok("push", "minilm@2")
    another(there, tmp_path / "theirs", query="query: ")

    assert states(there) == {"minilm@1": "same", "minilm@2": "diverged"}


def test_what_was_edited_there_is_told_by_file_and_the_card_apart(base_pushed, hub):
    hub.commit("org/minilm", {"README.md": b"# Edited"})
    card = base_pushed.ok("status")[0]
    hub.commit("org/minilm", {"modules.json": b"[]"})
    more = base_pushed.ok("status")[0]

    assert (card["state"], card["detail"], card["files"]) == (
        "changed there",
        "card only",
        ["README.md"],
    )
    assert (more["state"], more["files"]) == ("changed there", ["README.md", "modules.json"])


def test_a_tag_that_is_gone_and_a_repository_that_is_gone(base_pushed, hub):
    del hub.repository("org/minilm").tags["v1"]
    tag = base_pushed.ok("status")[0]
    hub.delete("org/minilm")
    repository = base_pushed.ok("status")[0]

    assert (tag["state"], repository["state"]) == ("gone", "gone")
    assert "v1" in tag["detail"] and "hf://org/minilm" in repository["detail"]


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_unreachable_and_an_error_to_sync_and_offline_nobody_is_asked(
    base_pushed, hub
):
    away = {"HF_ENDPOINT": "http://127.0.0.1:9", "REGISTRY_HOME": str(base_pushed.root)}
    syncing = base_pushed.warm.start(
        "sync", "minilm", **away
    )  # beside the other, since both try again for some seconds
    ran = base_pushed.ok("status", **away)
    silent = syncing.wait()
    before = len(hub.requests)
    known = base_pushed.ok("status", "--offline")

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
    base_pushed, wrong, quoted
):
    ran = base_pushed.run("status", **wrong)

    assert (ran.code, ran.out) == (2, "") and is_one_error(ran.err)
    assert missing(ran.err, *quoted) == []
    assert base_pushed.run("status", "--offline", **wrong).code == 0


def test_a_renamed_repository_is_said(base_pushed, hub):
    hub.move("org/minilm", "org/renamed")

    assert "hf://org/renamed" in base_pushed.ok("status")[0]["detail"]


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


def test_a_repository_that_says_nonsense_ends_no_status_of_others(base_pushed, hub, tmp_path):
    add(base_pushed, plain.base(tmp_path / "other", seed=3), "other")
    base_pushed.ok("push", "other@1", "--to", "org/other")
    hub.commit("org/minilm", {".registry/line.json": b"{}"})

    assert states(base_pushed) == {"minilm@1": "unreadable", "other@1": "same"}


def test_an_adapter_whose_base_was_replaced_on_main_is_reported_with_what_mends_it(
    published, hub, tmp_path
):
    folder = plain.base(tmp_path / "second", added=ADDED, seed=1)
    add(published, folder, "minilm-medical", parent="minilm@1")
    published.ok("push", "minilm-medical@2", "--break")

    child = {row["reference"]: row for row in published.ok("status")}["medical@1"]
    commands = re.findall(r"registry (push \S+ --to [\w./-]+)", child["detail"])
    for command in commands:
        published.ok(*command.split())
    mended = {row["repository"]: row["state"] for row in published.ok("status", "medical")}

    assert child["state"] == "base changed" and "hf://org/minilm-medical" in child["detail"]
    assert len(commands) == 2
    assert mended == {"org/medical": "base changed", "org/medical-v1": "same"}
    config = json.loads(hub.files("org/medical-v1")["adapter_config.json"])
    assert hub.head(config["base_model_name_or_path"]) == config["revision"]


def test_a_base_whose_card_alone_was_edited_breaks_no_adapter(published, hub):
    hub.commit("org/minilm-medical", {"README.md": b"# Edited"})

    assert states(published, "medical") == {"medical@1": "same"}


def test_a_renumbered_version_has_the_tag_of_its_repository(base_pushed, there, tmp_path):
    another(there, tmp_path / "first", query="own: ")
    there.ok("pull", "hf://org/minilm", "--renumber", "--from-any")

    rows = {row["reference"]: row for row in there.ok("status")}

    assert rows["minilm@2"]["state"] == "same" and "tag v1" in rows["minilm@2"]["detail"]
    assert rows["minilm@1"]["state"] == "diverged"


def test_a_version_that_was_pulled_from_a_commit_without_a_tag_is_not_missing(
    base_pushed, there, hub
):
    del hub.repository("org/minilm").tags["v1"]
    there.ok("pull", "hf://org/minilm")
    here = states(there)
    hub.delete("org/minilm")

    assert here == {"minilm@1": "same"} and states(there) == {"minilm@1": "gone"}


@pytest.mark.slow
def test_an_endpoint_that_does_not_answer_is_asked_about_one_repository_only(published):
    away = {"HF_ENDPOINT": "http://127.0.0.1:9", "REGISTRY_HOME": str(published.root)}

    rows = published.ok("status", **away)

    assert {row["state"] for row in rows} == {"unreachable"} and len(rows) == 3
    assert [row["detail"].startswith("not asked (") for row in rows] == [False, True, True]
