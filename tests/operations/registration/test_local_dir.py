"""Bases that the Hub's client downloaded into a folder (`hf download --local-dir`)."""

from __future__ import annotations

import os

import pytest

from registry.hub.cache import commit_of_download
from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import ADDED

DOWNLOAD = """
import os
said(snapshot_download("org/minilm-medical", revision=sys.argv[1], local_dir=sys.argv[2]))
"""


@pytest.fixture
def download(pushed, client, tmp_path):
    """Download the base with the client of the Hub."""

    def run():
        folder = tmp_path / "models" / "base"
        client(f"said(snapshot_download('org/minilm-medical', local_dir={str(folder)!r}))")
        return folder

    return run


def loaded_files(folder):
    """Paths of the files of a downloaded model that a loader reads."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in (".cache", ".registry")
    ]


def test_the_commit_of_a_download_is_evidence_of_the_published_base(
    download, pushed, hub, tmp_path
):
    folder = download()
    adapter = plain.adapter(tmp_path / "models" / "second", folder, added=ADDED, seed=5)
    download()  # nothing changed there, but the client writes its metadata again

    added = pushed.ok("add", adapter, "--as", "second", "--no-measure")

    assert (added["parent"], added["evidence"]) == ("minilm-medical@1", "hub")
    assert commit_of_download(folder, loaded_files(folder)) == hub.head("org/minilm-medical")


def test_a_download_that_was_changed_after_the_training_is_no_evidence(download, pushed, tmp_path):
    folder = download()
    adapter = plain.adapter(tmp_path / "models" / "second", folder, added=ADDED, seed=5)
    (folder / "config.json").touch()

    ran = pushed.run("add", adapter, "--as", "second", "--no-measure")

    assert ran.code == 3 and is_one_error(ran.err)
    assert not missing(ran.err, "'config.json'", "--parent minilm-medical@1")


def test_a_file_that_is_not_that_of_the_commit_makes_the_commit_unknown(download, hub):
    folder = download()
    files = loaded_files(folder)
    commit = hub.head("org/minilm-medical")
    assert commit_of_download(folder, files) == commit
    metadata = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    lines = metadata.read_text().splitlines(keepends=True)

    def unless(content: str) -> str | None:
        metadata.write_text(content)
        return commit_of_download(folder, files)

    assert unless("".join(["a" * 40 + "\n", *lines[1:]])) is None
    assert unless("".join([lines[0], "b" * 40 + "\n", *lines[2:]])) is None
    assert unless("main\n" + "".join(lines[1:])) is None
    assert unless("") is None
    assert unless("".join(lines)) == commit
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert commit_of_download(folder, files) is None
    weights.unlink()
    os.mkfifo(weights)
    assert commit_of_download(folder, files) is None
    metadata.unlink()
    assert commit_of_download(folder, ["config.json"]) is None
