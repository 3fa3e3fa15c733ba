"""Real faults for tests: small file systems, injected errors, kills, and power cuts.

Mounts are made in a mount namespace of a child process, in the folder of the test; loop devices
are freed with them. A machine that refuses skips the test with a reason, and CI fails then.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FULL = os.environ.get("FAULTS") == "full"
"""Whether every fault is made, as by `make faults`; else a sample."""
LISTED = (Path(__file__).parent / "skips.txt").read_text().split()
"""Tests that CI may skip."""
CHANGING = (
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "fallocate", "ftruncate"),
    *("link", "linkat", "rename", "renameat", "unlink", "mkdir", "fchmod"),
)
"""System calls at which a command is killed or refused."""
READING = ("openat", "read", "pread64", "getdents64", "mmap", "flock", "fcntl")
"""System calls that fail on a damaged or unreachable disk."""
_CLONE_NEWNS = 0x00020000


@dataclass(frozen=True)
class Ran:
    """A command that ended. A negative code is the number of a signal."""

    code: int
    out: str
    err: str


def skip(reason: str) -> None:
    """Skip the running test loudly; in CI only if it is listed."""
    test = os.environ["PYTEST_CURRENT_TEST"].split(" ")[0]
    if os.environ.get("CI") == "true" and test not in LISTED:
        pytest.fail(f"CI must run this test: {reason}")
    pytest.skip(f"NOT TESTED: {reason}")


def require_mounts() -> None:
    """Skip the test where this machine does not mount small file systems."""
    refused = _refused_mount()
    if refused is not None:
        skip(f"no small file system can be mounted here ({refused})")


def require_strace() -> None:
    """Skip the test where system calls cannot be made to fail."""
    refused = _refused_strace()
    if refused is not None:
        skip(f"strace cannot inject faults here ({refused})")


@functools.cache
def _refused_mount() -> str | None:
    with tempfile.TemporaryDirectory(prefix="registry-faults-") as folder:
        try:
            on_disk(Path(folder), lambda disk: (disk / "file").write_bytes(b"1"))
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            return str(error).strip().splitlines()[-1]
    return None


@functools.cache
def _refused_strace() -> str | None:
    if shutil.which("strace") is None:
        return "strace is not installed"
    with tempfile.TemporaryDirectory(prefix="registry-faults-") as folder:
        ran = traced(lambda: os.mkdir(f"{folder}/made"), "inject=mkdir:error=EIO")  # noqa: PTH102
    return None if "OSError: [Errno 5]" in ran.err else f"strace ended with {ran.err[-200:]!r}"


def on_disk(folder: Path, act: Callable[[Path], Any], *, block: int = 4096, kib: int = 8192) -> Any:
    """Return what act returns, as JSON values, for the mount point of a new ext4 file system."""
    image = folder / "disk.img"
    with image.open("wb") as out:
        out.truncate(kib << 10)
    made = subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-m", "0", "-b", str(block), str(image)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(made.stderr)
    return on_image(image, act)


def on_image(image: Path, act: Callable[[Path], Any]) -> Any:
    """Do as on_disk for a file system that exists."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        os.close(reading)
        try:
            with _mounted(image) as disk:
                result: dict[str, Any] = {"result": act(disk)}
            code = 0
        except BaseException as error:
            result = {"error": f"{traceback.format_exc()}\n{error}"}
        with contextlib.suppress(OSError), os.fdopen(writing, "w") as out:
            json.dump(result, out)
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    value = json.loads(content or f'{{"error": "the child ended with status {status}"}}')
    if "error" in value:
        raise RuntimeError(value["error"])
    return value["result"]


@contextlib.contextmanager
def _mounted(image: Path) -> Iterator[Path]:
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    disk = image.with_suffix(".mounted")
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True, capture_output=True)
    mounted = subprocess.run(
        ["mount", "-t", "ext4", "-o", "loop", str(image), str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise RuntimeError(mounted.stderr)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def remount_read_only(disk: Path) -> None:
    """Let nothing more be written."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, capture_output=True)


def fill(disk: Path, spare: int = 0) -> None:
    """Leave `spare` bytes free, as exactly as blocks allow."""
    os.sync()
    with (disk / "filler").open("wb", buffering=0) as out:
        for size in (1 << 18, 1 << 14, 1 << 10, 1):
            while free(disk) >= spare + size:
                try:
                    os.posix_fallocate(out.fileno(), os.fstat(out.fileno()).st_size, size)
                except OSError:
                    break
        os.fsync(out.fileno())


def free(disk: Path) -> int:
    """Return the bytes that are free."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def cli(*arguments: str, home: Path) -> Ran:
    """Run a command in a forked process, which has everything imported already."""
    return forked(lambda: _command([*arguments, "--home", str(home)]))


def forked(act: Callable[[], object], ready: Callable[[int], None] | None = None) -> Ran:
    """Return how a child ends that runs act, and its output; `ready` is called before it starts."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.read(reading, 1)
            os._exit(_run(act))
        os.close(reading)
        try:
            if ready is not None:
                ready(child)
        finally:
            os.close(writing)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return Ran(code, out.read().decode(), err.read().decode())


def _run(act: Callable[[], object]) -> int:
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False))
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), line_buffering=True)
    try:
        result = act()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        return 99
    return result if isinstance(result, int) else 0


def _command(arguments: list[str]) -> int:
    from registry.cli.program import run

    return run(arguments)


def traced(act: Callable[[], object], *expressions: str, log: Path | None = None) -> Ran:
    """Run act in a child that strace holds, which injects faults by its expressions `-e`."""
    tracers: list[subprocess.Popen[bytes]] = []

    def attach(child: int) -> None:
        command = ["strace", "-f", "-y", "-qq", "-o", str(log or "/dev/null"), "-p", str(child)]
        for expression in expressions:
            command += ["-e", expression]
        tracers.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        status = Path(f"/proc/{child}/status")
        for _ in range(1000):
            if "TracerPid:\t0\n" not in status.read_text():
                return
            if tracers[0].poll() is not None:
                break
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)

    try:
        return forked(act, attach)
    finally:
        for tracer in tracers:
            tracer.wait()


def calls_of(
    act: Callable[[], object], folder: Path, *, reading: bool = False
) -> list[tuple[str, int]]:
    """Return the system calls that act makes, each with its number in its thread.

    They are those of CHANGING without the opening of a file for reading; with `reading`,
    those of READING on files of the registry in `folder`.
    """
    log = folder / "calls.log"
    ran = traced(act, f"trace={','.join(READING if reading else CHANGING)}", log=log)
    assert ran.code == 0, ran
    files = str(folder / "home")
    counted: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], None] = {}
    for line in log.read_text().splitlines():
        match = re.match(r"(\d+) +([a-z0-9]+)\((.*)", line)
        if match is None:
            continue
        counted[match[1], match[2]] += 1
        if files in line if reading else _changes(match[2], line):
            found[match[2], counted[match[1], match[2]]] = None
    return list(found)


def _changes(call: str, line: str) -> bool:
    return call != "openat" or "O_CREAT" in line or "O_TMPFILE" in line


def sample(cases: list[Any], size: int) -> list[Any]:
    """Return about `size` of the cases, evenly spread, the last one included."""
    return cases[:: -max(1, len(cases) // size)]
