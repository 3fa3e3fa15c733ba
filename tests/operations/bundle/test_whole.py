"""A bundle of a whole home: restored into a place without one, continued, never mixed with another."""

from __future__ import annotations

import threading
import time

import pytest

import registry
from registry.errors import BlobNotFound, BrokenChain, DigestMismatch, WrongStore
from tests.operations.bundle.tampering import journal, rewritten, with_index
from tests.operations.maintenance.audit.damage import dump, names
from tests.support.refusals import raises


@pytest.mark.slow
def test_a_whole_home_restored_into_an_empty_one_has_the_same_journal(copied, tmp_path):
    copied.alias("medical@1", "prod")
    copied.annotate("medical@1", {"owner": "anna"})
    copied.bundle(output=tmp_path / "all.tar", everything=True)

    restored = registry.Registry(tmp_path / "new")
    done = restored.pull(str(tmp_path / "all.tar"))

    assert (done.entries, done.added) == (6, 6)
    assert journal(restored) == journal(copied)
    assert dump(restored) == dump(copied)
    assert names(restored, full=True) == []
    restored.annotate("medical@1", {"goes": "on"})


def test_it_is_restored_into_a_home_that_init_made_just_now(copied, other, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)

    other.pull(str(tmp_path / "all.tar"))

    assert journal(other) == journal(copied)
    assert names(other, full=True) == []


def test_a_later_backup_goes_on_where_an_earlier_one_ended(copied, tmp_path):
    copied.bundle(output=tmp_path / "monday.tar", everything=True)
    restored = registry.Registry(tmp_path / "new")
    restored.pull(str(tmp_path / "monday.tar"))
    copied.alias("medical@1", "prod")
    copied.bundle(output=tmp_path / "tuesday.tar", everything=True, have=tmp_path / "monday.tar")

    done = restored.pull(str(tmp_path / "tuesday.tar"))

    assert (done.entries, done.added) == (5, 1)
    assert restored.resolve("medical@prod").number == 1
    assert restored.pull(str(tmp_path / "tuesday.tar")).added == 0
    assert journal(restored) == journal(copied)


def test_a_whole_home_is_not_mixed_with_another(copied, other, kept, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    other.add(kept / "base", "mine")

    with raises(WrongStore, str(other.settings.home), "--home"):
        other.pull(str(tmp_path / "all.tar"))

    assert [model.name for model in other.list()] == ["mine"]


def test_a_backup_does_not_come_over_a_registry_that_went_another_way(copied, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    one, two = registry.Registry(tmp_path / "one"), registry.Registry(tmp_path / "two")
    for reg in (one, two):
        reg.pull(str(tmp_path / "all.tar"))
    one.alias("medical@1", "prod")
    two.alias("medical@1", "dev")
    one.bundle(output=tmp_path / "one.tar", everything=True)

    with raises(WrongStore, str(tmp_path / "two"), "entry 4"):
        two.pull(str(tmp_path / "one.tar"))


def test_a_backup_without_a_blob_that_a_version_needs_is_refused_whole(copied, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    copied.bundle(output=tmp_path / "less.tar", everything=True, have=tmp_path / "all.tar")
    rewritten(tmp_path / "less.tar", with_index(lambda value: value.update(lacks=[])))

    with raises(BlobNotFound, "minilm@1", copied.resolve("minilm@1").digest, " 8 "):
        registry.Registry(tmp_path / "new").pull(str(tmp_path / "less.tar"))

    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_damaged_backup_leaves_no_half_of_a_home(copied, tmp_path, there):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    content = bytearray((tmp_path / "all.tar").read_bytes())
    last = content.rindex(b"blobs/sha256/")
    digest = content[last : last + 80].decode().rpartition("/")[2]
    content[last + 512] ^= 1
    (tmp_path / "all.tar").write_bytes(content)
    (tmp_path / "new").mkdir() if there else None

    with raises(DigestMismatch, str(tmp_path / "all.tar"), f"sha256:{digest}"):
        registry.Registry(tmp_path / "new").pull(str(tmp_path / "all.tar"))

    assert (tmp_path / "new").exists() is there
    assert not (tmp_path / "new" / "journal").exists()


def test_a_backup_whose_journal_is_broken_is_refused_whole(copied, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)

    def swapped(files):
        (first, one), (second, two) = files[-2:]
        return [*files[:-2], (first, two), (second, one)]

    rewritten(tmp_path / "all.tar", swapped)

    with pytest.raises(BrokenChain):
        registry.Registry(tmp_path / "new").pull(str(tmp_path / "all.tar"))

    assert not (tmp_path / "new").exists()


def test_what_is_registered_while_a_whole_home_comes_is_not_written_over(
    copied, other, kept, tmp_path
):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    holding = threading.Event()

    def add():
        with registry.open(other.settings.home) as beside, beside.home.write_lock.exclusive(10):
            holding.set()
            time.sleep(1)  # until the pull has looked, and waits for its turn to write
            beside.add(kept / "base", "mine", measure=False)

    adding = threading.Thread(target=add)
    adding.start()
    holding.wait()

    with raises(WrongStore, str(other.settings.home), "--home"):
        other.pull(str(tmp_path / "all.tar"))

    adding.join()
    assert [model.name for model in other.list()] == ["mine"]
