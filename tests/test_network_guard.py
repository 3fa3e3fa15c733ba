from __future__ import annotations

import socket
import subprocess
import sys

import network_guard
import pytest

from tests.support.refusals import raises

SWALLOWS = "import socket\ntry: socket.create_connection(('192.0.2.1', 80), timeout=1)\nexcept OSError: print('swallowed')"


@pytest.fixture
def forgiven():
    """The attempts of this test are its subject, not its failure."""
    yield network_guard.attempts
    network_guard.attempts.clear()


def test_a_connection_to_another_machine_fails_and_is_remembered(forgiven: list[str]) -> None:
    with raises(OSError, "socket.getaddrinfo '192.0.2.1'"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)

    assert forgiven == ["socket.getaddrinfo '192.0.2.1'"]


def test_the_look_up_of_a_name_fails_and_is_remembered(forgiven: list[str]) -> None:
    with raises(OSError, "socket.gethostbyname 'models.example'"):
        socket.gethostbyname("models.example")

    assert forgiven == ["socket.gethostbyname 'models.example'"]


def test_a_child_process_that_swallows_the_failure_ends_all_the_same() -> None:
    child = subprocess.run(
        [sys.executable, "-c", SWALLOWS], capture_output=True, text=True, check=False
    )

    assert (child.returncode, child.stdout) == (network_guard.LEFT, "")
    assert "reach no other machine: socket.getaddrinfo '192.0.2.1'" in child.stderr


def test_this_machine_is_reached() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()
