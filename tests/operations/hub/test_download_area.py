"""Files of a repository on their way in."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pytest

import registry
from registry.core.digest import digest_of
from registry.core.progress import silent
from registry.errors import HubUnavailable, RegistryError, StoreUnavailable
from registry.hub.protocol import git_blob, git_blob_of
from registry.operations.hub.download_area import Quarantine, Source, take_all
from registry.operations.hub.transfer_progress import Bytes
from tests.support.refusals import raises, text_of


@dataclass
class Shelf:
    """As much of a hub as hands out files."""

    contents: dict[str, bytes]
    asked: list[str] = field(default_factory=list)

    def fetch(self, repository, commit, path, offset):
        self.asked.append(path)
        if path not in self.contents:
            raise HubUnavailable(f"no {path}")
        for start in range(offset, len(self.contents[path]), 1000):
            yield start, self.contents[path][start : start + 1000]


CONTENTS = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40}


@pytest.fixture
def home(tmp_path):
    with registry.init(tmp_path / "home") as reg:
        yield reg.home


@pytest.fixture
def shelf():
    return Shelf(dict(CONTENTS))


@pytest.fixture
def quarantine(home, shelf):
    files = {
        path: Source(path, len(content), digest_of(content)) for path, content in CONTENTS.items()
    }
    return Quarantine(home, shelf, "org/medical", "a" * 40, files, Bytes(silent))


def test_what_cannot_be_kept_is_said_in_a_line(home, quarantine):
    quoted = ("'config.json'", "hf://org/medical@aaaaaaaaaaaa", str(home.root / "staging"))
    with raises(StoreUnavailable, *quoted, "no such file or directory"):
        quarantine.take("config.json")  # outside kept(), so there is no folder for it


def test_what_was_hashed_when_it_came_is_moved_into_the_store_and_read_from_there(home, quarantine):
    content = CONTENTS["model.safetensors"]
    with quarantine.kept():
        came = quarantine.take("model.safetensors").stat()
        quarantine.settle()
        given = quarantine.give("model.safetensors")
        with quarantine.open("model.safetensors") as stream:
            assert stream.read() == content

    stored = home.blobs.path(digest_of(content)).stat()
    assert given == (digest_of(content), len(content))
    assert (stored.st_ino, stored.st_nlink, stored.st_mode & 0o777) == (came.st_ino, 1, 0o444)
    assert home.blobs.read(digest_of(content)) == content


def test_what_was_touched_since_it_came_is_not_taken_for_what_it_was(home, quarantine):
    with raises(StoreUnavailable) as refused, quarantine.kept():
        place = quarantine.take("model.safetensors")
        came = place.stat()
        place.chmod(0o600)
        place.write_bytes(bytes(came.st_size))
        quarantine.give("model.safetensors")

    assert f"'{place}'" in text_of(refused.value)
    assert not home.blobs.has(digest_of(CONTENTS["model.safetensors"]))
    assert list(home.blobs.all()) == []


def test_a_death_before_a_finished_file_has_its_name_leaves_one_that_can_be_written(
    quarantine, tmp_path, monkeypatch
):
    class Died(BaseException):
        pass

    def dies(path, target):
        raise Died

    with monkeypatch.context() as patched, pytest.raises(Died), quarantine.kept():
        patched.setattr("pathlib.Path.replace", dies)
        quarantine.take("model.safetensors")

    (part,) = (tmp_path / "home" / "staging").rglob("*.part")
    assert part.stat().st_mode & 0o777 == 0o600
    with quarantine.kept():
        assert quarantine.take("model.safetensors").read_bytes() == CONTENTS["model.safetensors"]


def test_what_the_store_has_is_neither_fetched_nor_copied(home, shelf, quarantine):
    digest = home.blobs.add(CONTENTS["model.safetensors"])
    with quarantine.kept():
        assert quarantine.take("model.safetensors") == home.blobs.path(digest)
        assert quarantine.give("model.safetensors") == (digest, len(CONTENTS["model.safetensors"]))

    assert shelf.asked == []


def test_what_the_store_has_damaged_is_fetched_and_mended(home, shelf, quarantine):
    digest = home.blobs.add(CONTENTS["config.json"])
    home.blobs.path(digest).chmod(0o600)
    home.blobs.path(digest).write_bytes(b"[]")
    with quarantine.kept():
        quarantine.take("config.json")
        quarantine.give("config.json")

    assert shelf.asked == ["config.json"] and home.blobs.read(digest) == b"{}"


def test_of_several_transfers_what_went_wrong_first_is_said(shelf, quarantine):
    del shelf.contents["config.json"]

    with raises(HubUnavailable, "config.json"), quarantine.kept():
        take_all([quarantine], Bytes(silent))


def test_a_transfer_beside_one_that_failed_ends_at_its_next_block(home, shelf):
    counts = []
    bytes_ = Bytes(lambda *counted: counts.append(counted))
    files = {
        "model.safetensors": Source(
            "model.safetensors", 10_240, digest_of(CONTENTS["model.safetensors"])
        )
    }
    quarantine = Quarantine(home, shelf, "org/medical", "a" * 40, files, bytes_)
    bytes_.stop()

    with raises(RegistryError) as stopped, quarantine.kept():
        quarantine.take("model.safetensors")

    assert type(stopped.value) is RegistryError
    assert (shelf.asked, counts) == ([], [])


def test_git_s_id_of_a_file_is_the_same_block_by_block():
    assert git_blob(b"hello") == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
    assert git_blob_of(io.BytesIO(bytes(3 << 20)), 3 << 20) == git_blob(bytes(3 << 20))
