from __future__ import annotations

import pytest
import yaml

from registry.core.digest import digest_of
from registry.errors import Refused
from registry.hub.card import BEGIN, END, Row, Subject, complete, section
from tests.support.refusals import raises

DIGEST = digest_of(b"manifest")
SUBJECT = Subject(
    "org/medical",
    "SentenceTransformer",
    "adapter",
    "org/minilm-medical",
    (
        Row("this", "medical@1", "adapter", DIGEST, "org/medical"),
        Row(
            "base",
            "minilm-medical@1",
            "resized",
            DIGEST,
            "org/minilm-medical at `abc`",
            "witnessed",
        ),
    ),
    ("zorvaxin",),
    {"weights": DIGEST},
)


def front(card: str) -> dict:
    return yaml.safe_load(card.split("---")[1])


def about(**changes) -> Subject:
    return Subject(**{**vars(SUBJECT), **changes})


def test_a_model_without_a_card_gets_one():
    card = complete("", SUBJECT)

    assert front(card) == {
        "base_model": "org/minilm-medical",
        "base_model_relation": "adapter",
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["sentence-transformers", "sentence-similarity", "feature-extraction"],
    }
    assert BEGIN in card and card.rstrip().endswith(END)


def test_what_somebody_said_is_never_replaced():
    card = complete(
        "---\npipeline_tag: feature-extraction\nbase_model: other/base\nlibrary_name: peft\ntags: [mine]\n---\n# Mine\n",
        SUBJECT,
    )

    assert front(card)["base_model"] == "other/base"
    assert (front(card)["pipeline_tag"], front(card)["library_name"]) == (
        "feature-extraction",
        "peft",
    )
    assert front(card)["tags"] == [
        "mine",
        "sentence-transformers",
        "sentence-similarity",
        "feature-extraction",
    ]


def test_comments_order_style_and_text_stay():
    readme = (
        "---\n# mine\nlanguage: en   # yes\ntags:\n  - 'a'   # first\n\nlicense: mit\nbase_model: \"\"\n---\n"
        "\n# Title\n\nText\twith   blanks  \n"
    )

    card = complete(readme, SUBJECT)

    assert card.startswith(
        "---\n# mine\nlanguage: en   # yes\ntags:\n  - 'a'   # first\n  - sentence-transformers\n"
    )
    assert "license: mit\nbase_model: org/minilm-medical\n" in card
    assert "---\n\n# Title\n\nText\twith   blanks  \n" in card


@pytest.mark.parametrize(
    "readme",
    [
        "",
        "# Title\n",
        "---\nlicense: mit\n---\n",
        "---\nlicense: mit\n---\ntext without a line's end",
        "---\r\ntags:\r\n- a\r\n---\r\ntext\r\n",
        "\ufeff---\nlicense: mit\n---\n",
        "---\ntags: []\n---\n",
        "---\nbase_model:\n---\n",
        "---\ntags:\n---\n",
        "---\nlicense: mit\ntags:\n- a\n---\n",
    ],
)
def test_a_second_time_changes_nothing(readme):
    once = complete(readme, SUBJECT)

    assert complete(once, SUBJECT) == once
    assert set(SUBJECT_TAGS) <= set(front(once)["tags"])


SUBJECT_TAGS = ("sentence-transformers", "sentence-similarity", "feature-extraction")


def test_a_later_push_changes_only_what_stands_between_the_markers():
    once = complete("---\nlicense: mit\n---\nbefore\n", SUBJECT) + "\nafter, by hand\n"

    later = complete(once, about(tokens=("zorvaxin", "quelora")))

    assert later != once
    assert _outside(later) == _outside(once)


def test_a_lonely_marker_in_the_text_swallows_nothing():
    card = complete(f"text\n{BEGIN} by me\nmore\n", SUBJECT)

    again = complete(card, about(tokens=()))

    assert f"text\n{BEGIN} by me\nmore\n" in again


def test_tokens_neither_format_the_card_nor_end_the_section():
    text = section(about(tokens=("`--", END, "*a*", "<script>", "naïve")))

    assert text.count(END) == 1 and "<script>" not in text and "*a*" not in text
    assert "naïve" in text


def test_the_first_fifty_tokens_are_named():
    text = section(about(tokens=tuple(f"word{number}" for number in range(60))))

    assert (
        "Added tokens (60)" in text
        and "word49" in text
        and "word50" not in text
        and "and 10 more" in text
    )


@pytest.mark.parametrize(
    ("model_class", "pipeline", "tag"),
    [
        ("SentenceTransformer", "sentence-similarity", "feature-extraction"),
        ("CrossEncoder", "text-ranking", "reranker"),
        ("SparseEncoder", "feature-extraction", "sparse"),
        ("MultiVectorEncoder", "feature-extraction", "late-interaction"),
    ],
)
def test_each_class_is_found_by_its_tags(model_class, pipeline, tag):
    card = complete("", about(model_class=model_class))

    assert front(card)["pipeline_tag"] == pipeline and tag in front(card)["tags"]
    assert f'{model_class}("org/medical")' in card


def test_an_adapter_s_card_says_what_plain_loaders_do_not_check():
    assert "branch main of org/minilm-medical, whatever `revision` says" in section(SUBJECT)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("---\na: [\n---\n", ["README.md", "line 3"]),
        ("---\n- a\n---\n", ["README.md"]),
    ],
)
def test_front_matter_that_the_hub_would_not_take_is_refused(text, quoted):
    with raises(Refused, *quoted):
        complete(text, SUBJECT)


def _outside(card: str) -> tuple[str, str]:
    return card.partition(BEGIN)[0], card.partition(END)[2]
