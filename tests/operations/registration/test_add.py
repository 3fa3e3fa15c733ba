import json
import os
import shutil
from pathlib import Path

import pytest

from registry.errors import (
    FolderNotFound,
    Invalid,
    InvalidName,
    NoEffect,
    NotLoadable,
    ParentMismatch,
    ParentNotFound,
    UnsafeFile,
)
from tests.operations.conftest import ADDED
from tests.support import plain
from tests.support.hand import edit, rewrite, zeros
from tests.support.refusals import raises


def test_a_folder_without_a_parent_becomes_a_base(reg, line):
    added = reg.add(line.base, "minilm")

    assert added.version.reference == "minilm@1"
    assert added.version.kind == "base"
    assert added.version.model_class == "SentenceTransformer"
    assert added.version.parents == ()


def test_the_same_folder_again_writes_nothing(reg, line):
    first = reg.add(line.base, "minilm")
    entries = len(reg.log())

    again = reg.add(line.base, "minilm")

    assert again.already
    assert again.version.reference == first.version.reference
    assert len(reg.log()) == entries


def test_the_same_model_has_the_same_digest_wherever_it_lay(reg, line, tmp_path):
    elsewhere = Path(shutil.copytree(line.base, tmp_path / "elsewhere"))

    first = reg.add(line.base, "minilm")
    second = reg.add(elsewhere, "other")

    assert second.digest == first.digest
    assert second.version.reference == "other@1"


def test_an_adapter_has_one_digest_wherever_its_base_lay(reg, line, tmp_path):
    reg.add(line.base, "minilm")
    reg.add(line.resized, "minilm-medical", parent="minilm@1")
    moved = plain.adapter(tmp_path / "copy", "/somewhere/else", added=ADDED)
    config = json.loads((moved / "adapter_config.json").read_text())
    config["target_modules"] = list(reversed(config["target_modules"]))
    (moved / "adapter_config.json").write_text(json.dumps(config))

    first = reg.add(line.adapter, "medical")
    second = reg.add(moved, "medical", parent="minilm-medical@1")

    assert second.already
    assert second.digest == first.digest


def test_a_full_model_with_more_tokens_is_resized_from_its_parent(reg, line):
    reg.add(line.base, "minilm")

    added = reg.add(line.resized, "minilm-medical", parent="minilm@1")

    assert added.version.kind == "resized"
    assert [
        (parent.role, parent.reference, parent.evidence) for parent in added.version.parents
    ] == [("resized-from", "minilm@1", "given")]
    assert [token.content for token in reg.tokens("minilm-medical@1")] == list(ADDED)
    assert "2 rows are new" in added.rows


def test_a_full_model_with_other_weights_is_finetuned_from_its_parent(reg, line, tmp_path):
    reg.add(line.base, "minilm")

    added = reg.add(plain.base(tmp_path / "trained", seed=7), "tuned", parent="minilm@1")

    assert added.version.kind == "base"
    assert added.version.parents[0].role == "finetuned-from"
    assert f"{len(plain.WORDS)} old rows moved" in added.rows


def test_an_adapter_finds_its_base_by_path_and_says_so(registered):
    version = registered.resolve("medical@1")

    assert version.kind == "adapter"
    assert [(parent.role, parent.reference, parent.evidence) for parent in version.parents] == [
        ("base", "minilm-medical@1", "path")
    ]


def test_an_adapter_trained_on_a_checkout_is_witnessed_even_when_the_checkout_is_gone(
    registered, tmp_path
):
    checkout = registered.checkout("minilm-medical@1").folder
    trained = plain.adapter(tmp_path / "trained", checkout, seed=5, added=ADDED)
    shutil.rmtree(checkout)

    added = registered.add(trained, "witnessed")

    assert added.evidence == "witnessed"
    assert added.parent == "minilm-medical@1"


def test_a_base_that_is_newer_than_its_adapter_is_no_evidence(reg, line):
    reg.add(line.base, "minilm")
    reg.add(line.resized, "minilm-medical", parent="minilm@1")
    later = (line.adapter / "adapter_model.safetensors").stat().st_mtime + 100
    os.utime(line.resized / "model.safetensors", (later, later))

    with raises(ParentNotFound, str(line.resized), str(line.adapter), "--parent minilm-medical@1"):
        reg.add(line.adapter, "medical")
    assert [model.name for model in reg.list()] == ["minilm", "minilm-medical"]


def test_a_relative_base_path_is_no_evidence(registered, line, tmp_path, monkeypatch):
    adapter = plain.adapter(tmp_path / "relative", "resized", seed=3, added=ADDED)
    monkeypatch.chdir(line.resized.parent)

    with raises(ParentNotFound, str(adapter), "'resized'", "--parent minilm-medical@1"):
        registered.add(adapter, "medical")


def test_a_base_that_is_not_registered_is_named_with_the_command(reg, line):
    with raises(
        ParentNotFound,
        str(line.adapter),
        f"registry add {line.resized} --as medical-base",
        "--with-parents",
    ):
        reg.add(line.adapter, "medical")


def test_with_parents_the_base_comes_along(reg, line):
    added = reg.add(line.adapter, "medical", with_parents=True)

    assert added.evidence == "given"
    assert added.parent == "medical-base@1"
    assert [model.name for model in reg.list()] == ["medical", "medical-base"]


def test_a_base_that_is_gone_is_refused_with_the_candidates(registered, tmp_path):
    orphan = plain.adapter(tmp_path / "orphan", tmp_path / "gone", seed=4, added=ADDED)

    with raises(ParentNotFound, str(orphan), str(tmp_path / "gone"), "--parent minilm-medical@1"):
        registered.add(orphan, "orphan")


def test_a_hub_base_without_a_commit_is_refused(registered, tmp_path):
    orphan = plain.adapter(tmp_path / "orphan", "org/minilm", seed=4, added=ADDED)

    with raises(ParentNotFound, str(orphan), "'org/minilm'", "--parent minilm-medical@1"):
        registered.add(orphan, "orphan")


def test_a_hub_base_with_a_commit_is_known_by_it(reg, tmp_path, monkeypatch):
    commit = "a" * 40
    cache = tmp_path / "hub"
    snapshot = plain.base(cache / "models--org--minilm" / "snapshots" / commit, added=ADDED)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    reg.add(snapshot, "minilm")
    adapter = plain.adapter(tmp_path / "adapter", "org/minilm", added=ADDED, revision=commit)

    added = reg.add(adapter, "medical")

    assert added.evidence == "hub"
    assert reg.resolve("minilm@1").source["hub"] == {"repository": "org/minilm", "commit": commit}


def test_tokens_in_another_order_are_refused_in_one_line(reg, tmp_path, line):
    reg.add(plain.base(tmp_path / "swapped", added=tuple(reversed(ADDED))), "swapped")

    with raises(
        ParentMismatch,
        "swapped@1",
        str(len(plain.WORDS)),
        "'zorvaxin'",
        "'quelora'",
        "--parent",
        check="adapter-tokenizer",
    ) as refused:
        reg.add(line.adapter, "medical", parent="swapped@1")

    assert "\n" not in str(refused.value)


def stored(reg):
    return sorted(
        path
        for folder in ("journal", "blobs", "staging", "local")
        for path in (reg.home.root / folder).rglob("*")
    )


def test_a_dry_run_writes_nothing(reg, line):
    before = stored(reg)

    told = reg.add(line.base, "minilm", dry_run=True)

    assert told.version is None and told.number == 1 and told.kind == "base"
    assert stored(reg) == before
    assert reg.list() == ()


def test_a_dry_run_foretells_the_digest(reg, line):
    assert reg.add(line.base, "minilm", dry_run=True).digest == reg.add(line.base, "minilm").digest


def test_several_folders_are_added_parents_first(reg, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    resized = plain.base(folder / "z-base", added=ADDED)
    adapter = plain.adapter(folder / "a-adapter", resized, added=ADDED)

    verdicts = reg.add([adapter, resized, folder / "missing"], prefix="team/")

    assert [
        (
            Path(item.folder).name,
            item.added.version.reference if item.added else type(item.error).__name__,
        )
        for item in verdicts
    ] == [
        ("z-base", "team/z-base@1"),
        ("missing", "FolderNotFound"),
        ("a-adapter", "team/a-adapter@1"),
    ]


def test_no_path_of_this_machine_is_in_an_entry_or_a_blob(registered, line):
    secret = str(line.resized.parent).encode()

    found = [
        path
        for folder in ("journal", "blobs")
        for path in (registered.home.root / folder).rglob("*")
        if path.is_file() and secret in path.read_bytes()
    ]

    assert found == []


def test_an_alias_is_set_with_the_version(reg, line):
    reg.add(line.base, "minilm", alias="prod")

    assert reg.resolve("minilm@prod").reference == "minilm@1"


@pytest.mark.parametrize(
    ("make", "error", "quoted"),
    [
        (lambda place: None, FolderNotFound, ()),
        (lambda place: place.mkdir(), FolderNotFound, ()),
        (lambda place: place.write_text("x"), FolderNotFound, ()),
        (
            lambda place: (place.mkdir(), (place / "notes.txt").write_text("x")),
            NotLoadable,
            ("modules.json", "config.json", "adapter_config.json", "notes.txt"),
        ),
    ],
)
def test_a_place_that_is_no_model_is_refused(reg, tmp_path, make, error, quoted):
    make(tmp_path / "place")

    with raises(error, str(tmp_path / "place"), *quoted):
        reg.add(tmp_path / "place", "x")

    assert reg.list() == ()


def test_a_link_out_of_the_folder_is_refused(reg, line, tmp_path):
    real = line.base / "model.safetensors"
    (tmp_path / "weights").write_bytes(real.read_bytes())
    real.unlink()
    real.symlink_to(tmp_path / "weights")

    with raises(UnsafeFile, str(real), str(tmp_path / "weights")):
        reg.add(line.base, "minilm")


def test_a_pipe_is_refused_without_waiting(reg, line):
    os.mkfifo(line.base / "vocab.txt")

    with raises(UnsafeFile, str(line.base / "vocab.txt")):
        reg.add(line.base, "minilm")


@pytest.mark.parametrize(
    ("path", "content", "error"),
    [
        ("model.safetensors", b"", UnsafeFile),
        ("model.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}", UnsafeFile),
        ("config.json", b"{", NotLoadable),
        ("tokenizer.json", b"[]", NotLoadable),
        ("modules.json", b'{"a": 1', NotLoadable),
    ],
)
def test_a_damaged_file_is_refused_by_name_and_leaves_nothing_registered(
    reg, line, path, content, error
):
    (line.base / path).write_bytes(content)

    with raises(error, path):
        reg.add(line.base, "minilm")

    assert reg.list() == ()


def test_the_command_works_once_the_cause_is_mended(reg, line):
    good = (line.base / "config.json").read_bytes()
    (line.base / "config.json").write_bytes(b"{")
    with raises(NotLoadable, "config.json"):
        reg.add(line.base, "minilm")
    (line.base / "config.json").write_bytes(good)

    assert reg.add(line.base, "minilm").version.reference == "minilm@1"


def test_a_name_is_needed(reg, line):
    with raises(InvalidName, str(line.base), "--as", "--prefix"):
        reg.add(line.base)


def test_names_are_unique_ignoring_case(reg, line):
    reg.add(line.base, "MiniLM")

    added = reg.add(plain.base(line.base.parent / "other", seed=9), "minilm")

    assert added.version.reference == "MiniLM@2"


def test_a_missing_tokenizer_is_taken_from_the_folder_that_is_named(reg, line, tmp_path):
    whole = reg.add(line.base, "whole")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (line.base / name).unlink()
    with raises(NotLoadable, "tokenizer.json", "vocab.txt", "--tokenizer"):
        reg.add(line.base, "minilm")
    plain.base(tmp_path / "other")

    added = reg.add(line.base, "minilm", tokenizer=tmp_path / "other")

    assert added.digest == whole.digest


def test_a_training_checkpoint_beside_a_model_is_left_out(reg, line):
    plain.adapter(line.base / "checkpoint-5", "/x")
    (line.base / "optimizer.pt").write_bytes(b"\x80\x04.")

    added = reg.add(line.base, "minilm")

    assert added.version.kind == "base"
    assert {"optimizer.pt", "checkpoint-5/adapter_config.json"} <= {
        path for path, _ in added.left_out
    }


def test_what_it_came_from_is_recorded_without_paths(reg, line):
    reg.add(line.base, "minilm", message="first", run="run-7")

    version = reg.resolve("minilm@1")

    assert (
        version.message,
        version.source["run"],
        version.source["folder"],
        version.source["how"],
    ) == ("first", "run-7", "base", "add")
    assert version.source["libraries"]["sentence-transformers"]


def without_effect(folder):
    """The adapter as training begins it: every lora_B is zero."""
    path = folder / "adapter_model.safetensors"
    rewrite(
        path,
        lambda own: own.update(zeros({name: own[name].shape for name in own if "lora_B" in name})),
    )
    return folder


def test_an_adapter_that_was_never_trained_is_refused_and_passes_where_that_is_said(reg, line):
    reg.add(line.base, "minilm")
    reg.add(line.resized, "minilm-medical", parent="minilm@1")
    without_effect(line.adapter)

    with raises(
        NoEffect,
        "2",
        "'base_model.model.encoder.layer.0.attention.self.query.lora_B.weight'",
        "--allow-no-effect",
        "--force adapter-trained",
        check="adapter-trained",
    ):
        reg.add(line.adapter, "medical")
    added = reg.add(line.adapter, "medical", allow_no_effect=True)

    assert added.version.forced == ("adapter-trained", "adapter-effect")
    assert any(text.startswith("forced adapter-trained: all 2 tensors") for text in added.warnings)


def test_a_check_of_judgement_is_forced_by_its_name_and_the_entry_says_so_for_ever(reg, line):
    reg.add(line.base, "minilm")
    reg.add(line.resized, "minilm-medical", parent="minilm@1")
    edit(
        line.adapter / "1_Pooling" / "config.json",
        lambda config: config.update(pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True),
    )

    with raises(
        ParentMismatch,
        "max",
        "minilm-medical@1",
        "mean",
        "1_Pooling/config.json",
        "--force parent-pooling",
        check="parent-pooling",
    ):
        reg.add(line.adapter, "medical")
    reg.add(line.adapter, "medical", force=["parent-pooling"])

    assert reg.resolve("medical@1").forced == ("parent-pooling",)
    assert reg.log("medical@1")[-1].body["forced"] == ["parent-pooling"]


def test_a_check_that_passed_is_not_said_to_be_forced(reg, line):
    reg.add(line.base, "minilm", force=["parent-pooling"])

    assert reg.resolve("minilm@1").forced == ()


@pytest.mark.parametrize("id", ["adapter-tokenizer", "finite", "adapter-shapes", "everything"])
def test_identity_integrity_and_unknown_checks_cannot_be_forced(reg, line, id):
    with raises(Invalid, f"'{id}'", "adapter-trained", "parent-pooling"):
        reg.add(line.base, "minilm", force=[id])

    assert reg.list() == ()
