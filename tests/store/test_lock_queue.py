"""Locks are granted in the order of arrival, whoever polls fastest, and waiting has an end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from registry.errors import Busy
from registry.store.lock import Lock
from registry.store.lock_queue import LockQueue


def lock(folder: Path) -> Lock:
    return Lock(folder / "lock", LockQueue(folder / "queue", "lock"))


def tickets(folder: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(path.name for path in (folder / "queue").iterdir())
    return []


def start(folder: Path, name: str, kind: str = "exclusive", wait: float = 30.0) -> int:
    """Fork a process that takes the lock and writes its name; return when it waits in the queue."""
    before = len(tickets(folder))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with getattr(lock(folder), kind)(wait):
                with (folder / "order").open("a") as out:
                    out.write(f"{name}\n")
                time.sleep(0.02)
            code = 0
        except Busy:
            code = 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + 20
    while len(tickets(folder)) == before and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(tickets(folder)) == before + 1
    return child


def code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def order(folder: Path) -> list[str]:
    return (folder / "order").read_text().split()


def test_first_come_first_served(tmp_path):
    names = [f"writer-{number}" for number in range(8)]
    with lock(tmp_path).exclusive(1.0):
        children = [start(tmp_path, name) for name in names]

    assert [code(child) for child in children] == [0] * 8
    assert order(tmp_path) == names
    assert tickets(tmp_path) == []


def test_who_comes_later_and_shares_does_not_overtake_who_wants_it_alone(tmp_path):
    with lock(tmp_path).shared(1.0):
        collector = start(tmp_path, "collect", "exclusive")
        adders = [start(tmp_path, "add", "shared") for _ in range(3)]

    assert [code(child) for child in (collector, *adders)] == [0] * 4
    assert order(tmp_path) == ["collect", "add", "add", "add"]


def test_who_shares_does_not_wait_for_others_who_share(tmp_path):
    with lock(tmp_path).shared(1.0):
        child = os.fork()
        if child == 0:
            with lock(tmp_path).shared(0.0):
                os._exit(0)

        assert code(child) == 0


def test_a_waiter_that_was_killed_is_passed_over(tmp_path):
    with lock(tmp_path).exclusive(1.0):
        killed = start(tmp_path, "killed")
        waiting = start(tmp_path, "waiting")
        os.kill(killed, signal.SIGKILL)
        os.waitpid(killed, 0)

    assert code(waiting) == 0
    assert order(tmp_path) == ["waiting"]
    assert tickets(tmp_path) == []


@pytest.mark.parametrize("kind", ["exclusive", "shared"])
def test_waiting_ends_at_the_bound_and_gives_the_place_back(tmp_path, kind):
    with lock(tmp_path).exclusive(1.0):
        first = start(tmp_path, "first", wait=0.3)
        second = start(tmp_path, "second", kind, wait=0.1)

        assert [code(second), code(first)] == [2, 2]
        assert tickets(tmp_path) == []


def test_without_a_place_for_tickets_the_lock_is_taken_all_the_same(tmp_path):
    (tmp_path / "queue").write_bytes(b"")

    with lock(tmp_path).exclusive(1.0), pytest.raises(Busy), lock(tmp_path).exclusive(0.05):
        pass
