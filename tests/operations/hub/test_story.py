"""The story of this room: a line is published, a stranger loads it plainly, and an empty home gets it back whole."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

STRANGER = """
import sys
import numpy, registry
from sentence_transformers import SentenceTransformer
texts = ["the patient takes one dose", "zorvaxin and quelora, twice a day"]
plain = SentenceTransformer("org/medical", device="cpu").encode(texts)
here = registry.load("medical@1", home=sys.argv[1], device="cpu").encode(texts)
assert numpy.array_equal(plain, here), abs(plain - here).max()
print(plain.shape)
"""

RESIZED = """
with registry.open(sys.argv[1]) as reg:
    made = reg.resize("minilm@1", "sized", ["zorvaxin"]).version
    reg.push(made, to="org/sized")
with registry.init(sys.argv[2]) as reg:
    pulled = reg.pull("hf://org/sized").version
    assert (pulled.digest, pulled.probes) == (made.digest, made.probes)
    assert pulled.source["recipe"] == made.source["recipe"]
    reg.load(pulled, device="cpu")
print("and what was resized, with its probes and its recipe")
"""

LEAN = """
import sys
from registry.cli import main
assert main(["--home", sys.argv[1], "push", "medical@1", "--to", "org/medical", "--parents-to", "org", "--quiet"]) == 0
assert main(["--home", sys.argv[2], "pull", "hf://org/medical", "--quiet"]) == 0
print(*({"sqlalchemy", "alembic", "torch", "transformers"} & sys.modules.keys()))
"""


@pytest.mark.slow
def test_a_stranger_loads_a_published_line_with_the_plain_library_and_gets_the_same_bits(
    pushed, hub, lfs, tmp_path
):
    """And a resized base comes back with how it was made and what was measured: torch is loaded once for both."""
    ran = lfs.run(pushed.root, tmp_path / "third", code=STRANGER + RESIZED, timeout=180)

    assert (ran.code, ran.out.splitlines()) == (
        0,
        ["(2, 8)", "and what was resized, with its probes and its recipe"],
    ), ran.err


@pytest.mark.slow
def test_who_publishes_and_who_fetches_waits_for_no_library_that_neither_takes(
    here, there, hub, client_environment
):
    ran = subprocess.run(
        [sys.executable, "-c", LEAN, here.root, there.root],
        env=client_environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout.split()) == (0, ["medical@1", "medical@1"]), ran.stderr
    assert there.digests() == here.digests()


def test_an_empty_home_gets_the_whole_line_back_with_the_same_digests_and_numbers(pushed, there):
    pulled = there.ok("pull", "hf://org/medical")

    assert pulled["reference"] == "medical@1"
    assert there.digests() == pushed.digests()
    assert [state["state"] for state in there.ok("status")] == ["same", "same", "same"]


def test_each_repository_gets_one_commit_and_the_tag_of_its_version(here, hub):
    done = here.ok("push", "medical@1", "--to", "org/medical", "--parents-to", "org")

    assert [(item["reference"], item["what"]) for item in done["sent"]] == [
        ("minilm@1", "pushed"),
        ("minilm-medical@1", "pushed"),
        ("medical@1", "pushed"),
    ]
    assert len(hub.asked("POST /commit/")) == 3
    assert hub.tags("org/medical") == {"v1": hub.head("org/medical")}


def test_a_repository_has_the_model_for_plain_loaders_a_card_and_what_a_pull_needs(pushed, hub):
    files = hub.files("org/medical")
    config, line = (
        json.loads(files["adapter_config.json"]),
        json.loads(files[".registry/line.json"])["line"],
    )
    with pushed.registry as reg:
        own, base = reg.show("medical@1"), reg.resolve("minilm-medical@1")

    assert (config["base_model_name_or_path"], config["revision"]) == (
        "org/minilm-medical",
        hub.head("org/minilm-medical"),
    )
    assert {path for path in files if path.startswith(".registry/")} == {
        ".registry/" + name
        for name in (
            "line.json",
            "manifest.json",
            "facts.json",
            "originals/README.md",
            "originals/adapter_config.json",
        )
    }
    assert {path for path in files if path[0] != "."} == {file.path for file in own.files}
    assert [
        (item["name"], item["number"], item["repository"], item["commit"]) for item in line
    ] == [
        ("medical", 1, "org/medical", None),
        ("minilm-medical", 1, "org/minilm-medical", hub.head("org/minilm-medical")),
        ("minilm", 1, "org/minilm", hub.head("org/minilm")),
    ]
    assert line[0]["edges"] == [
        {"role": "base", "digest": base.digest, "evidence": "path", "reference": "minilm-medical@1"}
    ]
    assert [item["message"] for item in line] == ["first training", None, "the base"]
    assert all(item["publisher"] and item["date"] and item["manifest"]["files"] for item in line)


def test_an_unchanged_line_is_not_sent_again_and_takes_at_most_five_requests(pushed, hub):
    before, entries = len(hub.requests), pushed.log()

    done = pushed.ok("push", "medical@1")

    assert [item["what"] for item in done["sent"]] == ["already", "already", "already"]
    assert len(hub.requests) - before <= 5
    assert all(request.method == "GET" for request in hub.requests[before:])
    assert pushed.log() == entries


def test_the_entry_says_where_the_version_is_and_what_lies_there(pushed, hub):
    published = next(
        entry for entry in pushed.log() if entry["kind"] == "Publish" and entry["name"] == "minilm"
    )

    assert (published["kind"], published["repository"], published["commit"], published["tag"]) == (
        "Publish",
        "org/minilm",
        hub.head("org/minilm"),
        "v1",
    )
    assert set(published["files"]) == set(hub.files("org/minilm")) - {".gitattributes"}
