"""HTTP: a request read whole, an answer written, and between them whatever fault was ordered."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

from tests.support.hub_server.faults import Fault

if TYPE_CHECKING:
    from tests.support.hub_server.hub import HubServer

_BLOCK = 1 << 18


@dataclass
class Request:
    """One request as it came, and the status it was answered with; 0 where it never was."""

    method: str
    path: str
    """As sent, percent signs and all, without the query."""
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""
    """Empty again in the record of requests where it was the bytes of a large file; `length` tells its size."""
    length: int = 0
    status: int = 0
    answered: int = 0
    """Bytes of the answer's body that were sent."""

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    @property
    def target(self) -> str:
        """Path and query."""
        return self.path + (
            "?" + "&".join(f"{key}={value}" for key, value in self.query) if self.query else ""
        )

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    @property
    def bearer(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else None

    def first(self, key: str, default: str = "") -> str:
        """A query parameter's first value."""
        return next((value for name, value in self.query if name == key), default)

    def all(self, key: str) -> list[str]:
        """A query parameter's values."""
        return [value for name, value in self.query if name == key]


@dataclass
class Answer:
    """Status, headers and body."""

    status: int = 200
    body: bytes | memoryview = b""
    headers: dict[str, str] = field(default_factory=dict)
    type: str = "application/json; charset=utf-8"

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        """A value as JSON; `x_repo_commit=` is the header X-Repo-Commit."""
        return cls(
            status,
            json.dumps(value).encode(),
            {name.replace("_", "-").title(): text for name, text in headers.items()},
        )


class Problem(Exception):
    """A request that is answered with an error, as the Hub says it: in headers and in the body."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.answer = Answer(
            status,
            json.dumps({"error": message, **more}).encode(),
            {
                "X-Error-Message": message,
                **({"X-Error-Code": code} if code else {}),
                **(headers or {}),
            },
        )


class Server(ThreadingHTTPServer):
    """One thread for each connection; the hub is what answers."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's fault; anything else is kept, and the fixture fails the test."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            self.hub.errors.append(traceback.format_exc())


class _Gone(Exception):
    """The connection ends here."""


class Handler(BaseHTTPRequestHandler):
    """Reads a request, asks the hub, writes the answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = _BLOCK
    request_version: str

    def do_GET(self) -> None:
        """Every method."""
        hub = cast(Server, self.server).hub
        split = urlsplit(self.path)
        request = Request(
            self.command,
            split.path,
            parse_qsl(split.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
        )
        hub.requests.append(request)
        fault = hub.faults.take(request.method, self.path)
        over = hub.faults.over
        try:
            if fault and fault.first:
                fault.first()
            if fault and fault.hang:
                over.wait(fault.hang)
            request.body = self._read(fault.cut_upload if fault else None)
            request.length = len(request.body)
            answer = self._answer(hub, request, fault)
            if not request.path.startswith("/api/"):
                request.body = request.body[: 1 << 16]
            if fault and fault.after:
                fault.after()
            self._write(request, answer, fault, over)
        except _Gone:
            self._end(reset=fault is not None and fault.reset)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def _read(self, limit: int | None) -> bytes:
        """The request's body; the connection ends after `limit` bytes of it."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            body = self._read_chunks()
            if limit is not None:
                raise _Gone
            return body
        length = int(self.headers.get("Content-Length") or 0)
        body = bytearray(min(length, limit) if limit is not None else length)
        view, done = memoryview(body), 0
        while done < len(body):
            count = self.rfile.readinto(view[done : done + _BLOCK])
            if not count:
                raise ConnectionError("the client left in the middle of its request")
            done += count
        if limit is not None:
            raise _Gone
        view.release()
        return bytes(body)

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    @staticmethod
    def _answer(hub: HubServer, request: Request, fault: Fault | None) -> Answer:
        if fault and fault.redirect is not None:
            return Answer(302, b"", {"Location": fault.redirect, **fault.headers})
        if fault and fault.status is not None:
            return Problem(fault.status, fault.error, headers=fault.headers).answer
        try:
            answer = hub.answer(request)
        except Problem as problem:
            answer = problem.answer
        if fault:
            answer.headers.update(fault.headers)
        if fault and fault.lose:
            raise _Gone
        return answer

    def _write(
        self, request: Request, answer: Answer, fault: Fault | None, over: threading.Event
    ) -> None:
        body = memoryview(fault.body if fault and fault.body is not None else answer.body)
        if fault and fault.flip is not None and body:
            changed = bytearray(body)
            changed[fault.flip] ^= 1
            body = memoryview(changed)
        if fault and fault.short:
            body = body[: -fault.short]
        request.status = answer.status
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if request.method == "HEAD":
            return
        end = len(body) if not fault or fault.cut is None else min(fault.cut, len(body))
        block = max(1, fault.rate // 20) if fault and fault.rate else _BLOCK
        for offset in range(0, end, block):
            sent = body[offset : min(offset + block, end)]
            self.wfile.write(sent)
            request.answered += len(sent)
            if fault and fault.rate:
                time.sleep(len(sent) / fault.rate)
        if end < len(body):
            over.wait(
                max(fault.stall if fault else 0.0, 0.05)
            )  # what was sent arrives before a reset, which would throw it away
            raise _Gone

    def _end(self, *, reset: bool) -> None:
        """End the connection in the middle: closed, as by a server that goes down, or reset, as by a broken line."""
        self.close_connection = True
        with suppress(OSError):
            if reset:
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed; `hub.requests` is the log."""
