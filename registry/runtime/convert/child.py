"""Run child processes that read untrusted files, and interpret how they end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.errors import NotLoadable, StoreUnavailable, UnsafeFile, reason

from .sandbox import FORBIDDEN

_WAIT = 3600.0
"""Seconds of wall time; the limit that matters is the child's own limit of CPU time."""
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")
"""Environment variables that a child needs; tokens and passwords are not passed on."""
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "import importlib; from registry.runtime.convert.worker import serve; "
    "serve(importlib.import_module(sys.argv[2]).work)"
)


def run(module: str, request: Mapping[str, Any], work: Path, subject: str) -> dict[str, Any]:
    """Return the answer of a worker module to a request.

    The child inherits no descriptor but its three streams, and no environment variable
    with a secret. Raises UnsafeFile for a file that is refused, names it as `subject`.
    """
    log = work / "stderr"
    environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
    environment |= {**_QUIET, "HOME": str(work), "HF_HOME": str(work / "hub")}
    command = [sys.executable, "-I", "-c", _START]
    command += [json.dumps([entry for entry in sys.path if entry]), module]
    try:
        with log.open("wb") as errors:
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=work,
                env=environment,
                close_fds=True,
                start_new_session=True,
            )
    except OSError as error:
        raise StoreUnavailable(f"cannot start a child process: {reason(error)}") from error
    try:
        answer, _ = child.communicate(json.dumps(request).encode(), timeout=_WAIT)
    except subprocess.TimeoutExpired:
        raise UnsafeFile(f"{subject} took longer than {_WAIT:.0f} seconds to read") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    return _understood(child.returncode, answer, log, subject)


def last_lines(log: Path) -> list[str]:
    """Return the last lines that a child wrote to standard error."""
    with log.open("rb") as stream:
        stream.seek(max(log.stat().st_size - 4096, 0))
        text = stream.read().decode("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _understood(code: int, answer: bytes, log: Path, subject: str) -> dict[str, Any]:
    lines = last_lines(log)
    if code == FORBIDDEN:
        event = next((line for line in reversed(lines) if line.startswith("forbidden: ")), "")
        raise UnsafeFile(
            f"{subject} tried {event.removeprefix('forbidden: ') or 'something'!r} "
            "while it was read (it was stopped before that)"
        )
    if code == -signal.SIGXCPU:
        raise UnsafeFile(f"{subject} takes more CPU time to read than its size allows")
    if code < 0:
        raise UnsafeFile(f"{subject} ends the process that reads it: {signal.strsignal(-code)}")
    try:
        reply = json.loads(answer)
    except ValueError:
        reply = None
    if not isinstance(reply, dict) or not {"result", "failure"} & set(reply):
        raise NotLoadable(f"{subject} cannot be read: {lines[-1] if lines else code!s:.300}")
    if "failure" in reply:
        kind = UnsafeFile if reply.get("is_unsafe", True) else NotLoadable
        raise kind(str(reply["failure"]), hint=reply.get("hint"))
    return reply
