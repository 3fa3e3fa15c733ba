"""The client of the Hub, asked without noise and with patience that ends."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...errors import HubUnavailable
from .translate import translated

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@contextlib.contextmanager
def client(repository: str, revision: str | None, *, wait: float | None = None) -> Iterator[HfApi]:
    """The client, silent, with patience that ends, its errors translated."""
    with translated(repository, revision):
        from huggingface_hub import HfApi
        from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, get_session
        session, logger = get_session(), logging.getLogger("huggingface_hub")
        waited, level, bars = session.timeout, logger.level, not are_progress_bars_disabled()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            session.timeout = wait or timeout()
            logger.setLevel(logging.CRITICAL)
            if bars:
                disable_progress_bars()
            try:
                yield HfApi(endpoint=endpoint(), library_name="st-registry")
            finally:
                session.timeout = waited
                logger.setLevel(level)
                if bars:
                    enable_progress_bars()


def endpoint() -> str:
    """The Hub's address; HF_ENDPOINT is read now, while the client reads it when it is imported."""
    from huggingface_hub import constants
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def timeout() -> float:
    """Seconds without a byte before a question counts as unanswered."""
    from huggingface_hub import constants
    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def require_token(repository: str) -> None:
    """Raises HubUnavailable where nothing can be written because nobody is logged in."""
    with translated(repository, None):
        from huggingface_hub import get_token
        if get_token() is None:
            raise HubUnavailable(f"the Hub wants a token before anything is written to hf://{repository}, and there is none: "
                                 "set HF_TOKEN, or log in with hf auth login")
