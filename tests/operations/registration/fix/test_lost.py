"""add --fix: what a folder lost or has too much of, and what is not guessed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from registry.errors import NotLoadable, ParentMismatch, ParentNotFound
from registry.model_files.weights.grow import tables
from tests.operations.registration.fix.making import (
    WEIGHTS,
    changed,
    lora,
    saved,
    trained_tokens,
    wrap,
)
from tests.support import lively, plain, small
from tests.support.refusals import raises, text_of


def test_lost_modules_are_the_parents(resized, copied):
    folder, live = copied
    for name in ("modules.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    assert lively.encodings(lively.loaded(folder, "SentenceTransformer")) != live

    added = resized.add(folder, "medical", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert any("modules.json" in line for line in added.fixed)


def test_modules_that_are_not_certain_are_not_taken(resized, copied):
    folder, _ = copied
    (folder / "modules.json").unlink()
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace("mean", "cls"))

    with raises(ParentMismatch, "modules.json", "1_Pooling/config.json", "base@1"):
        resized.add(folder, "medical", fix=True)


def test_a_lost_dense_module_is_not_made_up(reg, tmp_path):
    reg.add(lively.with_dense(tmp_path / "plain"), "plain")
    lively.save_adapter(
        reg.checkout("plain@1").folder, "SentenceTransformer", lora(0), tmp_path / "adapter"
    )
    (tmp_path / "adapter" / "modules.json").unlink()
    shutil.rmtree(tmp_path / "adapter" / "2_Dense")

    with raises(ParentMismatch, "modules.json", "2_Dense/model.safetensors", "plain@1"):
        reg.add(tmp_path / "adapter", "medical", fix=True)


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises((ValueError, OSError)):
        lively.loaded(folder, "SentenceTransformer")


def test_a_lost_tokenizer_is_the_parents_where_that_is_witnessed(resized, copied):
    folder, live = copied
    without_tokenizer(folder)

    added = resized.add(folder, "medical", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert "took the tokenizer of base@1: the parent is witnessed" in added.fixed


def test_a_lost_tokenizer_is_the_parents_where_ids_prove_it(resized, tmp_path):
    folder, live = saved(resized, tmp_path, trained_tokens)
    without_tokenizer(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": "/lost/somewhere"})
    )

    added = resized.add(folder, "medical", parent="base@1", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert (
        added.fixed[0]
        == "the base that it names, 'somewhere', is not there; base@1 was said to be it"
    )
    assert (
        "took the tokenizer of base@1: the adapter trains exactly the rows of its added tokens"
        in added.fixed
    )


def test_a_lost_tokenizer_that_nothing_proves_is_asked_for(resized, copied):
    folder, live = copied
    without_tokenizer(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": "/lost/somewhere"})
    )

    with raises(NotLoadable, "registry checkout base@1", "--tokenizer"):
        resized.add(folder, "medical", parent="base@1", fix=True)
    resized.add(
        folder, "medical", parent="base@1", tokenizer=resized.checkout("base@1").folder, fix=True
    )

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live


def test_a_dead_base_is_looked_for_among_the_registered(resized, copied):
    folder, _ = copied
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": "/lost/somewhere"})
    )
    changed(folder, renamed={name: wrap(name) for name in tables(folder / WEIGHTS)})

    with raises(
        ParentNotFound,
        "'/lost/somewhere'",
        "base@1",
        "plain@1",
        f"registry add {folder} --fix --as medical --parent base@1",
    ):
        resized.add(folder, "medical", fix=True)


def test_a_sound_full_model_has_nothing_to_put_right(resized, tmp_path):
    small.dense(tmp_path / "sound")

    with raises(NotLoadable, str(tmp_path / "sound"), "--fix"):
        resized.add(tmp_path / "sound", "sound", fix=True)


@pytest.mark.parametrize(
    ("spoil", "parent", "quoted", "check"),
    [
        (
            wrap,
            "narrow@1",
            (
                "narrow@1",
                "8",
                "base@1",
                "plain@1",
                "--parent",
                "'base_model.model.base_model.model."
                "encoder.layer.0.attention.self.query.lora_A.foo.weight'",
            ),
            None,
        ),
        (
            str,
            "narrow@1",
            ("narrow@1", "'encoder.layer.1.attention.self.query'", "--parent"),
            "adapter-targets",
        ),
    ],
    ids=["names", "modules"],
)
def test_a_wrong_parent_is_not_answered_with_what_was_just_tried(
    resized, copied, tmp_path, spoil, parent, quoted, check
):
    folder, _ = copied
    resized.add(plain.base(tmp_path / "narrow"), "narrow", measure=False)
    changed(folder, renamed={name: spoil(name) for name in tables(folder / WEIGHTS)})

    with raises(ParentMismatch, *quoted, check=check) as refused:
        resized.add(folder, "medical", fix=True, parent=parent)

    assert "--fix" not in text_of(refused.value)


def test_a_full_model_in_shards_is_told_to_be_saved_in_one_file(resized, tmp_path):
    folder = shutil.copytree(plain.base(tmp_path / "base", seed=3), tmp_path / "sharded")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    names = dict.fromkeys(
        tables(folder / "model-00001-of-00001.safetensors"), "model-00001-of-00001.safetensors"
    )
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 1}, "weight_map": names})
    )

    with raises(NotLoadable, "max_shard_size"):
        resized.add(folder, "one", fix=True)


def test_a_stray_config_is_left_out(resized, copied):
    folder, live = copied
    shutil.copyfile(resized.checkout("base@1").folder / "config.json", folder / "config.json")
    with raises(OSError, "model.safetensors"):
        lively.loaded(folder, "SentenceTransformer")

    resized.add(folder, "medical", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live


def test_a_sound_folder_is_registered_as_it_is_and_never_touched(resized, copied, tmp_path):
    folder, _ = copied
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    added = resized.add(folder, "medical", fix=True)

    assert added.fixed == ()
    assert resized.add(folder, "medical").already
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert list((tmp_path / "home" / "staging").iterdir()) == []
