from __future__ import annotations

import pytest

from registry.core.provenance import check_source
from registry.errors import InvalidManifest, NewerFormat
from tests.support.refusals import raises

WHOLE = {
    "how": "add",
    "converted": {
        "format": 1,
        "files": [
            {"path": "pytorch_model.bin", "size": 7, "digest": f"sha256:{'1' * 64}"},
            {
                "path": "code/org__model/modeling.py",
                "size": 5,
                "digest": f"sha256:{'2' * 64}",
                "repository": "org/model",
                "commit": "b" * 40,
            },
        ],
        "libraries": {"torch": "2.13.0"},
    },
    "tokenizer": {"decided": "as loaded", "libraries": {"tokenizers": "0.23.1"}},
    "run": "r-1",
    "git": {"commit": "a" * 40, "dirty": True},
    "metrics": {"eval_loss": "0.25"},
    "fix": ["renamed 3 tensors"],
    "recipe": {
        "format": 1,
        "init": "random",
        "rule": 1,
        "seed": 7,
        "plan": "spare+append",
        "old_rows": 9,
        "new_rows": 10,
        "tables": ["a.weight"],
        "tokens": [
            {
                "id": 9,
                "content": "[ a ]",
                "special": False,
                "lstrip": False,
                "rstrip": False,
                "single_word": True,
                "normalized": True,
            }
        ],
    },
    "merge": {
        "format": 1,
        "difference": "1e-07",
        "tolerance": "1e-05",
        "probe": "a\nb",
        "layout": "base",
        "tensors": 3,
    },
    "training": {
        "arguments": {"seed": 1, "bf16": True, "learning_rate": "0.01"},
        "datasets": {"train": ["0f"]},
        "step": 3,
        "steps": 3,
        "kept": "last",
        "reloaded": "registry",
    },
}
NOT_WHOLE = ("3", 3.5, True, [], {})
ESCAPED = "\x1b[31mred"


def test_of_a_source_in_its_form_what_is_asked_for_is_kept():
    assert check_source({**WHOLE, "command": ["registry", "add"]}, WHOLE) == WHOLE


@pytest.mark.parametrize(
    "part",
    [
        {"fix": 5},
        {"fix": "one"},
        {"fix": [1]},
        {"how": ["add"]},
        {"run": 7},
        {"run": "x" * 20_000},
        {"git": "main"},
        {"git": {"dirty": True}},
        {"git": {"commit": "a", "dirty": "no"}},
        {"metrics": ["0.1"]},
        {"metrics": {"eval_loss": 1}},
        {"recipe": "all"},
        {"merge": 1},
    ],
)
def test_a_source_in_another_form_is_refused(part):
    with pytest.raises(InvalidManifest):
        check_source({**WHOLE, **part}, WHOLE)


@pytest.mark.parametrize(
    ("key", "field", "values"),
    [
        ("recipe", "format", (0, -1, True, "1", None)),
        ("recipe", "init", (5, [], ESCAPED, "a b", "a\nb", "x" * 41)),
        ("recipe", "rule", NOT_WHOLE),
        ("recipe", "seed", NOT_WHOLE),
        ("recipe", "plan", (5, ESCAPED)),
        ("recipe", "old_rows", (*NOT_WHOLE, None)),
        ("recipe", "new_rows", NOT_WHOLE),
        ("recipe", "tables", (5, "a", [5], [ESCAPED], ["a\nb"])),
        ("recipe", "tokens", (5, "a", [5], ["a"], {}, None)),
        ("recipe", "more", (1,)),
        ("merge", "format", (0, "1")),
        ("merge", "difference", (0, 1e-7, "small", ESCAPED, [])),
        ("merge", "tolerance", (None, "")),
        ("merge", "probe", (5, [], "x" * 20_000)),
        ("merge", "layout", (5, ESCAPED)),
        ("merge", "tensors", NOT_WHOLE),
        ("merge", "more", ("a",)),
        ("training", "arguments", ([], {"a": []}, {"a": None}, {"a": 0.5})),
        ("training", "datasets", ([], {"train": "0f"}, {"train": [ESCAPED]})),
        ("training", "step", NOT_WHOLE),
        ("training", "steps", NOT_WHOLE),
        ("training", "kept", (5, ESCAPED)),
        ("training", "more", ("a",)),
    ],
)
def test_a_field_of_how_it_was_made_in_another_form_is_refused(key, field, values):
    for value in values:
        with pytest.raises(InvalidManifest):
            check_source({**WHOLE, key: {**WHOLE[key], field: value}})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("content", []),
        ("content", 5),
        ("id", "9"),
        ("special", 0),
        ("normalized", None),
        ("more", True),
    ],
)
def test_a_token_of_a_recipe_in_another_form_is_refused(field, value):
    recipe = {**WHOLE["recipe"], "tokens": [{**WHOLE["recipe"]["tokens"][0], field: value}]}

    with pytest.raises(InvalidManifest):
        check_source({**WHOLE, "recipe": recipe})


@pytest.mark.parametrize("key", ["recipe", "merge"])
def test_a_newer_format_is_said_to_be_one(key):
    with raises(NewerFormat, key, "format 2", " 1"):
        check_source({key: {"format": 2, "anything": []}})


@pytest.mark.parametrize("source", [None, 5, [["how", "add"]], "how"])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(InvalidManifest):
        check_source(source, WHOLE)


@pytest.mark.parametrize(
    "how",
    [
        {"fix": ["put right"]},
        {"merge": {"format": 1, "difference": "1.0"}},
        {"training": {"steps": 3}},
        {"libraries": {"peft": "0.19.0"}},
    ],
)
def test_how_a_version_was_made_goes_along_whole(how):
    assert check_source({"how": "add", **how, "command": ["registry", "secret"]}) == {
        "how": "add",
        **how,
    }
