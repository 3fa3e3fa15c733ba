"""What a newer version of this package wrote is called newer, and the audit goes on with the rest."""

from __future__ import annotations

import json

import pytest

import registry
from registry.core.digest import canonical, digest_of
from registry.core.entry import Annotate, Entry, parse
from registry.errors import Corrupt, NewerFormat
from registry.store.checkout import MARKER
from tests.operations.maintenance.audit.damage import blob, entry_file, flip, names
from tests.support.refusals import raises


def write_newer(reg: registry.Registry, number: int = 5, **changed: object) -> str:
    """Write an entry of format 99; return its digest."""
    last = parse(entry_file(reg, 4).read_bytes())
    value = {
        "format": 99,
        "number": number,
        "id": "0" * 32,
        "time": last.time,
        "by": "anna",
        "kind": "Wonder",
        "body": {},
        "previous": last.digest,
        **changed,
    }
    digest = digest_of(canonical(value))
    entry_file(reg, number).write_bytes(canonical({**value, "digest": digest}))
    return digest


def test_a_newer_entry_is_called_newer_and_not_set_aside(copied):
    write_newer(copied)

    (finding,) = copied.audit(full=True).findings

    assert finding.name == "entry-newer"
    assert "update st-registry" in finding.mend
    assert "repair" not in finding.mend


@pytest.mark.slow
def test_damage_elsewhere_is_found_beside_a_newer_entry(copied):
    flip(blob(copied, "adapter_model.safetensors"))
    write_newer(copied)

    assert names(copied, full=True) == ["entry-newer", "blob-damaged"]


def test_entries_after_a_newer_one_must_follow_it(copied):
    digest = write_newer(copied)
    last = parse(entry_file(copied, 4).read_bytes())
    body = Annotate("medical", 1, {"a": "b"})
    entry = Entry(6, "1" * 32, last.time, "anna", body, digest)
    entry_file(copied, 6).write_bytes(entry.to_bytes())
    assert names(copied) == ["entry-newer"]

    entry = Entry(6, "1" * 32, last.time, "anna", body, digest_of(b"another"))
    entry_file(copied, 6).write_bytes(entry.to_bytes())
    assert set(names(copied)) == {"entry-newer", "chain-broken"}


def test_a_receipt_of_a_newer_entry_is_proved_and_none_is_written(copied, tmp_path):
    digest = write_newer(copied)
    store = copied.audit().head.store
    receipt = tmp_path / "head.json"
    value = {"digest": digest, "format": 1, "number": 5, "store": store}
    receipt.write_bytes(canonical({**value, "time": "2030-01-01T00:00:00.000000Z"}))

    audited = copied.audit(against=receipt)

    assert [finding.name for finding in audited.findings] == ["entry-newer"]
    assert any("nothing up to entry 5 was rewritten" in note for note in audited.notes)
    with raises(Corrupt, "newer"):
        copied.audit(receipt=tmp_path / "new.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda reg, folder: reg.add(folder, "x", measure=False),
        lambda reg, folder: reg.alias("medical@1", "prod"),
        lambda reg, folder: reg.annotate("medical@1", {"a": "b"}),
        lambda reg, folder: reg.delete("medical@1"),
        lambda reg, folder: reg.collect(older_than=0),
    ],
)
def test_a_registry_with_a_newer_entry_is_not_written_to(copied, kept, change):
    write_newer(copied)
    (copied.settings.home / "staging").mkdir(exist_ok=True)
    (copied.settings.home / "staging" / ("0" * 32)).write_bytes(b"of a newer version")
    before = content(copied)

    with raises(NewerFormat, "entry 5"):
        change(copied, kept / "base")

    assert content(copied) == before


def content(reg: registry.Registry) -> dict[str, bytes]:
    """Return every file that is not a lock or SQLite's own."""
    return {
        str(path.relative_to(reg.settings.home)): path.read_bytes()
        for path in reg.settings.home.rglob("*")
        if path.is_file() and path.suffix != ".lock" and not path.name.endswith(("-shm", "-wal"))
    }


def test_a_newer_marker_of_a_checkout_is_a_note_and_others_are_compared(copied):
    newer = copied.checkout("minilm@1").folder
    damaged = copied.checkout("minilm-medical@1").folder
    marker = json.loads((newer / MARKER).read_bytes())
    (newer / MARKER).write_text(json.dumps({**marker, "format": 99}))
    flip(damaged / "model.safetensors")

    audited = copied.audit(full=True)

    assert [finding.name for finding in audited.findings] == ["checkout-changed"]
    assert any("newer" in note and newer.name in note for note in audited.notes)
