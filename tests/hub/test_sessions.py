"""What is set in the host process while we ask the Hub: it is there as long as anybody asks, and afterwards everything is as it was."""

from __future__ import annotations

import os
import threading

from registry.hub.huggingface.client import client
from tests.cli.errors import missing

PATIENCE = {"HF_XET_CLIENT_READ_TIMEOUT": "60000ms", "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "3"}

STRANGE = """
import logging, warnings
import httpx2
from huggingface_hub.utils import set_client_factory
from registry.hub.huggingface.client import client
class Strange(httpx2.Client):
    event_hooks = property(lambda self: (_ for _ in ()).throw(RuntimeError("no hooks here")))
set_client_factory(Strange)
def now(): return logging.getLogger("huggingface_hub").level, list(warnings.filters)
before = now()
try:
    with client("org/model", None):
        pass
except Exception as error:
    print(error)
print(now() == before)
set_client_factory(httpx2.Client)
with client("org/model", None):
    print(now() == before)
print(now() == before)
"""

LIMIT = """
from huggingface_hub.utils import get_session
from registry.errors import HubUnavailable
from registry.hub.huggingface.client import client
def ask():
    session = get_session()
    request = session.build_request("GET", "http://hub.example/")
    for hook in session.event_hooks["request"]:  # what it does before it sends
        hook(request)
def ask_without_end():
    try:
        for _ in range(1001):
            ask()
        print("no limit")
    except HubUnavailable as error:
        print(error)
for ends_first, ends_last in ((1, 0), (0, 1)):
    questions = [client("org/one", None), client("org/two", None)]
    for question in questions:
        question.__enter__()
    questions[ends_first].__exit__(None, None, None)
    ask_without_end()
    questions[ends_last].__exit__(None, None, None)
ask_without_end()
"""


def patience():
    return {name: os.environ[name] for name in PATIENCE if name in os.environ}


def test_the_patience_of_xet_lasts_as_long_as_any_thread_uploads(monkeypatch):
    for name in PATIENCE:
        monkeypatch.delenv(name, raising=False)
    begun, end, seen = threading.Event(), threading.Event(), []

    def first():
        with client("org/first", "main", wait=120.0):
            begun.set()
            end.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(30)
    with client("org/second", "main", wait=120.0):
        end.set()
        thread.join()
        seen.append(patience())

    assert seen == [PATIENCE] and patience() == {}


def test_patience_that_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("HF_XET_CLIENT_READ_TIMEOUT", "7s")
    monkeypatch.delenv("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", raising=False)

    with client("org/model", "main", wait=120.0):
        during = patience()

    assert during == {**PATIENCE, "HF_XET_CLIENT_READ_TIMEOUT": "7s"} and patience() == {
        "HF_XET_CLIENT_READ_TIMEOUT": "7s"
    }


def test_the_limit_of_requests_outlives_other_questions_of_the_thread(lfs):
    """A download that is read in parts is open while others are asked, and may end before them."""
    ran = lfs.run(code=LIMIT)

    assert ran.code == 0, ran.err
    first, second, last = ran.out.splitlines()
    assert first == second and missing(first, "1000", "hub.example") == []
    assert last == "no limit"


def test_a_session_that_cannot_be_set_leaves_the_process_as_it_was(lfs):
    ran = lfs.run(code=STRANGE)

    error, *flags = ran.out.splitlines()
    assert missing(error, "hf://org/model", "no hooks here") == [], ran.err
    assert flags == ["True", "False", "True"], ran.err
