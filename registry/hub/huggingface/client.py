"""The client of the Hub, asked without noise and with patience that ends."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...errors import HubUnavailable, Invalid
from .translate import translated

if TYPE_CHECKING:
    from huggingface_hub import HfApi


UPLOAD_WAIT = 120.0
"""Seconds of silence after which an upload or a commit is given up, where nobody says otherwise."""


@contextlib.contextmanager
def client(repository: str, revision: str | None, *, wait: float | None = None) -> Iterator[HfApi]:
    """The client, silent, with patience that ends, its errors translated."""
    with translated(repository, revision):
        from huggingface_hub import HfApi
        with _QUIET.held(wait or timeout()):
            yield HfApi(endpoint=endpoint(), library_name="st-registry")


class _Quiet:
    """What is set in the client, and in Python's warnings, for as long as any thread of ours asks the Hub; then it is as it was."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._asking, self._wait = 0, 0.0
        self._undo = contextlib.ExitStack()

    @contextlib.contextmanager
    def held(self, wait: float) -> Iterator[None]:
        """The first to come sets, the last to go undoes; what is waited for is waited for as long as any of them wants."""
        with self._guard:
            if not self._asking:
                self._set()
                self._wait = 0.0
            self._asking += 1
            if wait > self._wait:
                from huggingface_hub.utils import get_session
                get_session().timeout = self._wait = wait
        try:
            yield
        finally:
            with self._guard:
                self._asking -= 1
                if not self._asking:
                    self._undo.close()

    def _set(self) -> None:
        from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, get_session
        session, logger = get_session(), logging.getLogger("huggingface_hub")
        self._undo.callback(setattr, session, "timeout", session.timeout)
        self._undo.callback(logger.setLevel, logger.level)
        self._undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        if not are_progress_bars_disabled():
            self._undo.callback(enable_progress_bars)
            disable_progress_bars()


_QUIET = _Quiet()


def endpoint() -> str:
    """The Hub's address; HF_ENDPOINT is read now, while the client reads it when it is imported."""
    from huggingface_hub import constants
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def timeout() -> float:
    """Seconds without a byte before a question counts as unanswered."""
    from huggingface_hub import constants
    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def upload_wait() -> float:
    """Seconds without a byte in either direction before an upload or a commit is given up: REGISTRY_UPLOAD_WAIT, else two minutes.

    The client itself would wait for ever. It tries an upload by LFS several times, a commit once.
    """
    said = os.environ.get("REGISTRY_UPLOAD_WAIT") or str(UPLOAD_WAIT)
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise Invalid(f"REGISTRY_UPLOAD_WAIT is {said!r}; write seconds, as in 120")
    return seconds


def require_token(repository: str) -> None:
    """Raises HubUnavailable where nothing can be written because nobody is logged in."""
    with translated(repository, None):
        from huggingface_hub import get_token
        if get_token() is None:
            raise HubUnavailable(f"the Hub wants a token before anything is written to hf://{repository}, and there is none: "
                                 "set HF_TOKEN, or log in with hf auth login")
