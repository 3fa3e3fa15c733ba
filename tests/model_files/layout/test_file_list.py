"""Which files belong to a model, pinned: another list would give the same model another digest."""

from __future__ import annotations

import json

import numpy
import pytest

from registry.errors import UnsafeFile
from tests.support import plain
from tests.support.hand import PICKLE, add_dense, edit, lay
from tests.support.refusals import raises


def test_these_files_of_minilm_belong_and_no_others(minilm_folder):
    found = lay(minilm_folder)

    assert found.belongs == (
        "1_Pooling/config.json",
        "README.md",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    )
    assert found.left_out == (
        (".gitattributes", "no loader reads it"),
        ("data_config.json", "no loader reads it"),
        ("vocab.txt", "tokenizer.json has what it says"),
    )


def test_the_packaged_splade_belongs_without_its_pickle(splade_folder):
    found = lay(splade_folder, class_hint="SparseEncoder")

    assert found.belongs == (
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    )
    assert found.left_out == (("heads.pt", "a pickle, which no loader reads here"),)
    assert (found.model_class, found.told_by) == ("SparseEncoder", "--class")


def test_these_files_of_a_resized_folder_belong(tmp_path):
    folder = plain.base(tmp_path / "resized", added=("zorvaxin",))

    assert lay(folder).belongs == (
        "1_Pooling/config.json",
        "README.md",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    )


def test_these_files_of_an_adapter_belong(tmp_path):
    folder = plain.adapter(tmp_path / "medical", "/training/base")

    found = lay(folder)

    assert found.is_adapter and found.weights == (("adapter_model.safetensors", ""),)
    assert found.belongs == (
        "1_Pooling/config.json",
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "config_sentence_transformers.json",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    )


def test_what_a_training_leaves_is_left_out_with_a_reason(tmp_path):
    folder = plain.adapter(tmp_path / "checkpoint-500", "/training/base")
    for name in (
        "optimizer.pt",
        "scheduler.pt",
        "rng_state_0.pth",
        "training_args.bin",
        "trainer_state.json",
        "train.py",
        "notes.weird",
    ):
        (folder / name).write_bytes(PICKLE)
    for name in (
        "onnx/model.onnx",
        "openvino/openvino_model.xml",
        "checkpoint-100/model.safetensors",
        "runs/events.out.tfevents.1",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")

    left_out = dict(lay(folder).left_out)

    assert left_out == {
        "optimizer.pt": "state of the training",
        "scheduler.pt": "state of the training",
        "rng_state_0.pth": "state of the training",
        "training_args.bin": "record of the training",
        "trainer_state.json": "record of the training",
        "train.py": "Python code that the model does not need",
        "notes.weird": "a pickle, which no loader reads here",
        "onnx/model.onnx": "for another back end, which can export it anew",
        "openvino/openvino_model.xml": "for another back end, which can export it anew",
        "checkpoint-100/model.safetensors": "a checkpoint of the training; add its folder to register it",
        "runs/events.out.tfevents.1": "a log",
    }


def test_belonging_and_left_out_are_the_whole_folder(minilm_folder):
    found = lay(minilm_folder)

    there = {
        str(path.relative_to(minilm_folder)) for path in minilm_folder.rglob("*") if path.is_file()
    }
    assert {*found.belongs, *(path for path, _ in found.left_out)} == there


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("model.safetensors", "pytorch_model.bin"),
        ("model.safetensors", "pytorch_model.bin.index.json"),
    ],
)
def test_a_pickle_is_refused_where_a_loader_would_read_it(tmp_path, there, instead):
    folder = plain.base(tmp_path / "base")
    (folder / there).rename(folder / instead)

    with raises(UnsafeFile, f"'{instead}'", "pickle", "--convert"):
        lay(folder)


def test_a_pickle_beside_safetensors_is_left_out(tmp_path):
    folder = plain.base(tmp_path / "base")
    (folder / "pytorch_model.bin").write_bytes(PICKLE)

    assert ("pytorch_model.bin", "a pickle, which no loader reads here") in lay(folder).left_out


def test_the_pickle_of_an_adapter_is_refused(tmp_path):
    folder = plain.adapter(tmp_path / "medical", "/training/base")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")

    with raises(UnsafeFile, "'adapter_model.bin'", "pickle", "--convert"):
        lay(folder)


def test_a_pickle_is_told_by_its_content(tmp_path):
    folder = plain.base(tmp_path / "base")
    (folder / "model.safetensors").write_bytes(PICKLE * 10)

    with raises(UnsafeFile, "model.safetensors", "pickle", "save_pretrained"):
        lay(folder)


def test_the_pickle_of_a_module_is_refused_where_it_would_be_read(tmp_path):
    folder = add_dense(plain.base(tmp_path / "base"))
    (folder / "3_Dense" / "pytorch_model.bin").write_bytes(PICKLE)

    with raises(UnsafeFile, "'3_Dense/pytorch_model.bin'", "pickle", "--convert"):
        lay(folder)


def test_a_module_has_its_weights_under_its_folder(tmp_path):
    folder = add_dense(plain.base(tmp_path / "base"))
    plain.write_safetensors(folder / "3_Dense" / "model.safetensors", {})

    found = lay(folder)

    assert found.weights == (("3_Dense/model.safetensors", "3_Dense/"), ("model.safetensors", ""))
    assert {"3_Dense/config.json", "3_Dense/model.safetensors"} <= set(found.belongs)


def test_the_first_spelling_of_the_sentence_configuration_that_says_something_belongs(tmp_path):
    folder = plain.base(tmp_path / "base")
    (folder / "sentence_bert_config.json").write_text("{}")
    (folder / "sentence_roberta_config.json").write_text('{"max_seq_length": 16}')
    (folder / "sentence_xlnet_config.json").write_text('{"max_seq_length": 8}')

    found = lay(folder)

    assert {path for path in found.belongs if path.startswith("sentence_")} == {
        "sentence_bert_config.json",
        "sentence_roberta_config.json",
    }


def test_what_a_tokenizer_is_built_from_belongs_only_without_a_tokenizer_json(tmp_path):
    folder = plain.base(tmp_path / "base")
    for name in ("vocab.txt", "spiece.model"):
        (folder / name).write_text("x")
    with_tokenizer = lay(folder)
    (folder / "tokenizer.json").unlink()

    without = lay(folder)

    assert not {"vocab.txt", "spiece.model"} & set(with_tokenizer.belongs)
    assert {"vocab.txt", "spiece.model"} <= set(without.belongs)


def test_shards_belong_with_their_index(tmp_path):
    folder = plain.base(tmp_path / "base")
    _shard(folder)

    found = lay(folder)

    assert found.index == "model.safetensors.index.json"
    assert found.weights == (
        ("model-00001-of-00002.safetensors", ""),
        ("model-00002-of-00002.safetensors", ""),
    )
    assert {found.index, *(path for path, _ in found.weights)} <= set(found.belongs)


def test_a_shard_outside_of_the_folder_is_refused(tmp_path):
    folder = plain.base(tmp_path / "base")
    _shard(folder)
    edit(
        folder / "model.safetensors.index.json",
        lambda index: index["weight_map"].update(a="../base/model-00001-of-00002.safetensors"),
    )

    shard = "'../base/model-00001-of-00002.safetensors'"
    with raises(UnsafeFile, "model.safetensors.index.json", shard):
        lay(folder)


def _shard(folder):
    (folder / "model.safetensors").unlink()
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for tensor, name in names.items():
        plain.write_safetensors(folder / name, {tensor: numpy.ones((2, 2), "float32")})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
