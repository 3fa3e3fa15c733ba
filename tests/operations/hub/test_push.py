"""push: what goes where, and what does not."""

from __future__ import annotations

import json

import pytest

from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import ADDED, add

LINE = ("--to", "org/medical", "--parents-to", "org")

CANCELLED = """
import registry
class Cancelled(Exception):
    pass
def progress(what, done, total):
    if what == "hf://org/minilm" and done:
        raise Cancelled("enough")
with registry.Registry() as reg:
    try:
        reg.push("minilm@1", to="org/minilm", progress=progress)
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_where_a_model_goes_is_said_once(here, hub):
    asked = here.run("push", "minilm@1")
    here.ok("push", "minilm@1", "--to", "org/minilm")

    assert (asked.code, "--to org/minilm" in asked.err) == (2, True)
    assert here.ok("push", "minilm@1")["sent"][0]["repository"] == "org/minilm"


@pytest.mark.slow
def test_a_parent_that_is_nowhere_needs_a_place(here, hub):
    ran = here.run("push", "medical@1", "--to", "org/medical")

    assert ran.code == 2 and "--parents-to org" in ran.err
    assert hub.repositories == {}


def test_where_parents_go_can_be_set_once(here, hub):
    here.ok("config", "push.parents-to", "org")

    here.ok("push", "medical@1", "--to", "org/medical")

    assert {"org/minilm", "org/minilm-medical", "org/medical"} <= hub.repositories.keys()


def test_a_parent_that_is_to_be_published_anew_needs_a_place_too(pushed, hub):
    ran = pushed.run("push", "medical@1", "--to", "alice/medical", "--all-parents")

    assert ran.code == 2
    assert missing(ran.err, "minilm@1", "--parents-to alice", "alice/minilm") == []


def test_a_dry_run_sends_nothing_and_says_what_it_would(here, hub):
    entries = here.log()

    done = here.ok("push", "medical@1", *LINE, "--dry-run")

    assert [item["what"] for item in done["sent"]] == ["would push"] * 3 and done["sent"][2][
        "size"
    ] > 1000
    assert hub.repositories == {} and here.log() == entries


def test_an_alias_moves_the_tag_of_its_name(here, hub, tmp_path):
    here.ok("alias", "medical@1", "prod")
    here.ok("push", "medical@prod", *LINE)
    first = hub.tags("org/medical")
    add(
        here,
        plain.adapter(tmp_path / "second", "unsaid", seed=2, added=ADDED),
        "medical",
        parent="minilm-medical@1",
        alias="prod",
    )

    here.ok("push", "medical@prod")

    assert first["prod"] == first["v1"]
    assert hub.tags("org/medical") == {
        "v1": first["v1"],
        "v2": hub.head("org/medical"),
        "prod": hub.head("org/medical"),
    }


def test_an_older_version_gets_its_tag_and_never_moves_main_back(here, hub, tmp_path):
    add(
        here,
        plain.adapter(tmp_path / "second", "unsaid", seed=2, added=ADDED),
        "medical",
        parent="minilm-medical@1",
    )
    here.ok("push", "medical@2", *LINE, "--message", "the second one")
    head = hub.head("org/medical")

    here.ok("push", "medical@1")

    assert (
        hub.head("org/medical"),
        hub.history("org/medical")[0].title,
        here.log()[-2]["message"],
    ) == (head, "the second one", "the second one")
    assert (
        json.loads(hub.files("org/medical", "v1")[".registry/line.json"])["line"][0]["number"] == 1
    )
    assert set(hub.repository("org/medical").branches) == {"main"}


def test_files_that_a_version_no_longer_has_go_and_those_of_others_stay(pushed, hub, tmp_path):
    hub.commit("org/minilm", {"photo.png": b"mine"})
    folder = plain.base(tmp_path / "second", seed=0, prompts={"query": "q: "})
    (folder / "sentence_bert_config.json").unlink()
    add(pushed, folder, "minilm")

    pushed.ok("push", "minilm@2")

    assert "sentence_bert_config.json" not in hub.files("org/minilm") and "photo.png" in hub.files(
        "org/minilm"
    )


def test_a_version_that_another_machine_pushed_is_found_there(here, hub, tmp_path):
    here.ok("push", "minilm@1", "--to", "org/minilm")
    other = here.copy(tmp_path / "copy", forget=True)

    done = other.ok("push", "minilm@1", "--to", "org/minilm")

    assert done["sent"][0]["what"] == "already"
    assert other.log()[-1]["commit"] == hub.head("org/minilm")
    assert len(hub.asked("POST /commit/")) == 1


def test_a_tag_that_names_its_commit_by_an_object_of_git_s_is_read_through(here, hub, tmp_path):
    here.ok("push", "minilm@1", "--to", "org/minilm")
    other, head, tag = here.copy(tmp_path / "copy", forget=True), hub.head("org/minilm"), "d" * 40
    hub.repository("org/minilm").tags[tag] = head
    refs = {
        "branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": head}],
        "converts": [],
        "tags": [{"name": "v1", "ref": "refs/tags/v1", "targetCommit": tag}],
    }
    hub.fault("GET /refs", body=json.dumps(refs).encode(), times=-1)

    done = other.ok("push", "minilm@1", "--to", "org/minilm")

    assert (done["sent"][0]["what"], other.log()[-1]["commit"]) == ("already", head)


def test_another_model_under_the_tag_is_a_conflict(here, hub, tmp_path):
    here.ok("push", "minilm@1", "--to", "org/minilm")
    other = here.copy(tmp_path / "copy", forget=True)
    add(other, plain.base(tmp_path / "else", seed=7), "other")
    other.ok("push", "other@1", "--to", "org/other")

    ran = other.run("push", "other@1", "--to", "org/minilm")

    assert ran.code == 4
    assert missing(ran.err, " v1 ", "hf://org/minilm") == []


def test_a_repository_of_another_model_is_not_taken_over(pushed, hub, tmp_path):
    add(pushed, plain.base(tmp_path / "else", seed=7), "other")
    add(pushed, plain.base(tmp_path / "more", seed=8), "other")

    ran = pushed.run("push", "other@2", "--to", "org/minilm")

    assert ran.code == 6
    assert missing(ran.err, "hf://org/minilm", "minilm@1", "--break") == []


@pytest.mark.parametrize(
    "path", ["model.safetensors", "pytorch_model.bin", "onnx/model.onnx", "modules.json"]
)
def test_a_model_that_no_registry_put_there_is_not_replaced(here, hub, path):
    hub.commit("org/minilm", {path: b"somebody's work"})

    refused = here.run("push", "minilm@1", "--to", "org/minilm")
    here.ok("push", "minilm@1", "--to", "org/minilm", "--break")

    assert refused.code == 6
    assert missing(refused.err, "hf://org/minilm", path, "--to org/other", "--break") == []
    assert ".registry/line.json" in hub.files("org/minilm")


def test_a_proposal_is_neither_tagged_nor_recorded_until_it_is_merged(here, hub):
    hub.create("org/minilm")
    entries = here.log()

    done = here.ok("push", "minilm@1", "--to", "org/minilm", "--pr")

    assert done["sent"][0]["url"] and done["sent"][0]["tag"] is None
    assert here.log() == entries and hub.tags("org/minilm") == {}


def test_a_proposal_that_was_merged_is_tagged_and_recorded_by_the_next_push(here, hub):
    hub.create("org/minilm")
    here.ok("push", "minilm@1", "--to", "org/minilm", "--pr")
    hub.commit("org/minilm", hub.files("org/minilm", "refs/pr/1"))

    done = here.ok("push", "minilm@1", "--to", "org/minilm")

    assert done["sent"][0]["size"] == 0 and len(hub.asked("POST /commit/")) == 1
    assert hub.tags("org/minilm") == {"v1": hub.head("org/minilm")} and here.log()[-1][
        "commit"
    ] == hub.head("org/minilm")


def test_a_proposal_does_not_wait_for_parents(here, hub):
    ran = here.run("push", "medical@1", *LINE, "--pr")

    assert ran.code == 6 and "registry push minilm@1 --to org/minilm" in ran.err


def test_all_parents_go_to_repositories_of_one_s_own_if_that_is_asked_for(pushed, hub):
    done = pushed.ok(
        "push", "medical@1", "--to", "alice/medical", "--parents-to", "alice", "--all-parents"
    )

    assert [(item["what"], item["repository"]) for item in done["sent"]] == [
        ("pushed", "alice/minilm"),
        ("pushed", "alice/minilm-medical"),
        ("pushed", "alice/medical"),
    ]
    assert (
        json.loads(hub.files("alice/medical")["adapter_config.json"])["base_model_name_or_path"]
        == "alice/minilm-medical"
    )


def test_repositories_are_made_private_if_that_is_asked_for(here, hub):
    here.ok("push", "medical@1", *LINE, "--private")

    assert {name: repository.private for name, repository in hub.repositories.items()} == {
        "org/minilm": True,
        "org/minilm-medical": True,
        "org/medical": True,
    }


def outside_the_markers(card):
    return card.partition(b"<!-- registry:begin")[0], card.partition(b"registry:end -->")[2]


def test_a_file_that_names_a_place_here_is_not_published(here, hub, tmp_path):
    folder = plain.base(tmp_path / "mine", seed=3)
    (folder / "README.md").write_text(f"# Mine\n\ntrained in {tmp_path}/mine on friday\n")
    add(here, folder, "mine")

    refused = here.run("push", "mine@1", "--to", "org/mine")
    made = dict(hub.repositories)
    here.ok("push", "mine@1", "--to", "org/mine", "--allow-path", "README.md")

    assert refused.code == 6
    assert missing(refused.err, "README.md line 3", "mine@1", "--allow-path README.md") == []
    assert made == {}


def test_nothing_published_names_a_place_here(pushed, hub, tmp_path, line_template):

    for name in ("org/medical", "org/minilm", "org/minilm-medical"):
        for path, content in hub.files(name).items():
            assert (
                str(line_template).encode() not in content and str(tmp_path).encode() not in content
            ), path


def test_the_card_s_text_as_edited_on_the_hub_stays(pushed, hub, tmp_path):
    edited = (
        hub.files("org/minilm")["README.md"].replace(b"# A model made by hand", b"# A better title")
        + b"\nand a word after it\n"
    )
    hub.commit("org/minilm", {"README.md": edited})
    add(pushed, plain.base(tmp_path / "second", prompts={"query": "q: "}), "minilm")

    pushed.ok("push", "minilm@2")

    card = hub.files("org/minilm")["README.md"]
    assert b"# A better title" in card and b"`minilm@2`" in card and b"`minilm@1`" not in card
    assert outside_the_markers(card) == outside_the_markers(edited)


@pytest.mark.slow
def test_a_large_file_goes_in_parts_and_one_that_breaks_is_sent_again(here, hub):
    hub.part_size = 3000
    broken = [
        hub.fault("PUT /__s3__/part/.*/2", cut_upload=1000),
        hub.fault("POST /__s3__/complete/", status=503),
    ]

    here.ok("push", "minilm@1", "--to", "org/minilm")

    assert [fault.hit for fault in broken] == [1, 1] and len(hub.asked("PUT /__s3__/part/")) == 4
    assert here.ok("status", "minilm@1")[0]["state"] == "same"


def test_the_repository_stays_when_the_home_moves(pushed, hub, tmp_path):
    moved = pushed.copy(tmp_path / "moved")

    assert moved.ok("push", "minilm@1")["sent"][0]["what"] == "already"


def test_an_empty_word_is_not_the_repository_that_is_remembered(pushed):
    ran = pushed.run("push", "minilm@1", "--to", "")

    assert ran.code == 2 and is_one_error(ran.err)
    assert missing(ran.err, "--to", "org/name", "''") == []


@pytest.mark.parametrize(
    "wrong", [("--parents-to", "x y"), ("--parents-to", "a/b"), ("--as-new", "org")]
)
def test_what_names_no_place_is_said_before_anything_is_sent(here, hub, wrong):
    ran = here.run("push", "minilm@1", "--to", "org/minilm", *wrong)

    assert ran.code == 2 and is_one_error(ran.err), ran.err
    assert missing(ran.err, wrong[0], repr(wrong[1])) == []
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("to", "more"),
    [
        ("a/b/c", []),
        ("/tmp/x", []),
        ("https://hub.example/org/medical/tree/main", [" org/medical"]),
    ],
)
def test_what_names_no_repository_to_write_to_is_answered_by_the_form_of_one(here, to, more):
    ran = here.run("push", "minilm@1", "--to", to)

    assert ran.code == 2 and is_one_error(ran.err)
    assert missing(ran.err, "--to", "org/name", repr(to), *more) == []


@pytest.mark.parametrize(
    "to", ["org/../x", "org", "datasets/org/minilm", "org/min ilm", "org/minilm@v1", "org/a--b"]
)
def test_what_names_no_repository_is_said_in_one_line(here, hub, to):
    ran = here.run("push", "minilm@1", "--to", to)

    assert (ran.code, ran.out) == (2, "") and is_one_error(ran.err) and "Traceback" not in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("by", ["lfs", "xet"])
def test_what_the_caller_s_own_progress_raises_is_no_fault_of_the_hub_s(here, hub, by, request):
    ran = request.getfixturevalue(by).run(code=CANCELLED, REGISTRY_HOME=str(here.root))
    again = here.ok("push", "minilm@1", "--to", "org/minilm")

    assert (ran.code, ran.out) == (0, "Cancelled enough\n"), ran.err
    assert hub.tags("org/minilm") == {"v1": again["sent"][-1]["commit"]}
