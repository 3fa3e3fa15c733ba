from __future__ import annotations

import pytest

from registry.catalog import queries
from registry.core import filters
from registry.core.version import Model
from registry.errors import Invalid
from tests.catalog.conftest import catalog, story  # noqa: F401
from tests.support.refusals import raises


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("eval_loss < 0.3", filters.Asked("eval_loss", "<", 0.3)),
        ("eval_dev_spearman_cosine>=8e-1", filters.Asked("eval_dev_spearman_cosine", ">=", 0.8)),
        ("  a != -.5 ", filters.Asked("a", "!=", -0.5)),
        ("a == 1", filters.Asked("a", "=", 1.0)),
        ("owner=anna", None),
        ("a > b", None),
        ("a b > 1", None),
        ("> 1", None),
        ("a => 1", None),
        ("a > 1e999", None),
        ("zorvaxin", None),
    ],
)
def test_a_comparison_is_told_from_a_text(text, asked):
    assert filters.parse_asked(text) == asked


def references(versions):
    return [version.reference for version in versions]


def test_versions_are_sorted_by_a_metric_the_highest_first_and_those_without_it_last(catalog):  # noqa: F811
    versions = queries.versions(catalog, "medical")

    assert references(filters.sort_versions(versions, "eval_mrr")) == [
        "medical@3",
        "medical@2",
        "medical@1",
    ]
    assert references(filters.sort_versions(versions, "eval_mrr", ascending=True)) == [
        "medical@1",
        "medical@2",
        "medical@3",
    ]
    assert references(filters.sort_versions(versions, "mrr")) == [
        "medical@1",
        "medical@3",
        "medical@2",
    ]
    assert references(filters.sort_versions(versions, "created", ascending=True)) == [
        "medical@1",
        "medical@2",
        "medical@3",
    ]


def test_a_number_that_no_version_has_is_told_with_those_there_are(catalog):  # noqa: F811
    with raises(
        Invalid, "medical", "'owner'", *filters.OF_VERSIONS, "eval_loss", "eval_mrr", "mrr"
    ):
        filters.sort_versions(queries.versions(catalog, "medical"), "owner")


def test_models_are_sorted_by_name_change_or_number_of_versions():
    models = [
        Model("b", 2, 2, "base", None, {}, "2026-01-01"),
        Model("a", 1, 1, "base", None, {}, "2026-01-02"),
    ]

    assert [
        [model.name for model in filters.sort_models(models, key)] for key in filters.OF_MODELS
    ] == [["a", "b"], ["a", "b"], ["b", "a"]]
    with raises(Invalid, "'eval_mrr'", *filters.OF_MODELS):
        filters.sort_models(models, "eval_mrr")
