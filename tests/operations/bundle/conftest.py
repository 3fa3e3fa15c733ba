"""A registry to take bundles into, and a bundle of a version with its line."""

from __future__ import annotations

import pytest

import registry


@pytest.fixture
def other(tmp_path):
    """A registry without anything."""
    with registry.init(tmp_path / "other") as opened:
        yield opened


@pytest.fixture
def medical(copied, tmp_path):
    """A bundle of medical@1 and its line."""
    copied.bundle("medical@1", tmp_path / "medical.tar")
    return tmp_path / "medical.tar"
