"""Token ids have rows, and an adapter's tokenizer is its parent's."""

from __future__ import annotations

from registry.errors import NotLoadable, ParentMismatch
from tests.support import plain
from tests.support.hand import edit, warnings
from tests.support.refusals import raises

ADDED = ("zorvaxin", "quelora")


def test_more_rows_than_tokens_are_fine(tmp_path):
    folder = plain.base(tmp_path / "base", added=ADDED)
    plain.tokenizer(folder, added=ADDED[:1])

    assert warnings(folder) == ()


def test_a_token_without_a_row_is_named(tmp_path):
    folder = plain.base(tmp_path / "base")
    plain.tokenizer(folder, added=ADDED)

    call = "resize_token_embeddings(29)"
    quoted = ("2 ", "'quelora'", "28", "27", call, "registry resize")
    with raises(NotLoadable, *quoted, check="token-rows"):
        warnings(folder)


def test_a_configuration_that_miscounts_the_rows_is_refused(tmp_path):
    folder = plain.base(tmp_path / "base")
    edit(folder / "config.json", lambda config: config.update(vocab_size=28))

    quoted = ("config.json", "vocab_size", "28", "27")
    with raises(NotLoadable, *quoted, check="vocab-size"):
        warnings(folder)


def test_other_tokens_than_the_parents_are_refused(tmp_path):
    base = plain.base(tmp_path / "base", added=ADDED)
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED[::-1])

    quoted = ("minilm@1", "27", "'quelora'", "'zorvaxin'", "2 ", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-tokenizer"):
        warnings(adapter, base)


def test_tokens_that_the_parent_lacks_are_refused(tmp_path):
    base = plain.base(tmp_path / "base")
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED)

    quoted = (" 2 ", "minilm@1", "'zorvaxin'", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-tokenizer"):
        warnings(adapter, base)


def test_other_flags_of_a_token_are_refused(tmp_path):
    base = plain.base(tmp_path / "base", added=ADDED)
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED)
    edit(
        adapter / "tokenizer.json", lambda value: value["added_tokens"][-1].update(single_word=True)
    )

    quoted = ("minilm@1", "28", "'quelora'", "single_word=True", "single_word=False", "1 ")
    with raises(ParentMismatch, *quoted, "--parent", check="adapter-tokenizer"):
        warnings(adapter, base)


def test_another_way_to_the_same_tokens_is_refused(tmp_path):
    base = plain.base(tmp_path / "base", added=ADDED)
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED)
    edit(adapter / "tokenizer_config.json", lambda config: config.update(do_lower_case=False))

    files = ("tokenizer.json", "tokenizer_config.json", "do_lower_case")
    quoted = ("minilm@1", *files, "--tokenizer parent")
    with raises(ParentMismatch, *quoted, check="adapter-tokenizer"):
        warnings(adapter, base)


def test_lengths_that_an_honest_save_changes_do_not_matter(tmp_path):
    base = plain.base(tmp_path / "base", added=ADDED)
    adapter = plain.adapter(tmp_path / "medical", base, added=ADDED)
    edit(
        adapter / "tokenizer_config.json",
        lambda config: config.update(model_max_length=16, is_local=True),
    )

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

    assert warnings(adapter, base) == (
        "not as in minilm@1: truncation_side is 'left' (there 'right')",
    )
