from __future__ import annotations

import pytest

from registry.errors import InvalidManifest
from registry.source import check_source

WHOLE = {"how": "add", "run": "r-1", "git": {"commit": "a" * 40, "dirty": True}, "metrics": {"eval_loss": "0.25"}, "fix": ["renamed 3 tensors"],
         "recipe": {"format": 1, "seed": 7}, "merge": {"format": 1, "difference": "1e-07"}}


def test_of_a_source_in_its_form_what_is_asked_for_is_kept():
    assert check_source({**WHOLE, "command": ["registry", "add"]}, WHOLE) == WHOLE


@pytest.mark.parametrize("part", [
    {"fix": 5}, {"fix": "one"}, {"fix": [1]}, {"how": ["add"]}, {"run": 7}, {"run": "x" * 20_000}, {"git": "main"}, {"git": {"dirty": True}},
    {"git": {"commit": "a", "dirty": "no"}}, {"metrics": ["0.1"]}, {"metrics": {"eval_loss": 1}}, {"recipe": "all"}, {"merge": 1},
])
def test_a_source_in_another_form_is_refused(part):
    with pytest.raises(InvalidManifest):
        check_source({**WHOLE, **part}, WHOLE)


@pytest.mark.parametrize("source", [None, 5, [["how", "add"]], "how"])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(InvalidManifest):
        check_source(source, WHOLE)


@pytest.mark.parametrize("how", [{"fix": ["put right"]}, {"merge": {"weight": "1.0"}}, {"training": {"steps": 3}}, {"libraries": {"peft": "0.19.0"}}])
def test_how_a_version_was_made_goes_along_whole(how):
    assert check_source({"how": "add", **how, "command": ["registry", "secret"]}) == {"how": "add", **how}
