"""A real browser, driven by its own protocol over two pipes: no driver program, no port, no package.

Source: Chrome DevTools Protocol; `--remote-debugging-pipe` reads messages from descriptor 3 and writes them to 4, each ended by a zero byte.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0
_MOVE = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
os.dup2(pipes[0], 3)
os.dup2(pipes[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Puts the pipes where the browser looks for them, and becomes the browser."""


def program() -> str | None:
    """The browser that is installed."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One page of a headless browser, and what its console and its network said."""

    def __init__(self, process: subprocess.Popen[bytes], write: int, read: int) -> None:
        self._process, self._write, self._read = process, write, read
        self._number, self._buffer = 0, b""
        self._session: str | None = None
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, path: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Show a file at a width in CSS pixels, in the light or the dark scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self._loaded = False
        self.call("Page.navigate", url=path.absolute().as_uri())
        self._until(lambda: self._loaded)

    def run(self, script: str) -> Any:
        """What a script gives, promises waited for. Raises RuntimeError with what it throws."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"])[:2000])
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        answers: list[Mapping[str, Any]] = []
        self._until(lambda: any(item.get("id") == number for item in answers), answers)
        answer = next(item for item in answers if item.get("id") == number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def _until(self, done: Any, answers: list[Mapping[str, Any]] | None = None) -> None:
        ends = time.monotonic() + PATIENCE
        while not done():
            if not select.select([self._read], [], [], max(ends - time.monotonic(), 0))[0]:
                raise TimeoutError("the browser does not answer")
            block = os.read(self._read, 1 << 16)
            if not block:
                raise RuntimeError(f"the browser ended with {self._process.wait(10)}")
            *messages, self._buffer = (self._buffer + block).split(b"\0")
            for message in messages:
                value = json.loads(message)
                self._heard(value)
                if answers is not None:
                    answers.append(value)

    def _heard(self, message: Mapping[str, Any]) -> None:
        method, value = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(value["exceptionDetails"].get("text")))
        elif method == "Runtime.consoleAPICalled" and value["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.errors.append(str([item.get("value") for item in value["args"]]))
        elif method == "Log.entryAdded" and value["entry"]["level"] in ("error", "warning"):
            self.errors.append(value["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(value["request"]["url"])


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, ended at the end."""
    found = program()
    if found is None:
        raise FileNotFoundError("no browser is installed; on Debian: apt-get install chromium")
    ours_read, theirs_write = os.pipe()
    theirs_read, ours_write = os.pipe()
    with tempfile.TemporaryDirectory(
        prefix="st-registry-browser-", ignore_cleanup_errors=True
    ) as profile:
        arguments = [
            found,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
            "about:blank",
        ]
        moved = [sys.executable, "-S", "-c", _MOVE, str(theirs_read), str(theirs_write), *arguments]
        process = subprocess.Popen(
            moved,
            pass_fds=(theirs_read, theirs_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )
        os.close(theirs_read)
        os.close(theirs_write)
        try:
            yield Browser(process, ours_write, ours_read)
        finally:
            os.close(ours_write)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            os.close(ours_read)
