"""Nothing leaves this machine: looking up a name or connecting anywhere but to this machine fails, and is remembered.

A child process of the tests, guarded by `sitecustomize` beside this file, ends at once with LEFT, since libraries swallow a
plain error and carry on from a cache. In the tests' own process `ends` is False: the call fails, and so does the test, by
what `attempts` holds.

It is an audit hook: whatever opens the socket, Python asks here first. Code that opens sockets without Python is not seen.
"""

import os
import sys

LEFT = 97
"""Exit code of a guarded process that tried to reach another machine."""

attempts: list[str] = []
ends = True

_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_SENDS = ("socket.connect", "socket.sendto", "socket.sendmsg")


def is_here(host: object) -> bool:
    """Whether a host, as socket calls take it, is this machine. None and "" are the wildcard for listening."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    return text in (None, "", "localhost", "::1", "0.0.0.0", "::") or (
        isinstance(text, str) and text.startswith("127.")
    )


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    if event in _LOOKUPS:
        host = arguments[0]
    elif event in _SENDS and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if is_here(host):
        return
    attempts.append(f"{event} {host!r}")
    if not ends:
        raise OSError(f"the tests reach no other machine: {event} {host!r}")
    os.write(2, f"the tests reach no other machine: {event} {host!r}\n".encode())
    os._exit(LEFT)


sys.addaudithook(_guard)
