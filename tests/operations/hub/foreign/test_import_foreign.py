"""pull: a repository that no registry made. What it is is recognised, and what it stands on is known by a full commit, or said by the user."""

from __future__ import annotations

import pytest

from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import ADDED


def test_a_plain_base_is_recognised_and_remembered_with_its_commit(there, hub, tmp_path):
    folder = plain.base(tmp_path / "base")
    commit = hub.commit(
        "org/plain",
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )

    done = there.ok("pull", "hf://org/plain", "--as", "minilm")

    with there.registry as reg:
        assert reg.resolve("minilm@1").source["hub"] == {
            "repository": "org/plain",
            "commit": commit,
        }
        assert done["digest"] == reg.add(folder, "again", measure=False).digest


def foreign_adapter(hub, tmp_path, base, revision):
    folder = plain.adapter(tmp_path / "foreign", base, added=ADDED, revision=revision)
    return hub.commit(
        "org/adapter",
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )


def test_a_plain_adapter_with_a_full_commit_finds_its_base(pushed, there, hub, tmp_path):
    there.ok("pull", "hf://org/minilm-medical")
    foreign_adapter(hub, tmp_path, "org/minilm-medical", hub.head("org/minilm-medical"))

    there.ok("pull", "hf://org/adapter")

    with there.registry as reg:
        assert [
            (parent.reference, parent.evidence) for parent in reg.resolve("adapter@1").parents
        ] == [("minilm-medical@1", "hub")]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("named", ["org/minilm-medical", "/home/somebody/base", None])
def test_a_plain_adapter_without_a_commit_has_candidates_and_the_user_decides(
    pushed, there, hub, tmp_path, named
):
    there.ok("pull", "hf://org/minilm-medical")
    foreign_adapter(hub, tmp_path, named or "", None)

    refused = there.run("pull", "hf://org/adapter")
    there.ok("pull", "hf://org/adapter", "--parent", "minilm-medical@1")

    assert (
        refused.code == 3
        and "registry pull hf://org/adapter --parent minilm-medical@1" in refused.err
    )


def test_a_plain_adapter_whose_base_is_known_and_not_here_says_what_to_pull_first(
    there, hub, tmp_path
):
    foreign_adapter(hub, tmp_path, "bob/base", "c" * 40)

    ran = there.run("pull", "hf://org/adapter")

    assert ran.code == 3 and is_one_error(ran.err)
    assert missing(ran.err, f"registry pull hf://bob/base@{'c' * 40}") == []


def test_a_path_on_this_machine_is_no_evidence_for_a_repository(
    pushed, there, hub, tmp_path, line_template
):
    with there.registry as reg:
        reg.add(line_template / "training" / "base", "minilm", measure=False)
        reg.add(
            line_template / "training" / "resized",
            "minilm-medical",
            parent="minilm@1",
            measure=False,
        )
    foreign_adapter(hub, tmp_path, str(line_template / "training" / "resized"), None)

    assert there.run("pull", "hf://org/adapter").code == 3
