"""status and sync: what is here, what is there, and what went apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support import plain


def add(place, folder, name, **options):
    with place.registry as reg:
        return reg.add(folder, name, **options, measure=False).version


def states(place, *arguments):
    return {state["reference"]: state["state"] for state in place.ok("status", *arguments)}


@pytest.fixture
def pushed(here, hub):
    """minilm@1, published."""
    here.ok("push", "minilm@1", "--to", "org/minilm")
    return here


def another(place, folder, *, seed=0, query="q: "):
    return add(place, plain.base(folder, seed=seed, prompts={"query": query}), "minilm")


def test_nothing_published_is_said_beside_an_empty_table(here):
    ran = here.run("status")

    assert (ran.code, ran.out) == (0, "") and "nothing here is known to be on the Hub" in ran.err and ran.err.count("\n") == 1
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

    assert (card["state"], card["detail"], card["files"]) == ("changed there", "card only", ["README.md"])
    assert (more["state"], more["files"]) == ("changed there", ["README.md", "modules.json"])


def test_a_tag_that_is_gone_and_a_repository_that_is_gone(pushed, hub):
    del hub.repository("org/minilm").tags["v1"]
    tag = pushed.ok("status")[0]
    hub.delete("org/minilm")
    repository = pushed.ok("status")[0]

    assert (tag["state"], repository["state"]) == ("gone", "gone")
    assert "v1" in tag["detail"] and "no model repository" in repository["detail"]


def test_a_hub_that_does_not_answer_is_unreachable_and_offline_nobody_is_asked(pushed, hub):
    ran = pushed.ok("status", HF_ENDPOINT="http://127.0.0.1:9")
    before = len(hub.requests)
    known = pushed.ok("status", "--offline")

    assert [state["state"] for state in ran] == ["unreachable"]
    assert len(hub.requests) == before
    assert [(state["reference"], state["repository"], state["commit"], state["state"]) for state in known] == [
        ("minilm@1", "org/minilm", hub.head("org/minilm"), None)]


def test_a_renamed_repository_is_said(pushed, hub):
    hub.move("org/minilm", "org/renamed")

    assert "now called hf://org/renamed" in pushed.ok("status")[0]["detail"]


def test_a_model_that_no_registry_published_is_compared_with_its_main(there, hub, tmp_path):
    folder = plain.base(tmp_path / "base")
    hub.commit("bob/minilm", {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    there.ok("pull", "hf://bob/minilm")
    same = states(there)
    hub.commit("bob/minilm", {"config.json": b"{}"})

    assert same == {"minilm@1": "same"}
    assert there.ok("status")[0]["files"] == ["config.json"]


def test_tags_of_a_model_that_no_registry_published_are_no_versions(there, hub, tmp_path):
    folder = plain.base(tmp_path / "base")
    hub.commit("bob/minilm", {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    there.ok("pull", "hf://bob/minilm")
    hub.tag("bob/minilm", "v1", hub.history("bob/minilm")[-1].oid)
    hub.tag("bob/minilm", "v2")

    assert states(there) == {"minilm@1": "same"}
    assert there.ok("sync", "minilm")["pulled"] == []


def test_sync_leaves_alone_what_lies_under_the_tag_of_another_number(pushed, there, hub, tmp_path):
    there.ok("pull", "hf://org/minilm")
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")
    hub.tag("org/minilm", "v7")
    hub.tag("org/minilm", "v8", hub.history("org/minilm")[-1].oid)

    done = there.ok("sync", "minilm")

    assert [item["reference"] for item in done["pulled"]] == ["minilm@2"] and set(there.digests()) == {"minilm@1", "minilm@2"}
    assert [(state["reference"], state["detail"]) for state in done["left"]] == [
        ("minilm@7", "the tag v7 holds minilm@2"), ("minilm@8", "the tag v8 holds nothing that a registry published")]


def test_sync_fills_an_empty_repository(here, hub):
    hub.create("org/minilm")

    done = here.ok("sync", "minilm", "--with", "org/minilm")

    assert [item["what"] for item in done["pushed"]] == ["pushed"] and hub.tags("org/minilm") == {"v1": hub.head("org/minilm")}


def test_sync_brings_each_what_the_other_has_and_leaves_alone_what_went_apart(pushed, there, hub, tmp_path):
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

    assert unchanged == (hub.tags("org/minilm"), {key: value for key, value in there.digests().items() if key != "minilm@4"})
    assert [item["reference"] for item in dry["pulled"]] == [item["reference"] for item in done["pulled"]] == ["minilm@4"]
    assert [(state["reference"], state["state"]) for state in done["left"]] == [("minilm@2", "diverged")]
    assert there.digests()["minilm@2"] == before and there.digests()["minilm@4"] == pushed.digests()["minilm@4"]


def test_sync_pushes_what_is_ahead(pushed, hub, tmp_path):
    another(pushed, tmp_path / "second")

    dry = pushed.ok("sync", "minilm", "--dry-run")
    untouched = set(hub.tags("org/minilm"))
    done = pushed.ok("sync", "minilm")

    assert [(item["reference"], item["what"]) for item in dry["pushed"]] == [("minilm@2", "would push")] and untouched == {"v1"}
    assert [item["reference"] for item in done["pushed"]] == ["minilm@2"] and set(hub.tags("org/minilm")) == {"v1", "v2"}


def test_sync_with_a_repository_fills_an_empty_home(pushed, there, hub, tmp_path):
    another(pushed, tmp_path / "second")
    pushed.ok("push", "minilm@2")

    there.ok("sync", "minilm", "--with", "org/minilm")

    assert {key: value for key, value in pushed.digests().items() if key.startswith("minilm@")} == there.digests()


def test_sync_wants_to_know_with_what(here):
    ran = here.run("sync", "minilm")

    assert ran.code == 2 and "--with org/minilm" in ran.err


def test_sync_with_what_is_not_there_is_an_error_and_not_nothing_to_do(pushed, hub):
    wrong = pushed.run("sync", "minilm", "--with", "org/typo")
    silent = pushed.run("sync", "minilm", HF_ENDPOINT="http://127.0.0.1:9")

    assert (wrong.code, wrong.out, "there is no model repository hf://org/typo" in wrong.err) == (3, "", True)
    assert (silent.code, silent.out, "cannot be reached" in silent.err) == (7, "", True)


def test_sync_takes_nothing_from_a_repository_that_is_not_the_known_one(pushed, there, hub, tmp_path):
    there.ok("pull", "hf://org/minilm")
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

    assert renamed.code == 4 and "now called hf://org/renamed; to go on there: --with org/renamed" in renamed.err
    assert made_again.code == 4 and "deleted and made again" in made_again.err
    assert set(there.digests()) == {"minilm@1"}


def test_sync_looks_again_when_somebody_was_quicker(pushed, hub, tmp_path):
    another(pushed, tmp_path / "second")
    hub.fault("POST /commit/", first=lambda: hub.commit("org/minilm", {"notes.txt": b"mine"}))

    done = pushed.ok("sync", "minilm")

    assert [item["reference"] for item in done["pushed"]] == ["minilm@2"] and "notes.txt" in hub.files("org/minilm")


def test_a_repository_that_says_nonsense_ends_no_status_of_others(pushed, hub, tmp_path):
    add(pushed, plain.base(tmp_path / "other", seed=3), "other")
    pushed.ok("push", "other@1", "--to", "org/other")
    hub.commit("org/minilm", {".registry/line.json": b"{}"})

    assert states(pushed) == {"minilm@1": "unreadable", "other@1": "same"}


def test_sync_leaves_yanked_versions_and_checkpoints_here(pushed, hub, tmp_path):
    another(pushed, tmp_path / "second")
    another(pushed, tmp_path / "third", query="third: ")
    with pushed.registry as reg:
        reg.yank("minilm@3", reason="too early")
        first = reg.home.journal.read(reg.resolve("minilm@2").entry).body
        reg.home.commit(lambda connection: replace(first, number=4, checkpoint=True))

    pushed.ok("sync", "minilm")

    assert set(hub.tags("org/minilm")) == {"v1", "v2"}
