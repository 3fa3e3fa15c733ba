"""Faults to order: which request goes wrong, how often, and how."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What goes wrong with the requests that match, after the first `skip` of them, `times` times; -1 is always.

    A request goes wrong in one way: the first fault ordered that is not used up takes it, and later ones do not count it.
    `on` is "METHOD REGEX", "METHOD" or "/REGEX"; the regex is searched in the path with its query. Several of the rest may be set.
    """

    on: str
    times: int = 1
    skip: int = 0
    first: Callable[[], object] | None = None
    """Called before the request is looked at: to change a repository between two pages, or to kill the client."""
    after: Callable[[], object] | None = None
    """Called when the request was done, before it is answered."""
    hang: float = 0.0
    """Seconds without a word, before anything else happens."""
    cut_upload: int | None = None
    """The connection ends after that many bytes of the request's body; nothing is done."""
    status: int | None = None
    """Answered with this status instead of being done; `error` is its text."""
    error: str = "ordered by the test"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to the answer, whichever it is: Retry-After, X-Error-Code."""
    body: bytes | None = None
    """This instead of the answer's body."""
    redirect: str | None = None
    """Answered with 302 to this address."""
    lose: bool = False
    """The request is done, and the connection ends without an answer."""
    cut: int | None = None
    """The connection ends after that many bytes of the answer's body."""
    stall: float = 0.0
    """Seconds of silence before that."""
    reset: bool = False
    """Where the connection ends, it is reset, as by a broken line; else closed, as by a server that goes down. Clients tell them apart."""
    flip: int | None = None
    """One bit of the answer's body is wrong, at this offset; a negative one counts from the end. The length is right."""
    short: int = 0
    """The answer's body lacks its last bytes, and its Content-Length agrees with that."""
    rate: int = 0
    """Bytes of the answer's body in a second, at most."""
    seen: int = 0
    hit: int = 0
    """How often it went wrong so far."""

    def __post_init__(self) -> None:
        method, _, pattern = self.on.partition(" ")
        if not pattern and method.startswith("/"):
            method, pattern = "", method
        self._method, self._pattern = method, re.compile(pattern)

    def matches(self, method: str, target: str) -> bool:
        """Whether this request is meant."""
        return self._method in ("", method) and self._pattern.search(target) is not None


class Faults:
    """The faults in order; the first that matches and is not used up is taken."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.over = threading.Event()
        """Set when the hub ends or is cleared, so that nothing hangs any longer."""

    def add(self, fault: Fault) -> Fault:
        """Order one more."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Take back what was ordered; what hangs goes on."""
        with self._lock:
            self._faults.clear()
        self.over.set()
        self.over = threading.Event()

    def take(self, method: str, target: str) -> Fault | None:
        """The fault of this request, counted as hit."""
        with self._lock:
            for fault in self._faults:
                if not fault.matches(method, target):
                    continue
                fault.seen += 1
                if fault.seen > fault.skip and (fault.times < 0 or fault.hit < fault.times):
                    fault.hit += 1
                    return fault
        return None
