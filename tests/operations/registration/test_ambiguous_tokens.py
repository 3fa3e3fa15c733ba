"""Models whose added tokens are equal after normalisation are refused, or load as registered."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import registry
from registry.errors import NotLoadable, ProbeMismatch
from registry.model_files.tokenizer import ambiguous_tokens
from registry.operations.registration import measure
from tests.support import plain
from tests.support.hand import edit
from tests.support.refusals import raises

WORDS = ("zorvaxin", "Zorvaxin")
CHECK = ambiguous_tokens.CHECK
LOAD = """
import sys
import registry
from registry.errors import ProbeMismatch
with registry.open(sys.argv[1]) as reg:
    try:
        print(reg.load("resized", device="cpu").tokenizer("zorvaxin")["input_ids"][1])
    except ProbeMismatch:
        print("refused")
"""


@pytest.fixture
def reg(tmp_path):
    with registry.init(tmp_path / "home") as opened:
        opened.add(plain.base(tmp_path / "base"), "base", measure=False)
        yield opened


@pytest.fixture
def registered_before(tmp_path, reg, monkeypatch):
    """Register a version with such tokens as a package without the check did."""
    with monkeypatch.context() as patch:
        patch.setattr(ambiguous_tokens, "equal_tokens_in", lambda *_: ())
        patch.setattr(measure, "refuse_equal_tokens", lambda _: None)
        reg.add(plain.base(tmp_path / "resized", added=WORDS), "resized", parent="base")
    return reg


@pytest.mark.parametrize("options", [{}, {"parent": "base"}])
def test_a_model_is_refused_by_name(tmp_path, reg, options):
    folder = plain.base(tmp_path / "resized", added=WORDS)

    with raises(NotLoadable, *WORDS, '"normalized": false', "registry resize", check=CHECK):
        reg.add(folder, "resized", measure=False, **options)
    assert [model.name for model in reg.list()] == ["base"]


def test_the_remedy_of_the_hint_is_accepted(tmp_path, reg):
    folder = plain.base(tmp_path / "resized", added=WORDS)
    edit(
        folder / "tokenizer.json",
        lambda content: content["added_tokens"][-1].update(normalized=False),
    )

    assert reg.add(folder, "resized", measure=False).version is not None


def test_a_registered_version_loads_only_with_the_ids_of_its_probes(registered_before):
    reg, loaded = registered_before, []
    for _ in range(12):
        try:
            model = reg.load("resized", device="cpu")
            loaded.append(model.tokenizer("zorvaxin")["input_ids"][1])
        except ProbeMismatch:
            loaded.append(None)

    assert len(set(loaded) - {None}) == 1
    outcomes = [outcome for outcome in reg.check("resized").outcomes if outcome.check == CHECK]
    assert {outcome.stage: outcome.verdict for outcome in outcomes}["resized@1"] == "warned"


@pytest.mark.slow
def test_processes_with_other_hash_seeds_load_the_same_ids(registered_before):
    loaded = set()
    for seed in range(4):
        completed = subprocess.run(
            [sys.executable, "-c", LOAD, str(registered_before.home.root)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
        loaded.add(completed.stdout.strip())

    assert len(loaded - {"refused"}) <= 1
