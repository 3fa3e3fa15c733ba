"""Commands that are killed, or whose system calls fail, at any system call that changes something."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .machine import FULL, Ran, calls_of, cli, require_strace, sample, traced

COMMANDS = ("alias", "add", "checkout", "checkout at home", "bundle", "config")
KILLED = COMMANDS if FULL else ("add", "checkout")
REFUSED = (
    [(command, error) for command in COMMANDS for error in ("ENOSPC", "EIO")]
    if FULL
    else [("add", "ENOSPC"), ("checkout at home", "EIO"), ("config", "EIO")]
)
CASES = 10 if FULL else 2
"""System calls of each command at which it is killed or refused."""


def words(command: str, template: Path, folder: Path) -> list[str]:
    """Return the arguments of a command that changes the registry in `folder`."""
    return {
        "alias": ["alias", "minilm@1", "prod"],
        "add": ["add", str(template / "new"), "--as", "new", "--no-measure"],
        "checkout": ["checkout", "medical", str(folder / "out" / "model")],
        "checkout at home": ["checkout", "medical"],
        "bundle": ["bundle", "medical", "-o", str(folder / "out" / "medical.tar")],
        "config": ["config", "user.name", "Anna"],
    }[command]


@pytest.fixture
def begin(tmp_path, put):
    """A function that makes a new registry, and an empty folder of the user's."""

    def begin() -> Path:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        return put(tmp_path)

    return begin


def run(arguments: list[str], home: Path):
    from registry.cli.program import run

    return lambda: run([*arguments, "--home", str(home)])


def left_behind(folder: Path) -> list[str]:
    """Return hidden files in the user's folder, and unfinished ones in the registry."""
    found = [*(folder / "out").iterdir(), *(folder / "home" / "local").glob("*.tmp")]
    found += (folder / "home").glob(".try-*")
    return [path.name for path in found if path.name.startswith(".") or path.suffix == ".tmp"]


def problems_after(arguments: list[str], folder: Path) -> list[str]:
    """Return what does not work after a fault: reading, an audit, the same command again."""
    home = folder / "home"
    problems = []
    for reading in (*([["list"]] if FULL else []), ["audit", "--full"], arguments):
        ran = cli(*reading, home=home)
        if ran.code:
            problems.append(f"{reading}: {ran.code} {ran.out} {ran.err}")
    return problems + left_behind(folder)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("command", KILLED)
def test_a_kill_at_any_system_call_leaves_nothing_behind_that_matters(
    tmp_path, template, begin, command
):
    require_strace()
    arguments = words(command, template, tmp_path)
    calls = calls_of(run(arguments, begin()), tmp_path)
    assert calls

    for call, number in sample(calls, CASES):
        home = begin()
        ran = traced(run(arguments, home), f"inject={call}:signal=KILL:when={number}")

        assert ran.code in (-9, 0), (call, number, ran)
        assert problems_after(arguments, tmp_path) == [], (call, number)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "error"), REFUSED)
def test_an_error_of_any_system_call_is_reported_and_changes_nothing(
    tmp_path, template, begin, command, error
):
    require_strace()
    arguments = words(command, template, tmp_path)
    home = begin()
    entries = len(list((home / "journal").iterdir()))
    calls = calls_of(run(arguments, home), tmp_path)

    for call, number in sample(calls, CASES):
        home = begin()
        ran = traced(run(arguments, home), f"inject={call}:error={error}:when={number}")

        assert complaint(ran) is None, (call, number)
        if command in ("alias", "add"):
            recorded = len(list((home / "journal").iterdir())) - entries
            assert recorded == (ran.code == 0), (call, number, ran)
        assert problems_after(arguments, tmp_path) == [], (call, number)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["repair", "audit", "log", "checkout at home"])
def test_a_file_that_cannot_be_read_is_reported_and_nothing_is_changed(
    tmp_path, template, begin, command
):
    require_strace()
    reading = {"repair": ["repair"], "audit": ["audit", "--full"], "log": ["log"]}
    arguments = reading.get(command) or words(command, template, tmp_path)
    begin()
    calls = calls_of(run(arguments, tmp_path / "home"), tmp_path, reading=True)
    assert calls

    for call, number in sample(calls, 6):
        home = begin()
        ran = traced(run(arguments, home), f"inject={call}:error=EIO:when={number}")

        warned = all(line.startswith("warning: ") for line in ran.err.splitlines())
        has_findings = ran.code == 5 and ran.out and warned
        assert has_findings or complaint(ran) is None, (call, number)
        assert problems_after(arguments, tmp_path) == [], (call, number)


def complaint(ran: Ran) -> str | None:
    """Return how a command ended, if it did not end with success or one line of an error."""
    lines = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    is_orderly = ran.code == 0 or (ran.code > 0 and ran.code != 99 and len(lines) == 1)
    return None if is_orderly and "bug" not in ran.err else f"{ran.code}: {ran.err}"


@pytest.mark.slow
def test_init_that_was_killed_leaves_nothing_when_it_runs_again(tmp_path):
    require_strace()
    home = tmp_path / "home"
    calls = calls_of(run(["init", str(home)], home), tmp_path)

    for call, number in sample(calls, CASES):
        shutil.rmtree(home, ignore_errors=True)
        traced(run(["init", str(home)], home), f"inject={call}:signal=KILL:when={number}")

        assert cli("init", str(home), home=home).code == 0, (call, number)
        assert list(home.glob(".try-*")) == []
        assert cli("audit", home=home).code == 0, (call, number)
