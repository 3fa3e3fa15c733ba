"""Errors of the client and of what it stands on, as one line of ours. No token and no signed address is ever in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from registry.errors import (
    HubUnavailable,
    InvalidReference,
    RegistryError,
    RemoteMoved,
    RemoteNotFound,
)
from registry.hub.protocol import MAIN

TRIES = 4
"""How often something is asked that fails for a moment."""
PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds before the second try, doubled for each further one; and the longest that a server may make us wait."""
DIGITS = 18
"""Of a number in a header, at most."""
MOMENTARY = (408, 429, 500, 502, 503, 504)


def momentary(said: str, seconds: float | None = None) -> HubUnavailable:
    """An error that may go away by waiting, so many seconds if somebody asked for them."""
    error = HubUnavailable(said, hint=HubUnavailable.AGAIN)
    error.momentary, error.seconds = True, seconds
    return error


def pause_of(error: HubUnavailable, failures: int) -> float | None:
    """How long to wait before asking again; None where asking again is no use."""
    if not error.momentary or failures >= TRIES:
        return None
    if error.seconds is not None:
        return error.seconds if error.seconds <= LONGEST_PAUSE else None
    return float(PAUSE * 2 ** (failures - 1))


@contextlib.contextmanager
def translated(repository: str, revision: str | None) -> Iterator[None]:
    """What goes wrong in the client, as one line of ours. No token, no signed address is ever in it.

    The client takes answers for what they should be, so a senseless one may be any error of Python's in it. One that was raised by this
    package's own code is a mistake of ours, and stays what it is.
    """
    try:
        yield
    except (RegistryError, KeyboardInterrupt, GeneratorExit, MemoryError):
        raise
    except ImportError as error:
        raise HubUnavailable(f"the client of the Hub cannot be imported: {error}") from None
    except Exception as error:
        if not isinstance(error, OSError) and _is_raised_here(error):
            raise
        raise _ours(error, repository, revision) from None


def _is_raised_here(error: Exception) -> bool:
    """Whether the error comes from a line of this package, and of none that this package called."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return (
        place is not None
        and place.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        == __name__.partition(".")[0]
    )


def _ours(error: Exception, repository: str, revision: str | None) -> RegistryError:
    from huggingface_hub import errors as hf

    at = f"hf://{repository}" + (f"@{revision}" if revision else "")
    if isinstance(error, hf.HFValidationError):
        return InvalidReference(
            f"{repository!r} does not name a Hub repository",
            hint="write org/name, made of letters, digits, '-', '_' and '.'",
        )
    if isinstance(error, hf.OfflineModeIsEnabled):
        return HubUnavailable(
            f"{at} cannot be reached: HF_HUB_OFFLINE is set",
            hint="unset HF_HUB_OFFLINE to use the Hub",
        )
    if isinstance(error, hf.HfHubHTTPError) and error.response is not None:
        return _of_answer(error, at, repository, revision)
    cause = error.__cause__
    if isinstance(error, RuntimeError) and isinstance(cause, RegistryError):
        return cause  # the client packs up whatever ends an upload
    if isinstance(error, (TypeError, AttributeError, LookupError)):
        return HubUnavailable(
            f"the Hub gives no sensible answer for {at}: it is not of the form that its client reads"
        )
    said = _plain(error) + (
        f": {_plain(getattr(cause, 'server_message', None) or cause)}"
        if isinstance(error, RuntimeError) and cause
        else ""
    )
    if isinstance(error, (hf.HfHubHTTPError.__bases__[0], OSError)):
        unanswered = momentary(f"the Hub cannot be reached for {at}: {said}")
        unanswered.unanswered = True
        return unanswered
    return HubUnavailable(f"the Hub gives no sensible answer for {at}: {said}")


def _of_answer(error: Any, at: str, repository: str, revision: str | None) -> RegistryError:
    """By the status and the Hub's own codes."""
    from huggingface_hub import errors as hf, get_token

    status, said = (
        error.response.status_code,
        _plain(error.server_message or error.response.reason_phrase or ""),
    )
    logged_in = get_token() is not None
    if isinstance(error, hf.RevisionNotFoundError):
        return RemoteNotFound(
            f"hf://{repository} has no branch, tag or commit {revision or MAIN!r}"
        )
    if isinstance(error, hf.EntryNotFoundError):
        return RemoteNotFound(f"{at} lacks a file: {said}")
    if isinstance(error, hf.GatedRepoError):
        return HubUnavailable(
            f"hf://{repository} is gated",
            hint="request access on its page" + ("" if logged_in else ", and set HF_TOKEN"),
        )
    if isinstance(error, hf.RepositoryNotFoundError) or status == 404:
        return _not_found(repository, logged_in=logged_in)
    if status == 401:
        if not logged_in:
            return _not_found(repository, logged_in=False)
        return HubUnavailable(
            f"the Hub rejects this token for hf://{repository}",
            hint="set another HF_TOKEN, or log in with: hf auth login",
        )
    if status == 403:
        return HubUnavailable(f"this token has no right to do that at hf://{repository}: {said}")
    if status in (409, 412):
        return RemoteMoved(f"hf://{repository} is not as it was seen: {said}")
    if status in MOMENTARY:
        return momentary(
            f"the Hub answers {status} for {at}: {said}", retry_after(error.response.headers)
        )
    return HubUnavailable(f"the Hub refuses {at} with {status}: {said}")


def _not_found(repository: str, *, logged_in: bool) -> RemoteNotFound:
    missing = f"there is no model repository hf://{repository}"
    if logged_in:
        return RemoteNotFound(f"{missing}, or this token has no access to it")
    return RemoteNotFound(
        f"{missing}, or it is private and no token is set",
        hint="if it is private, set HF_TOKEN, or log in with: hf auth login",
    )


def retry_after(headers: Any) -> float | None:
    """Seconds that a busy server asks for: Retry-After, or the t of its RateLimit."""
    asked = number_in(headers.get("retry-after", ""))
    if asked is not None:
        return float(asked)
    for part in headers.get("ratelimit", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == "t" and (asked := number_in(value)) is not None:
            return float(asked)
    return None


def number_in(text: str) -> int | None:
    """The number that a header is; None for anything else, digits of other scripts and numbers without end among it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None


def _plain(said: object) -> str:
    """One line without addresses, which may be signed, and without the token."""
    from huggingface_hub import get_token

    text = " ".join(str(said).split())
    token = get_token()
    if token:
        text = text.replace(token, "…")
    words = [_host(word) if "://" in word else word for word in text.split(" ")]
    return (" ".join(words)[:200] or type(said).__name__).rstrip(".")


def _host(address: str) -> str:
    """Of an address its host alone: before it may stand a password, after it a signature."""
    try:
        return urlsplit(address).hostname or "…"
    except ValueError:
        return "…"
