"""The cost of an audit grows with the number of its findings, and not with its square."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import registry
from registry.core.digest import Digest, digest_of
from registry.core.entry import Entry, Register, parse
from registry.core.facts import Facts, Vocabulary, Weights
from registry.core.manifest import File, Manifest

SMALL, LARGE = 30, 120
"""Numbers of findings that are compared: four times as many may cost five times as much."""
LIMIT = 5


def register_without_files(folder: Path, versions: int) -> None:
    """Make a registry whose versions are registered and whose files are missing.

    Entries are written without a sync, which takes most of the time of a commit.
    """
    with registry.init(folder):
        pass
    last = parse((folder / "journal" / f"{1:020}.json").read_bytes())
    vocabulary = Vocabulary(write_blob(folder, b"vocabulary"), 100, ())
    weights = Weights(digest_of(b"weights"), "F32", 0, ())
    facts = Facts("SentenceTransformer", digest_of(b"tokenizer"), vocabulary, weights)
    recorded = write_blob(folder, facts.to_bytes())
    for number in range(1, versions + 1):
        lost = File("model.safetensors", digest_of(f"{number}".encode()), 1000)
        content = Manifest("base", "SentenceTransformer", (lost,), ()).to_bytes()
        body = Register("lost", number, write_blob(folder, content), recorded)
        last = Entry(number + 1, f"{number:032}", last.time, "anna", body, last.digest)
        (folder / "journal" / f"{last.number:020}.json").write_bytes(last.to_bytes())


def write_blob(folder: Path, content: bytes) -> Digest:
    digest = digest_of(content)
    path = folder / "blobs" / "sha256" / digest.hex[:2] / digest.hex
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def strew_files(folder: Path, number: int) -> None:
    """Make a registry with folders and files among its blobs that are not blobs."""
    with registry.init(folder):
        for count in range(number):
            stray = folder / "blobs" / "sha256" / f"folder {count:04}"
            stray.mkdir(parents=True)
            (stray / "file").write_bytes(b"")
            (stray.parent / f"file {count:04}").write_bytes(b"")


def executed_lines(act: Callable[[], object]) -> int:
    """Return how many lines of the audit and of the queries Python executes meanwhile."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        if not frame.f_code.co_filename.startswith(str(Path(registry.__file__).parent)):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("damage", [register_without_files, strew_files])
def test_four_times_as_many_findings_cost_four_times_as_much(tmp_path, damage):
    lines = {}
    for number in (SMALL, LARGE):
        damage(tmp_path / str(number), number)
        with registry.open(tmp_path / str(number)) as opened:
            opened.list()
            lines[number] = executed_lines(
                lambda opened=opened, number=number: check(opened, number)
            )

    assert lines[LARGE] < LIMIT * lines[SMALL]


def check(opened: registry.Registry, number: int) -> None:
    assert len(opened.audit().findings) >= number
