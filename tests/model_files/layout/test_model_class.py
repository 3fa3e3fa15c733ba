"""Which class a folder is loaded as."""

from __future__ import annotations

import re

import pytest

from registry.errors import NotLoadable
from tests.support import plain
from tests.support.hand import edit, lay
from tests.support.refusals import raises, text_of


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("SentenceTransformer", "SentenceTransformer"),
        ("SparseEncoder", "SparseEncoder"),
        ("CrossEncoder", "CrossEncoder"),
        ("MultiVectorEncoder", "MultiVectorEncoder"),
        ("ColBERT", "MultiVectorEncoder"),
    ],
)
def test_a_model_with_modules_says_its_class(tmp_path, named, expected):
    folder = plain.base(tmp_path / "base")
    edit(
        folder / "config_sentence_transformers.json",
        lambda settings: settings.update(model_type=named),
    )

    assert (lay(folder).model_class, lay(folder).told_by) == (
        expected,
        "config_sentence_transformers.json",
    )


def test_a_class_that_contradicts_the_folder_is_refused(tmp_path):
    folder = plain.base(tmp_path / "base")

    classes = ("SentenceTransformer", "SparseEncoder")
    with raises(NotLoadable, "config_sentence_transformers.json", *classes, "--class"):
        lay(folder, class_hint="SparseEncoder")


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("BertModel", "SentenceTransformer"),
        ("T5EncoderModel", "SentenceTransformer"),
        ("XLMRobertaForSequenceClassification", "CrossEncoder"),
    ],
)
def test_a_plain_folder_has_the_class_of_its_architecture(tmp_path, architecture, expected):
    assert lay(_plain(tmp_path, architecture)).model_class == expected


@pytest.mark.parametrize(
    ("architecture", "classes"),
    [
        ("BertForMaskedLM", ["SentenceTransformer", "SparseEncoder"]),
        ("Qwen3ForCausalLM", ["SentenceTransformer", "CrossEncoder"]),
        ("BertForTokenClassification", ["SentenceTransformer"]),
        (None, ["SentenceTransformer"]),
    ],
)
def test_a_plain_folder_that_could_be_more_than_one_is_not_guessed_at(
    tmp_path, architecture, classes
):
    quoted = [f"'{architecture}'"] if architecture else []
    with raises(NotLoadable, *quoted, "modules.json") as refused:
        lay(_plain(tmp_path, architecture))

    assert re.findall(r"--class (\w+)", text_of(refused.value)) == classes


@pytest.mark.parametrize("hint", ["CrossEncoder", "SparseEncoder", "MultiVectorEncoder"])
def test_a_class_that_would_make_up_a_head_is_refused(tmp_path, hint):
    with raises(NotLoadable, hint, "'BertModel'", "save_pretrained"):
        lay(_plain(tmp_path, "BertModel"), class_hint=hint)


def test_an_adapter_without_modules_has_its_parents_class(tmp_path):
    folder = _bare_adapter(tmp_path)

    found = lay(folder, parent_class="CrossEncoder")

    assert (found.model_class, found.told_by) == ("CrossEncoder", "the parent's class")


def test_an_adapter_without_modules_and_parent_needs_its_class(tmp_path):
    classes = ("SentenceTransformer", "CrossEncoder", "SparseEncoder", "MultiVectorEncoder")
    with raises(NotLoadable, "modules.json", "--class", *classes):
        lay(_bare_adapter(tmp_path))


def test_a_class_that_does_not_exist_is_named(tmp_path):
    classes = ("SentenceTransformer", "CrossEncoder", "SparseEncoder", "MultiVectorEncoder")
    with raises(NotLoadable, "'Encoder'", "--class", *classes):
        lay(plain.base(tmp_path / "base"), class_hint="Encoder")


def _plain(tmp_path, architecture):
    folder = plain.base(tmp_path / "base")
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling/config.json"):
        (folder / name).unlink()
    edit(
        folder / "config.json",
        lambda config: config.update(architectures=[architecture] if architecture else None),
    )
    return folder


def _bare_adapter(tmp_path):
    folder = plain.adapter(tmp_path / "medical", "/training/base")
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling/config.json"):
        (folder / name).unlink()
    return folder
