"""A repository that was deleted on the Hub: nothing is made in its place unless somebody says so."""

from __future__ import annotations

import pytest

from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import ADDED

BASE = "minilm-medical"


@pytest.fixture
def second(pushed, tmp_path):
    """medical@2, which is nowhere yet."""
    with pushed.registry as reg:
        reg.add(
            plain.adapter(tmp_path / "second", "unsaid", seed=2, added=ADDED),
            "medical",
            parent=f"{BASE}@1",
            measure=False,
        )
    return pushed


@pytest.mark.parametrize(
    ("version", "more"), [("medical@1", ()), ("medical@2", ("--dry-run",)), ("medical@2", ())]
)
def test_a_remembered_repository_that_is_gone_is_not_made_again(second, hub, version, more):
    hub.delete("org/medical")

    ran = second.run("push", version, *more)

    assert ran.code == 3 and is_one_error(ran.err), ran.err
    ways = (f"registry push {version} --to org/medical", "--to org/other")
    assert missing(ran.err, "hf://org/medical", *ways) == []
    assert "org/medical" not in hub.repositories
    (state,) = second.ok("status", "medical")
    assert state["state"] == "gone" and missing(state["detail"], "hf://org/medical") == []


def test_nothing_is_made_for_a_parent_before_its_child_s_repository_is_seen_to_be_gone(second, hub):
    for name in (BASE, "medical"):
        hub.delete(f"org/{name}")

    ran = second.run("push", "medical@2", "--parents-to", "alice")

    assert ran.code == 3 and "hf://org/medical" in ran.err
    assert set(hub.repositories) == {"org/minilm"}


def test_a_parent_whose_repository_is_gone_is_named_with_its_own_way_on(second, hub):
    hub.delete(f"org/{BASE}")

    ran = second.run("push", "medical@2")
    second.ok("push", f"{BASE}@1", "--to", f"org/{BASE}")
    done = second.ok("push", "medical@2")

    assert ran.code == 3 and is_one_error(ran.err), ran.err
    assert missing(ran.err, f"registry push {BASE}@1 --to org/{BASE}") == []
    assert [item["what"] for item in done["sent"]] == ["already", "already", "pushed"]


def test_who_names_the_repository_that_is_gone_gets_it_made_anew(second, hub):
    hub.delete("org/medical")

    dry = second.ok("push", "medical@1", "--to", "org/medical", "--dry-run")
    none = "org/medical" not in hub.repositories
    second.ok("push", "medical@1", "--to", "org/medical")
    second.ok("push", "medical@2")

    assert dry["sent"][-1]["what"] == "would push" and none
    assert set(hub.tags("org/medical")) == {"v1", "v2"} and hub.tags("org/medical")[
        "v2"
    ] == hub.head("org/medical")
    assert {state["state"] for state in second.ok("status", "medical")} == {"same"}


def test_what_was_made_anew_and_stayed_empty_is_filled_by_the_next_push(second, hub):
    hub.delete("org/medical")
    hub.fault("POST /commit/", status=500, times=-1)
    broken = second.run("push", "medical@1", "--to", "org/medical")
    hub.faults.clear()

    asked = second.run("push", "medical@1")
    done = second.ok("push", "medical@1", "--to", "org/medical")

    assert broken.code == 7
    assert asked.code == 4
    command = "registry push medical@1 --to org/medical"
    assert missing(asked.err, "hf://org/medical", command) == []
    assert done["sent"][-1]["what"] == "pushed"


def test_a_leak_is_seen_before_a_repository_is_made_anew(here, hub, tmp_path):
    folder = plain.base(tmp_path / "mine", seed=3)
    (folder / "README.md").write_text(f"# Mine\n\ntrained in {tmp_path}/mine\n")
    with here.registry as reg:
        reg.add(folder, "mine", measure=False)
    here.ok("push", "mine@1", "--to", "org/mine", "--allow-path", "README.md")
    hub.delete("org/mine")

    ran = here.run("push", "mine@1", "--to", "org/mine")

    assert ran.code == 6 and "README.md line 3" in ran.err and hub.repositories == {}
