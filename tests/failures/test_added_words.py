"""Words that are added to a tokenizer: what the library takes without a word, and what `registry resize` says of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry.core.digest import digest_of
from registry.errors import InvalidTokens, ParentMismatch
from registry.runtime.loading import quiet
from tests.support import lively, small
from tests.support.live import lora
from tests.support.refusals import raises

FROM_A_SET = "print(*dict.fromkeys({'zorvaxin', 'cardiomab', 'heartmat'}))"


@pytest.fixture
def model(reg: Any) -> Any:
    """base@1 as plain sentence-transformers loads it, to be changed."""
    return lively.loaded(reg.checkout("base@1").folder, "SentenceTransformer")


def grown(reg: Any, words: list[str], out: Path) -> Any:
    """base@1 with the words and rows as the library makes them by default, saved."""
    import torch

    model = lively.loaded(reg.checkout("base@1").folder, "SentenceTransformer")
    torch.manual_seed(1)
    with quiet():
        model.tokenizer.add_tokens(words)
        model.transformers_model.resize_token_embeddings(len(model.tokenizer))
    lively.save(model, out)
    return model


def order(seed: int) -> list[str]:
    """The words as a process of their own takes them out of a set."""
    ran = subprocess.run(
        [sys.executable, "-S", "-c", FROM_A_SET],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": str(seed)},
    )
    return ran.stdout.split()


def test_a_set_gives_other_ids_in_every_process(reg, tmp_path):
    orders = [order(seed) for seed in range(4)]
    one, other = orders[0], next(item for item in orders if item != orders[0])
    ids = []
    for words in (one, other):
        model = grown(reg, words, tmp_path / words[0])
        ids.append({word: model.tokenizer.convert_tokens_to_ids(word) for word in small.NEW})
    assert ids[0] != ids[1]

    with raises(InvalidTokens, "set", "list"):
        reg.resize("base@1", "grown", set(small.NEW))
    assert "grown" not in [model.name for model in reg.list()]


def test_rows_made_by_default_are_alike_so_that_weights_do_not_tell_two_orders_apart(
    reg, made, tmp_path
):
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder, words in zip(folders, (list(small.NEW), small.NEW[::-1]), strict=True):
        grown(reg, words, folder)
    for name in ("model.safetensors", "config.json"):
        assert len({digest_of((folder / name).read_bytes()) for folder in folders}) == 1
    right = lively.save_adapter(folders[0], "SentenceTransformer", lora(), tmp_path / "adapter")
    assert (
        lively.distance(
            *(
                lively.encodings(lively.loaded(folder, "SentenceTransformer"), tuple(small.NEW))
                for folder in folders
            )
        )
        < 1e-5
    )

    one, other = (reg.add(folder, "grown", parent="base@1", measure=False) for folder in folders)
    quoted = ("grown@2", "107", "'zorvaxin'", "'heartmat'", "2 ", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-tokenizer"):
        reg.add(tmp_path / "adapter", "medical", parent="grown@2")
    reg.add(tmp_path / "adapter", "medical", parent="grown@1", measure=False)

    assert one.digest != other.digest
    assert lively.encodings(reg.load("medical@1", device="cpu")) == right


def test_rows_are_other_ones_at_each_resize_of_the_library_and_the_same_at_each_of_the_registrys(
    reg, made, tmp_path
):
    tables = []
    for _ in range(2):
        model = lively.loaded(reg.checkout("base@1").folder, "SentenceTransformer")
        with quiet():
            tables.append(
                model.transformers_model.resize_token_embeddings(
                    110, mean_resizing=False
                ).weight.tolist()
            )
    assert tables[0][:107] == tables[1][:107]
    assert tables[0][107:] != tables[1][107:]

    assert reg.resize("base@1", "again", list(small.NEW)).digest == reg.resolve("resized@1").digest


def test_rows_are_other_ones_where_words_came_in_two_steps_and_the_same_by_the_registry(
    reg, made, tmp_path
):
    import torch

    tables = []
    for steps in ([110], [109, 110]):
        model = lively.loaded(reg.checkout("base@1").folder, "SentenceTransformer")
        torch.manual_seed(1)
        with quiet():
            tables.append(
                [
                    model.transformers_model.resize_token_embeddings(count).weight.tolist()
                    for count in steps
                ][-1]
            )
    assert tables[0][:107] == tables[1][:107]
    assert lively.distance(tables[0][107:], tables[1][107:]) > 0

    reg.resize("base@1", "first", small.NEW[:2])
    reg.resize("first@1", "both", small.NEW[2:])

    assert {file.path: file.digest for file in reg.show("both@1").files} == {
        file.path: file.digest for file in reg.show("resized@1").files
    }


def test_a_word_that_stands_inside_ordinary_ones_changes_them(reg, model, tmp_path):
    before = lively.encodings(model, ("innovation",))
    with quiet():
        model.tokenizer.add_tokens(["nova"])
        model.transformers_model.resize_token_embeddings(len(model.tokenizer))
    lively.save(model, tmp_path / "grown")
    assert (
        lively.distance(
            lively.encodings(
                lively.loaded(tmp_path / "grown", "SentenceTransformer"), ("innovation",)
            ),
            before,
        )
        > 1e-3
    )

    added = reg.add(tmp_path / "grown", "grown", parent="base@1", measure=False)
    resized = reg.resize("base@1", "other", ["nova"], dry_run=True)

    assert any("'nova'" in text and "innovation" in text for text in added.warnings)
    assert any("'nova'" in text and "innovation" in text for text in resized.warnings)


def test_a_word_that_is_there_gets_other_flags_and_no_row(reg, made):
    from tokenizers import AddedToken

    model = lively.loaded(made.resized, "SentenceTransformer")
    before = model.tokenizer("prezorvaxin")["input_ids"]
    assert (
        model.tokenizer.add_tokens([AddedToken("zorvaxin", single_word=True, normalized=True)]) == 1
    )
    assert (len(model.tokenizer), model.tokenizer("prezorvaxin")["input_ids"] == before) == (
        110,
        False,
    )

    with raises(InvalidTokens, "1 of 1 ", "'zorvaxin'", "107"):
        reg.resize("resized@1", "again", [{"content": "zorvaxin", "single_word": True}])


@pytest.mark.parametrize("word", [" zorvaxin", "\n", " "])
def test_words_of_blanks_are_taken_by_the_library(reg, model, word):
    assert (model.tokenizer.add_tokens([word]), len(model.tokenizer)) == (1, 108)

    with pytest.raises(InvalidTokens):
        reg.resize("base@1", "blank", [word])


def test_a_word_in_two_spellings_gets_a_row_that_no_text_finds(reg, model):
    spellings = ["na\u00efvex", "nai\u0308vex"]
    assert model.tokenizer.add_tokens(spellings) == 2
    assert model.tokenizer(spellings[0])["input_ids"] == model.tokenizer(spellings[1])["input_ids"]

    with raises(InvalidTokens, "1 of 2 ", *map(repr, spellings)):
        reg.resize("base@1", "twice", spellings)
