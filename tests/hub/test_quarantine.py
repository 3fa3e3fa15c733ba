"""Files of a repository on their way in."""

from __future__ import annotations

import io

import pytest

import registry
from registry.actions.counting import Bytes
from registry.actions.quarantine import Quarantine, Source
from registry.errors import StoreUnavailable
from registry.hub.huggingface import HuggingFace
from registry.hub.remote import git_blob, git_blob_of
from registry.progress import silent


def test_what_cannot_be_kept_is_said_in_a_line(tmp_path):
    with registry.init(tmp_path / "home") as reg:
        digest = reg.home.blobs.add(b"{}")
        files = {"config.json": Source("config.json", 2, digest)}
        quarantine = Quarantine(reg.home, HuggingFace(), "org/medical", "a" * 40, files, Bytes(silent))

        with pytest.raises(StoreUnavailable, match="files of hf://org/medical"):
            quarantine.take("config.json")  # outside kept(), so there is no folder for it


def test_git_s_id_of_a_file_is_the_same_block_by_block():
    assert git_blob(b"hello") == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
    assert git_blob_of(io.BytesIO(bytes(3 << 20)), 3 << 20) == git_blob(bytes(3 << 20))
