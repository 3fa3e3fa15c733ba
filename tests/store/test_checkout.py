import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from registry.core.digest import digest_of
from registry.errors import DigestMismatch, NewerFormat
from registry.store import checkout
from registry.store.blobs import Blobs
from registry.store.local import LocalBackend
from tests.support.forked import become_nobody, forked
from tests.support.refusals import raises

LARGE = os.urandom(checkout.LARGE + 1)


@pytest.fixture
def blobs(tmp_path):
    return Blobs(LocalBackend(tmp_path / "store"))


def pieces(blobs):
    contents = {
        "config.json": b"{}",
        "1_Pooling/config.json": b'{"mean": true}',
        "model.safetensors": LARGE,
    }
    return [
        checkout.Piece(path, blobs.add(content), len(content)) for path, content in contents.items()
    ]


def made(blobs, target, **keywords):
    marker = checkout.Marker(digest_of(b"manifest"), "/here")
    checkout.materialise(
        target, pieces(blobs), blobs, **{"links": True, "marker": marker, **keywords}
    )
    return target


def settled(folder):
    """Stamps are only given to files that have not changed within the last second."""
    time.sleep(1.1)
    assert checkout.verify(folder) == []
    assert all(stamp for _, stamp in checkout.read_marker(folder).files.values())


def test_a_checkout_holds_the_files_and_is_good(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")

    assert (folder / "model.safetensors").read_bytes() == LARGE
    assert (folder / "1_Pooling" / "config.json").read_bytes() == b'{"mean": true}'
    assert checkout.verify(folder) == []


def test_rendered_bytes_stand_in_for_the_blobs(blobs, tmp_path):
    piece = checkout.Piece("adapter_config.json", blobs.add(b"stored"), 6, rendered=b"rendered")

    checkout.materialise(
        tmp_path / "out",
        [piece],
        blobs,
        links=True,
        marker=checkout.Marker(digest_of(b""), "/here"),
    )

    assert (tmp_path / "out" / "adapter_config.json").read_bytes() == b"rendered"
    assert checkout.verify(tmp_path / "out") == []


def test_a_change_is_noticed_though_size_and_time_are_put_back(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")
    settled(folder)
    path = folder / "config.json"
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"[]")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert checkout.verify(folder) == ["config.json was changed"]


def test_a_stamped_file_is_not_read_again(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")
    settled(folder)
    marker = json.loads((folder / checkout.MARKER).read_text())
    marker["files"]["model.safetensors"]["digest"] = str(digest_of(b"another"))
    (folder / checkout.MARKER).write_text(json.dumps(marker))

    assert checkout.verify(folder) == []
    assert checkout.verify(folder, trust_stamps=False) == ["model.safetensors was changed"]


def test_a_stamped_small_file_is_read_again(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")
    settled(folder)
    marker = json.loads((folder / checkout.MARKER).read_text())
    marker["files"]["config.json"]["digest"] = str(digest_of(b"another"))
    (folder / checkout.MARKER).write_text(json.dumps(marker))

    assert checkout.verify(folder) == ["config.json was changed"]


def test_a_missing_and_an_extra_file_are_noticed(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")
    (folder / "config.json").unlink()
    (folder / "1_Pooling" / "extra.json").write_text("{}")

    assert checkout.verify(folder) == [
        "config.json is missing or unreadable",
        "1_Pooling/extra.json was not there before",
    ]


def test_what_a_desktop_leaves_in_every_folder_is_no_change(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")
    (folder / "1_Pooling" / ".DS_Store").write_bytes(b"Bud1")

    assert checkout.verify(folder) == []


def test_a_damaged_blob_makes_no_checkout(blobs, tmp_path):
    wanted = pieces(blobs)
    path = blobs.path(wanted[-1].digest)
    path.chmod(0o644)
    path.write_bytes(b"\0" * len(LARGE))

    with raises(DigestMismatch, "'model.safetensors'", wanted[-1].digest):
        checkout.materialise(
            tmp_path / "out",
            wanted,
            blobs,
            links=True,
            marker=checkout.Marker(digest_of(b""), "/here"),
        )

    assert [item.name for item in tmp_path.iterdir()] == ["store"]


def test_of_two_who_make_it_at_once_both_are_content(blobs, tmp_path):
    failed = []
    start = threading.Barrier(4)

    def race():
        start.wait()
        try:
            made(blobs, tmp_path / "out")
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert checkout.verify(tmp_path / "out") == []
    assert sorted(item.name for item in tmp_path.iterdir()) == ["out", "store"]


def test_replacing_leaves_nothing_of_the_old(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")
    (folder / "config.json").unlink()
    (folder / ".DS_Store").write_bytes(b"Bud1")
    (folder / ".registry" / "marker.json.0123abcd").write_bytes(b"{")

    made(blobs, tmp_path / "out", replace=True)

    assert checkout.verify(folder) == []
    assert sorted(item.name for item in tmp_path.iterdir()) == ["out", "store"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (
            (folder / "output" / "deep").mkdir(parents=True)
            or (folder / "output" / "deep" / "result.txt").write_text("mine")
        ),
        lambda folder: (
            (folder / "config.json").chmod(0o644) or (folder / "config.json").write_text("mine")
        ),
        lambda folder: (folder / checkout.MARKER).unlink() or (folder / "notes").write_text("mine"),
        lambda folder: (folder / "data").symlink_to(folder.parent),
    ],
    ids=["added", "changed", "without a marker", "a link to a folder"],
)
def test_what_is_not_the_versions_is_moved_aside(blobs, tmp_path, spoil):
    folder = made(blobs, tmp_path / "out")
    spoil(folder)
    held = {
        path.relative_to(folder): path.is_symlink() or path.read_bytes()
        for path in folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
    marker = checkout.Marker(digest_of(b"manifest"), "/here")

    aside = checkout.materialise(
        folder, pieces(blobs), blobs, links=True, marker=marker, replace=True
    )

    assert aside == tmp_path / "out-changed-1"
    assert {
        path.relative_to(aside): path.is_symlink() or path.read_bytes()
        for path in aside.rglob("*")
        if not path.is_dir() or path.is_symlink()
    } == held
    assert checkout.verify(folder) == []
    assert sorted(item.name for item in tmp_path.iterdir()) == ["out", "out-changed-1", "store"]


def test_what_was_moved_aside_before_stays(blobs, tmp_path):
    for number in ("1", "2"):
        (made(blobs, tmp_path / "out", replace=True) / "mine").write_text(number)

    made(blobs, tmp_path / "out", replace=True)

    assert [(tmp_path / f"out-changed-{number}" / "mine").read_text() for number in ("1", "2")] == [
        "1",
        "2",
    ]


def test_of_two_who_exchange_it_at_once_both_are_content_and_nothing_is_lost(blobs, tmp_path):
    (made(blobs, tmp_path / "out") / "mine").write_text("mine")
    start = threading.Barrier(4)

    def race():
        start.wait()
        made(blobs, tmp_path / "out", replace=True)

    with ThreadPoolExecutor(4) as pool:
        for racer in [pool.submit(race) for _ in range(4)]:
            racer.result()

    assert checkout.verify(tmp_path / "out") == []
    assert [path.read_text() for path in tmp_path.glob("out-changed-*/mine")] == ["mine"]
    assert sorted(item.name for item in tmp_path.iterdir() if not (item / "mine").exists()) == [
        "out",
        "store",
    ]


def test_whoever_is_not_root_gets_a_link_to_the_blob(blobs, tmp_path):
    for place in (tmp_path, *tmp_path.parents):
        if place.stat().st_uid == os.getuid() and len(place.parts) > 2:
            place.chmod(0o777)
    wanted = pieces(blobs)
    for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
        path.chmod(0o755)

    def act():
        become_nobody()
        checkout.materialise(
            tmp_path / "out",
            wanted,
            blobs,
            links=True,
            marker=checkout.Marker(digest_of(b""), "/here"),
        )
        weights = tmp_path / "out" / "model.safetensors"
        clones = checkout.reflinkable(blobs.path(wanted[-1].digest), tmp_path)
        linked = weights.is_symlink() != clones
        return 0 if linked and checkout.verify(tmp_path / "out") == [] else 1

    assert forked(act) == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == LARGE


def test_where_probes_passed_is_remembered_once(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")

    checkout.add_environment(folder, "torch 2.13 cpu")
    checkout.add_environment(folder, "torch 2.13 cpu")

    assert checkout.read_marker(folder).environments == ("torch 2.13 cpu",)


def test_a_marker_of_a_newer_format_is_refused(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")
    marker = json.loads((folder / checkout.MARKER).read_text())
    (folder / checkout.MARKER).write_text(json.dumps({**marker, "format": 3}))

    with raises(NewerFormat, f"'{folder}'"):
        checkout.verify(folder)


def test_a_marker_of_format_2_keeps_when_each_file_was_hashed(blobs, tmp_path):
    begin = int(time.time())
    marker = checkout.Marker(digest_of(b"manifest"), "/here", format=2)
    folder = made(blobs, tmp_path / "out", marker=marker)
    written = checkout.read_marker(folder)
    assert written.hashed_at.keys() == written.files.keys()
    assert all(begin <= hashed <= time.time() for hashed in written.hashed_at.values())

    older = replace(written, hashed_at=dict.fromkeys(written.files, 1))
    (folder / checkout.MARKER).write_bytes(older.to_bytes())
    time.sleep(1.1)

    assert checkout.verify(folder, trust_stamps=False) == []
    assert all(hashed >= begin for hashed in checkout.read_marker(folder).hashed_at.values())
    assert checkout.read_marker(folder).format == 2


def test_a_marker_of_format_1_stays_one(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out")
    settled(folder)

    marker = json.loads((folder / checkout.MARKER).read_text())

    assert marker["format"] == 1
    assert all(item.keys() == {"digest", "stamp"} for item in marker["files"].values())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"format": 1}', b'{"format": "1"}'])
def test_a_damaged_marker_is_a_problem_and_no_crash(blobs, tmp_path, content):
    folder = made(blobs, tmp_path / "out")
    (folder / checkout.MARKER).write_bytes(content)

    assert checkout.verify(folder) == ["it has no readable marker"]


def test_editing_a_copy_never_reaches_the_blob(blobs, tmp_path):
    folder = made(blobs, tmp_path / "out", links=False)
    (folder / "model.safetensors").write_bytes(b"mine")

    assert all(blobs.verify(digest) for digest, _ in blobs.all())
