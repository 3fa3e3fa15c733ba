"""tokens: where each added token came from, what it was before, who trained its row, and how often a corpus holds it."""

from __future__ import annotations

import errno
import json
import os
import shutil

import numpy
import pytest

import registry
from registry.errors import FolderNotFound, Invalid
from tests.support import plain
from tests.support.hand import edit, rewrite, tensors
from tests.support.refusals import raises

TABLE = "embeddings.word_embeddings.weight"
LIVE = "base_model.model.embeddings.word_embeddings"
FIRST, SECOND = "zorvax", "quo"
ID = len(plain.WORDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """base@1, one@1 with the first token, two@1 with the second one too. Only to be copied."""
    folder = tmp_path_factory.mktemp("made")
    with registry.init(folder / "home") as opened:
        opened.add(plain.base(folder / "base"), "base", message="as published")
        opened.resize("base@1", "one", [FIRST], message="from the trial")
        opened.resize("one@1", "two", [SECOND], message="from the leaflet")
    return folder / "home"


@pytest.fixture
def grown(made, tmp_path):
    home = shutil.copytree(
        made, tmp_path / "home", symlinks=True, ignore=shutil.ignore_patterns("checkouts")
    )
    with registry.open(home) as opened:
        yield opened


@pytest.fixture
def reg(tmp_path):
    with registry.init(tmp_path / "home") as opened:
        yield opened


def adapter(reg, folder, change, **config):
    """An adapter on two@1 with more than LoRA on query and value."""
    made = plain.adapter(folder, reg.checkout("two@1").folder, added=(FIRST, SECOND))
    shutil.copy(reg.checkout("two@1").folder / "tokenizer.json", made / "tokenizer.json")
    edit(made / "adapter_config.json", lambda value: value.update(config))
    rewrite(made / "adapter_model.safetensors", change)
    return made


def by_content(found):
    return {item.content: item for item in found}


def test_each_token_names_the_version_that_brought_it_and_why(grown):
    found = by_content(grown.tokens("two@1"))

    assert {
        content: (item.brought.reference, item.brought.message) for content, item in found.items()
    } == {FIRST: ("one@1", "from the trial"), SECOND: ("two@1", "from the leaflet")}
    assert [item.id for item in grown.tokens("two@1")] == [ID, ID + 1]
    assert grown.tokens("base@1") == ()


def test_pieces_are_those_of_the_parent_of_the_version_that_brought_it(grown):
    found = by_content(grown.tokens("two@1"))

    assert found[FIRST].pieces == ("z", "##o", "##r", "##v", "##a", "##x")
    assert found[SECOND].pieces == ("q", "##u", "##o")


def test_pieces_follow_what_the_configuration_says_of_case_as_the_library_does(reg, tmp_path):
    from transformers import AutoTokenizer

    base = plain.base(tmp_path / "base", words=(*plain.WORDS, "Z", "##O"))
    edit(base / "tokenizer_config.json", lambda value: value.update(do_lower_case=False))
    reg.add(base, "cased")
    reg.resize("cased@1", "grown", ["ZOr"])

    (found,) = reg.tokens("grown@1")

    assert (
        list(found.pieces)
        == AutoTokenizer.from_pretrained(base).tokenize("ZOr")
        == ["Z", "##O", "##r"]
    )


def test_an_adapter_on_query_and_value_trained_no_row(grown, tmp_path):
    grown.add(adapter(grown, tmp_path / "plain", lambda found: None), "plain")

    assert [item.trained for item in grown.tokens("plain@1")] == [None, None]
    assert [item.brought.reference for item in grown.tokens("plain@1")] == ["one@1", "two@1"]


def test_rows_that_an_adapter_trained_are_blamed_on_it(grown, tmp_path):
    delta = tensors(grown.checkout("two@1").folder / "model.safetensors")[TABLE][ID:] + numpy.array(
        [[0], [1]]
    )
    made = adapter(
        grown,
        tmp_path / "trained",
        lambda found: found.update(
            {f"{LIVE}.token_adapter.trainable_tokens_delta": delta.astype("float32")}
        ),
        trainable_token_indices={"word_embeddings": [ID, ID + 1]},
    )
    grown.add(made, "trained", message="two epochs")

    found = by_content(grown.tokens("trained@1"))

    assert found[FIRST].trained is None
    assert found[SECOND].trained.reference == "trained@1"


def test_a_lora_on_the_table_trains_the_rows_it_moves(grown, tmp_path):
    a = numpy.zeros((2, ID + 2), "float32")
    a[:, ID] = 1
    made = adapter(
        grown,
        tmp_path / "targeted",
        lambda found: found.update(
            {
                f"{LIVE}.lora_embedding_A": a,
                f"{LIVE}.lora_embedding_B": numpy.ones((8, 2), "float32"),
            }
        ),
        target_modules=["query", "value", "word_embeddings"],
    )
    grown.add(made, "targeted")

    found = by_content(grown.tokens("targeted@1"))

    assert found[FIRST].trained.reference == "targeted@1"
    assert found[SECOND].trained is None


def test_a_full_model_trained_on_blames_the_nearest_that_changed_the_row(grown, tmp_path):
    tuned = shutil.copytree(
        grown.checkout("two@1", tmp_path / "out").folder,
        tmp_path / "tuned",
        ignore=shutil.ignore_patterns(".registry"),
    )
    rewrite(
        tuned / "model.safetensors",
        lambda found: found.update(
            {TABLE: numpy.concatenate([found[TABLE][:ID], found[TABLE][ID:] + 1])}
        ),
    )
    grown.add(tuned, "tuned", parent="two@1")
    rewrite(
        tuned / "model.safetensors",
        lambda found: found.update(
            {TABLE: numpy.concatenate([found[TABLE][:-1], found[TABLE][-1:] + 1])}
        ),
    )
    grown.add(tuned, "tuned", parent="tuned@1")

    found = by_content(grown.tokens("tuned@2"))

    assert {content: item.trained.reference for content, item in found.items()} == {
        FIRST: "tuned@1",
        SECOND: "tuned@2",
    }


def test_a_corpus_tells_how_often_each_token_occurs_and_warns_of_few(grown, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(
        f"the patient takes {FIRST}\n" * 7 + f"{SECOND} and {SECOND.upper()}, a new dose\r\n",
        "utf-8",
    )

    found = by_content(grown.tokens("two@1", texts=corpus))

    assert {content: item.count for content, item in found.items()} == {FIRST: 7, SECOND: 2}
    assert grown.warnings == (
        "'quo' (2) occurs fewer than 5 times in the texts; a word seen so seldom has not been learnt",
    )
    assert by_content(grown.tokens("two@1"))[FIRST].count is None


def test_a_corpus_that_is_no_text_is_refused_by_its_line(grown, tmp_path):
    (tmp_path / "corpus.txt").write_bytes(b"one\ntwo \xff\n")

    with raises(Invalid, str(tmp_path / "corpus.txt"), "line 2", "0xff"):
        grown.tokens("two@1", texts=tmp_path / "corpus.txt")
    with raises(FolderNotFound, str(tmp_path / "nowhere.txt"), os.strerror(errno.ENOENT).lower()):
        grown.tokens("two@1", texts=tmp_path / "nowhere.txt")


def test_tokens_of_a_resized_base_that_was_added_are_told_alike(reg, tmp_path):
    reg.add(plain.base(tmp_path / "base"), "base")
    reg.add(plain.base(tmp_path / "resized", added=(FIRST,)), "resized", parent="base@1")

    (token,) = reg.tokens("resized@1")

    assert (token.brought.reference, token.trained) == ("resized@1", None)
    assert json.loads(json.dumps(token.to_dict()))["brought"]["by"] == token.brought.created_by
    with registry.open(reg.settings.home) as other:
        assert other.tokens("resized@1") == reg.tokens("resized@1")
