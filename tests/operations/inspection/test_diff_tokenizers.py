"""diff asks the library about tokenizers whose files leave it undecided."""

from __future__ import annotations

import pytest

import registry
from tests.support import plain
from tests.support.hand import edit


@pytest.fixture
def folders(tmp_path):
    """Two models whose class builds the normalizer and ignores that of tokenizer.json."""
    before, after = plain.base(tmp_path / "before"), plain.base(tmp_path / "after")
    edit(after / "tokenizer.json", lambda content: content["normalizer"].update(lowercase=False))
    return before, after


@pytest.fixture
def reg(tmp_path):
    with registry.init(tmp_path / "home") as opened:
        yield opened


def test_equivalent_tokenizers_differ_in_spelling(reg, folders):
    changes = [(change.area, change.key) for change in reg.diff(*folders).settings]

    assert changes == [("tokenizer", "spelling")]


def test_other_tokenizers_differ_in_settings(reg, folders):
    edit(folders[1] / "tokenizer_config.json", lambda config: config.update(do_lower_case=False))

    changes = [change.key for change in reg.diff(*folders).settings]

    assert "spelling" not in changes
    assert "do_lower_case" in changes
