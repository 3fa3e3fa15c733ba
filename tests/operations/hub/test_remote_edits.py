"""Files that somebody changed in a repository by hand: what a pull and a push say of them."""

from __future__ import annotations

import pytest

from tests.support import plain
from tests.support.hub.lines import ADDED, another

BY_HAND = {"adapter_config.json": b"{}", "README.md": b"# Edited"}


@pytest.fixture
def edited(pushed, hub):
    """medical@1 is published, and its configuration and card were edited there since."""
    hub.commit("org/medical", BY_HAND)
    return pushed


def warnings(ran):
    assert ran.code == 0, ran.err
    return [line for line in ran.err.splitlines() if line.startswith("warning")]


def test_a_pull_registers_what_was_published_and_says_that_plain_loaders_get_something_else(
    edited, there, hub
):
    ran = there.run("pull", "hf://org/medical")
    again = there.run("pull", "hf://org/medical")

    card, line = warnings(ran)
    assert "README.md of hf://org/medical was edited there after medical@1 was published" in card
    assert (
        f"hf://org/medical@{hub.head('org/medical')[:12]} is not as medical@1 was published, 1 file (adapter_config.json) changed there"
        in line
    )
    assert warnings(again) == [card, line]
    assert there.digests() == edited.digests()
    assert warnings(there.run("pull", "hf://org/medical@v1")) == []


def test_a_push_of_what_is_there_already_says_so_too(edited):
    (line,) = warnings(edited.run("push", "medical@1"))

    assert (
        "is not as medical@1 was published, 1 file (adapter_config.json) changed there; plain loaders get what is there now"
        in line
    )


def test_a_push_over_a_change_names_what_it_takes_the_place_of(edited, hub, tmp_path):
    with edited.registry as reg:
        reg.add(
            plain.adapter(tmp_path / "second", "unsaid", seed=2, added=ADDED),
            "medical",
            parent="minilm-medical@1",
            measure=False,
        )
    head = hub.head("org/medical")

    dry = warnings(edited.run("push", "medical@2", "--dry-run"))
    done = warnings(edited.run("push", "medical@2"))

    assert dry == done and len(done) == 1
    assert (
        "main of hf://org/medical was changed there since medical@1 was published, and medical@2 takes the place of that: 1 file "
        in done[0]
    )
    assert (
        f"(adapter_config.json); the change stays in the repository's history, at {head[:12]}"
        in done[0]
    )
    assert (
        warnings(edited.run("push", "medical@2")) == warnings(edited.run("push", "medical@1")) == []
    )


def test_an_edited_card_is_no_change_and_weights_beside_the_model_are_one(pushed, hub):
    hub.commit("org/minilm", {"README.md": b"# Edited", "photo.png": b"mine"})
    card = warnings(pushed.run("push", "minilm@1"))
    hub.commit("org/minilm", {f"{name}.bin": b"x" for name in ("pytorch_model", "a", "b", "c")})
    (line,) = warnings(pushed.run("push", "minilm@1"))

    assert card == [] and "4 files (a.bin, b.bin, c.bin, …) changed there" in line


def test_a_pull_reports_an_edited_card_that_a_later_push_keeps(pushed, there, hub, tmp_path):
    hub.commit("org/minilm", {"README.md": b"# Edited"})

    (line,) = warnings(there.run("pull", "hf://org/minilm"))
    assert "README.md of hf://org/minilm was edited there after minilm@1 was published" in line
    assert there.digests()["minilm@1"] == pushed.digests()["minilm@1"]

    another(there, tmp_path / "second")
    assert warnings(there.run("push", "minilm@2")) == []
    assert b"# Edited" in hub.files("org/minilm")["README.md"]
