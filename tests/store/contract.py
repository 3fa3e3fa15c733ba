"""What every back end promises. A new one is tested by a class with a `backend` fixture that inherits these tests."""

from __future__ import annotations

import os
import threading
import time

import pytest

from registry.errors import BlobNotFound, StoreUnavailable
from registry.util.fingerprint import stamp_of
from tests.support.refusals import raises


class BackendContract:
    def put(self, backend, name, content, **keywords):
        with backend.stage() as staged:
            staged.write(content)
            return staged.publish(name, **keywords)

    def test_what_was_published_reads_back(self, backend):
        assert self.put(backend, "blobs/one", b"content")

        assert backend.read("blobs/one") == b"content"
        with backend.open("blobs/one") as stream:
            stream.seek(3)
            assert stream.read() == b"tent"

    def test_a_file_that_is_adopted_is_the_content_of_the_name_and_gone_where_it_was(
        self, backend, tmp_path
    ):
        file = tmp_path / "file"
        file.write_bytes(b"content")
        self.put(backend, "blobs/one", b"damaged")

        backend.adopt(file, "blobs/one", stamp_of(file.stat()))

        assert backend.read("blobs/one") == b"content"
        assert not file.exists()

    def test_a_file_that_was_changed_since_it_was_looked_at_is_not_adopted(self, backend, tmp_path):
        file = tmp_path / "file"
        file.write_bytes(b"content")
        stamp = stamp_of(file.stat())
        file.write_bytes(b"another")
        os.utime(file, ns=(stamp[1], stamp[1] + 1))

        with raises(StoreUnavailable, f"'{file}'"):
            backend.adopt(file, "blobs/one", stamp)

        assert backend.stat("blobs/one") is None and file.read_bytes() == b"another"

    def test_a_part_is_read_by_offset_and_length(self, backend):
        self.put(backend, "one", b"0123456789")

        assert backend.read("one", 2, 3) == b"234"
        assert backend.read("one", 8) == b"89"
        assert backend.read("one", 8, 100) == b"89"

    def test_a_name_that_is_taken_is_not_taken_again(self, backend):
        self.put(backend, "one", b"first")

        assert not self.put(backend, "one", b"second")
        assert backend.read("one") == b"first"

    def test_replace_puts_other_content_under_the_name(self, backend):
        self.put(backend, "one", b"first")

        assert self.put(backend, "one", b"second", replace=True)
        assert backend.read("one") == b"second"

    def test_what_is_not_published_leaves_nothing(self, backend):
        with backend.stage() as staged:
            staged.write(b"half")

        assert list(backend.list("blobs")) == []
        assert backend.stat("one") is None

    def test_an_error_while_writing_leaves_nothing(self, backend):
        with pytest.raises(ZeroDivisionError), backend.stage() as staged:
            staged.write(b"half")
            _ = 1 // 0

        assert backend.stat("one") is None

    def test_many_writes_are_one_content(self, backend):
        with backend.stage() as staged:
            for number in range(100):
                staged.write(bytes([number]) * 200_000)
            staged.publish("one")

        assert backend.stat("one").size == 20_000_000
        assert backend.read("one", 0, 200_001) == bytes(200_000) + b"\1"
        assert backend.read("one", 19_800_000) == bytes([99]) * 200_000

    def test_empty_content_is_content(self, backend):
        self.put(backend, "empty", b"")

        assert backend.read("empty") == b""
        assert backend.stat("empty").size == 0

    def test_a_missing_name_is_said(self, backend):
        assert backend.stat("blobs/none") is None
        with raises(BlobNotFound, "blobs/none"):
            backend.read("blobs/none")
        with raises(BlobNotFound, "blobs/none"):
            backend.open("blobs/none")
        with raises(BlobNotFound, "blobs/none"):
            backend.touch("blobs/none")

    def test_list_gives_all_names_below_a_prefix_and_no_others(self, backend):
        for name in ("blobs/a/1", "blobs/a/2", "blobs/b/3", "journal/1"):
            self.put(backend, name, b"x")

        assert sorted(backend.list("blobs")) == ["blobs/a/1", "blobs/a/2", "blobs/b/3"]
        assert sorted(backend.list("blobs/a")) == ["blobs/a/1", "blobs/a/2"]
        assert list(backend.list("nothing")) == []
        assert dict(backend.scan("blobs")) == {
            name: backend.stat(name) for name in backend.list("blobs")
        }

    def test_removing_forgets_and_may_be_repeated(self, backend):
        self.put(backend, "one", b"x")

        backend.remove("one")
        backend.remove("one")

        assert backend.stat("one") is None
        assert self.put(backend, "one", b"again")

    def test_touch_makes_young(self, backend):
        self.put(backend, "one", b"x")
        before = backend.stat("one").modified_ns
        time.sleep(0.02)

        backend.touch("one")

        assert backend.stat("one").modified_ns > before

    def test_of_many_who_put_at_once_one_wins(self, backend):
        won = []
        start = threading.Barrier(8)

        def race(number):
            start.wait()
            if self.put(backend, "one", b"%d" % number):
                won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(won) == 1
        assert backend.read("one") == b"%d" % won[0]

    def test_syncing_is_allowed_where_nothing_is(self, backend):
        backend.sync("journal")
