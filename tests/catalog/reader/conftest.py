"""A catalog of two entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.writing import Journal, a_journal


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = a_journal(tmp_path / "catalog")
    journal.register("minilm", 1)
    return journal
