"""What a terminal sees and a pipe does not."""

import os
import pty
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import process_environment

WORK = """
import time
from registry.cli.output import progress
progress.PATIENCE = 0.0
with progress.Bars() as bars:
    bars("hf://org/medical", 45_400_000, 91_300_000)
    bars("all repositories", 45_400_000, 182_600_000)
    bars("folding the journal", 3, 12)
    time.sleep(0.3)
"""
"""Some bars of a transfer, on standard error."""


def seen(home, *arguments, start=("-m", "registry"), **environment):
    """What the command writes to a terminal, standard error with it."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, *start, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=process_environment(home, TERM="xterm", **{"COLUMNS": "100", **environment}),
    )
    os.close(theirs)
    text = b""
    while part := _read(ours):
        text += part
    assert running.wait() == 0
    os.close(ours)
    return text.decode()


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody writes there any more
        return b""


def test_a_terminal_gets_headers_and_colour(filled):
    assert seen(filled, "list").startswith("MODEL ")
    assert "\x1b[1mmedical@1\x1b[0m" in seen(filled, "lineage", "medical", NO_COLOR="")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "arguments", [["lineage", "medical"], ["list"], ["show", "medical@1"], ["log"], ["--help"]]
)
def test_no_color_leaves_plain_text(filled, arguments):
    assert "\x1b" not in seen(filled, *arguments, NO_COLOR="1")


@pytest.mark.parametrize("arguments", [["lineage", "medical"], ["list"], ["collect", "--dry-run"]])
def test_a_pipe_gets_no_colour_and_no_bars(home, process, arguments):
    ran = process(*arguments, home=home, NO_COLOR="", FORCE_COLOR="1", TERM="xterm")

    assert ran.code == 0
    assert "\x1b" not in ran.out + ran.err


@pytest.mark.slow
def test_a_message_cannot_write_to_the_terminal(home, process):
    process(
        "alias", "medical@1", "next", "--message", "harmless\x1b]0;owned\x07\n\u202e", home=home
    )

    assert "harmless\\x1b]0;owned\\x07\\n\\u202e" in seen(home, "log", COLUMNS="200")


def test_transfers_are_shown_in_bytes_for_each_repository_and_in_all(tmp_path):
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen(tmp_path, start=("-c", WORK))).splitlines()
    bars = {
        line.split("━")[0].strip(): re.sub(r"[^ -~]+", "", line)
        .split("%")[1]
        .rsplit(" ", 1)[0]
        .strip()
        for line in lines
        if "━" in line
    }

    assert bars == {
        "hf://org/medical": "45.4 MB of 91.3 MB",
        "all repositories": "45.4 MB of 182.6 MB",
        "folding the journal": "",
    }
