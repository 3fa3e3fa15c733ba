"""Each family goes through all operations with the recorded outcome.

A few families run in `make test`. `make zoo` runs the published form of each other one,
whose last step re-saves it. `ZOO=third make zoo` runs every third family, which CI has
time for; `ZOO=full make zoo` adds the re-saved forms and the families that are large. A
step that passes although a refusal is recorded fails here too: record it with
UPDATE_ZOO=1.
"""

from __future__ import annotations

import json
import os

import pytest

import registry.errors
from registry.api.registry import checks
from tests.support import lively, refusals
from tests.zoo import families, outcomes
from tests.zoo.story import FAULTS, STEPS, story_of, train

SAMPLE = ("multilingual-e5-base", "potion-base-8M")
"""The families of `make test`: an encoder and static embeddings."""

SIZE = os.environ.get("ZOO", "published")
"""`third` of the published forms, for CI; all `published` ones; or the `full` set."""
UPDATE = os.environ.get("UPDATE_ZOO") == "1"
PAIR = ("the patient takes two tablets", "heart failure")


def _forms() -> list[object]:
    published = families.published()
    sizes = {
        "third": list(dict.fromkeys([*SAMPLE, *published[::3]])),
        "published": published,
        "full": families.variants(),
    }
    return [
        pytest.param(name, marks=() if name in SAMPLE else pytest.mark.zoo) for name in sizes[SIZE]
    ]


@pytest.mark.parametrize("name", _forms())
def test_each_operation_has_its_recorded_outcome(name, tmp_path):
    story = story_of(name, tmp_path)
    observed = story.run()

    assert set(observed) == set(STEPS)
    assert not outcomes.faults(story), story.messages
    if UPDATE:
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


def test_each_form_of_each_family_is_recorded():
    assert set(outcomes.recorded()) == set(families.variants())


def _types(folder):
    from transformers import AutoTokenizer

    encoded = AutoTokenizer.from_pretrained(folder)(*PAIR)
    return encoded["input_ids"], encoded["token_type_ids"]


def _saved_by_class(folder, kind):
    """Name the class that loads the tokenizer, as published files do."""
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    settings = {"tokenizer_class": kind, "model_input_names": inputs}
    path.write_text(json.dumps({**config, **settings}), "utf-8")


def _without_second_type(folder):
    """Give both texts of a pair type 0 in tokenizer.json."""
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    for item in document["post_processor"]["pair"]:
        for part in item.values():
            part["type_id"] = 0
    path.write_text(json.dumps(document), "utf-8")


@pytest.mark.zoo
@pytest.mark.parametrize("kind", ["BertTokenizer", "PreTrainedTokenizerFast"])
def test_an_adapter_with_other_types_of_a_pair_is_refused_if_the_library_reads_them(kind, tmp_path):
    member = families.FAMILIES["ms-marco-v4"]
    base = families.build("ms-marco-v4", tmp_path / "base")
    _saved_by_class(base, kind)
    reg = registry.init(tmp_path / "home")
    reg.add(base, "base")
    checkout = reg.checkout("base@1").folder
    model = lively.loaded(checkout, member.model_class)
    train(model, member)
    adapter = lively.save(model, tmp_path / "adapter")
    _without_second_type(adapter)

    (base_ids, base_types), (ids, types) = _types(checkout), _types(adapter)

    assert ids == base_ids
    if types == base_types:
        assert reg.add(adapter, "adapter").parent == "base@1"
        return
    with pytest.raises(registry.errors.RegistryError) as caught:
        reg.add(adapter, "adapter")
    assert "adapter-tokenizer" in refusals.CHECK.findall(refusals.text_of(caught.value))
