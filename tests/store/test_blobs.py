import io

import pytest
from hypothesis import given, settings, strategies as st

from registry.core.digest import Digest, digest_of
from registry.errors import BlobNotFound, DigestMismatch, StoreUnavailable
from registry.store.blobs import Blobs
from registry.store.local import LocalBackend
from registry.store.memory import MemoryBackend
from tests.support.failing import Died, FailingBackend
from tests.support.refusals import raises


@pytest.fixture
def blobs(tmp_path):
    return Blobs(LocalBackend(tmp_path))


def spoil(blobs, digest):
    path = blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"\0" * path.stat().st_size)


def test_the_place_of_a_blob_is_golden(blobs, tmp_path):
    blobs.add(b"hello")

    assert (
        tmp_path
        / "blobs/sha256/2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    ).read_bytes() == b"hello"


@settings(max_examples=50)
@given(st.binary(max_size=5000))
def test_what_goes_in_comes_out(content):
    blobs = Blobs(MemoryBackend())

    digest, size = blobs.add_stream(io.BytesIO(content).read)

    assert (digest, size) == (digest_of(content), len(content))
    assert blobs.read(digest) == content
    assert blobs.add(content) == digest
    assert [found for found, _ in blobs.all()] == [digest]


def test_a_damaged_blob_is_not_read(blobs):
    digest = blobs.add(b"content")
    spoil(blobs, digest)

    with raises(DigestMismatch, digest):
        blobs.read(digest)
    assert not blobs.verify(digest)


def test_adding_the_same_bytes_heals_a_damaged_blob(blobs):
    digest = blobs.add(b"content")
    spoil(blobs, digest)

    blobs.add(b"content")

    assert blobs.read(digest) == b"content"
    spoil(blobs, digest)
    blobs.add_stream(io.BytesIO(b"content").read)
    assert blobs.read(digest) == b"content"


def test_a_blob_found_present_becomes_young(blobs):
    import os

    digest = blobs.add(b"content")
    os.utime(blobs.path(digest), (1, 1))

    blobs.add(b"content")

    assert next(stat for found, stat in blobs.all() if found == digest).modified_ns > 10**18


def test_a_missing_blob_is_said(blobs):
    missing = Digest("sha256:" + "0" * 64)

    assert not blobs.has(missing)
    assert blobs.path(missing) is None
    for ask in (blobs.read, blobs.size, blobs.open):
        with raises(BlobNotFound, missing.hex):
            ask(missing)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("mode", ["die", "error"])
def test_a_name_never_has_other_content_whenever_an_add_ends(tmp_path, mode, after):
    content = b"x" * 3_000_000
    for call in range(1, 100):
        place = tmp_path / str(call)
        failing = FailingBackend(LocalBackend(place), call, mode, after=after)
        try:
            Blobs(failing).add_stream(io.BytesIO(content).read)
        except (Died, StoreUnavailable):
            survivor = Blobs(LocalBackend(place))
            assert all(survivor.verify(digest) for digest, _ in survivor.all())
            assert survivor.read(survivor.add(content)) == content
        else:
            assert failing.calls < call
            break
