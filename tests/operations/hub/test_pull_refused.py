"""pull: what is refused, and what is said of it: repositories that are not there, mean harm, or are not what they were."""

from __future__ import annotations

import json
import re

import pytest

import registry.core.manifest
from registry.core.digest import canonical
from registry.transfer.line_json import LIMIT
from tests.cli.errors import is_one_error, missing
from tests.support import plain


def tampered(hub, path, change, repository="org/medical"):
    """Change a file of main behind everybody's back."""
    return hub.commit(repository, {path: change(hub.files(repository)[path])})


def nothing_registered(place):
    return [entry["kind"] for entry in place.log()] == ["Init"]


def test_a_repository_that_is_not_there_is_said_in_one_line(there, hub):
    ran = there.run("pull", "hf://org/nothing")

    assert ran.code == 3 and is_one_error(ran.err)
    assert missing(ran.err, "hf://org/nothing") == []


@pytest.mark.parametrize(("token", "code"), [("", 3), ("hf_wrong", 7)])
def test_a_private_repository_asks_for_the_right_token(pushed, there, hub, token, code):
    hub.repository("org/medical").private = True

    ran = there.run("pull", "hf://org/medical", HF_TOKEN=token)

    assert (ran.code, token in ran.err and bool(token)) == (code, False), ran.err
    assert missing(ran.err, "hf://org/medical", "HF_TOKEN", "hf auth login") == []


def test_a_gated_repository_says_where_to_ask(pushed, there, hub):
    hub.repository("org/medical").gated = "manual"

    ran = there.run("pull", "hf://org/medical", HF_TOKEN=hub.tokens["bob"])

    assert ran.code == 7 and is_one_error(ran.err)
    assert missing(ran.err, "hf://org/medical", "gated") == []


@pytest.mark.parametrize("text", ["org/medical", "medical"])
def test_a_repository_without_its_scheme_is_taken_for_no_file(there, text):
    ran = there.run("pull", text)

    assert ran.code == 3 and is_one_error(ran.err)
    assert missing(ran.err, repr(text), "hf://org/medical") == []


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("https://hub.example/org/medical", "hf://org/medical"),
        ("https://hub.example/org/medical/tree/v1?x=1", "hf://org/medical@v1"),
        ("https://hub.example/datasets/org/texts", "hf://org/name"),
        ("s3://bucket/medical.tar", "hf://org/name"),
    ],
)
def test_an_address_is_taken_for_no_file(there, hub, address, meant):
    ran = there.run("pull", address)

    assert ran.code == 3 and is_one_error(ran.err)
    assert missing(ran.err, repr(address)) == []
    assert meant in [word.strip("'();,?") for word in ran.err.split()]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("files", "held"),
    [({}, []), ({"notes.txt": b"x"}, ["notes.txt"]), ({"old/config.json": b"{}"}, ["'old'"])],
)
def test_a_repository_without_a_model_is_named_with_what_it_holds(there, hub, files, held):
    hub.create("org/empty")
    hub.commit("org/empty", {".gitattributes": b"", **files})

    ran = there.run("pull", "hf://org/empty")

    looked_for = ("modules.json", "config.json", "adapter_config.json")
    assert ran.code == 6
    assert missing(ran.err, "hf://org/empty", *looked_for, *held) == []
    assert nothing_registered(there)


def test_offline_is_said(there, hub):
    ran = there.warm.run(
        REGISTRY_HOME=str(there.root),
        code="from huggingface_hub import constants; constants.HF_HUB_OFFLINE = True\n"
        "from registry.cli import main; import sys; sys.exit(main(['pull', 'hf://org/medical']))",
    )

    assert ran.code == 7
    assert missing(ran.err, "hf://org/medical", "HF_HUB_OFFLINE") == []


def test_a_hub_that_is_no_address_is_said(there, hub):
    ran = there.run("pull", "hf://org/medical", HF_ENDPOINT="hub.example")

    assert ran.code == 2 and is_one_error(ran.err)
    assert missing(ran.err, "HF_ENDPOINT", "'hub.example'", "https://hub.example") == []


def test_bytes_that_are_not_those_of_the_manifest_are_refused(pushed, there, hub):
    tampered(
        hub, "adapter_model.safetensors", lambda content: content[:-1] + bytes([content[-1] ^ 1])
    )

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 5 and "adapter_model.safetensors" in ran.err
    assert "medical@1" not in there.digests()


def test_a_newer_line_is_not_guessed_at(pushed, there, hub):
    tampered(
        hub,
        ".registry/line.json",
        lambda content: content.replace(b'"format":1,"line"', b'"format":9,"line"'),
    )

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 2 and nothing_registered(there)
    assert missing(ran.err, ".registry/line.json", "hf://org/medical", "format 9") == []


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
    hub.commit(
        "org/plain",
        {
            str(item.relative_to(folder)): item.read_bytes()
            for item in folder.rglob("*")
            if item.is_file()
        }
        | {path: b"x"},
    )

    ran = there.run("pull", "hf://org/plain")

    assert ran.code == 2 and nothing_registered(there), ran.err


def test_a_line_of_too_many_bytes_is_not_read(pushed, there, hub):
    tampered(hub, ".registry/line.json", lambda content: content + b" " * (17 << 20))
    before = hub.downloaded

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 6 and hub.downloaded == before
    assert missing(ran.err, ".registry/line.json", "hf://org/medical", str(LIMIT)) == []


def test_files_that_do_not_make_the_manifest_are_refused(pushed, there, hub):
    def lie(content):
        value = json.loads(content)
        value["line"][0]["manifest"]["files"].pop(0)
        manifest = registry.core.manifest.parse(canonical(value["line"][0]["manifest"]))
        value["line"][0]["digest"] = manifest.digest
        return canonical(value)

    tampered(hub, ".registry/line.json", lie)

    ran = there.run("pull", "hf://org/medical")

    assert ran.code != 0 and "medical@1" not in there.digests()
    assert is_one_error(
        "\n".join(line for line in ran.err.splitlines() if not line.startswith("warning"))
    )


def test_a_renamed_repository_is_said(pushed, there, hub):
    hub.move("org/medical", "org/renamed")

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 4 and "registry pull hf://org/renamed" in ran.err


def test_a_repository_that_was_deleted_and_made_again_is_not_taken_for_the_known_one(
    pushed, there, hub
):
    there.ok("pull", "hf://org/medical")
    files, before = hub.files("org/medical"), hub.head("org/medical")
    hub.delete("org/medical")
    hub.commit("org/medical", files | {"README.md": b"# Other"})

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 4
    heads = (before[:12], hub.head("org/medical")[:12])
    assert missing(ran.err, "hf://org/medical", "medical@1", *heads) == []
    there.ok("pull", re.findall(r"registry pull (hf://\S+)", ran.err)[0])


def test_a_rewritten_history_is_not_taken_for_the_known_one(pushed, there, hub):
    there.ok("pull", "hf://org/medical")
    before = hub.head("org/medical")
    hub.squash("org/medical")

    ran = there.run("pull", "hf://org/medical")

    assert ran.code == 4
    heads = (before[:12], hub.head("org/medical")[:12])
    assert missing(ran.err, "hf://org/medical", "medical@1", *heads) == []


def test_a_tag_that_somebody_moved_is_said(pushed, there, hub):
    there.ok("pull", "hf://org/medical@v1")
    before = hub.head("org/medical")
    hub.tag("org/medical", "v1", hub.commit("org/medical", {"README.md": b"# Other"}))

    ran = there.run("pull", "hf://org/medical@v1")

    now = hub.head("org/medical")
    assert ran.code == 4
    assert missing(ran.err, " v1 ", f"registry pull hf://org/medical@{before}", f"@{now}") == []
