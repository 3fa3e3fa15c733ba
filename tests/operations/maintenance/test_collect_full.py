"""collect where there is no room, and beside real writers."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

import registry
from registry.errors import StoreUnavailable
from tests.support import plain
from tests.support.refusals import raises


@pytest.fixture
def small_disk(tmp_path):
    """A disk of four megabytes. Needs the right to mount; on CI its lack is a failure, elsewhere a loud skip."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must run this test, and this machine does not let it mount a disk")
        pytest.skip(
            "no right to mount a small disk: what collect does on a full one was not tested"
        )
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    """Not a byte is left."""
    with (place / "filler").open("wb", buffering=0) as out:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while out.write(b"\0" * size):
                    pass
            except OSError:
                continue


@pytest.mark.slow
@pytest.mark.parametrize("state", ["up to date", "behind", "lost"])
def test_collect_frees_bytes_on_a_disk_without_a_free_one(small_disk, tmp_path, state):
    reg = registry.init(small_disk / "home")
    reg.add(plain.base(tmp_path / "one"), "one")
    reg.add(plain.base(tmp_path / "two", seed=3), "two")
    reg.delete("two@1")
    catalog = small_disk / "home" / "catalog"
    if state == "behind":
        reg.close()
        shutil.copytree(catalog, tmp_path / "old")
        reg.annotate("one@1", {"a": "b"})
    reg.close()
    if state == "behind":
        shutil.rmtree(catalog)
        shutil.copytree(tmp_path / "old", catalog)
    if state == "lost":
        shutil.rmtree(catalog)
    fill(small_disk)
    assert os.statvfs(small_disk).f_bavail == 0

    collected = registry.open(small_disk / "home").collect(older_than=0)

    assert collected.blobs > 0
    assert os.statvfs(small_disk).f_bavail > 0
    (small_disk / "filler").unlink()
    with registry.open(small_disk / "home") as again:
        assert again.audit(full=True).findings == () or state != "up to date"
        again.annotate("one@1", {"c": "d"})
        assert again.audit(full=True).findings == ()


def test_a_full_disk_is_no_damage_and_said_by_who_wants_to_write(small_disk, tmp_path):
    registry.init(small_disk / "home").add(plain.base(tmp_path / "one"), "one", measure=False)
    fill(small_disk)

    with registry.open(small_disk / "home") as reg:
        assert reg.audit().findings == ()
        with raises(
            StoreUnavailable,
            str(small_disk / "home" / "catalog"),
            os.strerror(errno.ENOSPC).lower(),
        ):
            reg.alias("one@1", "prod")


STAGER = """
import sys, registry
home = registry.open(sys.argv[1]).home
with home.write_lock.exclusive(60.0), home.backend.stage() as staged:
    staged.write(b"an entry on its way")
    print("staged", flush=True)
    sys.stdin.readline()
    assert staged.publish("journal/published")
"""


def test_collect_leaves_an_entry_that_is_being_written(tmp_path):
    """An alias or a delete holds the write lock alone, not the store's, and its entry lies in staging until it gets its name."""
    home = tmp_path / "home"
    registry.init(home).close()
    stager = subprocess.Popen(
        [sys.executable, "-c", STAGER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stager.stdout.readline() == "staged\n"
    with registry.open(home) as reg, ThreadPoolExecutor(1) as aside:
        collecting = aside.submit(reg.collect, older_than=0)
        early, _ = wait([collecting], timeout=0.5)
        stager.communicate("\n", timeout=60)

        assert stager.returncode == 0
        assert not early
        assert collecting.result(timeout=60).staging == 0


WRITER = """
import sys, registry
reg = registry.open(sys.argv[1])
for round in range(int(sys.argv[4])):
    reg.add(sys.argv[2], sys.argv[3], measure=False)
    number = reg.resolve(sys.argv[3]).number
    reg.delete(f"{sys.argv[3]}@{number}")
reg.add(sys.argv[2], sys.argv[3], measure=False)
"""
COLLECTOR = """
import sys, pathlib, registry
from registry.errors import Busy
reg = registry.open(sys.argv[1])
count = 0
while not pathlib.Path(sys.argv[2]).exists():
    try:
        reg.collect(older_than=0)
        count += 1
    except Busy:  # somebody was adding all the time
        continue
print(count)
"""


@pytest.mark.slow
def test_writers_and_collect_in_processes_of_their_own_lose_nothing(tmp_path):
    """Each writer adds and deletes the same bytes again and again, which is what collect would take away under its hands."""
    home = tmp_path / "home"
    registry.init(home).close()
    folders = [plain.base(tmp_path / f"model-{number}", seed=number) for number in range(2)]
    done = tmp_path / "done"
    collector = subprocess.Popen(
        [sys.executable, "-c", COLLECTOR, str(home), str(done)], stdout=subprocess.PIPE, text=True
    )
    writers = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                WRITER,
                str(home),
                str(folder),
                f"model-{number % 2}-{number}",
                "4",
            ]
        )
        for number, folder in enumerate([*folders, *folders])
    ]
    codes = [writer.wait(timeout=300) for writer in writers]
    done.touch()
    rounds, _ = collector.communicate(timeout=120)

    assert codes == [0] * 4
    assert collector.returncode == 0
    assert int(rounds) > 0
    with registry.open(home) as reg:
        assert reg.audit(full=True).findings == ()
        assert len(reg.list()) == 4
