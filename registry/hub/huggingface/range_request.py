"""One ranged request for the bytes of a file; redirects are followed by hand, so that the token stays with the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from registry.errors import HubUnavailable, Refused, RemoteMoved

from .client import endpoint, timeout
from .errors import momentary, number_in

REDIRECTS = 5


def stream(repository: str, commit: str, path: str, offset: int) -> Iterator[tuple[int, bytes]]:
    """Blocks of the file and where each begins. Raises HubUnavailable, RemoteMoved for another commit's bytes."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    url = f"{endpoint()}/{repository}/resolve/{commit}/{quote(path)}"
    headers = {**build_hf_headers(library_name="st-registry"), "accept-encoding": "identity"}
    if offset:
        headers["range"] = f"bytes={offset}-"
    for _ in range(REDIRECTS):
        with get_session().stream(
            "GET", url, headers=headers, follow_redirects=False, timeout=timeout()
        ) as response:
            said = response.headers.get("x-repo-commit")
            if said is not None and said != commit:
                raise RemoteMoved(
                    f"the Hub answers with commit {said} of hf://{repository}, asked for was {commit}"
                )
            if response.status_code in (301, 302, 303, 307, 308):
                url = _next_address(url, response.headers.get("location", ""), headers)
                continue
            if response.status_code >= 400:
                response.read()
                hf_raise_for_status(response)
            yield from _blocks(response, offset)
            return
    raise HubUnavailable(
        f"the Hub sends {path!r} of hf://{repository} from one address to the next, {REDIRECTS} times"
    )


def _next_address(url: str, location: str, headers: dict[str, str]) -> str:
    """Where a redirect leads; at another origin without the token."""
    target = urljoin(url, location)
    old, new = urlsplit(url), urlsplit(target)
    if new.scheme not in ("http", "https") or (old.scheme == "https" and new.scheme == "http"):
        raise Refused(
            f"the Hub redirects to {new.scheme}://{new.hostname or ''}, which is no safe address"
        )
    if (old.scheme, old.hostname, old.port) != (new.scheme, new.hostname, new.port):
        for name in [name for name in headers if name.lower() in ("authorization", "cookie")]:
            del headers[name]
    return target


def _blocks(response: Any, offset: int) -> Iterator[tuple[int, bytes]]:
    start = 0
    if response.status_code == 206:
        said = response.headers.get("content-range", "")
        if not said.startswith(f"bytes {offset}-"):
            raise HubUnavailable(
                f"the Hub was asked for bytes from {offset} on and answers with {said or 'no range'!r}"
            )
        start = offset
    expected = number_in(response.headers.get("content-length", ""))
    got = 0
    for block in response.iter_raw():
        yield start + got, block
        got += len(block)
    if expected is not None and got < expected:
        raise momentary(f"the transfer broke off after {got} of {expected} bytes")
