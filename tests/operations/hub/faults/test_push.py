"""What goes wrong while pushing: the work is finished by the same command, at once or typed again, and never is half of it under a tag."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.hub.faults.promises import entries

PUSH = ("push", "minilm@1", "--to", "org/minilm")
DONE, UNAVAILABLE = 0, 7
BOTH = 7
"""So many of the cases are of large files, and tried by LFS and by Xet; the others are the same in both, and take turns."""

ONCE: dict[str, tuple[str, dict[str, Any], int]] = {
    "a large file's connection is closed": (
        "/__s3__/put/|/__cas__/v1/xorbs/",
        {"cut_upload": 2000},
        DONE,
    ),
    "a large file's connection is reset": (
        "/__s3__/put/|/__cas__/v1/xorbs/",
        {"cut_upload": 2000, "reset": True},
        DONE,
    ),
    "a large file's answer is lost": ("/__s3__/put/|/__cas__/v1/xorbs/", {"lose": True}, DONE),
    "a large file meets a 500": ("/__s3__/put/|/__cas__/v1/xorbs/", {"status": 500}, DONE),
    "a large file meets no answer": ("/__s3__/put/|/__cas__/v1/xorbs/", {"hang": 30.0}, DONE),
    "the end of an upload is lost": ("/lfs/verify|/__cas__/v1/shards", {"lose": True}, DONE),
    "the storage wants patience": (
        "/objects/batch|/xet-write-token/",
        {"status": 429, "headers": {"Retry-After": "0"}},
        DONE,
    ),
    "preupload meets a 503": ("POST /preupload/", {"status": 503}, DONE),
    "preupload's connection is reset": (
        "POST /preupload/",
        {"cut_upload": 100, "reset": True},
        DONE,
    ),
    "creating meets a 500": ("POST /repos/create", {"status": 500}, DONE),
    "creating is done and the answer lost": ("POST /repos/create", {"lose": True}, DONE),
    "looking meets a 503": ("GET /api/models/", {"status": 503}, DONE),
    "looking meets patience": (
        "GET /api/models/",
        {"status": 429, "headers": {"Retry-After": "1"}},
        DONE,
    ),
    "the refs are cut": ("GET /refs", {"cut": 10}, DONE),
    "the refs are no JSON": ("GET /refs", {"body": b"<html>bad gateway"}, UNAVAILABLE),
    "the tag meets a 503": ("POST /tag/", {"status": 503}, DONE),
    "the tag is made and the answer lost": ("POST /tag/", {"lose": True}, DONE),
    "the tag meets a 401": ("POST /tag/", {"status": 401}, UNAVAILABLE),
    "the commit meets a 500": ("POST /commit/", {"status": 500}, UNAVAILABLE),
    "the commit wants patience": (
        "POST /commit/",
        {"status": 429, "headers": {"Retry-After": "1"}},
        UNAVAILABLE,
    ),
    "the commit is made and the answer lost": ("POST /commit/", {"lose": True}, DONE),
    "the commit is made and the connection reset": (
        "POST /commit/",
        {"lose": True, "reset": True},
        DONE,
    ),
    "the commit never arrives": ("POST /commit/", {"cut_upload": 500}, UNAVAILABLE),
    "the commit meets no answer": ("POST /commit/", {"hang": 30.0}, UNAVAILABLE),
    "the commit meets a 401": ("POST /commit/", {"status": 401}, UNAVAILABLE),
    "the commit meets a 403": ("POST /commit/", {"status": 403}, UNAVAILABLE),
    "the card's check answers with a page": (
        "POST /validate-yaml",
        {"body": b"<html>502"},
        UNAVAILABLE,
    ),
}
"""What goes wrong once: on which request, how, and the exit code of the command in which it does."""


CASES = [
    (what, mode)
    for number, what in enumerate(ONCE)
    for mode in ("lfs", "xet")
    if number < BOTH or (mode == "xet") == number % 2
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("what", "warm"), CASES, indirect=["warm"])
def test_what_goes_wrong_once_is_mended_at_once_or_by_the_same_command(hub, run, home, what):
    on, wrong, code = ONCE[what]
    fault = hub.fault(on, **wrong)

    first = run(home, *PUSH)
    again = run(home, *PUSH)

    assert fault.hit == 1
    assert (first.code, again.code) == (code, DONE), first.err + again.err
    assert len(hub.history("org/minilm")) == 2
    assert (
        [body["commit"] for body in entries(home, "Publish")]
        == [hub.tags("org/minilm")["v1"]]
        == [hub.head("org/minilm")]
    )
