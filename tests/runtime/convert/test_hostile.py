"""Hostile pickles are refused, and nothing in them runs; the sandbox stops what would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry.errors import UnsafeFile
from registry.runtime.convert import child, sandbox
from tests.runtime.convert import hostile
from tests.support.refusals import raises

READ_ALL = """
import json, sys
import torch
from registry.runtime.convert.pickle_worker import dtype_names, prepare, read_tensors
from registry.runtime.convert.worker import Failure
names, watching, events = dtype_names(torch), False, []
def hook(event, arguments):
    if watching and not (event == "open" and arguments[0] == path):
        events.append(f"{event} {arguments!r:.100}")
prepare(torch)
sys.addaudithook(hook)
results = {}
for path in json.loads(sys.argv[1]):
    watching = True
    try:
        read_tensors(torch, path, "weights", names)
        outcome = "read"
    except Failure as failure:
        outcome = str(failure)
    except MemoryError:
        outcome = "memory"
    watching = False
    results[path] = [outcome, sorted(set(events))]
    events.clear()
print(json.dumps(results))
"""


@pytest.mark.slow
def test_fifty_hostile_pickles_run_nothing(tmp_path):
    folder, canary = tmp_path / "hostile", tmp_path / "canary"
    folder.mkdir()
    paths = hostile.write_all(folder, canary)
    assert len(paths) >= 50
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, json.dumps([str(path) for path in paths])],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    results = json.loads(done.stdout)
    harmless = {*sandbox._HARMLESS}
    for path, (outcome, events) in results.items():
        assert outcome != "read", path
        assert {event for event in events if event.split()[0] not in harmless} == set(), (
            path,
            events,
        )
    assert len(results) == len(paths)
    assert not canary.exists()


ATTEMPTS = (
    "import socket; socket.socket()",
    "os.system('true')",
    "subprocess.run(['true'])",
    "os.fork()",
    "open(target + '.other', 'w')",
    "open('/etc/passwd')",
    "open(source, 'r+')",
    "exec('1')",
    "import this",
    "os.remove(source)",
    "try:\n    eval('1')\nexcept BaseException:\n    pass",
)
TRY_ALL = """
import os, socket, subprocess, sys
from registry.runtime.convert import sandbox
source, target = sys.argv[1:]
for attempt in ATTEMPTS:
    code, child = compile(attempt, "attempt", "exec"), os.fork()
    if not child:
        sandbox.forbid_all_but_reading([source], [target])
        open(source, "rb").close()
        open(target, "wb").close()
        types.FunctionType(code, globals())()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_the_sandbox_ends_the_process(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x")
    program = f"import types\nATTEMPTS = {ATTEMPTS!r}\n{TRY_ALL}"
    command = [sys.executable, "-c", program, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    codes = [int(line) for line in done.stdout.split()]
    assert codes == [sandbox.FORBIDDEN] * len(ATTEMPTS), done.stderr
    assert done.stderr.count("forbidden: ") == len(ATTEMPTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_a_child_inherits_nothing_and_has_limits(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with (tmp_path / "open").open("w"):
        result = child.run("tests.runtime.convert.report_worker", {}, tmp_path, "'x'")
    report = result["result"]
    assert report["descriptors"] == [0, 1, 2]
    assert "HF_TOKEN" not in report["environment"]
    assert report["memory"] == report["file_size"] == "refused"
    if result["network"] == "none":
        assert report["interfaces"] in ([], ["lo"])


def test_an_endless_child_is_stopped(tmp_path):
    with raises(UnsafeFile, "'x'"):
        child.run("tests.runtime.convert.report_worker", {"endless": True}, tmp_path, "'x'")


def test_a_child_that_dies_is_a_refusal(tmp_path):
    with raises(UnsafeFile, "'x'"):
        child.run("tests.runtime.convert.report_worker", {"dies": True}, tmp_path, "'x'")
    assert Path(tmp_path, "stderr").exists()
