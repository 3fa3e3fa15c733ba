"""Git LFS pointers are reported for what they are, whichever file of a model they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import NotLoadable
from registry.model_files.folder import Folder
from registry.model_files.layout.convertible import convertible
from tests.support import plain
from tests.support.hand import lay
from tests.support.refusals import raises

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 7\n"


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "README.md",
    ],
)
def test_a_pointer_is_refused_with_the_command(tmp_path: Path, name: str) -> None:
    """Before it is called invalid JSON or damaged weights."""
    folder = plain.base(tmp_path / "model")
    (folder / name).write_text(POINTER)
    with raises(NotLoadable, name, "Git LFS", "lfs pull"):
        lay(folder)


def test_a_pointer_of_pickled_weights_is_no_pickle(tmp_path: Path) -> None:
    """`--convert` is not offered for it."""
    folder = plain.base(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert convertible(Folder(folder)).weights
    (folder / "pytorch_model.bin").write_text(POINTER)
    with raises(NotLoadable, "pytorch_model.bin", "Git LFS", str(folder)):
        convertible(Folder(folder))


def test_a_pointer_that_does_not_belong_to_the_model_is_left_out(tmp_path: Path) -> None:
    """A clone with only the safetensors file downloaded is complete."""
    folder = plain.base(tmp_path / "model")
    (folder / "pytorch_model.bin").write_text(POINTER)
    assert "pytorch_model.bin" in dict(lay(folder).left_out)
