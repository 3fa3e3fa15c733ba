"""audit --receipt and --against: what a receipt kept elsewhere proves, and what it refuses to be."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

import registry
from registry.core.entry import Entry, parse
from registry.errors import Corrupt, FolderNotFound, InvalidManifest, NewerFormat
from tests.operations.maintenance.audit.damage import entry_file, names, overwrite
from tests.support.refusals import raises


def test_a_receipt_proves_that_nothing_before_it_was_rewritten(copied, tmp_path):
    copied.audit(receipt=tmp_path / "head.json")
    copied.annotate("medical@1", {"a": "b"})

    assert names(copied, against=tmp_path / "head.json") == []


def test_a_journal_written_anew_from_the_middle_on_is_told_by_the_receipt_alone(copied, tmp_path):
    copied.audit(receipt=tmp_path / "head.json")
    copied.close()
    registered = parse(entry_file(copied, 4).read_bytes()).digest
    previous = parse(entry_file(copied, 2).read_bytes()).digest
    for number in (3, 4):
        entry = parse(entry_file(copied, number).read_bytes())
        forged = Entry(number, entry.id, entry.time, "somebody else", entry.body, previous)
        overwrite(entry_file(copied, number), forged.to_bytes())
        previous = forged.digest
    shutil.rmtree(copied.settings.home / "catalog")
    copied.list()

    proof = (tmp_path / "head.json").read_bytes()
    assert names(copied) == []
    assert names(copied, against=tmp_path / "head.json") == ["journal-rewritten"]
    with raises(Corrupt, "entry 4", registered, previous):
        copied.audit(against=tmp_path / "head.json", receipt=tmp_path / "head.json")
    assert (tmp_path / "head.json").read_bytes() == proof


def test_a_receipt_of_another_registry_is_told(copied, tmp_path):
    import registry

    other = registry.init(tmp_path / "other")
    other.audit(receipt=tmp_path / "head.json")

    assert names(copied, against=tmp_path / "head.json") == ["journal-rewritten"]


def test_no_receipt_is_written_for_a_broken_journal(copied, tmp_path):
    entry_file(copied, 3).unlink()

    with raises(Corrupt, "entry 3", "entry 4"):
        copied.audit(receipt=tmp_path / "head.json")

    assert not (tmp_path / "head.json").exists()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"nonsense", InvalidManifest),
        (b'{"format":2}', NewerFormat),
        (b'{"format":1}', InvalidManifest),
        (b"[1]", InvalidManifest),
    ],
)
def test_a_receipt_that_is_none_is_refused(copied, tmp_path, content, error):
    (tmp_path / "head.json").write_bytes(content)

    with raises(error, str(tmp_path / "head.json")):
        copied.audit(against=tmp_path / "head.json")


def test_a_receipt_that_is_not_there_is_said(copied, tmp_path):
    with raises(FolderNotFound, str(tmp_path / "no-such"), os.strerror(errno.ENOENT).lower()):
        copied.audit(against=tmp_path / "no-such")


def test_an_old_catalog_copied_back_over_a_truncated_journal_needs_a_receipt(copied, tmp_path):
    copied.close()
    shutil.copytree(copied.settings.home, tmp_path / "old")
    copied.annotate("medical@1", {"a": "b"})
    copied.audit(receipt=tmp_path / "head.json")
    copied.close()
    for part in ("journal", "catalog"):
        shutil.rmtree(copied.settings.home / part)
        shutil.copytree(tmp_path / "old" / part, copied.settings.home / part)

    assert names(copied) == []
    (finding,) = copied.audit(against=tmp_path / "head.json").findings
    assert finding.name == "journal-truncated"
    assert "registry pull BACKUP.tar" in finding.mend and "--accept-journal" not in finding.mend


def test_later_entries_that_only_a_receipt_knows_come_back_with_the_pull_that_is_printed(
    copied, tmp_path
):
    copied.audit(receipt=tmp_path / "head.json")
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    copied.close()
    shutil.rmtree(copied.settings.home / "catalog")
    entry_file(copied, 4).unlink()

    audited = copied.audit(against=tmp_path / "head.json")

    assert "registry pull BACKUP.tar" in next(
        item.mend for item in audited.findings if item.name == "journal-truncated"
    )
    assert ["may be those of lost entries" in note for note in audited.notes] == [True]
    assert copied.repair().mended == ()
    registry.pull(str(tmp_path / "all.tar"), home=copied.settings.home)
    assert names(copied, against=tmp_path / "head.json") == []
