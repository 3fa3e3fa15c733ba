"""Proposals: pull requests on the Hub, pushed by contributors and pulled by others."""

from __future__ import annotations

import pytest

from registry.transfer import line_json
from tests.cli.errors import missing
from tests.support.hub.lines import another


@pytest.fixture
def contributor(here, there, tmp_path):
    """A registry with its own minilm@2, while the repository has another minilm@2 and a
    minilm@3.
    """
    here.ok("push", "minilm@1", "--to", "org/minilm")
    there.ok("pull", "hf://org/minilm")
    another(there, tmp_path / "contribution", query="contributed: ")
    for number in (2, 3):
        another(here, tmp_path / f"published-{number}", query=f"{number}: ")
        here.ok("push", f"minilm@{number}")
    return there


def test_a_contributor_who_is_behind_proposes_a_number_that_is_taken(contributor, hub):
    tags, main, entries = hub.tags("org/minilm"), hub.head("org/minilm"), contributor.log()

    sent = contributor.ok("push", "minilm@2", "--pr")["sent"][0]

    assert (sent["what"], sent["tag"], bool(sent["url"])) == ("pushed", None, True)
    assert (hub.tags("org/minilm"), hub.head("org/minilm")) == (tags, main)
    assert list(hub.repository("org/minilm").branches) == ["main"]
    assert contributor.log() == entries
    content = hub.files("org/minilm", "refs/pr/1")[line_json.PATH]
    assert (
        str(line_json.parse(content, "org/minilm")[0].digest) == contributor.digests()["minilm@2"]
    )


def test_a_number_that_main_has_is_proposed_too(here, there, hub, tmp_path):
    here.ok("push", "minilm@1", "--to", "org/minilm")
    another(there, tmp_path / "first", query="other: ")

    ran = there.run("push", "minilm@1", "--to", "org/minilm")
    done = there.ok("push", "minilm@1", "--to", "org/minilm", "--pr")

    assert ran.code == 4 and "--pr" in ran.err
    assert done["sent"][0]["url"] and len(hub.history("org/minilm", "refs/pr/1")) > 1


def test_a_proposal_is_pulled_and_named_as_one(contributor, here, hub):
    contributor.ok("push", "minilm@2", "--pr")

    ran = here.run("pull", "hf://org/minilm@refs/pr/1", "--as", "proposed", "--from-any", "--json")

    assert ran.code == 0, ran.err
    assert ran.json["digest"] == contributor.digests()["minilm@2"]
    assert missing(ran.err, "hf://org/minilm@refs/pr/1", "is a proposal") == []
    assert ran.json["received"][-1]["commit"] == hub.history("org/minilm", "refs/pr/1")[0].oid
