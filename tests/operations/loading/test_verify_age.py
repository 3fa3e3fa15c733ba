"""Bytes that were damaged under an unchanged stamp are not loaded."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

import registry
from registry.errors import DigestMismatch, Invalid
from registry.store import checkout as _store
from registry.util.fingerprint import stamp_of
from tests.support import plain
from tests.support.refusals import raises

DAY = 24 * 60 * 60
WEIGHTS = "model.safetensors"
MANY = (*plain.WORDS, *(f"word{number}" for number in range(34_000)))
"""So many that the weights are large."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    with registry.init(folder / "home") as opened:
        opened.add(plain.base(folder / "base", words=MANY), "minilm", measure=False)
    return folder / "home"


@pytest.fixture
def reg(stored, tmp_path):
    shutil.copytree(stored, tmp_path / "home", symlinks=True)
    with registry.open(tmp_path / "home") as opened:
        yield opened


def damage(folder: Path, name: str, *, days: float = 0) -> None:
    """Flip a bit without a trace in size and times, as a disk does; the last hash is days old."""
    path = folder / name
    content = bytearray(path.read_bytes())
    content[-1 if name == WEIGHTS else content.index(b"the")] ^= 1
    path.unlink()
    path.write_bytes(content)
    marker = _store.read_marker(folder)
    assert marker is not None
    stamps = {
        file: (digest, stamp_of((folder / file).stat()))
        for file, (digest, _) in marker.files.items()
    }
    hashed_at = dict.fromkeys(stamps, int(time.time() - days * DAY))
    changed = replace(marker, files=stamps, hashed_at=hashed_at)
    (folder / _store.MARKER).write_bytes(changed.to_bytes())
    os.utime(folder / _store.MARKER, (time.time(), time.time() - days * DAY))


@pytest.mark.parametrize("name", ["tokenizer.json"])
def test_small_files_are_hashed_at_each_load(reg, name):
    folder = reg.checkout("minilm@1").folder
    whole = (folder / name).read_bytes()
    damage(folder, name)
    assert (folder / name).read_bytes() != whole

    reg.load("minilm@1", device="cpu")

    assert (folder / name).read_bytes() == whole


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("age", "days", "verify", "is_found"),
    [
        (None, 8, False, True),
        (None, 1, False, False),
        (None, 0, True, True),
        ("12h", 1, False, True),
        ("30d", 8, False, False),
        ("0", 0, False, True),
    ],
)
def test_weights_are_hashed_again_after_an_age(reg, age, days, verify, is_found):
    if age is not None:
        reg.config("load.verify-age", age)
    folder = reg.checkout("minilm@1").folder
    whole = (folder / WEIGHTS).read_bytes()
    damage(folder, WEIGHTS, days=days)

    model = reg.load("minilm@1", device="cpu", verify=verify)

    assert ((folder / WEIGHTS).read_bytes() == whole) is is_found
    if is_found:
        assert reg.version_of(model).reference == "minilm@1"
        assert not reg.audit(full=True).findings


def test_a_hash_is_reported_and_lasts_for_the_age(reg):
    folder = reg.checkout("minilm@1").folder
    reg.load("minilm@1", device="cpu")
    marker = _store.read_marker(folder)
    old = dict.fromkeys(marker.files, int(time.time() - 8 * DAY))
    stamps = {
        file: (digest, stamp_of((folder / file).stat()))
        for file, (digest, _) in marker.files.items()
    }
    changed = replace(marker, files=stamps, hashed_at=old)
    (folder / _store.MARKER).write_bytes(changed.to_bytes())
    reg.home.take_warnings()

    reg.load("minilm@1", device="cpu")
    first = reg.home.take_warnings()
    reg.load("minilm@1", device="cpu")

    assert any("minilm@1" in line for line in first)
    assert not reg.home.take_warnings()
    hashed_at = json.loads((folder / _store.MARKER).read_text())["files"][WEIGHTS]["hashed_at"]
    assert hashed_at > time.time() - DAY


def test_damage_in_checkout_and_store_is_refused(reg):
    folder = reg.checkout("minilm@1").folder
    damage(folder, WEIGHTS, days=8)
    digest = next(
        digest for path, (digest, _) in _store.read_marker(folder).files.items() if path == WEIGHTS
    )
    blob = reg.home.blobs.path(digest)
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(content)

    with pytest.raises(DigestMismatch):
        reg.load("minilm@1", device="cpu")


def test_an_age_must_be_a_duration(reg):
    with raises(Invalid, "'soon'"):
        reg.config("load.verify-age", "soon")
