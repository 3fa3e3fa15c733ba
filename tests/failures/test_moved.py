"""Bases that were moved, replaced or cut under an adapter: the library loads what lies there now, the registry what was registered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from registry.errors import NotLoadable, ParentNotFound
from tests.artifacts import small
from tests.artifacts.hand import edit, rewrite
from tests.support import lively, naive
from tests.support.live import lora

TABLE = "embeddings.word_embeddings.weight"
PLAIN, NEW = ("the cat sat on the mat",), ("zorvaxin and heartmat",)


def rows(change: Callable[[numpy.ndarray], numpy.ndarray]) -> Callable[[Path], None]:
    """A base with another table, its configuration counting the rows."""
    def replace(folder: Path) -> None:
        rewrite(folder / "model.safetensors", lambda own: own.update({TABLE: change(own[TABLE])}))
        edit(folder / "config.json", lambda config: config.update(vocab_size=len(change(numpy.zeros((110, 16), "float32")))))
    return replace


def rotated(table: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate([table[:107], numpy.roll(table[107:], 1, axis=0)])


def others(table: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate([table[:107], numpy.random.default_rng(9).normal(size=(3, 16)).astype("float32")])


def inserted(table: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate([table[:108], table[10:12], table[108:]])


@pytest.fixture
def trained(reg, made, tmp_path) -> tuple[Path, Path]:
    """(a base in a folder of the user's, an adapter that names it and is medical@1)."""
    base = Path(shutil.copytree(made.resized, tmp_path / "mine", ignore=shutil.ignore_patterns(".registry")))
    adapter = Path(shutil.copytree(made.adapter, tmp_path / "trained"))
    edit(adapter / "adapter_config.json", lambda config: config.update(base_model_name_or_path=str(base)))
    added = reg.add(adapter, "medical", measure=False)
    assert (added.parent, added.evidence) == ("resized@1", "path")
    return base, adapter


@pytest.mark.parametrize("change", [rotated, others, inserted], ids=["rotated", "other rows", "two inserted"])
def test_a_base_with_other_rows_in_the_place_of_the_one_it_was_trained_on(reg, made, trained, change):
    base, adapter = trained
    rows(change)(base)
    plain, right = (lively.loaded(folder, "SentenceTransformer") for folder in (adapter, made.adapter))
    assert lively.encodings(plain, PLAIN) == lively.encodings(right, PLAIN)  # so no health check sees it
    assert lively.distance(lively.encodings(plain, NEW), lively.encodings(right, NEW)) > 1e-3

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right
    with pytest.raises(ParentNotFound, match="is not registered; to register it"):
        reg.add(adapter, "again", measure=False)


def test_the_base_before_it_was_resized_in_the_place_of_the_resized_one(reg, made, trained):
    base, adapter = trained
    shutil.rmtree(base)
    shutil.copytree(reg.checkout("base@1").folder, base, ignore=shutil.ignore_patterns(".registry"))
    plain = lively.loaded(adapter, "SentenceTransformer")
    assert lively.encodings(plain, PLAIN) == lively.encodings(lively.loaded(made.adapter, "SentenceTransformer"), PLAIN)
    with pytest.raises(IndexError, match="out of range"):
        lively.encodings(plain, NEW)

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right


def test_a_base_that_is_gone(reg, made, trained):
    base, adapter = trained
    shutil.rmtree(base)
    with pytest.raises(OSError, match="Repo id must be in the form"):
        lively.loaded(adapter, "SentenceTransformer")

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right
    with pytest.raises(ParentNotFound, match="is not there any more"):
        reg.add(adapter, "again", measure=False)


def test_a_relative_path_that_means_another_base_elsewhere(reg, made, trained, tmp_path, monkeypatch):
    base, adapter = trained
    edit(adapter / "adapter_config.json", lambda config: config.update(base_model_name_or_path="mine"))
    elsewhere = Path(shutil.copytree(base, tmp_path / "elsewhere" / "mine")).parent
    rows(rotated)(elsewhere / "mine")
    monkeypatch.chdir(elsewhere)
    plain, right = (lively.loaded(folder, "SentenceTransformer") for folder in (adapter, made.adapter))
    assert lively.distance(lively.encodings(plain, NEW), lively.encodings(right, NEW)) > 1e-3

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right
    with pytest.raises(ParentNotFound):
        reg.add(adapter, "again", measure=False)


def test_tokens_for_which_the_table_was_never_resized(reg, tmp_path):
    model = lively.loaded(reg.checkout("base@1").folder, "SentenceTransformer")
    model.tokenizer.add_tokens(["quelora"])
    lively.save(model, tmp_path / "forgotten")
    again = lively.loaded(tmp_path / "forgotten", "SentenceTransformer")
    assert lively.encodings(again, PLAIN) == lively.encodings(model, PLAIN)
    with pytest.raises(IndexError, match="out of range"):
        lively.encodings(again, ("quelora",))

    with pytest.raises(NotLoadable, match="1 token has no row: 'quelora' has the id 107, and the table of embeddings has 107 rows.*token-rows"):
        reg.add(tmp_path / "forgotten", "forgotten", measure=False)


def test_the_whole_table_trained_after_a_resize_in_memory_cannot_even_be_saved(reg, tmp_path):
    model = naive.adapt(naive.grow(naive.plain(small.dense(tmp_path / "base"))), lora(modules_to_save=["word_embeddings"]))
    with pytest.raises(RuntimeError, match="shared tensors"):
        model.save_pretrained(str(tmp_path / "lost"))

    reg.save(model, "medical")

    assert lively.encodings(reg.load("medical@1", device="cpu")) == lively.encodings(model.eval())


def test_what_the_library_advises_for_merging_is_not_there(reg, made):
    model = lively.loaded(made.adapter, "SentenceTransformer")
    with pytest.raises(AttributeError, match="merge_and_unload"):
        model.transformers_model.merge_and_unload()

    reg.add(made.adapter, "medical", measure=False)
    reg.merge("medical@1", "merged")

    assert lively.distance(lively.encodings(reg.load("merged@1", device="cpu")), made.right) < 1e-5
