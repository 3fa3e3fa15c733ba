"""The client of the Hub, asked without noise and with patience that ends."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from registry.errors import HubUnavailable, Invalid

from .errors import translated
from .sessions import Sessions

if TYPE_CHECKING:
    from huggingface_hub import HfApi


UPLOAD_WAIT = 120.0
"""Seconds of silence after which an upload or a commit is given up, where nobody says otherwise."""
SESSIONS = Sessions()


class _XetPatience:
    """Xet's own patience, which only the environment tells: four tries of half the wait each, so twice the wait in all, as by LFS.

    What the user set stays. The first upload to come sets, the last to go undoes.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._uploads = 0
        self._before: dict[str, str | None] = {}

    @contextlib.contextmanager
    def held(self, wait: float | None) -> Iterator[None]:
        """None is for what uploads nothing."""
        uploads = False
        try:
            if wait is not None:
                with self._guard:
                    if not self._uploads:
                        self._set(wait)
                    self._uploads += 1
                    uploads = True
            yield
        finally:
            if uploads:
                with self._guard:
                    self._uploads -= 1
                    if not self._uploads:
                        self._undo()

    def _set(self, wait: float) -> None:
        wanted = {
            "HF_XET_CLIENT_READ_TIMEOUT": f"{max(int(wait * 500), 1)}ms",
            "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "3",
        }
        ours = {name: value for name, value in wanted.items() if not os.environ.get(name)}
        self._before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)

    def _undo(self) -> None:
        for name, value in self._before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


XET = _XetPatience()


@contextlib.contextmanager
def client(repository: str, revision: str | None, *, wait: float | None = None) -> Iterator[HfApi]:
    """The client, silent, with patience that ends, its errors translated. With `wait`, for an upload, silences are counted too."""
    with translated(repository, revision):
        from huggingface_hub import HfApi

        with SESSIONS.held(wait or timeout(), counted=wait is not None), XET.held(wait):
            yield HfApi(endpoint=endpoint(), library_name="st-registry")


def endpoint() -> str:
    """The Hub's address; HF_ENDPOINT is read now, while the client reads it when it is imported."""
    from huggingface_hub import constants

    said = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
    if not said.startswith(("http://", "https://")):
        raise Invalid(
            f"HF_ENDPOINT is not a URL: {said!r}", hint="set it to a URL, as in https://hub.example"
        )
    return said


def timeout() -> float:
    """Seconds without a byte before a question counts as unanswered."""
    from huggingface_hub import constants

    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def upload_wait() -> float:
    """Seconds without a byte in either direction before an upload or a commit is given up: REGISTRY_UPLOAD_WAIT, else two minutes.

    The client itself would wait for ever. An upload by LFS that was met by silence is tried once more, a commit is not.
    """
    said = os.environ.get("REGISTRY_UPLOAD_WAIT") or str(UPLOAD_WAIT)
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise Invalid(
            f"REGISTRY_UPLOAD_WAIT is not a number of seconds: {said!r}",
            hint="set it to seconds, as in 120",
        )
    return seconds


def require_token(repository: str) -> None:
    """Raises HubUnavailable where nothing can be written because nobody is logged in."""
    with translated(repository, None):
        from huggingface_hub import get_token

        if get_token() is None:
            raise HubUnavailable(
                f"the Hub requires a token to write to hf://{repository}, and none is set",
                hint="set HF_TOKEN, or log in with: hf auth login",
            )
