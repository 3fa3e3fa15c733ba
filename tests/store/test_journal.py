import dataclasses
import shutil

import pytest

from registry.core import entry as _entry
from registry.errors import BrokenChain, Busy
from registry.store.journal import Journal
from registry.store.local import LocalBackend
from tests.support.refusals import raises


@pytest.fixture
def journal(tmp_path):
    return Journal(LocalBackend(tmp_path))


def entries(count):
    made, previous = [], None
    for number in range(1, count + 1):
        body = (
            _entry.Init("0" * 32)
            if number == 1
            else _entry.Annotate("minilm", 1, {"n": str(number)})
        )
        made.append(
            _entry.Entry(
                number, f"{number:032x}", "2026-01-01T00:00:00.000000Z", "anna", body, previous
            )
        )
        previous = made[-1].digest
    return made


def written(journal, count):
    made = entries(count)
    for entry in made:
        journal.append(entry)
    return made


def test_entries_follow_in_order(journal):
    made = written(journal, 3)

    assert list(journal.follow(0, None)) == made
    assert list(journal.follow(2, made[1].digest)) == made[2:]
    assert journal.read(4) is None


def test_the_file_of_an_entry_is_golden(journal, tmp_path):
    written(journal, 1)

    assert (tmp_path / "journal" / "00000000000000000001.json").read_bytes() == entries(1)[
        0
    ].to_bytes()


def test_an_entry_that_is_there_with_its_own_id_is_a_success(journal):
    made = written(journal, 1)

    journal.append(made[0])

    assert list(journal.follow(0, None)) == made


def test_another_entry_at_the_same_number_is_refused(journal):
    made = written(journal, 1)

    with raises(Busy, "entry 1"):
        journal.append(dataclasses.replace(made[0], id="f" * 32))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: (
            file(2).chmod(0o644),
            file(2).write_bytes(file(2).read_bytes().replace(b'"2"', b'"9"')),
        ),
        lambda file: (file(2).chmod(0o644), file(2).write_bytes(file(2).read_bytes()[:-1])),
        lambda file: (file(2).unlink(), shutil.copy(file(1), file(2))),
        lambda file: (file(2).unlink(), shutil.copy(file(3), file(2))),
        lambda file: (file(2).rename(file(9)), file(3).rename(file(2)), file(9).rename(file(3))),
        lambda file: (file(2).unlink(), file(2).write_bytes(b"")),
    ],
    ids=["edited", "cut off", "repeated", "moved up", "exchanged", "empty"],
)
def test_a_journal_that_was_tampered_with_is_broken(journal, tmp_path, spoil):
    written(journal, 3)

    spoil(lambda number: tmp_path / "journal" / f"{number:020}.json")

    with raises(BrokenChain, "journal", "entry 2"):
        list(journal.follow(0, None))


def test_an_entry_edited_with_its_digest_made_anew_breaks_the_next(journal, tmp_path):
    made = written(journal, 3)
    forged = dataclasses.replace(made[1], by="mallory")
    (tmp_path / "journal" / f"{2:020}.json").unlink()
    journal.append(forged)

    with raises(BrokenChain, "entry 3", made[1].digest, "entry 2", forged.digest):
        list(journal.follow(0, None))
