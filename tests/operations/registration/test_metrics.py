"""Metrics of a version: from words, a mapping, a file of an evaluator or the trainer; shown, sorted by and asked for."""

from __future__ import annotations

import json

import pytest

import registry
from registry.errors import Invalid
from registry.operations.registration.metrics import metrics_of
from tests.support import plain
from tests.support.refusals import raises


@pytest.fixture
def three(reg, tmp_path):
    """base@1 to base@3 with their scores."""
    for number, score in enumerate((0.81, 0.9, 0.85), 1):
        reg.add(
            plain.base(tmp_path / f"base-{number}", seed=number),
            "base",
            metrics={"eval_dev_spearman_cosine": score, "steps": number},
        )
    return reg


def test_metrics_are_kept_as_given_and_sorted_by(three):
    version = three.resolve("base@1")

    assert version.metrics == {"eval_dev_spearman_cosine": "0.81", "steps": "1"}
    assert [item.number for item in three.list("base", sort="eval_dev_spearman_cosine")] == [
        2,
        3,
        1,
    ]
    assert [item.number for item in three.list("base", sort="steps", ascending=True)] == [1, 2, 3]
    assert three.show("base@2").to_dict()["metrics"]["eval_dev_spearman_cosine"] == "0.9"


def test_a_comparison_finds_versions_by_metrics_and_notes(three):
    three.annotate("base@1", {"latency": 12.5, "owner": "anna"})

    assert [
        (found.version.number, found.why) for found in three.find("eval_dev_spearman_cosine > 0.82")
    ] == [(3, "metric eval_dev_spearman_cosine=0.85"), (2, "metric eval_dev_spearman_cosine=0.9")]
    assert [found.why for found in three.find("latency <= 12.5")] == ["note latency=12.5"]


def test_what_is_there_keeps_its_metrics_and_that_is_said(three, tmp_path):
    again = three.add(tmp_path / "base-1", "base", metrics={"eval_dev_spearman_cosine": 0.99})

    assert again.already
    assert three.resolve("base@1").metrics["eval_dev_spearman_cosine"] == "0.81"
    assert "keeps the metrics that it has" in again.warnings[-1]


def test_a_rebuilt_catalog_has_the_same_metrics(three, tmp_path):
    import shutil

    before = [version.metrics for version in three.list("base")]
    three.close()
    shutil.rmtree(tmp_path / "home" / "catalog")

    with registry.open(tmp_path / "home") as opened:
        assert [version.metrics for version in opened.list("base")] == before


@pytest.mark.parametrize(
    ("name", "content", "metrics"),
    [
        (
            "a.json",
            json.dumps({"eval": {"mrr": 0.5, "deep": {"loss": 1}}, "text": "no", "flag": True}),
            {"eval_mrr": "0.5", "eval_deep_loss": "1"},
        ),
        (
            "trainer_state.json",
            json.dumps(
                {
                    "log_history": [
                        {"eval_mrr": 0.1, "step": 1},
                        {"eval_mrr": 0.2, "step": 2},
                        {"train_loss": 3},
                    ]
                }
            ),
            {"eval_mrr": "0.2", "step": "2"},
        ),
        (
            "similarity_evaluation_dev_results.csv",
            "epoch,steps,cosine_pearson,note\n1.0,10,0.7,x\n2.0,20,0.8,y\n",
            {"epoch": "2.0", "steps": "20.0", "cosine_pearson": "0.8"},
        ),
    ],
)
def test_a_file_of_an_evaluator_or_of_the_trainer_is_understood(tmp_path, name, content, metrics):
    (tmp_path / name).write_text(content)

    assert metrics_of(tmp_path / name) == metrics


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        ({"a": float("nan")}, ("a", "nan")),
        ({"a": "high"}, ("a", "'high'")),
        ({"a": True}, ("a", "'True'")),
        ({"a b": 1}, ("'a b'",)),
        ({"": 1}, ("''",)),
        ({"a>b": 1}, ("'a>b'",)),
        ({}, ()),
        ({f"m{number}": 1 for number in range(1001)}, ("1001", "1000")),
    ],
)
def test_what_is_no_metric_is_refused(given, quoted):
    with raises(Invalid, *quoted):
        metrics_of(given)
