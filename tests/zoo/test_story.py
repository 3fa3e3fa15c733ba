"""Each family goes through all operations with the recorded outcome.

A few families run in `make test`, all others in `make zoo`. A step that passes although
a refusal is recorded fails here too: record it with UPDATE_ZOO=1.
"""

from __future__ import annotations

import os

import pytest

import registry.errors
from registry.api.registry import checks
from tests.zoo import families, outcomes
from tests.zoo.story import FAULTS, STEPS, story_of

SAMPLE = (
    "bert-1-layer",
    "multilingual-e5-base",
    "Qwen3-Embedding-0.6B",
    "splade-v3",
    "bge-reranker-base",
    "potion-base-8M",
)
"""The families of `make test`; each takes four to eight seconds."""

RECORDED = outcomes.recorded()


def _forms() -> list[object]:
    return [
        pytest.param(name, marks=() if name in SAMPLE else pytest.mark.zoo)
        for name in families.variants()
        if name in RECORDED or os.environ.get("UPDATE_ZOO") == "1"
    ]


@pytest.mark.parametrize("name", _forms())
def test_each_operation_has_its_recorded_outcome(name, tmp_path):
    story = story_of(name, tmp_path)
    observed = story.run()

    assert set(observed) == set(STEPS)
    assert not outcomes.faults(story), story.messages
    if os.environ.get("UPDATE_ZOO") == "1":
        outcomes.record(name, outcomes.summary(story))
    assert outcomes.summary(story) == outcomes.recorded()[name], story.messages


def test_a_recorded_outcome_is_a_refusal_of_this_package_or_of_a_library():
    check_ids = {info.id for info in checks()}
    for name, entry in outcomes.recorded().items():
        for step, outcome in entry["refused"].items():
            assert step in STEPS, (name, step)
            assert not outcome.startswith(FAULTS), (name, step, outcome)
            kind, *failed = outcome.split()
            if kind == "library:":
                continue
            assert issubclass(getattr(registry.errors, kind), registry.errors.RegistryError)
            assert set(failed) <= check_ids, (name, step, outcome)


def test_the_recorded_forms_are_those_of_families():
    assert set(RECORDED) <= set(families.variants())
