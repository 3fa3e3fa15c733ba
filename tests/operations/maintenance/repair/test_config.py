"""Settings that cannot be read block every change: audit finds them, and repair sets them aside."""

from __future__ import annotations

import os

import pytest

from registry.errors import RegistryError
from tests.operations.maintenance.audit.damage import blob, flip, names


def make_fifo(path):
    os.mkfifo(path)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b'{"user.name": "An'),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.write_bytes(b'{"user.name": 7}'),
        lambda path: path.write_bytes(b"[]"),
        lambda path: path.mkdir(),
        make_fifo,
    ],
)
def test_damaged_settings_are_found_and_set_aside(copied, damage):
    path = copied.settings.home / "local" / "config.json"
    path.parent.mkdir(exist_ok=True)
    damage(path)
    with pytest.raises(RegistryError):
        copied.annotate("medical@1", {"a": "b"})

    assert names(copied) == ["config-damaged"]
    repaired = copied.repair()

    (target,) = repaired.set_aside
    assert target.name == "config.json"
    assert target.is_relative_to(path.parent)
    assert repaired.remaining == ()
    assert names(copied, full=True) == []
    copied.annotate("medical@1", {"a": "b"})


def test_repair_lists_what_an_audit_of_every_byte_still_finds(copied):
    (copied.settings.home / "local" / "stray").write_bytes(b"")
    flip(copied.checkout("minilm@1").folder / "model.safetensors")

    repaired = copied.repair()

    assert [finding.name for finding in repaired.remaining] == names(copied, full=True)
    assert {"stray-file", "checkout-changed"} == {item.name for item in repaired.remaining}


def test_a_lost_blob_is_not_listed_twice(copied):
    (copied.settings.home / "local" / "sources.jsonl").unlink()
    flip(blob(copied, "adapter_model.safetensors"))

    repaired = copied.repair()

    assert len(repaired.lost) == 1
    assert repaired.remaining == ()
