"""Metrics on the command line: given to add, shown, sorted by, asked for; the same at a glance and the long way."""

import pytest

import registry
from tests.support import plain


@pytest.fixture
def scored(home, tmp_path, run):
    """minilm@2 and @3 with a score; @1 has none."""
    (tmp_path / "scores.json").write_text('{"eval_dev_spearman_cosine": 0.9}')
    run(
        "add",
        plain.base(tmp_path / "two", seed=2),
        "--as",
        "minilm",
        "--metric",
        "eval_dev_spearman_cosine=0.81",
        home=home,
    )
    run(
        "add",
        plain.base(tmp_path / "three", seed=3),
        "--as",
        "minilm",
        "--metrics",
        tmp_path / "scores.json",
        home=home,
    )
    return home


def test_versions_are_listed_by_a_metric_with_its_column(run, scored):
    rows = [
        line.split("\t")
        for line in run("list", "minilm", "--sort", "eval_dev_spearman_cosine", home=scored).lines
    ]

    assert [(row[0], row[6]) for row in rows] == [
        ("minilm@3", "0.9"),
        ("minilm@2", "0.81"),
        ("minilm@1", ""),
    ]
    assert run("list", "minilm", "--sort", "created", "--ascending", "-q", home=scored).lines == [
        "minilm@1",
        "minilm@2",
        "minilm@3",
    ]
    assert run("list", "--sort", "versions", "-q", home=scored).lines[0] == "minilm"


def test_a_comparison_finds_versions(run, scored):
    assert run("find", "eval_dev_spearman_cosine > 0.85", "-q", home=scored).lines == ["minilm@3"]
    assert run("find", "eval_dev_spearman_cosine > 0.95", home=scored).code == 0


def test_show_prints_metrics(run, scored):
    assert "metric eval_dev_spearman_cosine\t0.81" in run("show", "minilm@2", home=scored).lines
    assert run("show", "minilm@2", "--json", home=scored).json["metrics"] == {
        "eval_dev_spearman_cosine": "0.81"
    }


def test_metrics_are_the_same_at_a_glance_and_the_long_way(run, scored):
    with registry.open(scored) as opened:
        versions = opened.list("minilm")

    glanced = run("list", "minilm", "--json", home=scored).json

    assert [item["metrics"] for item in glanced] == [dict(version.metrics) for version in versions]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("list", "minilm", "--sort", "nothing"), 2),
        (("list", "--sort", "eval_mrr"), 2),
        (("list", "--ascending"), 2),
        (("add", ".", "--as", "x", "--metric", "a"), 2),
        (("add", ".", "--as", "x", "--metric", "a=b"), 2),
        (("add", ".", "--as", "x", "--metric", "a=1", "--metrics", "f.json"), 2),
        (("add", ".", "--as", "x", "--metrics", "/no/such.json"), 3),
    ],
)
def test_what_cannot_be_meant_is_said(run, scored, arguments, code):
    ran = run(*arguments, home=scored)

    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(("error: ", "Usage: "))
