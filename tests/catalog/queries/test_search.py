from __future__ import annotations

import pytest
from sqlalchemy import Connection

from registry.catalog import queries
from tests.catalog.writing import a_digest, a_manifest


def find(catalog: Connection, text: str, at: int | None = None) -> dict[str, str]:
    return {version.reference: why for version, why in queries.find(catalog, text, at)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MiniLM", {"minilm@1": "name"}),
        ("resized", {"team/Med@1": "kind"}),
        ("sparseencoder", {"merged@1": "class"}),
        ("dev", {"medical@2": "alias dev"}),
        ("anna", {"medical@1": "note owner=Anna"}),
        ("mrr=0.5", {"medical@1": "note mrr=0.5"}),
        ("mrr >= 0.25", {"medical@1": "note mrr=0.5"}),
        ("mrr = .5", {"medical@1": "note mrr=0.5"}),
        ("mrr!=0.5", {}),
        (
            "eval_mrr > 0.15",
            {"medical@3": "metric eval_mrr=0.3", "medical@2": "metric eval_mrr=0.2"},
        ),
        (
            "eval_mrr<=2e-1",
            {"medical@2": "metric eval_mrr=0.2", "medical@1": "metric eval_mrr=0.1"},
        ),
        ("eval_mrr == 0.1", {"medical@1": "metric eval_mrr=0.1"}),
        ("eval_loss < 1", {"medical@3": "metric eval_loss=0.6666666666666666"}),
        ("owner > 1", {}),
        ("from the hub", {"minilm@1": "message"}),
        (
            "100%_mib",
            dict.fromkeys(
                ["medical@3", "medical@2", "medical@1", "merged@1", "team/Med@1"],
                "token '100%_Mibrutan'",
            ),
        ),
        ("merged", {"merged@1": "name, kind"}),
        (
            "%",
            dict.fromkeys(
                ["medical@3", "medical@2", "medical@1", "merged@1", "team/Med@1"],
                "token '100%_Mibrutan'",
            ),
        ),
        ("old", {}),
        ("nothing like it", {}),
    ],
)
def test_a_text_finds_versions_and_says_by_what(
    catalog: Connection, text: str, expected: dict[str, str]
) -> None:
    assert find(catalog, text) == expected


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        (a_manifest("minilm@1").digest, {"copy@1": "digest", "minilm@1": "digest"}),
        (a_digest("weights hidden@1"), {"hidden@1": "weights"}),
        (
            a_digest("vocabulary ()"),
            dict.fromkeys(["copy@1", "hidden@1", "minilm@1"], "vocabulary"),
        ),
        (a_digest("tokenizer ()"), dict.fromkeys(["copy@1", "hidden@1", "minilm@1"], "tokenizer")),
        (a_digest("weights file medical@3"), {"medical@3": "file model.safetensors"}),
        (a_digest("weights file old@1"), {}),
    ],
)
def test_a_digest_or_its_beginning_finds_what_has_it(
    catalog: Connection, digest: str, expected: dict[str, str]
) -> None:
    assert (
        find(catalog, digest)
        == find(catalog, digest[:17])
        == find(catalog, digest[7:15].upper())
        == expected
    )


def test_a_metric_can_be_asked_for_as_it_was_before_a_version_was_deleted(
    catalog: Connection,
) -> None:
    assert set(find(catalog, "eval_mrr > 0.35", at=9)) == {"medical@4"}
    assert find(catalog, "eval_mrr > 0.35") == {}


def test_what_was_found_earlier_can_be_asked_for(catalog: Connection) -> None:
    assert find(catalog, "old", at=9) == {"old@1": "name"}
    assert find(catalog, "zorvaxin", at=4) == dict.fromkeys(
        ["medical@1", "team/Med@1"], "token 'zorvaxin'"
    )
