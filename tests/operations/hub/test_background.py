"""What is hashed ahead ends, whatever happens to it."""

from __future__ import annotations

import threading

import pytest

from registry.core.digest import digest_of
from registry.core.manifest import File
from registry.operations.hub.background import LARGE, Hashing
from registry.store.blobs import Blobs
from registry.store.local import LocalBackend


class Poor(LocalBackend):
    """A disk on a machine that has no memory left."""

    def open(self, name):
        raise MemoryError(name)


@pytest.fixture
def large(tmp_path):
    """(store, file) with a blob that is large enough."""
    blobs = Blobs(LocalBackend(tmp_path))
    content = bytes(LARGE)
    return blobs, File("model.safetensors", blobs.add(content), len(content))


def test_what_a_blob_s_bytes_are_is_found(large):
    blobs, file = large
    hashing = Hashing(blobs)

    hashing.begin([file, File("config.json", digest_of(b"{}"), 2)])

    assert hashing.of(file.digest) == file.digest
    assert hashing.of(digest_of(b"{}")) is None  # small ones are not worth it


def test_a_spoiled_blob_has_another_digest_and_a_missing_one_none(large, tmp_path):
    blobs, file = large
    blobs.path(file.digest).chmod(0o600)
    blobs.path(file.digest).write_bytes(b"x" + bytes(LARGE - 1))
    missing = File("other.safetensors", digest_of(b"missing"), LARGE)
    hashing = Hashing(blobs)

    hashing.begin([missing, file])

    assert hashing.of(missing.digest) is None
    assert hashing.of(file.digest) == digest_of(b"x" + bytes(LARGE - 1))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_thread_that_died(large, tmp_path):
    _, file = large
    other = File("other.safetensors", digest_of(b"other"), LARGE)
    hashing = Hashing(Blobs(Poor(tmp_path)))

    hashing.begin([file, other])

    assert hashing.of(file.digest) is None
    assert hashing.of(other.digest) is None
    for thread in threading.enumerate():
        if thread.name == "hash":
            thread.join()


def test_nothing_is_said_of_what_was_stopped(large):
    blobs, file = large
    hashing = Hashing(blobs)

    hashing.close()
    hashing.begin([file])

    assert hashing.of(file.digest) is None
