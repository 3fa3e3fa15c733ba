import os
import resource
import signal
import stat

import pytest

from registry.errors import StoreUnavailable
from registry.store.local import LocalBackend, try_place
from registry.store.memory import MemoryBackend
from registry.util.fingerprint import stamp_of
from tests.store.contract import BackendContract
from tests.support.failing import FailingBackend
from tests.support.forked import forked
from tests.support.refusals import raises


class TestLocal(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path):
        return LocalBackend(tmp_path)


class TestMemory(BackendContract):
    @pytest.fixture
    def backend(self):
        return MemoryBackend()


class TestFailing(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path):
        return FailingBackend(LocalBackend(tmp_path), at=0)


def put(backend, name, content):
    with backend.stage() as staged:
        staged.write(content)
        return staged.publish(name)


def test_files_are_read_only_and_folders_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        put(LocalBackend(tmp_path), "blobs/sha256/ab/one", b"x")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "blobs/sha256/ab/one").stat().st_mode) == 0o444
    assert {
        stat.S_IMODE((tmp_path / folder).stat().st_mode)
        for folder in ("blobs", "blobs/sha256", "blobs/sha256/ab", "staging")
    } == {0o700}


@pytest.mark.parametrize(
    "strange", [os.link, lambda file, other: (file.rename(other), file.symlink_to(other))]
)
def test_a_file_that_has_another_name_too_is_not_adopted(tmp_path, strange):
    file = tmp_path / "file"
    file.write_bytes(b"content")
    strange(file, tmp_path / "other")

    with pytest.raises(StoreUnavailable):
        LocalBackend(tmp_path).adopt(file, "blobs/sha256/ab/one", stamp_of(file.stat()))

    assert not (tmp_path / "blobs").exists()


def test_an_adopted_file_is_read_only_whatever_it_was(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"content")
    file.chmod(0o666)

    LocalBackend(tmp_path).adopt(file, "blobs/sha256/ab/one", stamp_of(file.stat()))

    assert stat.S_IMODE((tmp_path / "blobs/sha256/ab/one").stat().st_mode) == 0o444


def test_nothing_stays_in_staging(tmp_path):
    backend = LocalBackend(tmp_path)

    put(backend, "one", b"first")
    put(backend, "one", b"second")

    assert list((tmp_path / "staging").iterdir()) == []


def test_a_disk_that_takes_no_more_is_said_and_leaves_no_name(tmp_path):
    def act():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            put(LocalBackend(tmp_path), "one", b"x" * 100_000)
        except StoreUnavailable:
            return 0
        return 1

    assert forked(act) == 0
    assert not (tmp_path / "one").exists()
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_good_place_is_left_as_it_was(tmp_path):
    try_place(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_not_there_is_refused(tmp_path):
    missing = f"'{tmp_path / 'missing'}'"
    with raises(StoreUnavailable, missing, "no such file or directory"):
        try_place(tmp_path / "missing")
