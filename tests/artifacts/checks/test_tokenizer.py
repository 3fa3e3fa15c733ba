"""Token ids have rows, and an adapter's tokenizer is its parent's."""

from __future__ import annotations

import pytest

from registry.errors import NotLoadable, ParentMismatch
from tests.artifacts.hand import edit, warnings
from tests.support import plain

ADDED = ("zorvaxin", "quelora")


def test_more_rows_than_tokens_are_fine(tmp_path):
    folder = plain.base(tmp_path / "base", added=ADDED)
    plain.tokenizer(folder, added=ADDED[:1])

    assert warnings(folder) == ()


def test_a_token_without_a_row_is_named(tmp_path):
    folder = plain.base(tmp_path / "base")
    plain.tokenizer(folder, added=ADDED)

    with pytest.raises(
        NotLoadable, match=r"2 tokens have no row: 'quelora' has the id 28, .* 27 rows; call resize_token_embeddings\(29\)"
    ):
        warnings(folder)


def test_a_configuration_that_miscounts_the_rows_is_refused(tmp_path):
    folder = plain.base(tmp_path / "base")
    edit(folder / "config.json", lambda config: config.update(vocab_size=28))

    with pytest.raises(NotLoadable, match="vocab_size 28, and the table of embeddings has 27 rows"):
        warnings(folder)


def test_other_tokens_than_the_parents_are_refused(tmp_path):
    base = plain.base(tmp_path / "base", added=ADDED)
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED[::-1])

    with pytest.raises(ParentMismatch, match=r"id 27 is 'quelora', there it is 'zorvaxin' \(2 differ\)"):
        warnings(adapter, base)


def test_tokens_that_the_parent_lacks_are_refused(tmp_path):
    base = plain.base(tmp_path / "base")
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED)

    with pytest.raises(
        ParentMismatch,
        match=r"2 tokens that minilm@1 lacks, 'zorvaxin' first: it was trained on a resized base.*its rows are lost",
    ):
        warnings(adapter, base)


def test_other_flags_of_a_token_are_refused(tmp_path):
    base = plain.base(tmp_path / "base", added=ADDED)
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED)
    edit(adapter / "tokenizer.json", lambda value: value["added_tokens"][-1].update(single_word=True))

    with pytest.raises(
        ParentMismatch, match=r"id 28 is 'quelora' with single_word=True, there it is 'quelora' with single_word=False"
    ):
        warnings(adapter, base)


def test_another_way_to_the_same_tokens_is_refused(tmp_path):
    base = plain.base(tmp_path / "base", added=ADDED)
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED)
    edit(adapter / "tokenizer_config.json", lambda config: config.update(do_lower_case=False))

    with pytest.raises(ParentMismatch, match="splits texts in another way"):
        warnings(adapter, base)


def test_lengths_that_an_honest_save_changes_do_not_matter(tmp_path):
    base = plain.base(tmp_path / "base", added=ADDED)
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED)
    edit(adapter / "tokenizer_config.json", lambda config: config.update(model_max_length=16, is_local=True))

    assert warnings(adapter, base) == ()


def test_a_full_model_may_have_another_tokenizer_than_its_parent(tmp_path):
    base = plain.base(tmp_path / "base")
    resized = plain.base(tmp_path / "resized", added=ADDED)

    assert warnings(resized, base) == ()


def test_the_side_that_tokenizer_json_alone_says_is_told(tmp_path):
    base = plain.base(tmp_path / "base")
    adapter = plain.adapter(tmp_path / "adapter", base)
    cut = {"direction": "Left", "max_length": 6, "strategy": "LongestFirst", "stride": 0}
    edit(adapter / "tokenizer.json", lambda value: value.update(truncation=cut))

    assert warnings(adapter, base) == ("not as in minilm@1: truncation_side is 'left' (there 'right')",)
