import os
import signal
import threading
import time

import pytest

from registry.errors import Busy, StoreUnavailable
from registry.store.lock import Lock
from tests.support.forked import forked
from tests.support.refusals import raises


def in_child(act):
    """The exit code of a process that runs act and says by its answer whether it got what it wanted."""

    def tried():
        try:
            return 0 if act() else 1
        except Busy:
            return 2

    return forked(tried)


def take(path, kind):
    with getattr(Lock(path), kind)(timeout=0.1):
        return True


@pytest.mark.parametrize(
    ("held", "wanted", "code"),
    [
        ("exclusive", "exclusive", 2),
        ("exclusive", "shared", 2),
        ("shared", "exclusive", 2),
        ("shared", "shared", 0),
    ],
)
def test_between_processes(tmp_path, held, wanted, code):
    path = tmp_path / "lock"
    with getattr(Lock(path), held)(timeout=1.0):
        assert in_child(lambda: take(path, wanted)) == code

    assert in_child(lambda: take(path, wanted)) == 0


def test_the_thread_that_holds_it_may_take_it_again(tmp_path):
    lock = Lock(tmp_path / "lock")

    with lock.exclusive(timeout=1.0), lock.exclusive(timeout=0.0), lock.shared(timeout=0.0):
        assert in_child(lambda: take(lock.path, "shared")) == 2

    assert in_child(lambda: take(lock.path, "exclusive")) == 0


def test_shared_cannot_become_exclusive(tmp_path):
    lock = Lock(tmp_path / "lock")

    with (
        lock.shared(timeout=1.0),
        raises(RuntimeError, str(tmp_path / "lock")),
        lock.exclusive(timeout=0.0),
    ):
        pass


def test_threads_wait_for_each_other(tmp_path):
    lock = Lock(tmp_path / "lock")
    inside, most = [], []

    def work():
        with lock.exclusive(timeout=10.0):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 8


def test_a_holder_that_is_killed_holds_nothing(tmp_path):
    path = tmp_path / "lock"
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        with Lock(path).exclusive(timeout=1.0):
            os.write(done, b"x")
            time.sleep(60)
    os.read(ready, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    with Lock(path).exclusive(timeout=1.0):
        pass


def test_a_busy_lock_names_its_file(tmp_path):
    path = tmp_path / "lock"

    with (
        Lock(path).exclusive(timeout=1.0),
        raises(Busy, f"'{path}'"),
        Lock(path).exclusive(timeout=0.0),
    ):
        pass


def test_a_lock_that_cannot_be_made_is_said(tmp_path):
    path = tmp_path / "missing" / "lock"
    with (
        raises(StoreUnavailable, f"'{path}'", "no such file or directory"),
        Lock(path).exclusive(timeout=0.0),
    ):
        pass


def test_who_waited_for_a_file_that_was_taken_away_holds_the_one_that_others_see(tmp_path):
    path, got, done = tmp_path / "lock", threading.Event(), threading.Event()

    def wait():
        with Lock(path).exclusive(timeout=5.0):
            got.set()
            done.wait(5.0)

    waiting = threading.Thread(target=wait)
    with Lock(path).exclusive(timeout=1.0):
        waiting.start()
        time.sleep(0.1)
        path.unlink()
    assert got.wait(5.0)
    seen = in_child(lambda: take(path, "exclusive"))
    done.set()
    waiting.join()

    assert seen == 2
