"""Tokenizers: the token list and everything else that decides about ids, and nothing more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.core.facts import Token
from registry.errors import NotLoadable, UnsafeFile
from registry.model_files.folder import Folder
from registry.model_files.tokenizer import vocabulary
from tests.support import plain, small
from tests.support.refusals import raises


def made(folder: Path, **options: object) -> vocabulary.Tokenizer:
    folder.mkdir()
    plain.tokenizer(folder, **options)
    return vocabulary.read_vocabulary(Folder(folder))


def changed(folder: Path, name: str, change) -> vocabulary.Tokenizer:
    folder.mkdir()
    plain.tokenizer(folder, added=("zorvaxin",))
    value = json.loads((folder / name).read_text())
    change(value)
    (folder / name).write_text(json.dumps(value))
    return vocabulary.read_vocabulary(Folder(folder))


def test_the_real_minilm_is_golden(minilm_folder):
    found = vocabulary.read_vocabulary(Folder(minilm_folder))

    assert found.digest == "sha256:50ceed04ef290260a7e4cb6f66e91b77c122ca9d8ca1eacea40d5df3c7499671"
    assert (
        found.tokenizer == "sha256:60fc3a16b7322363b22ac5a18ac77ce1685145977cbe1f8acb571baf5ee0330c"
    )
    assert len(found.tokens) == 30522
    assert found.tokens[101] == Token(101, "[CLS]", special=True)


def test_a_tokenizer_made_by_hand_is_golden(tmp_path):
    found = made(tmp_path / "one", added=("zorvaxin",))

    assert found.digest == "sha256:a82932b40ca008681358cf447ea1b37e36090e7d051e52c823c9e8ea99374999"
    assert (
        found.tokenizer == "sha256:ff5ae19e2e972e9a51daf34a2e024072b92aca869ef78ecbce7d15d74b341998"
    )
    assert found.tokens[-1] == Token(len(plain.WORDS), "zorvaxin", normalized=True)
    assert found.max_length == 32


def test_the_blob_is_the_list_and_has_its_digest(tmp_path):
    found = made(tmp_path / "one", added=("zorvaxin",))

    assert vocabulary.parse_vocabulary(found.blob) == found.tokens
    assert json.loads(found.blob)[-1] == [
        len(plain.WORDS),
        "zorvaxin",
        False,
        False,
        False,
        False,
        True,
    ]


def test_a_stored_list_is_read_when_it_is_first_looked_into(tmp_path):
    found, asked = made(tmp_path / "one", added=("zorvaxin",)), []
    stored = vocabulary.StoredTokens(lambda: asked.append("read") or found.blob)

    before = list(asked)

    assert before == []
    assert (tuple(stored), stored[-1], stored[:2], len(stored)) == (
        found.tokens,
        found.tokens[-1],
        found.tokens[:2],
        len(found.tokens),
    )
    assert asked == ["read"]


@pytest.mark.parametrize("kind", ["word_piece", "byte_level", "unigram"])
def test_the_list_is_what_the_library_says(tmp_path, kind):
    library = getattr(small, kind)()
    from tokenizers import AddedToken

    library.add_tokens(
        [
            AddedToken("zorvaxin", single_word=True, normalized=False),
            AddedToken("quelora", lstrip=True),
        ]
    )
    library.save_pretrained(tmp_path / "saved")

    found = vocabulary.read_vocabulary(Folder(tmp_path / "saved"))

    assert {token.content: token.id for token in found.tokens} == library.get_vocab()
    flags = {token.id: token for token in found.tokens}
    for index, token in library.added_tokens_decoder.items():
        assert flags[index] == Token(
            index,
            token.content,
            token.special,
            token.lstrip,
            token.rstrip,
            token.single_word,
            token.normalized,
        )


@pytest.mark.parametrize(
    "change",
    [
        (
            "tokenizer.json",
            lambda value: value.update(
                truncation={"max_length": 8, "strategy": "LongestFirst", "stride": 0}
            ),
        ),
        ("tokenizer.json", lambda value: value.update(padding={"strategy": "BatchLongest"})),
        ("tokenizer_config.json", lambda value: value.update(model_max_length=512)),
        (
            "tokenizer_config.json",
            lambda value: value.update(padding_side="left", truncation_side="left", is_local=True),
        ),
        ("tokenizer_config.json", lambda value: value.update(tokenizer_class="BertTokenizerFast")),
        ("tokenizer_config.json", lambda value: value.pop("do_lower_case")),
        ("tokenizer_config.json", lambda value: value.pop("mask_token")),
        (
            "tokenizer_config.json",
            lambda value: value.update(mask_token={"content": "[MASK]", "lstrip": False}),
        ),
    ],
    ids=lambda item: "",
)
def test_what_a_re_save_changes_does_not_count(tmp_path, change):
    before = made(tmp_path / "before", added=("zorvaxin",))

    after = changed(tmp_path / "after", *change)

    assert after.tokenizer == before.tokenizer
    assert after.digest == before.digest


@pytest.mark.parametrize(
    "change",
    [
        ("tokenizer_config.json", lambda value: value.update(do_lower_case=False)),
        ("tokenizer_config.json", lambda value: value.update(strip_accents=True)),
        ("tokenizer_config.json", lambda value: value.update(mask_token="[PAD]")),
        ("tokenizer_config.json", lambda value: value.update(tokenizer_class="MPNetTokenizer")),
        ("tokenizer.json", lambda value: value["normalizer"].update(lowercase=False)),
        ("tokenizer.json", lambda value: value["model"].update(max_input_chars_per_word=5)),
        ("tokenizer.json", lambda value: value["added_tokens"][-1].update(single_word=True)),
    ],
    ids=lambda item: "",
)
def test_what_changes_ids_counts(tmp_path, change):
    before = made(tmp_path / "before", added=("zorvaxin",))

    after = changed(tmp_path / "after", *change)

    assert after.tokenizer != before.tokenizer


def test_the_order_of_added_tokens_counts(tmp_path):
    one = made(tmp_path / "one", added=("zorvaxin", "quelora"))
    two = made(tmp_path / "two", added=("quelora", "zorvaxin"))

    assert one.digest != two.digest


@pytest.mark.parametrize(
    ("change", "quoted"),
    [
        (lambda value: value["added_tokens"][-1].update(id=3), ["3", "'[SEP]'", "'zorvaxin'"]),
        (lambda value: value["added_tokens"][-1].update(id=-1), ["'zorvaxin'", "-1"]),
        (
            lambda value: value["added_tokens"][-1].update(id=4_000_000_000),
            ["'zorvaxin'", "4000000000"],
        ),
        (lambda value: value["added_tokens"][-1].update(id="5"), ["'zorvaxin'", "'5'"]),
        (lambda value: value["added_tokens"][-1].update(id=True), ["'zorvaxin'", "True"]),
        (lambda value: value["added_tokens"][-1].update(content=None), ["None", "27"]),
        (
            lambda value: value["added_tokens"][-1].update(content="the", id=99),
            ["'the'", "5", "99"],
        ),
        (lambda value: value["model"]["vocab"].update(the=6), ["6", "'patient'", "'the'"]),
        (lambda value: value["model"].update(vocab=None), ["vocabulary"]),
        (lambda value: value.update(model=[]), ["vocabulary"]),
        (lambda value: value.update(added_tokens={"a": 1}), ["added tokens"]),
    ],
)
def test_an_impossible_vocabulary_is_refused(tmp_path, change, quoted):
    with raises(UnsafeFile, "tokenizer.json", *quoted):
        changed(tmp_path / "bad", "tokenizer.json", change)


def test_a_folder_without_a_tokenizer_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "config.json").write_text("{}")

    with raises(NotLoadable, "tokenizer.json", "vocab.txt", "--tokenizer DIR"):
        vocabulary.read_vocabulary(Folder(tmp_path))


def test_vocab_txt_is_read_where_there_is_nothing_else(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\nthe\ncat\n")

    assert [token.content for token in vocabulary.read_vocabulary(Folder(tmp_path)).tokens] == [
        "[PAD]",
        "the",
        "cat",
    ]


def test_added_is_what_the_root_lacks(tmp_path):
    root = made(tmp_path / "root")
    grown = made(tmp_path / "grown", added=("zorvaxin",))

    assert [token.content for token in vocabulary.added_over(grown, root.tokens)] == ["zorvaxin"]


@pytest.mark.parametrize("added", [(), ("zorvaxin",), ("zorvaxin", "a],[b")])
def test_a_stored_root_is_compared_as_bytes(tmp_path, added):
    root = made(tmp_path / "root")
    grown = made(tmp_path / "grown", added=added)
    stored = vocabulary.StoredTokens(lambda: root.blob)

    assert stored.rows_behind(grown.blob) == len(added)
    assert vocabulary.added_over(grown, stored) == vocabulary.added_over(grown, root.tokens)


def test_a_list_that_a_stored_root_does_not_begin_is_compared_by_tokens(tmp_path):
    root, other = (made(tmp_path / word, added=(word,)) for word in ("zorvaxin", "zorvaxine"))
    stored = vocabulary.StoredTokens(lambda: root.blob)

    assert stored.rows_behind(other.blob) is None
    assert stored.rows_behind(root.blob[:-40] + b"]") is None
    assert [token.content for token in vocabulary.added_over(other, stored)] == ["zorvaxine"]
