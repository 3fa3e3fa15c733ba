"""Where folders were added from: kept if it can be, and whatever was kept badly is passed over."""

from __future__ import annotations

import pytest

import registry
from registry.operations.shared.source_log import folders, recall
from tests.support import plain


@pytest.fixture
def reg(tmp_path):
    with registry.init(tmp_path / "home") as made:
        yield made


def test_a_line_that_was_not_written_to_its_end_spoils_no_other(reg, tmp_path):
    folder = plain.base(tmp_path / "base")
    path = reg.home.root / "local" / "sources.jsonl"
    path.parent.mkdir(exist_ok=True)
    digest = reg.add(folder, "minilm", dry_run=True, measure=False).digest
    path.write_text(f'{{"folder": "/gone", "manifest": "{digest}", "orig')

    reg.add(folder, "minilm", measure=False)

    assert [source["folder"] for source in recall(reg.home, digest)] == [str(folder)]
    assert folders(reg.home) == [(str(folder), digest)]


def test_what_is_registered_stays_so_where_its_place_cannot_be_kept(reg, tmp_path):
    (reg.home.root / "local" / "sources.jsonl").mkdir(parents=True)

    added = reg.add(plain.base(tmp_path / "base"), "minilm", alias="prod", measure=False)

    assert added.version is not None
    assert added.version.aliases == ("prod",)
    assert any("sources.jsonl" in warning for warning in reg.warnings)
