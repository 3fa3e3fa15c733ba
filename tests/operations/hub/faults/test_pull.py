"""What goes wrong while pulling: the work is finished by the same command, at once or typed again, and no wrong byte is ever registered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.hub.faults.promises import versions

DONE, NOT_FOUND, CORRUPT, UNAVAILABLE = 0, 3, 5, 7

SMALL, LARGE = "GET /resolve-cache/.*tokenizer.json", "GET /__cdn__/"
ONCE: dict[str, tuple[str, dict[str, Any], int]] = {
    "a large file is cut": (LARGE, {"cut": 3000}, DONE),
    "a large file's connection is reset": (LARGE, {"cut": 3000, "reset": True}, DONE),
    "a large file never begins": (LARGE, {"cut": 0}, DONE),
    "a large file falls silent": (LARGE, {"cut": 3000, "stall": 20.0}, DONE),
    "a large file meets a 500": (LARGE, {"status": 500}, DONE),
    "a large file meets a 503": (LARGE, {"status": 503}, DONE),
    "a large file wants patience": (LARGE, {"status": 429, "headers": {"Retry-After": "1"}}, DONE),
    "a large file's link is over": (LARGE, {"status": 403}, UNAVAILABLE),
    "a large file is too short": (LARGE, {"short": 500}, UNAVAILABLE),
    "a large file has a flipped bit": (LARGE, {"flip": 2000}, CORRUPT),
    "a small file is cut": (SMALL, {"cut": 100}, DONE),
    "a small file has a flipped bit": (SMALL, {"flip": 100}, CORRUPT),
    "a small file is too short": (SMALL, {"short": 7}, UNAVAILABLE),
    "a small file is another page": (SMALL, {"body": b"<html>bad gateway"}, UNAVAILABLE),
    "a small file meets a 401": (SMALL, {"status": 401}, UNAVAILABLE),
    "a file is gone": (
        "GET /resolve/.*tokenizer.json",
        {"status": 404, "headers": {"X-Error-Code": "EntryNotFound"}},
        NOT_FOUND,
    ),
    "a file sends round in circles": (
        "GET /resolve/.*tokenizer.json",
        {"redirect": "/org/minilm/resolve/main/round", "times": 1},
        NOT_FOUND,
    ),
    "the line is cut": ("GET /resolve-cache/.*line.json", {"cut": 50}, DONE),
    "the line has a flipped bit": ("GET /resolve-cache/.*line.json", {"flip": 20}, 2),
    "looking meets a 500": ("GET /api/models/", {"status": 500}, DONE),
    "looking meets no answer": ("GET /api/models/", {"hang": 20.0}, DONE),
    "looking meets a 401": ("GET /api/models/", {"status": 401}, UNAVAILABLE),
    "looking meets a page": ("GET /api/models/", {"body": b"<html>bad gateway"}, UNAVAILABLE),
    "looking meets patience": (
        "GET /api/models/",
        {"status": 429, "headers": {"RateLimit": '"api";r=0;t=1'}},
        DONE,
    ),
}
"""What goes wrong once: on which request, how, and the exit code of the command in which it does."""


CASES = [(what, "xet" if number % 2 else "lfs") for number, what in enumerate(ONCE)]
"""Files come by plain HTTP, however they went there: the two take turns."""


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("what", "warm"), CASES, indirect=["warm"])
def test_what_goes_wrong_once_is_mended_at_once_or_by_the_same_command(
    published, run, empty, filled, what
):
    on, wrong, code = ONCE[what]
    fault = published.fault(on, **wrong)

    first = run(empty, "pull", "hf://org/minilm")
    registered = versions(empty)
    again = run(empty, "pull", "hf://org/minilm")

    assert fault.hit == 1
    assert (first.code, again.code) == (code, DONE), first.err + again.err
    assert (registered == {}) == (code != DONE)
    assert versions(empty) == {"minilm@1": versions(filled)["minilm@1"]}
