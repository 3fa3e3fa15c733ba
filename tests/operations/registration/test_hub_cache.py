"""Bases that lie in the Hub's cache, as its client lays them out: links from a snapshot into a folder of blobs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from registry.core.digest import digest_of
from registry.errors import FolderNotFound, ParentNotFound
from registry.hub.cache import cache_folder
from tests.support import plain
from tests.support.refusals import raises

ADDED = ("zorvaxin", "quelora")
COMMIT = "a" * 40


@pytest.fixture
def snapshot(tmp_path, monkeypatch) -> Path:
    """org/minilm at COMMIT, which is its main, in a cache of its own."""
    source, root = (
        plain.base(tmp_path / "source", added=ADDED),
        tmp_path / "hub" / "models--org--minilm",
    )
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (root / "blobs").mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    for path in [path for path in source.rglob("*") if path.is_file()]:
        blob = root / "blobs" / digest_of(path.read_bytes()).hex
        shutil.copy(path, blob)
        place = root / "snapshots" / COMMIT / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(blob, place.parent))
    return root / "snapshots" / COMMIT


def test_a_base_in_the_cache_is_named_with_its_commit_and_the_command(reg, snapshot, tmp_path):
    adapter = plain.adapter(tmp_path / "adapter", "org/minilm", added=ADDED)

    with raises(
        ParentNotFound,
        str(adapter),
        f"hf://org/minilm@{COMMIT}",
        f"registry add {snapshot} --as medical-base",
        "--with-parents",
    ):
        reg.add(adapter, "medical", measure=False)


def test_a_base_in_the_cache_comes_along_and_is_then_known_by_its_commit(reg, snapshot, tmp_path):
    first = plain.adapter(tmp_path / "first", "org/minilm", added=ADDED)
    second = plain.adapter(tmp_path / "second", "org/minilm", added=ADDED, seed=4, revision=COMMIT)

    given = reg.add(first, "medical", with_parents=True, measure=False)
    known = reg.add(second, "medical", measure=False)

    assert (given.evidence, known.evidence) == ("given", "hub")
    assert reg.resolve("medical@1^").source["hub"] == {"repository": "org/minilm", "commit": COMMIT}
    assert (
        reg.resolve("medical@2^").message == f"base of medical, taken from hf://org/minilm@{COMMIT}"
    )


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HF_HOME"])
def test_a_cache_of_an_unknown_user_is_said(variable):
    with raises(FolderNotFound, "'~nobody-here/cache'"):
        cache_folder({variable: "~nobody-here/cache"})
