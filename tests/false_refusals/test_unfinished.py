"""Interrupted downloads, files that the library cannot load, packages that are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotLoadable, UnsafeFile
from registry.runtime.loading import missing_package
from tests.support import lively, plain, small
from tests.support.hand import edit
from tests.support.refusals import raises

WEIGHTS = "model.safetensors"


@pytest.mark.parametrize("suffix", [".incomplete", ".part", ".crdownload", ".aria2"])
def test_a_download_of_the_weights_that_was_interrupted(
    reg: Any, tmp_path: Path, suffix: str
) -> None:
    folder = plain.base(tmp_path / "base")
    (folder / WEIGHTS).rename(folder / (WEIGHTS + suffix))

    with raises(NotLoadable, WEIGHTS + suffix, "finish the download"):
        reg.add(folder, "base", measure=False)


def test_a_download_of_the_hub_that_was_interrupted(reg: Any, tmp_path: Path) -> None:
    folder = plain.base(tmp_path / "base")
    area = folder / ".cache/huggingface/download"
    area.mkdir(parents=True)
    (folder / WEIGHTS).rename(area / "0a1b.incomplete")

    with raises(NotLoadable, ".cache/huggingface/download/0a1b.incomplete"):
        reg.add(folder, "base", measure=False)


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_a_file_of_full_size_that_aria2_has_not_finished(
    reg: Any, tmp_path: Path, name: str
) -> None:
    folder = plain.base(tmp_path / "base")
    (folder / f"{name}.aria2").write_bytes(b"x")

    with raises(NotLoadable, f"{name}.aria2"):
        reg.add(folder, "base", measure=False)


@pytest.mark.parametrize("size", [100, 2000])
def test_weights_that_are_cut_off(reg: Any, tmp_path: Path, size: int) -> None:
    folder = plain.base(tmp_path / "base")
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:size])

    with raises(UnsafeFile, str(size), "download or copy the file again"):
        reg.add(folder, "base", measure=False)


@pytest.mark.parametrize("scheme", [None, "first", "never"])
def test_a_metaspace_that_contradicts_itself(reg: Any, tmp_path: Path, scheme: str | None) -> None:
    folder = small.dense(tmp_path / "base", small.unigram())
    parts = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": False}
    parts |= {"prepend_scheme": scheme} if scheme else {}
    edit(
        folder / "tokenizer.json",
        lambda value: value.update(pre_tokenizer=parts, decoder=parts),
    )
    if scheme == "never":
        reg.add(folder, "base", measure=False)
        return
    with pytest.raises(ValueError):
        lively.loaded(folder, "SentenceTransformer")

    with raises(NotLoadable, scheme or "always", "never", check="metaspace"):
        reg.add(folder, "base", measure=False)


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ("requires bitsandbytes: `pip install -U bitsandbytes>=0.46.1`", "bitsandbytes"),
        ("Using `aqlm` quantization requires AQLM: `pip install aqlm[gpu,cpu]`", "'aqlm[gpu,cpu]'"),
        ("Missing optional dependencies: torchvision, Pillow. Please", "torchvision pillow"),
        ("X requires the rjieba library but it was not found", "rjieba"),
        ("pip install sacremoses\n", "sacremoses"),
    ],
)
def test_the_package_that_an_error_names(message: str, command: str) -> None:
    assert missing_package(ValueError(message)) == f"pip install {command}"


def test_the_package_of_an_import_error() -> None:
    assert missing_package(ImportError("No module", name="PIL.Image")) == "pip install pillow"
    assert missing_package(ImportError("cannot import name 'x'", name="json")) is None
    assert missing_package(ValueError("sizes differ")) is None


def test_a_tokenizer_whose_package_is_missing(reg: Any, tmp_path: Path) -> None:
    folder = small.dense(tmp_path / "base")
    edit(
        folder / "tokenizer_config.json",
        lambda config: config.update(tokenizer_class="RoFormerTokenizer"),
    )
    edit(folder / "config.json", lambda config: config.update(model_type="bert"))

    with raises(NotLoadable, "rjieba", "pip install rjieba"):
        reg.add(folder, "base")
