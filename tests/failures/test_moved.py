"""Bases that were moved, replaced or cut under an adapter: the library loads what lies there now, the registry what was registered."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from registry.errors import Invalid, NotLoadable, ParentMismatch, ParentNotFound
from tests.support import lively, naive, plain as by_hand, small
from tests.support.hand import edit, rewrite
from tests.support.live import lora
from tests.support.refusals import raises

TABLE = "embeddings.word_embeddings.weight"
PLAIN, NEW = ("the cat sat on the mat",), ("zorvaxin and heartmat",)


def rows(change: Callable[[numpy.ndarray], numpy.ndarray]) -> Callable[[Path], None]:
    """A base with another table, its configuration counting the rows."""

    def replace(folder: Path) -> None:
        rewrite(folder / "model.safetensors", lambda own: own.update({TABLE: change(own[TABLE])}))
        edit(
            folder / "config.json",
            lambda config: config.update(vocab_size=len(change(numpy.zeros((110, 16), "float32")))),
        )

    return replace


def rotated(table: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate([table[:107], numpy.roll(table[107:], 1, axis=0)])


def others(table: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate(
        [table[:107], numpy.random.default_rng(9).normal(size=(3, 16)).astype("float32")]
    )


def reversed_rows(table: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate([table[:107], table[:106:-1]])


def inserted(table: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate([table[:108], table[10:12], table[108:]])


@pytest.fixture
def trained(reg, made, tmp_path) -> tuple[Path, Path]:
    """(a base in a folder of the user's, an adapter that names it and is medical@1)."""
    base = Path(
        shutil.copytree(made.resized, tmp_path / "mine", ignore=shutil.ignore_patterns(".registry"))
    )
    adapter = Path(shutil.copytree(made.adapter, tmp_path / "trained"))
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(base_model_name_or_path=str(base)),
    )
    for path in adapter.iterdir():
        os.utime(path)  # as if it was trained on this base, which was copied just now
    added = reg.add(adapter, "medical", measure=False)
    assert (added.parent, added.evidence) == ("resized@1", "path")
    return base, adapter


def other_words(folder: Path) -> None:
    """A base that was grown by as many other words."""
    rows(others)(folder)
    edit(
        folder / "tokenizer.json",
        lambda tokenizer: [
            token.update(content=f"{token['content']}s") for token in tokenizer["added_tokens"][-3:]
        ],
    )


def commands_for(base: Path, adapter: Path) -> tuple[str, str]:
    """Return the commands with which an error about a changed base ends."""
    return (
        f"registry add {base} --as BASE",
        f"registry add {adapter} --as NAME --parent BASE@1",
    )


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "change",
    [rows(rotated), rows(reversed_rows), other_words, rows(inserted), rows(others)],
    ids=["rotated", "reversed", "other words", "two inserted", "rows made again"],
)
def test_a_base_with_other_rows_in_the_place_of_the_one_it_was_trained_on(
    reg, made, trained, change
):
    base, adapter = trained
    change(base)
    plain, right = (
        lively.loaded(folder, "SentenceTransformer") for folder in (adapter, made.adapter)
    )
    assert lively.encodings(plain, PLAIN) == lively.encodings(
        right, PLAIN
    )  # so no health check sees it
    assert lively.distance(lively.encodings(plain, NEW), lively.encodings(right, NEW)) > 1e-3

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right
    with raises(ParentNotFound, *commands_for(base, adapter)):
        reg.add(adapter, "again", measure=False, with_parents=True)


def test_a_base_with_tokens_behind_the_ones_it_had_is_not_taken_for_it(reg, made, trained):
    base, adapter = trained
    rows(lambda table: numpy.concatenate([table, table[10:12]]))(base)
    assert lively.encodings(lively.loaded(adapter, "SentenceTransformer")) == made.right

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right
    with raises(ParentNotFound, *commands_for(base, adapter)):
        reg.add(adapter, "again", measure=False)


def test_a_base_with_one_token_less(reg, made, trained):
    base, adapter = trained
    rows(lambda table: table[:-1])(base)
    plain = lively.loaded(adapter, "SentenceTransformer")
    assert lively.encodings(plain, PLAIN) == lively.encodings(
        lively.loaded(made.adapter, "SentenceTransformer"), PLAIN
    )
    with raises(Invalid, "'heartmat'") as refused:
        lively.encodings(plain, NEW)
    assert isinstance(refused.value.__cause__, IndexError)

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right


def test_a_deeper_base_in_the_place_of_the_one_it_was_trained_on(reg, made, trained, caplog):
    base, adapter = trained
    drawn = numpy.random.default_rng(4)

    def deeper(own: dict[str, numpy.ndarray]) -> None:
        own.update(
            {
                name.replace("layer.0", f"layer.{layer}"): own[name]
                for layer in (2, 3)
                for name in list(own)
                if "layer.0" in name
            }
        )
        own.update({name: drawn.normal(size=own[name].shape).astype("float32") for name in own})

    rewrite(base / "model.safetensors", deeper)
    edit(base / "config.json", lambda config: config.update(num_hidden_layers=4))
    assert (
        lively.distance(lively.encodings(lively.loaded(adapter, "SentenceTransformer")), made.right)
        > 1e-3
    )
    assert "MISSING" in caplog.text  # a table in the log is all that the library says

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right
    reg.add(base, "deeper", measure=False)
    lost = "'base_model.model.encoder.layer.2.attention.self.query.lora_A.weight'"
    quoted = (lost, " 7 ", "adapter_config.json", "deeper@1", "--parent")
    with raises(NotLoadable, *quoted, check="adapter-missing"):
        reg.add(adapter, "again", parent="deeper@1")


def test_a_base_that_lost_a_layer_under_its_adapter(reg, made, trained, caplog):
    base, adapter = trained
    rewrite(
        base / "model.safetensors",
        lambda own: [own.pop(name) for name in list(own) if "layer.1" in name],
    )
    one, other = (lively.encodings(lively.loaded(adapter, "SentenceTransformer")) for _ in range(2))
    assert lively.distance(one, other) > 1e-3
    assert "MISSING" in caplog.text

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right
    with raises(NotLoadable, "config.json", " 2 ", "layer 1", check="layers"):
        reg.add(base, "cut")


def test_a_base_of_another_width(reg, made, trained):
    base, adapter = trained
    shutil.rmtree(base)
    by_hand.base(base, added=small.NEW)
    with pytest.raises(RuntimeError):
        lively.loaded(adapter, "SentenceTransformer")

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right


def test_the_base_before_it_was_resized_takes_the_adapter_and_splits_its_words(reg, made, trained):
    model = lively.loaded(reg.checkout("base@1").folder, "SentenceTransformer")
    model.load_adapter(str(made.adapter))
    right = lively.loaded(made.adapter, "SentenceTransformer")
    assert lively.encodings(model, PLAIN) == lively.encodings(right, PLAIN)
    assert lively.distance(lively.encodings(model, NEW), lively.encodings(right, NEW)) > 1e-3

    with raises(ParentMismatch, "medical@1", "resized@1", "base@1"):
        reg.load("base@1", adapters={"a": "medical@1"})


@pytest.mark.slow
def test_a_table_of_which_spare_rows_were_taken(reg, tmp_path):
    padded, filled = small.dense(tmp_path / "padded", rows=110), tmp_path / "filled"
    model = lively.loaded(padded, "SentenceTransformer")
    model.tokenizer.add_tokens(list(small.NEW))
    table = model.transformers_model.resize_token_embeddings(len(model.tokenizer)).weight
    assert table.shape[0] == 110  # nothing was resized
    table.data[107:] *= -1
    lively.save(model, filled)
    right = lively.save_adapter(filled, "SentenceTransformer", lora(), tmp_path / "adapter")
    edit(
        tmp_path / "adapter" / "adapter_config.json",
        lambda config: config.update(base_model_name_or_path=str(padded)),
    )
    plain = lively.loaded(tmp_path / "adapter", "SentenceTransformer")
    assert lively.encodings(plain)[0] == right[0]
    assert lively.distance(lively.encodings(plain), right) > 1e-3

    reg.add(padded, "padded", measure=False)
    quoted = (" 3 ", "padded@1", "'zorvaxin'", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-tokenizer"):
        reg.add(tmp_path / "adapter", "medical")
    reg.add(filled, "filled", parent="padded@1", measure=False)
    reg.add(tmp_path / "adapter", "medical", parent="filled@1")

    assert lively.encodings(reg.load("medical@1", device="cpu")) == right
    assert [token.content for token in reg.tokens("filled@1")] == list(small.NEW)


def test_an_adapter_on_the_table_over_a_base_in_another_order(reg, made, tmp_path):
    base = Path(
        shutil.copytree(made.resized, tmp_path / "mine", ignore=shutil.ignore_patterns(".registry"))
    )
    right = lively.save_adapter(
        base,
        "SentenceTransformer",
        lora(target_modules=["query", "word_embeddings"]),
        tmp_path / "adapter",
    )
    reg.add(tmp_path / "adapter", "medical", parent="resized@1")
    rows(rotated)(base)
    found = lively.encodings(lively.loaded(tmp_path / "adapter", "SentenceTransformer"))
    assert found[0] == right[0]
    assert lively.distance(found, right) > 1e-3

    assert lively.encodings(reg.load("medical@1", device="cpu")) == right


def test_the_base_before_it_was_resized_in_the_place_of_the_resized_one(reg, made, trained):
    base, adapter = trained
    shutil.rmtree(base)
    shutil.copytree(reg.checkout("base@1").folder, base, ignore=shutil.ignore_patterns(".registry"))
    plain = lively.loaded(adapter, "SentenceTransformer")
    assert lively.encodings(plain, PLAIN) == lively.encodings(
        lively.loaded(made.adapter, "SentenceTransformer"), PLAIN
    )
    with raises(Invalid, "'zorvaxin'") as refused:
        lively.encodings(plain, NEW)
    assert isinstance(refused.value.__cause__, IndexError)

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right


def test_a_base_that_is_gone(reg, made, trained):
    base, adapter = trained
    shutil.rmtree(base)
    with pytest.raises(OSError, match="Repo id must be in the form"):
        lively.loaded(adapter, "SentenceTransformer")

    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right
    command = f"registry add {adapter} --as NAME --parent resized@1"
    with raises(ParentNotFound, f"'{adapter}'", f"'{base}'", command):
        reg.add(adapter, "again", measure=False)


def test_a_relative_path_that_means_another_base_elsewhere(
    reg, made, trained, tmp_path, monkeypatch
):
    base, adapter = trained
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(base_model_name_or_path="mine"),
    )
    elsewhere = Path(shutil.copytree(base, tmp_path / "elsewhere" / "mine")).parent
    rows(rotated)(elsewhere / "mine")
    monkeypatch.chdir(elsewhere)
    plain, right = (
        lively.loaded(folder, "SentenceTransformer") for folder in (adapter, made.adapter)
    )
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
    with raises(Invalid, "'quelora'") as refused:
        lively.encodings(again, ("quelora",))
    assert isinstance(refused.value.__cause__, IndexError)

    quoted = ("1 ", "'quelora'", "107", "resize_token_embeddings(108)", "registry resize")
    with raises(NotLoadable, *quoted, check="token-rows"):
        reg.add(tmp_path / "forgotten", "forgotten", measure=False)


@pytest.mark.slow
def test_the_whole_table_trained_after_a_resize_in_memory_cannot_even_be_saved(reg, tmp_path):
    model = naive.adapt(
        naive.grow(naive.plain(small.dense(tmp_path / "base"))),
        lora(modules_to_save=["word_embeddings"]),
    )
    with pytest.raises(RuntimeError, match="shared tensors"):
        model.save_pretrained(str(tmp_path / "lost"))

    reg.save(model, "medical")

    assert lively.encodings(reg.load("medical@1", device="cpu")) == lively.encodings(model.eval())


@pytest.mark.slow
def test_what_the_library_advises_for_merging_is_not_there(reg, made):
    from sentence_transformers import SentenceTransformer

    model = lively.loaded(made.adapter, "SentenceTransformer")
    with pytest.raises(AttributeError, match="merge_and_unload"):
        model.transformers_model.merge_and_unload()
    with pytest.raises(AttributeError, match="merge_and_unload"):
        model.merge_and_unload()
    with pytest.raises(ValueError, match="PEFT adapters is not supported"):  # it averages weights
        SentenceTransformer.merge([model, model])

    reg.add(made.adapter, "medical", measure=False)
    reg.merge("medical@1", "merged")

    assert lively.distance(lively.encodings(reg.load("merged@1", device="cpu")), made.right) < 1e-5
