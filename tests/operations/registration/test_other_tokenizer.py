"""add --tokenizer: the files of another tokenizer, the lengths and sides of the model."""

from __future__ import annotations

import json

import pytest

import registry
from registry.errors import Invalid, ParentMismatch
from registry.model_files.folder import Folder
from registry.operations.shared.other_tokenizer import with_tokenizer
from tests.support import plain
from tests.support.hand import edit
from tests.support.refusals import raises


@pytest.fixture
def folders(tmp_path):
    """A base, and an adapter with another way to its tokens and its own length and side."""
    base = plain.base(tmp_path / "base", added=("zorvaxin",))
    adapter = plain.adapter(tmp_path / "adapter", base, added=("zorvaxin",))
    own = {"do_lower_case": False, "model_max_length": 9, "truncation_side": "left"}
    edit(adapter / "tokenizer_config.json", lambda config: config.update(own))
    return base, adapter


@pytest.fixture
def reg(tmp_path, folders):
    registry.init(tmp_path / "home")
    with registry.open(tmp_path / "home") as opened:
        opened.add(folders[0], "base", measure=False)
        yield opened


def test_lengths_and_sides_stay_those_of_the_model(folders):
    base, adapter = folders

    files = with_tokenizer(Folder(adapter), Folder(base))

    with files.open("tokenizer_config.json") as stream:
        config = json.load(stream)
    assert (config["model_max_length"], config["truncation_side"]) == (9, "left")
    assert config.get("do_lower_case", True) is True


def test_undecided_tokenizers_are_refused_without_the_library(reg, folders):
    quoted = ("base@1", "do_lower_case", "--no-measure", "--tokenizer parent")
    with raises(ParentMismatch, *quoted, check="adapter-tokenizer"):
        reg.add(folders[1], "medical", parent="base@1", measure=False)


def test_the_tokenizer_of_the_parent_is_taken_by_the_word(reg, folders):
    added = reg.add(
        folders[1], "medical", parent="base@1", tokenizer="parent", measure=False, force=FORCED
    )

    folder = reg.checkout(added.version).folder
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert config["model_max_length"] == 9
    assert config.get("do_lower_case", True) is True
    assert "tokenizer" not in added.version.source


FORCED = ("adapter-trained",)


def test_a_model_without_a_parent_has_no_tokenizer_to_take(reg, folders):
    with raises(Invalid, "--tokenizer parent", "--parent"):
        reg.add(folders[0], "again", tokenizer="parent", measure=False)
