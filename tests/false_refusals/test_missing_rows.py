"""Special tokens without an embedding row, as the text models of multimodal families have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peft import LoraConfig

from registry.errors import Invalid, NotLoadable
from tests.support import lively, small
from tests.support.hand import edit
from tests.support.refusals import raises

IMAGE = "<image_soft_token>"
PLAIN = ("the cat sat on the mat", "a dog")
NEW = ("zorvaxin is new", "a cardiomab")
ROWS = "embeddings.word_embeddings.weight"


def multimodal(folder: Path, *contents: str, special: bool = True) -> tuple[Path, int]:
    """Return a model whose last tokens have no rows, and the number of its rows."""
    rows = len(small.word_piece())
    small.dense(folder)
    flags = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized"), False)
    tokens = [
        {"id": rows + index, "content": content, **flags, "special": special}
        for index, content in enumerate(contents)
    ]
    edit(folder / "tokenizer.json", lambda value: value["added_tokens"].extend(tokens))
    return folder, rows


def table(folder: Path) -> Any:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")[ROWS]


@pytest.mark.slow
def test_a_base_is_added_with_a_warning_and_resized_to_the_bit(reg: Any, tmp_path: Path) -> None:
    folder, rows = multimodal(tmp_path / "base", IMAGE, "<audio_soft_token>")
    plain = lively.loaded(folder, "SentenceTransformer")

    added = reg.add(folder, "gemma")

    assert any(IMAGE in line and str(rows) in line for line in added.warnings)
    live = reg.load("gemma@1", device="cpu")
    assert lively.encodings(live, PLAIN) == lively.encodings(plain, PLAIN)
    with raises(Invalid, IMAGE, "registry resize"):
        lively.encodings(live, (f"the cat {IMAGE}",))
    with raises(Invalid, IMAGE):
        reg.add(folder, "other", probes=[f"the cat {IMAGE}"])

    resized = reg.resize("gemma@1", "gemma-big", list(small.NEW))

    assert not any(IMAGE in line for line in resized.warnings)
    recipe = resized.version.source["recipe"]
    assert recipe["rows_missing_in_base"] == 2
    assert (recipe["old_rows"], recipe["new_rows"]) == (rows, rows + 2 + len(small.NEW))
    checkout = reg.checkout("gemma-big@1").folder
    before, after = table(folder), table(checkout)
    assert np.array_equal(before, after[:rows])
    mean = before.astype(np.float64).mean(axis=0)
    assert np.allclose(after[rows], mean, atol=1e-6)
    assert np.array_equal(after[rows], after[rows + 1])
    bigger = lively.loaded(checkout, "SentenceTransformer")
    assert lively.encodings(bigger, PLAIN) == lively.encodings(plain, PLAIN)
    texts = (*NEW, f"the cat {IMAGE}")
    loaded = reg.load("gemma-big@1", device="cpu")
    assert lively.encodings(loaded, texts) == lively.encodings(bigger, texts)


@pytest.mark.slow
def test_an_adapter_on_the_base_and_on_the_resized_base(reg: Any, tmp_path: Path) -> None:
    folder, _ = multimodal(tmp_path / "base", IMAGE)
    reg.add(folder, "gemma")
    reg.resize("gemma@1", "gemma-big", list(small.NEW))
    for name, texts in (("gemma", PLAIN), ("gemma-big", NEW)):
        config = LoraConfig(r=2, target_modules=["query", "value"])
        out = tmp_path / f"{name}-adapter"
        checkout = reg.checkout(f"{name}@1").folder
        model = lively.adapted(checkout, "SentenceTransformer", config)
        right = lively.encodings(model, texts)
        lively.save(model, out)

        version = reg.add(out, f"{name}-adapter").version

        loaded = reg.load(version.reference, device="cpu")
        assert lively.encodings(loaded, texts) == right


@pytest.mark.sampled(1)
@pytest.mark.parametrize("content", ["<mask>", "[SEP]x", "</s>"])
def test_a_probe_text_with_such_a_token_is_recorded_by_its_ids(
    reg: Any, tmp_path: Path, content: str
) -> None:
    folder, _ = multimodal(tmp_path / "base", content)

    version = reg.add(folder, "base").version

    plain = lively.loaded(folder, "SentenceTransformer")
    live = reg.load(version.reference, device="cpu")
    assert lively.encodings(live, PLAIN) == lively.encodings(plain, PLAIN)


def test_an_ordinary_token_without_a_row_stays_refused(reg: Any, tmp_path: Path) -> None:
    folder, rows = multimodal(tmp_path / "base", "zorvaxin", special=False)

    with raises(NotLoadable, "'zorvaxin'", str(rows), check="token-rows"):
        reg.add(folder, "base")


def test_a_special_token_that_the_parent_lacks_stays_refused(reg: Any, tmp_path: Path) -> None:
    reg.add(small.dense(tmp_path / "parent"), "parent")
    folder, _ = multimodal(tmp_path / "base", IMAGE)

    with raises(NotLoadable, repr(IMAGE), check="token-rows"):
        reg.add(folder, "base", parent="parent@1")
