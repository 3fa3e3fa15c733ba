"""The client's sessions while we ask: without noise, and with patience that ends, also in one that the client makes in between.

The client waits for ever, and repeats what it uploads six times; both can be bounded by what its sessions let anybody set: their timeout,
and hooks before a request and after an answer. Source: huggingface_hub 2.4, utils/_http.py.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from registry.errors import HubUnavailable

from .errors import LONGEST_PAUSE, MOMENTARY, momentary, retry_after

SILENCES = 2
"""How often the same question may be met by silence while something is uploaded."""
PAGES = 1000
"""How many requests one question may take: a listing can send from one page to the next for ever."""
LONGEST_REST = 8.0
"""Seconds that the client rests before it asks again: 1, 2, 4, and then so many."""


@dataclass
class _Asked:
    """A question without an answer so far."""

    begun: float
    """When it was asked last."""
    times: int = 1
    silent: int = 0
    """How many of these ended in silence."""


class Silence:
    """What was asked and not answered. A try that ended in silence, and not in a broken line, is counted when the client asks again."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: dict[tuple[str, str], _Asked] = {}
        self._heard = 0.0
        self.wait: float | None = None
        """Seconds after which silence is one; None where nothing is counted."""

    def heard(self) -> None:
        """Bytes went out, so that a long transfer is no silence."""
        self._heard = time.monotonic()

    def ask(self, request: Any) -> None:
        """Before a request. Raises HubUnavailable where the same was asked in vain often enough."""
        if self.wait is None:
            return
        key, now = (str(request.method), str(request.url)), time.monotonic()
        with self._guard:
            before = self._open.get(key)
            if before is None:
                self._open[key] = _Asked(now)
                return
            rested = min(LONGEST_REST, 2.0 ** (before.times - 1))
            before.silent += now - rested - max(before.begun, self._heard) >= self.wait
            before.begun, before.times = now, before.times + 1
        if before.silent >= SILENCES:
            raise momentary(
                f"{request.url.host} does not answer: {before.silent} times nothing came for {self.wait:g} s (REGISTRY_UPLOAD_WAIT)"
            )

    def answer(self, response: Any) -> None:
        """After the head of an answer. Raises HubUnavailable where the client would wait longer for the next try than anybody should."""
        asked = (
            retry_after(response.headers)
            if response.status_code in MOMENTARY and self.wait is not None
            else None
        )
        if asked is not None and asked > LONGEST_PAUSE:
            raise momentary(
                f"the Hub answers {response.status_code} and wants {asked:g} s of patience", asked
            )
        with self._guard:
            self._open.pop((str(response.request.method), str(response.request.url)), None)

    def forget(self) -> None:
        """Nobody uploads any more."""
        with self._guard:
            self.wait = None
            self._open.clear()


@dataclass
class _Limit:
    """How many requests a question may still take; None where they are not counted."""

    left: int | None


class _Limits(threading.local):
    """Of the questions of a thread, by their id; the one asked last counts. A download that is read in parts is one, and may end in any order."""

    def __init__(self) -> None:
        self.limits: dict[int, _Limit] = {}


class Sessions:
    """What is set in the client, and in Python's warnings, for as long as any thread of ours asks the Hub; then it is as it was."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self._asking, self._wait = 0, 0.0
        self._adopted: list[Any] = []
        self._undo = contextlib.ExitStack()
        self._of_thread = _Limits()
        self.silence = Silence()

    @contextlib.contextmanager
    def held(self, wait: float, *, counted: bool) -> Iterator[None]:
        """The first to come sets, the last to go undoes; what is waited for is waited for as long as any of them wants.

        counted: silences are counted as well, until the last one goes.
        """
        from huggingface_hub.utils import get_session

        self._watch()
        session = (
            get_session()
        )  # not under our guard: who makes a session holds the client's own, and then wants ours
        limits, limit, asks = self._of_thread.limits, _Limit(None if counted else PAGES), False
        try:
            with self._guard:
                if not self._asking:
                    self._set()
                    self._wait = 0.0
                self._asking += 1
                asks = True
                self._wait = max(wait, self._wait)
                if counted:
                    self.silence.wait = max(wait, self.silence.wait or 0.0)
                self._adopt(session)
            limits[id(limit)] = limit
            yield
        finally:
            limits.pop(id(limit), None)
            with self._guard:
                self._asking -= asks
                if not self._asking:
                    self._adopted.clear()
                    self.silence.forget()
                    self._undo.close()

    def _adopt(self, session: Any) -> Any:
        """The session, as it has to be while we ask."""
        with self._guard:
            if self._asking:
                if not any(known is session for known in self._adopted):
                    self._adopted.append(session)
                    hooks = session.event_hooks
                    self._undo.callback(setattr, session, "timeout", session.timeout)
                    self._undo.callback(setattr, session, "event_hooks", hooks)
                    session.event_hooks = {
                        "request": [*hooks.get("request", ()), self._count, self.silence.ask],
                        "response": [*hooks.get("response", ()), self.silence.answer],
                    }
                session.timeout = self._wait
        return session

    def _count(self, request: Any) -> None:
        limit = next(reversed(self._of_thread.limits.values()), None)
        if limit is not None and limit.left is not None:
            if not limit.left:
                raise HubUnavailable(
                    f"the Hub sends from one address to the next, {PAGES} times (the last is at "
                    f"{request.url.host})"
                )
            limit.left -= 1

    def _watch(self) -> None:
        """Sessions are made by whoever made them before, and handed to us: after a connection that failed the client makes a new one.

        That can be set and not asked for, so it is read where the client keeps it. Setting it ends the session that there is, and with it what
        another thread may be sending: it is done only while there is none, as in a process that begins with us.
        """
        from huggingface_hub.utils import _http, set_client_factory

        made = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None)
        if (
            made is not None
            and not isinstance(made, _Watched)
            and getattr(_http, "_GLOBAL_CLIENT", None) is None
        ):
            set_client_factory(_Watched(made, self._adopt))

    def _set(self) -> None:
        from huggingface_hub.utils import (
            are_progress_bars_disabled,
            disable_progress_bars,
            enable_progress_bars,
        )

        logger = logging.getLogger("huggingface_hub")
        self._undo.callback(logger.setLevel, logger.level)
        self._undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        if not are_progress_bars_disabled():
            self._undo.callback(enable_progress_bars)
            disable_progress_bars()


class _Watched:
    """Makes sessions as before, and shows them to whoever watches."""

    def __init__(self, made: Callable[[], Any], watch: Callable[[Any], Any]) -> None:
        self._made, self._watch = made, watch

    def __call__(self) -> Any:
        return self._watch(self._made())
