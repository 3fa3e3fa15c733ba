"""What a folder is."""

from __future__ import annotations

import json

from registry.errors import NotLoadable, UnsafeFile
from tests.support import plain
from tests.support.hand import edit_modules, lay
from tests.support.refusals import raises


def test_minilm_is_a_sentence_transformer_of_three_modules(minilm_folder):
    found = lay(minilm_folder)

    assert (found.model_class, found.told_by, found.is_adapter) == (
        "SentenceTransformer",
        "modules.json",
        False,
    )
    assert [(module.type, module.folder) for module in found.modules] == [
        ("Transformer", ""),
        ("Pooling", "1_Pooling"),
        ("Normalize", "2_Normalize"),
    ]
    assert found.weights == (("model.safetensors", ""),) and (
        found.transformer,
        found.tokenizer,
        found.index,
    ) == ("", "", None)
    assert found.architecture == "BertModel"


def test_a_masked_language_model_is_not_guessed_at(splade_folder):
    hints = ("--class SentenceTransformer", "--class SparseEncoder")
    with raises(NotLoadable, "'BertForMaskedLM'", "modules.json", *hints):
        lay(splade_folder)


def test_a_folder_without_a_model_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("x")

    files = ("modules.json", "config.json", "adapter_config.json")
    with raises(NotLoadable, f"'{tmp_path}'", *files, "notes.txt"):
        lay(tmp_path)


def test_a_model_one_folder_deeper_is_named(tmp_path):
    plain.base(tmp_path / "checkpoint-500")

    with raises(NotLoadable, f"'{tmp_path}'", "'checkpoint-500'"):
        lay(tmp_path)


def test_modules_that_would_be_made_up_are_refused(tmp_path):
    folder = plain.base(tmp_path / "base")
    (folder / "modules.json").unlink()

    with raises(NotLoadable, "modules.json", "1_Pooling/config.json", "save_pretrained"):
        lay(folder)


def test_folders_of_older_libraries_keep_the_transformer_in_a_folder_of_its_own(tmp_path):
    folder = plain.base(tmp_path / "old")
    (folder / "0_Transformer").mkdir()
    for name in (
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "sentence_bert_config.json",
    ):
        (folder / name).rename(folder / "0_Transformer" / name)
    edit_modules(folder, lambda modules: modules[0].update(path="0_Transformer"))

    found = lay(folder)

    assert (found.transformer, found.tokenizer, found.weights) == (
        "0_Transformer",
        "0_Transformer",
        (("0_Transformer/model.safetensors", "0_Transformer/"),),
    )
    assert "0_Transformer/sentence_bert_config.json" in found.belongs


def test_an_adapter_beside_a_full_model_is_refused(tmp_path):
    folder = plain.adapter(tmp_path / "medical", "/training/base")
    (folder / "config.json").write_text("{}")

    with raises(NotLoadable, "adapter_config.json", " config.json"):
        lay(folder)


def test_an_adapter_in_a_router_is_refused(tmp_path):
    folder = plain.adapter(tmp_path / "medical", "/training/base")
    route = folder / "query_0_Transformer"
    route.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "tokenizer.json"):
        (folder / name).rename(route / name)
    (folder / "router_config.json").write_text(
        json.dumps({"types": {"query_0_Transformer": "sentence_transformers.models.Transformer"}})
    )
    edit_modules(
        folder, lambda modules: modules[0].update(type="sentence_transformers.models.Router")
    )

    with raises(NotLoadable, "query_0_Transformer/adapter_config.json", "Router"):
        lay(folder)


def test_the_parts_of_a_router_belong(tmp_path):
    folder = plain.base(tmp_path / "base")
    route = folder / "document_0_Transformer"
    route.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).rename(route / name)
    (folder / "router_config.json").write_text(
        json.dumps(
            {
                "types": {
                    "document_0_Transformer": "sentence_transformers.models.Transformer",
                    "query_0_Pooling": "sentence_transformers.models.Pooling",
                }
            }
        )
    )
    edit_modules(
        folder, lambda modules: modules[0].update(type="sentence_transformers.models.Router")
    )

    found = lay(folder)

    assert [module.type for module in found.modules] == [
        "Router",
        "Transformer",
        "Pooling",
        "Pooling",
        "Normalize",
    ]
    assert found.transformer == "document_0_Transformer" and "router_config.json" in found.belongs


def test_a_module_outside_of_the_folder_is_refused(tmp_path):
    folder = plain.base(tmp_path / "base")
    edit_modules(folder, lambda modules: modules[1].update(path="../elsewhere"))

    with raises(UnsafeFile, "modules.json", "'../elsewhere'"):
        lay(folder)


def test_a_type_of_module_that_is_not_known_is_named(tmp_path):
    folder = plain.base(tmp_path / "base")
    edit_modules(
        folder, lambda modules: modules[1].update(type="sentence_transformers.models.Hyperspace")
    )

    with raises(NotLoadable, "modules.json", "'Hyperspace'", "st-registry"):
        lay(folder)


def test_a_syntax_error_is_named_with_its_place(tmp_path):
    folder = plain.base(tmp_path / "base")
    (folder / "config.json").write_text('{"a": 1,\n "b" 2}')

    with raises(NotLoadable, "config.json", "line 2", "column 6"):
        lay(folder)


def test_a_safetensors_file_whose_first_bytes_are_those_of_a_pickle_by_chance_is_none(tmp_path):
    base = plain.base(tmp_path / "model")
    weights = base / "model.safetensors"
    content = weights.read_bytes()
    length = int.from_bytes(content[:8], "little")
    longer = (length // 0x10000 + 1) * 0x10000 + 0x480
    weights.write_bytes(
        longer.to_bytes(8, "little") + content[8 : 8 + length].ljust(longer) + content[8 + length :]
    )

    assert weights.read_bytes()[:2] == b"\x80\x04"
    assert lay(base).model_class == "SentenceTransformer"
