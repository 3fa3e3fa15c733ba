"""Bytes that the store lost come back from the Hub, by their digest."""

from __future__ import annotations

import pytest

CODE = """
import sys
import registry
from registry.actions.recover import recover
from registry.digest import Digest
with registry.open(sys.argv[1]) as reg:
    print(recover(reg.home, Digest(sys.argv[2])))
    print(*reg.warnings)
"""


def blob(place, reference, path):
    with place.registry as reg:
        digest = next(file.digest for file in reg.show(reference).files if file.path == path)
        return digest, reg.home.blobs.path(digest)


@pytest.mark.parametrize(("reference", "path"), [
    ("medical@1", "adapter_model.safetensors"), ("medical@1", "adapter_config.json"), ("medical@1", "README.md"), ("minilm@1", "model.safetensors"),
    ("minilm@1", "tokenizer.json")])
def test_a_lost_file_comes_back_from_where_the_version_was_published(pushed, hub, lfs, reference, path):
    digest, place = blob(pushed, reference, path)
    place.unlink()

    ran = lfs.run(pushed.root, digest, code=CODE)

    assert ran.code == 0 and ran.out.startswith("hf://org/"), ran.err
    with pushed.registry as reg:
        assert reg.home.blobs.verify(digest)


def test_a_damaged_file_is_mended_and_a_copy_that_is_damaged_too_is_passed_over(pushed, hub, lfs):
    digest, place = blob(pushed, "minilm@1", "model.safetensors")
    place.chmod(0o644)
    place.write_bytes(b"damaged")
    hub.fault("GET /__cdn__/", flip=10)

    first = lfs.run(pushed.root, digest, code=CODE)
    second = lfs.run(pushed.root, digest, code=CODE)

    assert first.out.startswith("None") and "has the digest" in first.out
    assert second.out.startswith("hf://org/minilm@")
    assert place.stat().st_size > 1000
