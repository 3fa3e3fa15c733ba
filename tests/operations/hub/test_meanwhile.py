"""What happens to a repository while, before and after a push: nothing is lost, nothing is claimed that is not there."""

from __future__ import annotations

import pytest

from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import ADDED

LINE = ("--to", "org/medical", "--parents-to", "org")


def add(place, folder, name, **options):
    with place.registry as reg:
        return reg.add(folder, name, **options, measure=False).version


def published(place):
    return [
        (entry["name"], entry["number"], entry["commit"])
        for entry in place.log()
        if entry["kind"] == "Publish"
    ]


def delete(place, reference):
    with place.registry as reg:
        reg.delete(reference)


def second_base(place, folder):
    """Another content for the tokens of minilm-medical, as its version 2."""
    return add(place, plain.base(folder, seed=5, added=ADDED), "minilm-medical")


def test_who_comes_second_is_told_both_commits_and_nothing_is_lost(here, hub):
    hub.create("org/minilm")
    before, theirs = hub.head("org/minilm"), []
    hub.fault(
        "POST /commit/",
        first=lambda: theirs.append(hub.commit("org/minilm", {"notes.txt": b"mine"})),
    )

    ran = here.run("push", "minilm@1", "--to", "org/minilm")
    here.ok("push", "minilm@1", "--to", "org/minilm")

    assert ran.code == 4 and is_one_error(ran.err)
    assert missing(ran.err, before[:12], theirs[0][:12]) == []
    assert hub.files("org/minilm")["notes.txt"] == b"mine"
    assert published(here) == [("minilm", 1, hub.head("org/minilm"))]


@pytest.mark.parametrize("request_", ["POST /commit/", "POST /tag/", "POST /repos/create"])
def test_an_answer_that_was_lost_does_no_harm(here, hub, request_):
    hub.fault(request_, lose=True)

    first = here.run("push", "minilm@1", "--to", "org/minilm")
    here.ok("push", "minilm@1", "--to", "org/minilm")

    assert first.code in (0, 7) and first.err.count("\n") <= 2
    assert len(hub.asked("POST /commit/")) == 1
    assert hub.tags("org/minilm") == {"v1": hub.head("org/minilm")} and published(here) == [
        ("minilm", 1, hub.head("org/minilm"))
    ]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "request_",
    ["GET /api/models/org", "GET /refs", "POST /preupload/", "PUT /__s3__/", "POST /tag/"],
)
def test_a_moment_of_trouble_is_waited_for(here, hub, request_):
    hub.create("org/minilm")
    hub.fault(request_, status=503)

    assert here.run("push", "minilm@1", "--to", "org/minilm").code == 0
    assert hub.tags("org/minilm") == {"v1": hub.head("org/minilm")}


def test_a_history_that_grows_between_its_pages_is_read_as_it_was_when_it_was_asked_for(
    pushed, hub, tmp_path
):
    for text in (b"# One", b"# Two", b"# Three"):
        hub.commit("org/minilm", {"README.md": text})
    add(pushed, plain.base(tmp_path / "second", prompts={"query": "q: "}), "minilm")
    hub.page = 1
    between = hub.fault(
        "GET /commits/", skip=1, first=lambda: hub.commit("org/minilm", {"README.md": b"# Four"})
    )

    raced = pushed.run("push", "minilm@2")
    done = pushed.ok("push", "minilm@2")

    assert between.hit == 1 and len(hub.asked("GET /commits/")) > 4
    assert raced.code == 4 and is_one_error(raced.err), raced.err
    assert done["sent"][-1]["what"] == "pushed" and hub.tags("org/minilm")["v2"] == hub.head(
        "org/minilm"
    )


@pytest.mark.parametrize("said", ["soon", "0", "-1", "inf"])
def test_a_wait_that_is_no_length_of_time_is_said_before_anything_is_sent(here, hub, said):
    ran = here.run("push", "minilm@1", "--to", "org/minilm", REGISTRY_UPLOAD_WAIT=said)

    assert ran.code == 2 and is_one_error(ran.err)
    assert missing(ran.err, "REGISTRY_UPLOAD_WAIT", f"'{said}'") == []
    assert hub.asked("PUT") == [] and hub.repositories == {} and published(here) == []


def test_what_is_deleted_while_it_is_published_is_said_and_not_recorded(here, hub, tmp_path):
    add(here, plain.base(tmp_path / "mine", seed=3), "mine")
    hub.fault("POST /tag/", first=lambda: delete(here, "mine@1"))

    ran = here.run("push", "mine@1", "--to", "org/mine")

    assert ran.code == 3
    assert missing(ran.err, "mine@1", "hf://org/mine", hub.head("org/mine")[:12]) == []
    assert published(here) == []


def test_a_parent_whose_name_was_deleted_is_published_under_the_one_it_still_has(
    here, hub, line_template
):
    add(here, line_template / "training" / "base", "kept")
    delete(here, "minilm@1")

    here.ok("push", "minilm-medical@1", "--to", "org/sized", "--parents-to", "org")

    assert published(here) == [
        ("kept", 1, hub.head("org/kept")),
        ("minilm-medical", 1, hub.head("org/sized")),
    ]


def test_a_line_that_stops_half_way_goes_on(here, hub):
    hub.fault("POST /org/medical/commit/", status=500, times=-1)

    stopped = here.run("push", "medical@1", *LINE)
    hub.faults.clear()
    done = here.ok("push", "medical@1", *LINE)

    assert stopped.code == 7 and [item["what"] for item in done["sent"]] == [
        "already",
        "already",
        "pushed",
    ]


def test_damaged_bytes_are_not_published(here, hub):
    with here.registry as reg:
        blob = reg.home.blobs.path(
            next(
                file.digest
                for file in reg.show("minilm@1").files
                if file.path == "model.safetensors"
            )
        )
    blob.chmod(0o644)
    blob.write_bytes(bytes([blob.read_bytes()[0] ^ 1]) + blob.read_bytes()[1:])

    ran = here.run("push", "minilm@1", "--to", "org/minilm")

    assert ran.code == 5
    assert missing(ran.err, "'model.safetensors'", f"sha256:{blob.name}") == []
    assert hub.tags("org/minilm") == {} and published(here) == []


@pytest.mark.parametrize(
    ("token", "code", "quoted"),
    [
        ("", 7, ["HF_TOKEN", "hf auth login"]),
        ("hf_wrong", 7, ["HF_TOKEN", "hf auth login"]),
        ("bob", 7, ['the namespace "org"']),
    ],
)
def test_without_the_right_token_nothing_is_written(here, hub, token, code, quoted):
    ran = here.run("push", "minilm@1", "--to", "org/minilm", HF_TOKEN=hub.tokens.get(token, token))

    assert ran.code == code and is_one_error(ran.err), ran.err
    assert missing(ran.err, "hf://org/minilm", *quoted) == []
    assert {"authorization" in request.headers for request in hub.requests} == {bool(token)}
    assert hub.repositories == {} and published(here) == []


@pytest.mark.parametrize("token", ["é bad\n", "hf_a b"])
def test_a_token_that_no_request_can_carry_is_said_and_not_shown(here, hub, token):
    ran = here.run("push", "minilm@1", "--to", "org/minilm", HF_TOKEN=token)

    assert ran.code == 2 and is_one_error(ran.err), ran.err
    assert missing(ran.err, "HF_TOKEN", "hf auth login") == []
    assert "bad" not in ran.err and "hf_a" not in ran.err and hub.requests == []


# others who stand on it


def test_a_base_that_others_stand_on_is_not_replaced(pushed, hub, tmp_path):
    second_base(pushed, tmp_path / "second")

    ran = pushed.run("push", "minilm-medical@2")

    assert ran.code == 6
    bases = ("hf://org/minilm-medical", "minilm-medical@2", "minilm-medical@1")
    ways = ("--as-new org/minilm-medical-v2", "--break")
    assert missing(ran.err, " medical@1", *bases, *ways) == []
    assert hub.tags("org/minilm-medical") == {"v1": hub.head("org/minilm-medical")}


def test_it_goes_beside_or_in_its_place_if_somebody_says_so(pushed, hub, tmp_path):
    second_base(pushed, tmp_path / "second")
    head = hub.head("org/minilm-medical")

    beside = pushed.ok("push", "minilm-medical@2", "--as-new", "org/minilm-medical-v2")

    assert (
        beside["sent"][-1]["repository"] == "org/minilm-medical-v2"
        and hub.head("org/minilm-medical") == head
    )
    pushed.ok("push", "minilm-medical@2", "--to", "org/minilm-medical", "--break")
    assert hub.head("org/minilm-medical") != head


def test_as_new_publishes_a_version_that_another_repository_has(pushed, hub):
    head = hub.head("org/minilm")

    sent = pushed.ok("push", "minilm@1", "--as-new", "org/minilm-copy")["sent"]
    again = pushed.ok("push", "minilm@1", "--to", "org/minilm", "--as-new", "org/minilm-copy")

    ways = [(item["repository"], item["what"]) for item in sent]
    assert ways == [("org/minilm", "already"), ("org/minilm-copy", "pushed")]
    assert [item["what"] for item in again["sent"]] == ["already", "already"]
    assert hub.head("org/minilm") == head
    assert hub.tags("org/minilm-copy") == {"v1": hub.head("org/minilm-copy")}


def test_what_goes_beside_takes_the_alias_s_tag_along(pushed, hub, tmp_path):
    pushed.ok("alias", "minilm-medical@1", "prod")
    pushed.ok("push", "minilm-medical@prod")
    second_base(pushed, tmp_path / "second")
    pushed.ok("alias", "minilm-medical@2", "prod")
    before = hub.tags("org/minilm-medical")

    ran = pushed.run("push", "minilm-medical@prod", "--as-new", "org/minilm-medical-v2")

    assert ran.code == 0, ran.err
    assert hub.tags("org/minilm-medical") == before and before["prod"] == before["v1"]
    assert hub.tags("org/minilm-medical-v2") == dict.fromkeys(
        ("v2", "prod"), hub.head("org/minilm-medical-v2")
    )


def test_adapters_of_others_are_told_by_the_hub_s_own_list(here, hub, tmp_path):
    here.ok("push", "minilm-medical@1", "--to", "org/minilm-medical", "--parents-to", "org")
    hub.commit(
        "bob/theirs",
        {
            "README.md": b"---\nbase_model: org/minilm-medical\nbase_model_relation: adapter\n---\n",
            "adapter_config.json": b"{}",
        },
    )
    second_base(here, tmp_path / "second")

    ran = here.run("push", "minilm-medical@2")

    assert ran.code == 6
    assert missing(ran.err, "hf://bob/theirs", "hf://org/minilm-medical") == []


def test_another_card_breaks_nobody(pushed, hub, tmp_path):
    folder = plain.base(tmp_path / "second", added=ADDED)
    (folder / "README.md").write_text("# Another card\n")
    add(pushed, folder, "minilm-medical", parent="minilm@1")

    assert pushed.ok("push", "minilm-medical@2")["sent"][-1]["what"] == "pushed"


def test_who_pushes_an_adapter_whose_base_is_no_longer_on_main_is_warned(pushed, hub, tmp_path):
    second_base(pushed, tmp_path / "second")
    pushed.ok("push", "minilm-medical@2", "--break")
    add(
        pushed,
        plain.adapter(tmp_path / "later", "unsaid", seed=2, added=ADDED),
        "medical",
        parent="minilm-medical@1",
    )

    ran = pushed.run("push", "medical@2")

    assert (
        ran.code == 0
        and "warning: plain loaders of medical@2 take main of hf://org/minilm-medical, which is another model"
        in ran.err
    )


# a repository that is not the one it was


def test_a_renamed_repository_is_not_pushed_to_under_its_old_name(pushed, hub):
    hub.move("org/minilm", "org/renamed")

    ran = pushed.run("push", "minilm@1")

    assert ran.code == 4
    assert missing(ran.err, "hf://org/minilm", "hf://org/renamed", "--to org/renamed") == []


def test_a_repository_that_is_gone_is_not_made_anew_unasked(here, hub):
    here.ok("push", "minilm-medical@1", "--to", "org/minilm-medical", "--parents-to", "org")
    hub.delete("org/minilm")

    ran = here.run("push", "minilm@1", "--to", "org/minilm-medical")

    assert ran.code in (4, 6) and hub.tags("org/minilm-medical") == {
        "v1": hub.head("org/minilm-medical")
    }


def test_one_that_was_deleted_and_made_again_is_refused(pushed, hub, tmp_path):
    files, before = hub.files("org/minilm"), hub.head("org/minilm")
    hub.delete("org/minilm")
    hub.commit("org/minilm", files)
    add(pushed, plain.base(tmp_path / "second", prompts={"query": "q: "}), "minilm")

    ran = pushed.run("push", "minilm@2")

    heads = (before[:12], hub.head("org/minilm")[:12])
    assert ran.code == 4
    assert missing(ran.err, "hf://org/minilm", "minilm@1", "--break", *heads) == []
    pushed.ok("push", "minilm@2", "--break")
    assert hub.tags("org/minilm") == {"v2": hub.head("org/minilm")}


def test_a_rewritten_history_is_refused(pushed, hub, tmp_path):
    before = hub.head("org/minilm")
    hub.squash("org/minilm")
    add(pushed, plain.base(tmp_path / "second", prompts={"query": "q: "}), "minilm")

    ran = pushed.run("push", "minilm@2")

    heads = (before[:12], hub.head("org/minilm")[:12])
    assert ran.code == 4
    assert missing(ran.err, "hf://org/minilm", "minilm@1", *heads) == []


def test_a_tag_that_points_elsewhere_is_refused(pushed, hub):
    hub.tag("org/minilm", "v1", hub.commit("org/minilm", {"model.safetensors": b"another"}))

    ran = pushed.run("push", "minilm@1")

    assert ran.code == 4
    assert missing(ran.err, " v1 ", "hf://org/minilm", hub.head("org/minilm")[:12]) == []


# bases of others


def test_a_base_that_came_from_the_hub_unmodified_is_not_pushed_again_unless_asked(
    there, hub, tmp_path
):
    folder = plain.base(tmp_path / "base")
    commit = hub.commit(
        "bob/minilm",
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )
    there.ok("pull", "hf://bob/minilm")
    add(there, plain.base(tmp_path / "resized", added=ADDED), "sized", parent="minilm@1")

    done = there.ok("push", "sized@1", "--to", "org/sized")
    again = there.ok("push", "sized@1", "--to", "org/whole", "--parents-to", "org", "--all-parents")

    assert [(item["reference"], item["what"], item["repository"]) for item in done["sent"]] == [
        ("minilm@1", "upstream", "bob/minilm"),
        ("sized@1", "pushed", "org/sized"),
    ]
    assert done["sent"][0]["commit"] == commit and hub.head("bob/minilm") == commit
    assert [(item["what"], item["repository"]) for item in again["sent"]] == [
        ("pushed", "org/minilm"),
        ("pushed", "org/whole"),
    ]


def test_a_line_on_somebody_else_s_base_comes_back_from_both(there, hub, lfs, tmp_path):
    folder = plain.base(tmp_path / "base")
    config = folder / "config.json"
    config.write_text(
        config.read_text().replace(
            '"architectures"', '"_name_or_path": "/home/bob/secret", "architectures"'
        )
    )
    hub.commit(
        "bob/minilm",
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )
    there.ok("pull", "hf://bob/minilm")
    add(there, plain.base(tmp_path / "resized", added=ADDED), "sized", parent="minilm@1")
    there.ok("push", "sized@1", "--to", "org/sized")
    third = there.empty(tmp_path / "third")

    third.ok("pull", "hf://org/sized")

    assert third.digests() == there.digests()
