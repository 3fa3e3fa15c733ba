"""A process that has a home open goes on while its catalog is made anew, collected, taken away or damaged under it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

import registry
from registry.catalog.writer import Writer
from tests.support import plain


@pytest.fixture
def open_home(tmp_path):
    """A registry that has been asked and written to, with minilm@1 in it."""
    with registry.init(tmp_path / "home") as reg:
        reg.add(plain.base(tmp_path / "minilm"), "minilm", measure=False)
        yield reg


def elsewhere(reg, *words):
    """A command in another process."""
    subprocess.run(
        [sys.executable, "-m", "registry", "--home", str(reg.home.root), *words],
        check=True,
        capture_output=True,
    )


def made_anew(reg):
    elsewhere(reg, "repair")
    elsewhere(reg, "collect", "--older-than", "0")


def taken_away(reg):
    shutil.rmtree(reg.home.root / "catalog")


def damaged(reg):
    for path in (reg.home.root / "catalog").iterdir():
        if path.suffix == ".db":
            path.write_bytes(b"no catalog at al" + path.read_bytes()[16:])


@pytest.mark.sampled(2)
@pytest.mark.parametrize("happens", [made_anew, taken_away, damaged])
@pytest.mark.parametrize("before", ["asked", "written"])
def test_it_can_still_write_and_everybody_sees_it(tmp_path, open_home, happens, before):
    with registry.open(open_home.home.root) as reg:
        assert len(reg.log()) == 2
        if before == "written":
            reg.alias("minilm@1", "dev")
        happens(reg)

        reg.alias("minilm@1", "prod")
        reg.alias("minilm@1", "eu")

        assert reg.resolve("minilm@eu").reference == "minilm@1"
    with registry.open(open_home.home.root) as other:
        assert other.resolve("minilm@prod").reference == "minilm@1"
        assert other.audit().findings == ()


@pytest.mark.slow
def test_a_child_process_writes_after_its_parent_s_catalog_was_made_anew(open_home):
    made_anew(open_home)

    child = os.fork()
    if child == 0:
        open_home.alias("minilm@1", "prod")
        os._exit(0)

    assert os.waitpid(child, 0)[1] == 0
    assert open_home.resolve("minilm@prod").reference == "minilm@1"


def test_an_interrupt_while_another_program_holds_the_file_leaves_no_transaction_behind(open_home):
    path = next((open_home.home.root / "catalog").glob("*.db"))
    holds = threading.Event()

    def hold():
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            holds.set()
            time.sleep(1)

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait()
    writer = Writer(path)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt), writer.transaction():
            pass
    finally:
        signal.signal(signal.SIGALRM, before)
    holder.join()

    with writer.transaction() as connection:
        assert connection.in_transaction
    writer.close()
    open_home.alias("minilm@1", "prod")
