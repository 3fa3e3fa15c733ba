"""A server that falls silent while something is uploaded: asking again has an end, also in a session that the client makes in between."""

from __future__ import annotations

import time

import pytest

from tests.cli.errors import missing
from tests.operations.hub.faults.promises import broken_promises
from tests.support.hub.lines import Place

SESSIONS = """
import io, socket, threading
import httpx2
from huggingface_hub.utils import get_session, http_backoff, set_client_factory
from registry.errors import HubUnavailable
from registry.hub.huggingface.client import client
made = []
def own():
    made.append(httpx2.Client(headers={"x-own": "yes"}, timeout=None))
    return made[-1]
set_client_factory(own)
door = socket.socket()
door.bind(("127.0.0.1", 0))
address = f"http://127.0.0.1:{door.getsockname()[1]}/file"
threading.Timer(0.5, door.listen).start()
try:
    with client("org/model", "main", wait=0.3):
        http_backoff("PUT", address, max_retries=1, data=io.BytesIO(b"content"))
except HubUnavailable as error:
    print(error)
print(len(made), made[-1] is get_session(), made[-1].headers["x-own"], made[-1].timeout.read, made[-1].event_hooks)
"""


@pytest.mark.slow
def test_an_upload_that_is_met_by_silence_is_tried_once_more(here, hub):
    silence = hub.fault("PUT /__s3__/", hang=30.0, times=-1)

    ran = here.run("push", "minilm@1", "--to", "org/minilm", REGISTRY_UPLOAD_WAIT="0.3")

    assert (ran.code, silence.hit) == (7, 2), ran.err
    assert missing(ran.err, "2 ", "0.3 s", "REGISTRY_UPLOAD_WAIT") == []
    assert broken_promises(hub, here.root, ran) == []


def test_by_xet_too_an_upload_that_is_met_by_silence_ends_after_four_tries_and_waits_for_none_of_them_to_its_end(
    here, hub, xet
):
    silence = hub.fault("POST /__cas__/v1/xorbs/", hang=30.0, times=-1)
    begun = time.monotonic()

    ran = Place(here.root, xet).run(
        "push",
        "minilm@1",
        "--to",
        "org/minilm",
        REGISTRY_UPLOAD_WAIT="0.6",
        HF_XET_CLIENT_READ_TIMEOUT="",
    )

    assert (ran.code, silence.hit, time.monotonic() - begun < 30.0) == (7, 4, True), ran.err
    assert broken_promises(hub, here.root, ran) == []


@pytest.mark.slow
def test_lines_that_break_are_no_silence(here, hub):
    broken = hub.fault("PUT /__s3__/", cut_upload=1000, times=2)

    ran = here.run("push", "minilm@1", "--to", "org/minilm", REGISTRY_UPLOAD_WAIT="0.3")

    assert (ran.code, broken.hit) == (0, 2), ran.err


def test_a_session_that_the_client_makes_after_a_failed_connection_has_patience_that_ends_too(lfs):
    """And it is made by whoever made them before; afterwards it is as they made it."""
    ran = lfs.run(code=SESSIONS)

    assert ran.code == 0, ran.err
    error, afterwards = ran.out.splitlines()
    assert missing(error, "hf://org/model@main", "timed out") == []
    assert afterwards == "2 True yes None {'request': [], 'response': []}"
