"""Helpers: with helpers a fold takes less time, and nothing else is different: not what is made, not what is found, not how it ends."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import registry
from registry.core.digest import Digest
from registry.core.entry import Alias, Annotate, Delete, Init, Yank
from registry.core.facts import Token
from registry.home import prefetch
from registry.store.verified_reader import Reader
from tests.catalog.writing import Journal, a_manifest
from tests.operations.maintenance.audit.damage import (
    catalog_file,
    dump,
    entry_file,
    flip,
    overwrite,
    place_of,
)

VERSIONS = 100


@pytest.fixture(scope="module")
def long_home(tmp_path_factory):
    """A home of 301 entries: pieces enough for two helpers in turn, and one that is not full."""
    place = tmp_path_factory.mktemp("long") / "home"
    journal = Journal()
    journal.write(Init("0" * 32))
    for number in range(1, VERSIONS + 1):
        tokens = (Token(100, f"word {number % 7}", special=True),)
        journal.register(
            "team/medical",
            number,
            f"content {number % 90}",
            tokens=tokens,
            source={"metrics": {"mrr": f"0.{number}"}},
        )
        journal.write(Alias("team/medical", "prod", number))
        more = (
            Annotate("team/medical", number, {"owner": "anna"}),
            Yank("team/medical", number, "wrong"),
            Delete("team/medical", number),
        )
        journal.write(more[number % 3])
    for entry in journal.entries:
        write(place / "journal" / f"{entry.number:020}.json", entry.to_bytes())
    for digest, content in journal.blobs.items():
        write(place / "blobs" / "sha256" / digest.hex[:2] / digest.hex, content)
    return place


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def reg(long_home, tmp_path):
    """A copy of it, to be damaged."""
    subprocess.run(["cp", "-r", long_home, tmp_path / "home"], check=True)
    with registry.open(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def helped(monkeypatch):
    """From when it is called on homes of any length have two helpers; it gives the processes that were started."""
    started: list[subprocess.Popen[bytes]] = []

    class Helper(prefetch._Helper):
        def __init__(self, root):
            super().__init__(root)
            started.append(self._process)

    def begin() -> list[subprocess.Popen[bytes]]:
        monkeypatch.setattr(prefetch, "WORTH", 1)
        monkeypatch.setattr(prefetch, "processors", lambda: 2)
        monkeypatch.setattr(prefetch, "_Helper", Helper)
        return started

    return begin


def made_anew(reg, **options) -> dict[str, list[tuple[object, ...]]]:
    reg.home.renew(**options)
    return dump(reg)


def found(reg) -> list[tuple[str, str]]:
    return [(finding.name, finding.what) for finding in reg.audit().findings]


def test_with_helpers_the_catalog_is_the_same_and_nothing_is_read_here(reg, helped, monkeypatch):
    alone, started = dump(reg), helped()
    monkeypatch.setattr(reg.home.blobs, "read", None)
    read, reader = [], Reader(reg.home.blobs)
    journal, of_journal = reg.home.journal, reg.home.journal.read
    monkeypatch.setattr(journal, "read", lambda number: read.append(number) or of_journal(number))

    together = made_anew(reg, reader=reader)

    assert together == alone
    assert len(together["versions"]) == VERSIONS
    assert read == [302]
    assert len(started) == 2
    assert reader.whole == {digest for digest, _ in reg.home.blobs.all()}
    assert [process.poll() for process in started] == [-signal.SIGKILL] * 2


def damaged_blobs(reg):
    with reg.home.reading():
        facts = Digest(reg.home.dump()["version_facts"][50][2])
    flip(place_of(reg, a_manifest("content 7").digest))
    place_of(reg, facts).unlink()
    flip(entry_file(reg, 200))


def exchanged_entries(reg):
    one, other, lost = entry_file(reg, 10), entry_file(reg, 11), entry_file(reg, 130)
    first, second = one.read_bytes(), other.read_bytes()
    overwrite(one, second)
    overwrite(other, first)
    lost.unlink()


def edited_row(reg):
    reg.close()
    with sqlite3.connect(catalog_file(reg)) as connection:
        connection.execute("UPDATE tensors SET dtype = 'F16' WHERE rowid = 50")
    connection.close()


@pytest.mark.sampled(1)
@pytest.mark.parametrize("damage", [damaged_blobs, exchanged_entries, edited_row])
def test_what_is_damaged_is_found_in_the_same_words(reg, damage, helped):
    dump(reg)
    damage(reg)
    alone = found(reg)

    started = helped()

    assert alone
    assert found(reg) == alone
    assert started


@pytest.mark.parametrize("after", [0, 3])
def test_a_helper_that_is_killed_ends_nothing(reg, helped, monkeypatch, after):
    alone, started, asked = dump(reg), helped(), []
    answer = prefetch._Helper.answer

    def kill_then(helper):
        asked.append(helper)
        if len(asked) == after + 1:
            helper._process.kill()
            helper._process.wait()
        return answer(helper)

    monkeypatch.setattr(prefetch._Helper, "answer", kill_then)

    assert made_anew(reg) == alone
    assert len(asked) == 5
    assert len(started) == 2


@pytest.mark.parametrize("program", ["/nonexistent/python", "/bin/echo"])
def test_a_helper_that_cannot_start_or_is_something_else_ends_nothing(
    reg, helped, monkeypatch, program
):
    alone, started = dump(reg), helped()
    monkeypatch.setattr(sys, "executable", program)

    assert made_anew(reg) == alone
    assert len(started) == (0 if "nonexistent" in program else 2)


SLOW = """
import signal, sys, time, registry
from registry.home import prefetch as helpers
from registry.catalog import rebuild as folding
signal.signal(signal.SIGINT, signal.default_int_handler)   # tests may run where it is ignored
helpers.WORTH, helpers.processors, fold = 1, lambda: 2, folding.fold

def slow(rows, entry, *more):
    print(entry.number, *[helper._process.pid for helper in started], flush=True)
    time.sleep(0.2)
    fold(rows, entry, *more)

started = []
class Helper(helpers._Helper):
    def __init__(self, root):
        super().__init__(root)
        started.append(self)
helpers._Helper, folding.fold = Helper, slow
from registry.cli import main
sys.exit(main(["--home", sys.argv[1], "repair"]))
"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_helpers_end_with_who_started_them_by_control_c_too(reg, how, code):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(reg.settings.home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(registry.__file__).parent.parent,
    )
    pids = [int(word) for word in process.stdout.readline().split()[1:]]
    assert len(pids) == 2

    # as a terminal does: to all of them
    os.killpg(process.pid, how) if how == signal.SIGINT else process.kill()
    _, complained = process.communicate(timeout=20)

    assert process.returncode == code
    assert "Traceback" not in complained
    assert all(gone(pid) for pid in pids)
    assert not list((reg.settings.home / "catalog").glob("*.tmp")) or how == signal.SIGKILL


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds; one that nobody waits for any more counts as gone."""
    for _ in range(100):
        try:
            if (
                Path(f"/proc/{pid}/stat").exists()
                and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
            ):
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


def test_a_short_journal_and_a_single_processor_start_none(reg, monkeypatch):
    monkeypatch.setattr(prefetch, "_Helper", None)
    made_anew(reg)
    monkeypatch.setattr(prefetch, "WORTH", 1)
    monkeypatch.setattr(prefetch, "processors", lambda: 1)

    assert len(made_anew(reg)["entries"]) == 301
