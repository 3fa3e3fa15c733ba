"""A power cut: the file system as it is on the disk at that moment, mounted again."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest

from registry.store.checkout import verify

from .machine import FULL, cli, on_disk, on_image, require_mounts

FOLDER = "out"


def copy_at_one_moment(image: Path, target: Path) -> None:
    """Copy what reached the disk. A copy during which the disk was written is made again."""
    before = b""
    while (content := image.read_bytes()) != before:
        before = content
    target.write_bytes(content)


def checked_out(disk: Path) -> list[str]:
    """Return what is wrong with the checkouts that are on a disk."""
    folders = [path for path in (disk / FOLDER,) if path.exists()]
    folders += [
        path for path in (disk / "home" / "checkouts").glob("*") if not path.name.startswith(".")
    ]
    return [
        f"{folder.name}: {problem}"
        for folder in folders
        for problem in verify(folder, trust_stamps=False)
    ] or ([] if folders else ["there is no checkout"])


@pytest.mark.parametrize("where", ["in a folder", "at home"])
def test_a_checkout_that_ended_survives(tmp_path, put, where):
    require_mounts()

    def act(disk: Path) -> None:
        home = put(disk)
        os.sync()
        words = [str(disk / FOLDER)] if where == "in a folder" else []
        assert cli("checkout", "medical", *words, home=home).code == 0
        copy_at_one_moment(disk.with_suffix(".img"), tmp_path / "cut.img")

    on_disk(tmp_path, act)

    assert on_image(tmp_path / "cut.img", checked_out) == []


def test_a_power_cut_at_any_moment_leaves_a_registry_that_works(tmp_path, template, put):
    """What was acknowledged before is there, nothing is damaged, and the commands go on."""
    require_mounts()
    moments = random.Random(15)
    done: list[str] = []

    def act(disk: Path) -> list[int]:
        home = put(disk)
        os.sync()
        images: list[tuple[int, int]] = []
        stop = threading.Event()

        def cut() -> None:
            number = 0
            while not stop.is_set() and number < (20 if FULL else 2):
                time.sleep(moments.uniform(0.05, 0.6))
                acknowledged = len(done)
                copy_at_one_moment(disk.with_suffix(".img"), tmp_path / f"cut-{number}.img")
                images.append((number, acknowledged))
                number += 1
            stop.set()

        cutter = threading.Thread(target=cut)
        cutter.start()
        while not stop.is_set():
            assert cli("alias", "minilm@1", f"a{len(done)}", home=home).code == 0
            done.append("")
        cutter.join()
        return [list(image) for image in images]

    for number, acknowledged in on_disk(tmp_path, act, kib=16384):

        def after(disk: Path, acknowledged: int = acknowledged) -> list[object]:
            home = disk / "home"
            shown = cli("show", "minilm@1", home=home)
            audit = cli("audit", "--full", home=home)
            missing = [
                alias
                for alias in (f"a{count}" for count in range(acknowledged))
                if alias not in shown.out
            ]
            again = cli("alias", "minilm@1", "after", home=home)
            return [missing, shown.code, audit.code, again.code]

        assert on_image(tmp_path / f"cut-{number}.img", after) == [[], 0, 0, 0]
