"""Files that the user names: what may stand there, and what is there afterwards."""

from __future__ import annotations

import os
import socket

import pytest

from registry.errors import Invalid, StoreUnavailable
from registry.store.output_file import output_place, writing
from tests.support.refusals import raises


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def names(folder):
    return sorted(place.name for place in folder.iterdir())


def write(given, home, content=b"new"):
    with writing(output_place(given, "the bundle", home), "the bundle") as out:
        out.write(content)


def test_a_free_name_is_taken_and_a_file_replaced_with_the_rights_it_had(home, tmp_path):
    (tmp_path / "old").write_bytes(b"old and longer")
    (tmp_path / "old").chmod(0o640)

    write(tmp_path / "free", home)
    write(tmp_path / "old", home)

    assert (tmp_path / "free").read_bytes() == (tmp_path / "old").read_bytes() == b"new"
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["free", "home", "old"]


@pytest.mark.parametrize("content", [b"old", None])
def test_a_link_stays_and_what_it_points_to_is_written(home, tmp_path, content):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(content) if content is not None else None
    (tmp_path / "link").symlink_to("there/file")

    write(tmp_path / "link", home)

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"new"
    assert names(tmp_path / "there") == ["file"]


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"), [(os.mkfifo, "pipe"), (os.mkdir, "folder"), (make_socket, "socket")]
)
@pytest.mark.parametrize("by_link", [False, True])
def test_what_is_no_file_is_refused_and_stays(home, tmp_path, monkeypatch, make, kind, by_link):
    monkeypatch.chdir(tmp_path)  # the name of a socket has to be short
    make("odd")
    (tmp_path / "link").symlink_to("odd")
    before = (tmp_path / "odd").lstat()

    path = "link" if by_link else "odd"
    with raises(Invalid, "the bundle", f"'{path}'", kind):
        output_place(path, "the bundle", home)

    assert (tmp_path / "odd").lstat() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_refused_and_stays(home, tmp_path):
    try:
        os.mknod(tmp_path / "null", 0o020666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices cannot be made here")

    with raises(Invalid, "the bundle", f"'{tmp_path / 'null'}'", "device"):
        output_place(tmp_path / "null", "the bundle", home)


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("-", "./-"),
        ("new/", "folder"),
        ("nowhere/file", "{folder}/nowhere'"),
        ("home/journal.tar", "registry"),
        ("link/journal.tar", "registry"),
    ],
)
def test_what_names_no_place_for_a_file_is_refused(home, tmp_path, monkeypatch, path, quoted):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("home")

    with raises(Invalid, "the bundle", f"'{path}'", quoted.format(folder=tmp_path)):
        output_place(path, "the bundle", home)

    assert names(tmp_path) == ["home", "link"]


def test_a_file_called_as_standard_output_is_written_where_it_is_meant(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    write("./-", home)

    assert (tmp_path / "-").read_bytes() == b"new"


def test_a_link_to_itself_is_a_line(home, tmp_path):
    (tmp_path / "loop").symlink_to("loop")

    path = tmp_path / "loop"
    with raises(StoreUnavailable, f"'{path}'", "too many levels of symbolic links"):
        output_place(path, "the bundle", home)


def test_what_fails_half_way_leaves_what_was_there(home, tmp_path):
    (tmp_path / "file").write_bytes(b"old")

    with (
        pytest.raises(ZeroDivisionError),
        writing(output_place(tmp_path / "file", "the bundle", home), "the bundle") as out,
    ):
        out.write(b"half")
        raise ZeroDivisionError

    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file", "home"]
