"""Tokenizers are compared as Sentence Transformers loads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig
from transformers import AutoTokenizer

import registry
from registry.model_files.folder import Folder
from registry.model_files.layout import layout
from registry.model_files.tokenizer.pipeline import read_pipeline
from registry.runtime.tokenizer_equivalence import decide, form_of, load_tokenizer
from tests.support import lively, plain, small
from tests.support.hand import edit


def side(folder: Path) -> tuple[Folder, Any]:
    """A folder and its layout, as the decision takes them."""
    files = Folder(folder)
    return files, layout(files, parent_class="SentenceTransformer")


def saved_again(folder: Path, target: Path, *, lowercase: bool = False) -> Path:
    """The model with the tokenizer that today's library writes after loading it."""
    shutil.copytree(folder, target)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    if lowercase:
        from tokenizers.normalizers import Lowercase, Sequence

        backend = tokenizer.backend_tokenizer
        backend.normalizer = Sequence([Lowercase(), backend.normalizer])
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (target / name).unlink(missing_ok=True)
    tokenizer.save_pretrained(str(target))
    return target


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An uncased BERT."""
    return plain.base(tmp_path / "base", added=("zorvaxin",))


def test_a_file_and_its_save_of_today_are_equivalent(base, tmp_path):
    again = saved_again(base, tmp_path / "again")

    decision = decide(side(base), side(again))

    assert decision.is_equivalent
    assert set(decision.libraries) == {"transformers", "tokenizers", "sentence-transformers"}
    assert decision.record["decided"] == "as loaded"


def test_lowercasing_by_sentence_transformers_is_none_for_an_uncased_model(base, tmp_path):
    (base / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    again = saved_again(base, tmp_path / "again", lowercase=True)
    (again / "sentence_bert_config.json").unlink()

    assert decide(side(base), side(again)).is_equivalent


def test_a_cased_model_that_lost_its_lowercasing_is_not_equivalent(base, tmp_path):
    edit(base / "tokenizer_config.json", lambda config: config.update(do_lower_case=False))
    (base / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    again = saved_again(base, tmp_path / "again", lowercase=True)
    (again / "sentence_bert_config.json").unlink()

    assert read_pipeline(*side(base)).digest != read_pipeline(*side(again)).digest
    decision = decide(side(base), side(again))
    assert not decision.is_equivalent
    assert decision.components == ("normalizer",)
    assert "has the ids" in decision.explain()


def test_two_swapped_tokens_are_shown_by_a_text(base, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(base, other)

    def swap(tokenizer: dict[str, Any]) -> None:
        vocabulary = tokenizer["model"]["vocab"]
        first, second = [word for word in vocabulary if word.isalpha()][:2]
        vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]

    edit(other / "tokenizer.json", swap)

    decision = decide(side(base), side(other))
    assert not decision.is_equivalent
    assert "has the ids" in decision.explain()
    assert read_pipeline(*side(base)).digest != read_pipeline(*side(other)).digest


def test_a_setting_that_no_text_shows_is_reported_without_a_text(base, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(base, other)
    edit(
        other / "tokenizer.json",
        lambda tokenizer: tokenizer["model"].update(max_input_chars_per_word=99_999),
    )
    edit(
        other / "tokenizer_config.json",
        lambda config: config.update(tokenizer_class="PreTrainedTokenizerFast"),
    )
    edit(
        base / "tokenizer_config.json",
        lambda config: config.update(tokenizer_class="PreTrainedTokenizerFast"),
    )

    decision = decide(side(base), side(other))

    assert not decision.is_equivalent
    assert "no text with different ids found among 5000" in decision.explain()


def test_the_emulation_loads_what_sentence_transformers_loads(base):
    from sentence_transformers import SentenceTransformer

    (base / "sentence_bert_config.json").write_text('{"do_lower_case": true, "max_seq_length": 8}')
    edit(base / "tokenizer_config.json", lambda config: config.update(do_lower_case=False))
    real = SentenceTransformer(str(base), device="cpu")

    assert form_of(real.tokenizer) == load_tokenizer(*side(base)).form
    assert json.dumps(form_of(real.tokenizer))


def prefixed(folder: Path, **flags: Any) -> Path:
    """A late-interaction model of PyLate: its prefixes are an added and an old token."""
    tokenizer = small.word_piece()
    tokenizer.add_tokens(["[Q] "])
    small.multi_vector(folder, tokenizer)
    edit(
        folder / "config_sentence_transformers.json",
        lambda config: config.update(query_prefix="[Q] ", document_prefix="cat "),
    )

    def set_flags(tokenizer: dict[str, Any]) -> None:
        token = next(t for t in tokenizer["added_tokens"] if t["content"] == "[Q] ")
        token.update(flags)

    edit(folder / "tokenizer.json", set_flags)
    return folder


def test_prefix_tokens_are_registered_as_the_library_does(tmp_path):
    folder = prefixed(tmp_path / "model", normalized=True, special=False)
    files = Folder(folder)

    real = lively.loaded(folder, "MultiVectorEncoder")
    emulated = load_tokenizer(files, layout(files))

    token = real.tokenizer.added_tokens_decoder[real.tokenizer.get_vocab()["[Q] "]]
    assert (token.special, token.normalized) == (True, False)
    assert form_of(real.tokenizer) == emulated.form
    assert "prefix tokens" in read_pipeline(files, layout(files)).components


def test_a_prefix_that_is_one_piece_is_not_part_of_the_pipeline(tmp_path):
    folder = prefixed(tmp_path / "model", normalized=False, special=True)
    edit(
        folder / "config_sentence_transformers.json",
        lambda config: config.update(document_prefix="search: "),
    )
    files = Folder(folder)

    assert "prefix tokens" not in read_pipeline(files, layout(files)).components
    real = lively.loaded(folder, "MultiVectorEncoder")
    assert form_of(real.tokenizer) == load_tokenizer(files, layout(files)).form


@pytest.mark.slow
def test_an_adapter_saved_with_registered_prefixes_is_added(tmp_path):
    folder = prefixed(tmp_path / "model", normalized=True, special=False)
    with registry.init(tmp_path / "home") as reg:
        reg.add(folder, "late")
        checkout = Path(reg.checkout("late@1").folder)
        config = LoraConfig(r=2, target_modules=["query"])
        model = lively.adapted(checkout, "MultiVectorEncoder", config)
        expected = lively.encodings(model)

        reg.add(lively.save(model, tmp_path / "adapter"), "tuned")

        assert lively.encodings(reg.load("tuned@1")) == expected
