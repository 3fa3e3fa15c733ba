"""What lies at a path: only a plain file is opened, and nobody waits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registry.util.regular_file import NoFile, open_file, read_file
from tests.support.pipes import pipe_at, socket_at
from tests.support.refusals import raises


@pytest.mark.parametrize("by_link", [False, True])
@pytest.mark.parametrize(("make", "kind"), [(os.mkdir, "folder"), (socket_at, "socket")])
def test_what_is_no_file_is_not_opened_and_is_said_to_be_what_it_is(tmp_path, make, kind, by_link):
    make(tmp_path / "place")
    (tmp_path / "link").symlink_to("place")

    path = tmp_path / ("link" if by_link else "place")
    with raises(NoFile, kind, f"'{path}'"):
        open_file(path)


@pytest.mark.parametrize("by_link", [False, True])
def test_nobody_waits_at_a_pipe(tmp_path, by_link):
    (tmp_path / "link").symlink_to("place")

    path = tmp_path / ("link" if by_link else "place")
    with pipe_at(tmp_path / "place"), raises(NoFile, "pipe", f"'{path}'"):
        open_file(path)


def test_a_device_is_no_file():
    with raises(NoFile, "device", f"'{os.devnull}'"):
        open_file(os.devnull)


def test_an_open_file_is_closed_again_where_it_was_none(tmp_path):
    before = len([*Path("/dev/fd").iterdir()])
    for _ in range(3):
        with pytest.raises(NoFile):
            open_file(tmp_path)

    assert len([*Path("/dev/fd").iterdir()]) == before


def test_a_file_is_read_whole_by_a_link_too(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")

    assert read_file(tmp_path / "link") == b"content"
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nowhere")
