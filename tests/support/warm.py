"""Processes that start at once: forked from one that has imported everything already, in an environment of its own.

Libraries read HF_ENDPOINT, HF_HUB_OFFLINE and HF_HUB_DISABLE_XET once, at import, so no test can change them in its own process; and a
process started from nothing takes a second to import what it needs. `Warm(environment)` imports once; `start` forks, and a forked process is a
real one: it can be killed, it has its own output, exit code and working directory.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Ran:
    """What a process left."""

    code: int
    """Its exit code; minus the signal's number if one ended it."""
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Running:
    """A process at work."""

    def __init__(self, warm: Warm, pid: int, folder: Path) -> None:
        self._warm, self.pid, self._folder = warm, pid, folder

    def kill(self) -> None:
        """kill -9; nothing of it runs any longer. One that has ended already is left alone."""
        if self.pid not in self._warm.ended:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = 60.0) -> Ran:
        """What it left; whatever outlives `timeout` seconds is killed, and the test fails."""
        code = self._warm.wait(self.pid, timeout)
        if code is None:
            self.kill()
            self._warm.wait(self.pid, 10.0)
            raise AssertionError(
                f"still running after {timeout:g} s; it said:\n{self._read('out')}\n{self._read('err')}"
            )
        return Ran(code, self._read("out"), self._read("err"))

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8", errors="surrogateescape")


class Warm:
    """A process that has imported what others need, and forks them on demand."""

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str] = ()) -> None:
        self._outputs = tempfile.TemporaryDirectory(prefix="st-registry-warm-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm", *modules],
            stdin=subprocess.PIPE,
            text=True,
            stdout=subprocess.PIPE,
            env={**environment},
            cwd=Path(__file__).parent.parent.parent,
        )
        self.folder = Path(self._outputs.name)
        """A place for files of the tests, gone with the processes."""
        self.environment: dict[str, str] = {}
        """What processes get besides, unless `start` says otherwise: for what is read at work, not at import."""
        self._started = 0
        self.ended: dict[int, int] = {}
        """Exit codes of the processes that are over."""

    def start(
        self, *arguments: object, code: str = "", cwd: Path | None = None, **environment: str
    ) -> Running:
        """Run the command with these arguments; or `code`, if there is some, with the arguments as sys.argv[1:]."""
        self._started += 1
        folder = self.folder / str(self._started)
        folder.mkdir()
        self._send(
            {
                "arguments": [str(argument) for argument in arguments],
                "code": code,
                "cwd": str(cwd or folder),
                "output": str(folder),
                "environment": {**self.environment, **environment},
            }
        )
        return Running(
            self, self._pid_of_started(180.0), folder
        )  # the first one waits for the imports

    def run(
        self,
        *arguments: object,
        code: str = "",
        cwd: Path | None = None,
        timeout: float = 60.0,
        **environment: str,
    ) -> Ran:
        """Start, and wait for the end."""
        return self.start(*arguments, code=code, cwd=cwd, **environment).wait(timeout)

    def wait(self, pid: int, timeout: float) -> int | None:
        """A process's exit code; None if it is still running after `timeout` seconds."""
        end = time.monotonic() + timeout
        while pid not in self.ended:
            if self._receive(end - time.monotonic()) is None:
                return None
        return self.ended[pid]

    def _pid_of_started(self, timeout: float) -> int:
        """The pid of the process that was asked for last; others may end meanwhile, and one that ended long ago may have had this pid."""
        end = time.monotonic() + timeout
        while (said := self._receive(end - time.monotonic())) is not None:
            if "started" in said:
                self.ended.pop(said["started"], None)
                return int(said["started"])
        raise AssertionError(f"the warm process started nothing within {timeout:g} s")

    def close(self) -> None:
        """End, with every process that is still running."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30.0)
        self._outputs.cleanup()

    def _send(self, request: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _receive(self, timeout: float) -> Any:
        """The next word of the warm process; ends are noted. None after `timeout` seconds."""
        assert self._process.stdout
        while select.select([self._process.stdout], [], [], max(timeout, 0.0))[0]:
            line = self._process.stdout.buffer.raw.readline()  # type: ignore[attr-defined]
            if not line:
                raise AssertionError("the warm process is gone")
            said = json.loads(line)
            if "ended" in said:
                self.ended[said["ended"]] = said["code"]
            if "started" in said or "ended" in said:
                return said
        return None


def _serve(modules: Sequence[str]) -> None:
    """Read requests, fork, and tell of starts and ends, until the input ends; children that are left are killed."""
    for module in ("registry.cli", *modules):
        __import__(module)
    gc.collect()
    gc.freeze()  # else each process forked from here copies, page for page, what its collector looks at
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    requests, children = b"", set[int]()
    while True:
        ready = select.select([0, reading], [], [])[0]
        if reading in ready:
            os.read(reading, 4096)
            _reap(children)
        if 0 in ready:
            block = os.read(0, 1 << 16)
            if not block:
                break
            *lines, requests = (requests + block).split(b"\n")
            for line in lines:
                children.add(_fork(json.loads(line)))
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _reap(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(word: Any) -> None:
    os.write(1, json.dumps(word).encode() + b"\n")


def _fork(request: Any) -> int:
    pid = os.fork()
    if pid:
        _say({"started": pid})
        return pid
    code = 99
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor, name in ((1, "out"), (2, "err")):
            os.dup2(
                os.open(Path(request["output"]) / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND),
                descriptor,
            )
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(request["cwd"])
        os.environ.update(request["environment"])
        code = _act(request)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _act(request: Any) -> int:
    sys.argv = ["registry", *request["arguments"]]
    if request["code"]:
        exec(compile(request["code"], "<test>", "exec"), {"__name__": "__main__"})
        return 0
    from registry.cli import main

    return main(request["arguments"])


if __name__ == "__main__":
    _serve(sys.argv[1:])
