"""pull: what comes, under which name and number, and what is refused."""

from __future__ import annotations

import json

import pytest

import registry
from registry.digest import canonical
from tests.hub.lines import ADDED, wait_for
from tests.support import plain

LINE = ("--to", "org/medical", "--parents-to", "org")


def add(place, folder, name, **options):
    with place.registry as reg:
        return reg.add(folder, name, **options, measure=False).version


def tampered(hub, path, change, repository="org/medical"):
    """Change a file of main behind everybody's back."""
    return hub.commit(repository, {path: change(hub.files(repository)[path])})


def nothing_registered(place):
    return [entry["kind"] for entry in place.log()] == ["Init"]


def test_a_number_stays_and_gaps_are_fine(here, there, hub, tmp_path):
    for seed in (2, 3):
        add(here, plain.adapter(tmp_path / f"s{seed}", "unsaid", seed=seed, added=ADDED), "medical", parent="minilm-medical@1")
    here.ok("push", "medical@3", *LINE)

    there.ok("pull", "hf://org/medical")

    assert set(there.digests()) == {"minilm@1", "minilm-medical@1", "medical@3"}
    assert add(there, tmp_path / "s2", "medical", parent="minilm-medical@1").number == 4


def test_what_a_version_is_said_to_be_comes_with_it(pushed, there):
    there.ok("pull", "hf://org/medical")

    with there.registry as reg, pushed.registry as original:
        version, before = reg.resolve("medical@1"), original.resolve("medical@1")
        base = reg.resolve("minilm@1")
    assert (version.message, base.message) == ("first training", "the base")
    assert [(parent.reference, parent.evidence) for parent in version.parents] == [("minilm-medical@1", "path")]
    assert (version.source["how"], version.source["published"]["by"]) == ("pull", before.created_by)
    assert version.source["published"]["date"] == before.created_at


def test_pulling_again_writes_nothing_and_fetches_only_what_tells_so(pushed, there, hub):
    there.ok("pull", "hf://org/medical")
    entries, before = there.log(), len(hub.requests)

    again = there.ok("pull", "hf://org/medical")

    assert again["already"] and there.log() == entries
    assert len(hub.requests) - before <= 5


def test_of_an_adapter_whose_base_is_here_only_its_own_bytes_come(pushed, there, hub):
    there.ok("pull", "hf://org/minilm-medical")
    before = hub.downloaded

    done = there.ok("pull", "hf://org/medical")

    assert {item["reference"]: item["what"] for item in done["received"]} == {
        "minilm@1": "already", "minilm-medical@1": "already", "medical@1": "registered"}
    assert hub.downloaded - before == len(hub.files("org/medical")["adapter_model.safetensors"])


def test_parents_that_are_here_under_another_name_are_not_fetched(pushed, there, hub, line_template):
    add(there, line_template / "training" / "base", "my/base")

    there.ok("pull", "hf://org/medical")

    assert set(there.digests()) == {"my/base@1", "minilm-medical@1", "medical@1"}


def test_another_model_at_the_number_is_refused_with_the_flags_to_type(pushed, there, tmp_path):
    add(there, plain.base(tmp_path / "mine", seed=9), "medical")

    refused = there.run("pull", "hf://org/medical")
    there.ok("pull", "hf://org/medical", "--renumber", "--from-any")

    assert refused.code == 4 and "medical@1 is another model here" in refused.err and "--renumber" in refused.err and "--as NAME" in refused.err
    assert there.digests()["medical@2"] == pushed.digests()["medical@1"]


def test_a_name_that_does_not_come_from_there_is_not_mixed_with_it(here, there, hub, tmp_path):
    add(here, plain.adapter(tmp_path / "second", "unsaid", seed=2, added=ADDED), "medical", parent="minilm-medical@1")
    here.ok("push", "medical@2", *LINE)
    add(there, plain.base(tmp_path / "mine", seed=9), "medical")

    refused = there.run("pull", "hf://org/medical")
    there.ok("pull", "hf://org/medical", "--as", "theirs")

    assert refused.code == 4 and "does not come from hf://org/medical" in refused.err and "--from-any" in refused.err
    assert there.digests()["theirs@2"] == here.digests()["medical@2"]


def test_a_parent_s_name_that_means_something_else_here_is_refused_with_the_flag(pushed, there, tmp_path):
    add(there, plain.base(tmp_path / "mine", seed=9), "minilm")

    refused = there.run("pull", "hf://org/medical")
    there.ok("pull", "hf://org/medical", "--parent-as", "minilm=org-minilm")

    assert refused.code == 4 and "--parent-as minilm=NAME" in refused.err
    assert set(there.digests()) == {"minilm@1", "org-minilm@1", "minilm-medical@1", "medical@1"}


def test_tags_become_aliases_if_that_is_asked_for(here, there, hub):
    here.ok("alias", "medical@1", "prod")
    here.ok("push", "medical@prod", *LINE)

    done = there.ok("pull", "hf://org/medical", "--aliases")

    assert done["aliases"] == ["prod"]
    assert there.ok("resolve", "medical@prod")["number"] == 1


def test_add_takes_a_repository_too(pushed, there):
    done = there.ok("add", "hf://org/medical", "--as", "theirs", "--alias", "prod")

    assert (done["reference"], done["parent"]) == ("theirs@1", "minilm-medical@1")


def test_a_revision_says_which(pushed, there, hub, tmp_path):
    add(pushed, plain.adapter(tmp_path / "second", "unsaid", seed=2, added=ADDED), "medical", parent="minilm-medical@1")
    pushed.ok("push", "medical@2")

    assert there.ok("pull", "hf://org/medical@v1")["reference"] == "medical@1"
    assert there.ok("pull", f"hf://org/medical@{hub.head('org/medical')}")["reference"] == "medical@2"


def test_a_flipped_byte_is_never_registered_and_repeating_mends_it(pushed, there, hub):
    hub.fault("GET /__cdn__/", flip=200)

    refused = there.run("pull", "hf://org/minilm")
    there.ok("pull", "hf://org/minilm")

    assert refused.code == 5 and "has the digest" in refused.err and refused.err.count("\n") == 1


def test_a_broken_transfer_goes_on_where_it_was(pushed, there, hub):
    hub.fault("GET /__cdn__/", cut=3000, times=2)

    there.ok("pull", "hf://org/minilm")

    assert [request.headers.get("range") for request in hub.asked("GET /__cdn__/")][:3] == [None, "bytes=3000-", "bytes=6000-"]


def test_files_of_an_earlier_try_that_were_spoilt_since_are_fetched_anew(pushed, there, hub):
    def whole():
        return [path for path in (there.root / "staging").rglob("*") if path.suffix == "" and path.is_file() and path.stat().st_size]

    hub.fault("GET /__cdn__/", status=403, times=-1, first=lambda: wait_for(whole))
    first = there.run("pull", "hf://org/minilm")
    spoilt = whole()
    for path in spoilt:
        path.chmod(0o600)
        path.write_bytes(bytes(path.stat().st_size))
    hub.faults.clear()

    second = there.run("pull", "hf://org/minilm")

    assert first.code == 7 and spoilt
    assert second.code == 0, second.err
    assert there.digests() == {"minilm@1": pushed.digests()["minilm@1"]} and not list((there.root / "staging").iterdir())


def test_the_token_goes_to_no_other_host_and_stands_nowhere(pushed, there, hub):
    ran = there.run("pull", "hf://org/medical")

    assert hub.asked("GET /__cdn__/") and hub.token not in ran.out + ran.err
    for path in there.root.rglob("*"):
        assert not path.is_file() or hub.token.encode() not in path.read_bytes(), path


# what no registry made

def test_a_plain_base_is_recognised_and_remembered_with_its_commit(there, hub, tmp_path):
    folder = plain.base(tmp_path / "base")
    commit = hub.commit("org/plain", {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})

    done = there.ok("pull", "hf://org/plain", "--as", "minilm")

    with there.registry as reg:
        assert reg.resolve("minilm@1").source["hub"] == {"repository": "org/plain", "commit": commit}
        assert done["digest"] == reg.add(folder, "again", measure=False).digest


def foreign_adapter(hub, tmp_path, base, revision):
    folder = plain.adapter(tmp_path / "foreign", base, added=ADDED, revision=revision)
    return hub.commit("org/adapter", {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})


def test_a_plain_adapter_with_a_full_commit_finds_its_base(pushed, there, hub, tmp_path):
    there.ok("pull", "hf://org/minilm-medical")
    foreign_adapter(hub, tmp_path, "org/minilm-medical", hub.head("org/minilm-medical"))

    there.ok("pull", "hf://org/adapter")

    with there.registry as reg:
        assert [(parent.reference, parent.evidence) for parent in reg.resolve("adapter@1").parents] == [("minilm-medical@1", "hub")]


@pytest.mark.parametrize("named", ["org/minilm-medical", "/home/somebody/base", None])
def test_a_plain_adapter_without_a_commit_has_candidates_and_the_user_decides(pushed, there, hub, tmp_path, named):
    there.ok("pull", "hf://org/minilm-medical")
    foreign_adapter(hub, tmp_path, named or "", None)

    refused = there.run("pull", "hf://org/adapter")
    there.ok("pull", "hf://org/adapter", "--parent", "minilm-medical@1")

    assert refused.code == 3 and "registry pull hf://org/adapter --parent minilm-medical@1" in refused.err


def test_a_path_on_this_machine_is_no_evidence_for_a_repository(pushed, there, hub, tmp_path, line_template):
    with there.registry as reg:
        reg.add(line_template / "training" / "base", "minilm", measure=False)
        reg.add(line_template / "training" / "resized", "minilm-medical", parent="minilm@1", measure=False)
    foreign_adapter(hub, tmp_path, str(line_template / "training" / "resized"), None)

    assert there.run("pull", "hf://org/adapter").code == 3


# hostile and strange

def test_a_repository_that_is_not_there_is_said_in_one_line(there, hub):
    ran = there.run("pull", "hf://org/nothing")

    assert ran.code == 3 and "there is no model repository hf://org/nothing" in ran.err and ran.err.count("\n") == 1


@pytest.mark.parametrize(("token", "code", "said"), [("", 3, "no token is set"), ("hf_wrong", 7, "does not take this token")])
def test_a_private_repository_asks_for_the_right_token(pushed, there, hub, token, code, said):
    hub.repository("org/medical").private = True

    ran = there.run("pull", "hf://org/medical", HF_TOKEN=token)

    assert (ran.code, said in ran.err, token in ran.err and bool(token)) == (code, True, False), ran.err


def test_a_gated_repository_says_where_to_ask(pushed, there, hub):
    hub.repository("org/medical").gated = "manual"

    ran = there.run("pull", "hf://org/medical", HF_TOKEN=hub.tokens["bob"])

    assert ran.code == 7 and "hf://org/medical is gated; ask for access on its page" in ran.err and ran.err.count("\n") == 1


@pytest.mark.parametrize("text", ["org/medical", "medical"])
def test_a_repository_without_its_scheme_is_taken_for_no_file(there, text):
    ran = there.run("pull", text)

    assert ran.code == 3 and f"there is no bundle {text!r}" in ran.err and "hf://org/medical" in ran.err and ran.err.count("\n") == 1


def test_offline_is_said(there, hub):
    ran = there.warm.run(REGISTRY_HOME=str(there.root), code="from huggingface_hub import constants; constants.HF_HUB_OFFLINE = True\n"
                         "from registry.cli import main; import sys; sys.exit(main(['pull', 'hf://org/medical']))")

    assert ran.code == 7 and "HF_HUB_OFFLINE is set" in ran.err


def test_bytes_that_are_not_those_of_the_manifest_are_refused(pushed, there, hub):
    tampered(hub, "adapter_model.safetensors", lambda content: content[:-1] + bytes([content[-1] ^ 1]))

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 5 and "adapter_model.safetensors" in ran.err
    assert "medical@1" not in there.digests()


def test_a_newer_line_is_not_guessed_at(pushed, there, hub):
    tampered(hub, ".registry/line.json", lambda content: content.replace(b'"format":1,"line"', b'"format":9,"line"'))

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 2 and "update st-registry" in ran.err and nothing_registered(there)


def test_a_manifest_that_names_a_way_out_writes_nothing(pushed, there, hub, tmp_path):
    def escape(content):
        value = json.loads(content)
        value["line"][0]["manifest"]["files"][0]["path"] = "../../../escaped"
        return canonical(value)
    tampered(hub, ".registry/line.json", escape)

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 2 and nothing_registered(there)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("path", ["../x", "a/../../x", "CON", "a\\b", "C:x"])
def test_a_plain_repository_with_a_strange_name_is_refused(there, hub, tmp_path, path):
    folder = plain.base(tmp_path / "base")
    hub.commit("org/plain", {str(item.relative_to(folder)): item.read_bytes() for item in folder.rglob("*") if item.is_file()} | {path: b"x"})

    ran = there.run("pull", "hf://org/plain")

    assert ran.code == 2 and nothing_registered(there), ran.err


def test_a_line_of_too_many_bytes_is_not_read(pushed, there, hub):
    tampered(hub, ".registry/line.json", lambda content: content + b" " * (17 << 20))
    before = hub.downloaded

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 6 and "are read" in ran.err and hub.downloaded == before


def test_files_that_do_not_make_the_manifest_are_refused(pushed, there, hub):
    def lie(content):
        value = json.loads(content)
        value["line"][0]["manifest"]["files"].pop(0)
        manifest = registry.manifest.parse(canonical(value["line"][0]["manifest"]))
        value["line"][0]["digest"] = manifest.digest
        return canonical(value)
    tampered(hub, ".registry/line.json", lie)

    ran = there.run("pull", "hf://org/medical")

    assert ran.code != 0 and "medical@1" not in there.digests() and ran.err.count("\n") <= 1 + ran.err.count("warning")


def test_a_renamed_repository_is_said(pushed, there, hub):
    hub.move("org/medical", "org/renamed")

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 4 and "registry pull hf://org/renamed" in ran.err


def test_a_repository_that_was_deleted_and_made_again_is_not_taken_for_the_known_one(pushed, there, hub):
    there.ok("pull", "hf://org/medical")
    files = hub.files("org/medical")
    hub.delete("org/medical")
    hub.commit("org/medical", files | {"README.md": b"# Other"})

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 4 and "deleted and made again" in ran.err


def test_a_rewritten_history_is_not_taken_for_the_known_one(pushed, there, hub):
    there.ok("pull", "hf://org/medical")
    hub.squash("org/medical")

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 4 and "history was rewritten" in ran.err


def test_a_tag_that_somebody_moved_is_said(pushed, there, hub):
    there.ok("pull", "hf://org/medical@v1")
    hub.tag("org/medical", "v1", hub.commit("org/medical", {"README.md": b"# Other"}))

    ran = there.run("pull", "hf://org/medical@v1")

    assert ran.code == 4 and "somebody moved it" in ran.err
