"""diff of registered versions and folders: what would be loaded is compared, and the last line is advice."""

from __future__ import annotations

import json
import shutil

import pytest

import registry
from registry.errors import FolderNotFound, ModelNotFound, ParentNotFound
from tests.operations.conftest import ADDED
from tests.support import plain
from tests.support.refusals import raises


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_resized_base_keeps_all_vectors_but_those_of_texts_with_the_new_words(registered):
    found = registered.diff("minilm@1", "minilm-medical@1")

    assert [(item.content, item.kind) for item in found.tokens] == [
        (word, "added") for word in ADDED
    ]
    (table,) = found.tensors
    assert (table.kind, table.changed_rows, table.new_rows) == ("resized", 0, 2)
    assert (found.advice.keep, found.advice.everything) == (False, False)
    assert found.advice.line.startswith(
        "re-encode: texts that hold an added token (zorvaxin, quelora)"
    )


def test_an_adapter_is_compared_on_its_base(registered):
    found = registered.diff("minilm-medical@1", "medical@1")

    assert not found.tokens
    assert not found.tensors
    assert len(found.effects) == 2
    assert found.advice.everything


def test_equal_digests_mean_that_no_weights_are_read(registered, line):
    registered.add(line.base, "again")

    found = registered.diff("minilm@1", "again@1")

    assert (found.same, found.read) == (True, 0)
    assert registered.diff("minilm@1", "minilm@1").advice.line.startswith("stored vectors: keep")


def test_of_a_resized_base_only_the_table_is_read(registered, line):
    rows = len(plain.WORDS)

    found = registered.diff("minilm@1", "minilm-medical@1")

    assert found.read == 2 * rows * plain.WIDTH * 4


def test_a_folder_is_compared_with_the_version_it_became(registered, line):
    assert registered.diff("minilm@1", line.base).same
    assert registered.diff("medical@1", line.adapter).same
    assert registered.diff(str(line.adapter), "medical@1").same


def test_two_folders_are_compared_without_being_registered(reg, line, tmp_path):
    other = plain.base(tmp_path / "other", seed=3)

    found = reg.diff(line.base, other)

    assert found.advice.everything
    assert (found.before.title, found.after.title) == ("base", "other")


def test_an_adapter_folder_whose_base_is_lost_is_not_compared(reg, line, tmp_path):
    adapter = plain.adapter(tmp_path / "lost", tmp_path / "nowhere")

    with raises(
        ParentNotFound, str(adapter), str(tmp_path / "nowhere"), "registry add", "--parent"
    ):
        reg.diff(line.base, adapter)


def test_a_base_below_the_folder_of_an_unknown_user_is_not_found_and_no_crash(reg, line, tmp_path):
    adapter = plain.adapter(tmp_path / "lost", "~nobody-of-that-name/base")

    with raises(
        ParentNotFound, str(adapter), "'~nobody-of-that-name/base'", "registry add", "--parent"
    ):
        reg.diff(line.base, adapter)
    with pytest.raises(ParentNotFound):
        reg.add(adapter, "lost")


@pytest.mark.parametrize(
    "ask",
    [
        lambda reg, text: reg.find(text),
        lambda reg, text: reg.check(text),
        lambda reg, text: reg.pull(text),
        lambda reg, text: reg.diff(text, text),
        lambda reg, text: registry.open(text),
    ],
    ids=["find", "check", "pull", "diff", "open"],
)
def test_a_place_that_was_given_so_is_said_to_be_none(reg, ask):
    with raises(FolderNotFound, "'~nobody-of-that-name/model'"):
        ask(reg, "~nobody-of-that-name/model")


def test_what_is_not_registered_is_not_found(registered):
    with raises(ModelNotFound, "'nothing'", "medical, minilm, minilm-medical"):
        registered.diff("minilm@1", "nothing@1")


@pytest.mark.parametrize(
    ("file", "changes", "area", "advice"),
    [
        (
            "1_Pooling/config.json",
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
            "pooling",
            "re-encode: everything: pooling pooling_mode is 'cls', was 'mean'",
        ),
        (
            "sentence_bert_config.json",
            {"max_seq_length": 16},
            "length",
            "re-encode: texts of more than 16 tokens",
        ),
        (
            "config_sentence_transformers.json",
            {"prompts": {"query": "query: "}},
            "prompts",
            "re-encode: texts encoded with the prompt 'query'",
        ),
        (
            "config_sentence_transformers.json",
            {"similarity_fn_name": "dot"},
            "similarity",
            "stored vectors: keep: .* compare them by 'dot'",
        ),
        (
            "tokenizer_config.json",
            {"do_lower_case": False},
            "tokenizer",
            "re-encode: everything: tokenizer do_lower_case is False, was True",
        ),
        (
            "config.json",
            {"layer_norm_eps": 1e-5},
            "configuration",
            "re-encode: everything: configuration layer_norm_eps is '1e-05'",
        ),
        ("config.json", {"dtype": "float16"}, "dtype", "stored vectors: keep: .* rounding alone"),
    ],
)
def test_a_setting_that_changed_is_told_with_what_it_means(
    reg, line, tmp_path, file, changes, area, advice
):
    other = shutil.copytree(line.base, tmp_path / "other")
    edit(other / file, **changes)

    found = reg.diff(line.base, other)

    assert {item.area for item in found.settings} == {area}
    import re

    assert re.match(advice, found.advice.line)


def test_what_another_library_version_only_writes_otherwise_is_no_setting(reg, line, tmp_path):
    other = shutil.copytree(line.base, tmp_path / "other")
    (other / "1_Pooling" / "config.json").write_text(
        json.dumps({"embedding_dimension": plain.WIDTH, "pooling_mode": "mean"})
    )
    edit(
        other / "config.json",
        transformers_version="9.9",
        torch_dtype="float32",
        use_cache=True,
        classifier_dropout=None,
    )

    found = reg.diff(line.base, other)

    assert not found.settings
    assert found.advice.keep
    assert found.files == ("1_Pooling/config.json", "config.json")


def test_a_removed_normalisation_changes_every_vector(reg, line, tmp_path):
    other = shutil.copytree(line.base, tmp_path / "other")
    modules = json.loads((other / "modules.json").read_text())
    (other / "modules.json").write_text(json.dumps(modules[:-1]))

    assert "normalisation" in {item.area for item in reg.diff(line.base, other).settings}
    assert reg.diff(line.base, other).advice.everything


def test_the_readme_is_compared_line_by_line(reg, line, tmp_path):
    other = shutil.copytree(line.base, tmp_path / "other")
    text = (other / "README.md").read_text()
    (other / "README.md").write_text(text.replace("made by hand", "made with care") + "and more\n")

    found = reg.diff(line.base, other)

    (card,) = found.texts
    assert (card.added, card.removed) == (2, 1)
    assert "-# A model made by hand" in card.lines
    assert "+# A model made with care" in card.lines
    assert found.advice.keep


def test_metrics_are_compared_as_they_were_recorded(reg, line):
    reg.add(line.base, "one", metrics={"ndcg@10": 0.5, "mrr": 0.25})
    reg.add(line.base, "other", metrics={"ndcg@10": 0.75, "mrr": 0.25})

    found = reg.diff("one@1", "other@1")

    assert [(item.key, item.before, item.after) for item in found.metrics] == [
        ("ndcg@10", "0.5", "0.75")
    ]
    assert found.advice.keep


def test_a_merged_model_encodes_as_its_adapter_and_its_words_come_from_the_same_version(registered):
    registered.merge("medical@1", "merged")

    found = registered.diff("medical@1", "merged@1")

    assert {item.kind for item in found.tensors} == {"merged"}
    assert found.advice.keep
    assert "rounding alone" in found.advice.line
    assert {item.brought.reference for item in registered.tokens("merged@1")} == {
        "minilm-medical@1"
    }
    assert registered.diff("minilm-medical@1", "merged@1").advice.everything


def test_references_can_mean_what_they_meant_then(registered):
    registered.alias("minilm@1", "prod")
    then = registered.log(limit=1)[0].entry
    registered.add(registered.checkout("minilm-medical@1").folder, "minilm", parent="minilm@1")
    registered.alias("minilm@2", "prod")

    assert registered.diff("minilm@1", "minilm@prod", at=then).same
    assert [item.content for item in registered.diff("minilm@1", "minilm@prod").tokens] == list(
        ADDED
    )


def test_of_many_reasons_the_line_gives_the_first(reg, line, tmp_path):
    other = plain.base(tmp_path / "other", seed=3, added=("zorvaxin",))
    edit(other / "tokenizer_config.json", do_lower_case=False, strip_accents=True)
    edit(other / "config.json", layer_norm_eps=1e-5, hidden_act="relu")
    (other / "modules.json").write_text(
        json.dumps(json.loads((other / "modules.json").read_text())[:-1])
    )

    advice = reg.diff(line.base, other).advice

    assert advice.line.startswith(
        "re-encode: everything: modules is ['Transformer', 'Pooling'], was"
    )
    assert len(advice.reasons) > 4
    assert advice.line.endswith(f"and {len(advice.reasons) - 3} more reasons")


def test_a_function_of_the_module_does_the_same(registered, tmp_path):
    home = registered.settings.home

    assert registry.diff("minilm@1", "medical@1", home=home) == registered.diff(
        "minilm@1", "medical@1"
    )
