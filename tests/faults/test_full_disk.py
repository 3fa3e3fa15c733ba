"""A disk with little or no room: reading goes on, and a command that fails did nothing."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from .machine import FULL, Ran, cli, fill, free, on_disk, remount_read_only, require_mounts

READ = (["log"], ["resolve", "medical"], *([["show", "minilm"], ["audit"]] if FULL else []))
SPARES = range(0, 260, 12) if FULL else (24, 96)
"""KiB that are left free."""
CASES = [("alias", 1024), ("add", 4096), *([("alias", 4096), ("add", 1024)] if FULL else [])]
"""Commands, and bytes of a block of the file system."""


def entries(home: Path) -> int:
    return len(list((home / "journal").glob("*.json")))


def complain(ran: Ran) -> str | None:
    """Return what is wrong with the end of a command on a full disk."""
    if ran.code < 0 or "bug" in ran.err or "Traceback" in ran.err:
        return f"ended with {ran.code}: {ran.err}"
    return None


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("command", "block"), CASES)
def test_a_command_does_all_or_nothing_and_reading_goes_on(tmp_path, template, put, block, command):
    """Nearly full disks: what is recorded is not reported as failed, and everyone can read it."""
    require_mounts()

    def act(disk: Path) -> list[str]:
        problems: list[str] = []
        for spare in SPARES:
            home = put(disk)
            words = (
                ["alias", "minilm@1", f"spare-{spare}"]
                if command == "alias"
                else ["add", str(template / "new"), "--as", f"new-{spare}", "--no-measure"]
            )
            before = entries(home)
            fill(disk, spare << 10)
            ran = cli(*words, home=home)
            recorded = entries(home) - before
            wrong = [complain(ran)]
            if (ran.code == 0) != (recorded == 1) or ran.code not in (0, 7):
                wrong.append(f"exit {ran.code} with {recorded} entries: {ran.err}")
            for reading in READ:
                read = cli(*reading, home=home)
                wrong += [complain(read), f"{reading}: {read.err}" if read.code else None]
            name = f"spare-{spare}" if command == "alias" else f"new-{spare}"
            said = cli("show", "minilm@1", home=home).out + cli("list", home=home).out
            wrong.append(None if (name in said) == (recorded == 1) else f"{name} in {said}")
            (disk / "filler").unlink()
            audit = cli("audit", "--full", home=home)
            wrong.append(audit.out if audit.code else None)
            problems += [f"{spare} KiB: {item}" for item in wrong if item is not None]
        return problems

    assert on_disk(tmp_path, act, block=block) == []


@pytest.mark.parametrize("block", [1024, 4096] if FULL else [1024])
def test_the_warning_states_the_entry_that_the_answer_is_of(tmp_path, put, block):
    """The catalog lacks two entries and cannot be updated: they are folded in memory."""
    require_mounts()

    def act(disk: Path) -> list[object]:
        home = put(disk)
        behind = {path: path.read_bytes() for path in (home / "catalog").iterdir()}
        for alias in ("one", "two"):
            assert cli("alias", "minilm@1", alias, home=home).code == 0
        for path in (home / "catalog").iterdir():
            path.unlink()
        for path, content in behind.items():
            path.write_bytes(content)
        fill(disk)
        ran = cli("show", "minilm@1", home=home)
        return [ran.code, "one, two" in ran.out, f"as of entry {entries(home)}" in ran.err]

    assert on_disk(tmp_path, act, block=block) == [0, True, True]


def test_the_file_that_sqlite_maps_has_no_holes(tmp_path, put):
    """A hole in it is allocated when it is written, which ends the process if the disk is full."""
    require_mounts()

    def act(disk: Path) -> list[int]:
        import registry

        with registry.open(put(disk)) as opened:
            opened.alias("minilm@1", "prod")
            files = list((disk / "home" / "catalog").glob("*-shm"))
            return [path.stat().st_blocks * 512 - path.stat().st_size for path in files]

    assert on_disk(tmp_path, act, block=1024) == [0]


def test_a_process_that_has_the_catalog_open_survives_a_disk_that_becomes_full(tmp_path, put):
    require_mounts()

    def act(disk: Path) -> list[object]:
        import registry
        from registry.errors import StoreUnavailable

        home = put(disk)
        with registry.open(home) as opened:
            opened.alias("minilm@1", "first")
            fill(disk)
            with contextlib.suppress(StoreUnavailable):
                opened.alias("minilm@1", "second")
            listed = len(opened.list())
            (disk / "filler").unlink()
            opened.alias("minilm@1", "third")
            return [listed, "third" in opened.resolve("minilm@1").aliases, free(disk) > 0]

    assert on_disk(tmp_path, act, block=1024) == [3, True, True]


@pytest.mark.parametrize("state", ["behind", "missing"])
def test_a_read_only_disk_is_read_whatever_the_state_of_its_catalog(tmp_path, put, state):
    require_mounts()

    def act(disk: Path) -> list[object]:
        home = put(disk)
        (path,) = (home / "catalog").glob("*.db")
        content = path.read_bytes()
        assert cli("alias", "minilm@1", "prod", home=home).code == 0
        for left in (home / "catalog").iterdir():
            left.unlink()
        if state == "behind":
            path.write_bytes(content)
        remount_read_only(disk)
        ran = cli("show", "minilm@1", home=home)
        audit = cli("audit", home=home)
        words = ran.err if f"as of entry {entries(home)}" not in ran.err else ""
        return [ran.code, "prod" in ran.out, words, audit.code]

    assert on_disk(tmp_path, act) == [0, True, "", 0 if state == "behind" else 5]


def test_a_disk_without_a_free_inode_is_read(tmp_path, put):
    require_mounts()

    def act(disk: Path) -> list[int]:
        home = put(disk)
        with contextlib.suppress(OSError):
            for number in range(100_000):
                (disk / f"inode {number}").touch()
        return [cli(*words, home=home).code for words in (["log"], ["list"], ["audit"])]

    assert on_disk(tmp_path, act, kib=2048) == [0, 0, 0]
