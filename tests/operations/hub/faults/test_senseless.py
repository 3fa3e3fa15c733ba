"""A hub that answers what makes no sense: each time one line, the right exit code, nothing written, and the same command works afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.errors import missing
from tests.operations.hub.faults.promises import entries

NOT_FOUND, CONFLICT, CORRUPT, REFUSED, UNAVAILABLE = 3, 4, 5, 6, 7
INFO, WEIGHTS, TOKENIZER = (
    "GET /api/models/{}\\?",
    "GET /{}/resolve/.*model.safetensors",
    "GET /{}/resolve/.*tokenizer.json",
)
A_FILE = {"rfilename": "config.json", "size": 2, "blobId": "a" * 40}


def described(repository: str, **other: Any) -> bytes:
    """What a repository says of itself, some of it otherwise."""
    return json.dumps({"id": repository, "sha": "a" * 40, "siblings": [A_FILE], **other}).encode()


def with_file(**other: Any) -> dict[str, Any]:
    return {"siblings": [{**A_FILE, **other}]}


SAID: dict[str, dict[str, Any]] = {
    "no commit": {"sha": None},
    "a commit that ends a line": {"sha": "a\nb"},
    "a branch for a commit": {"sha": "main"},
    "a commit that is a number": {"sha": 7},
    "another word for its name": {"id": ["org", "x"]},
    "a name that ends a line": {"id": "org/x\ny"},
    "files that are a number": {"siblings": 7},
    "a file that is none": {"siblings": [None]},
    "a file whose name is a number": with_file(rfilename=7),
    "a size in words": with_file(size="2"),
    "a size below nothing": with_file(size=-1),
    "no size": with_file(size=None),
    "an id that is a number": with_file(blobId=7),
    "half a digest": with_file(lfs={"sha256": "a" * 40, "size": 2, "pointerSize": 1}),
    "a large file that is a list": with_file(lfs=[1]),
    "a day that is a number": {"lastModified": 7},
}
BODIES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"3",
    "a page": b"<html>",
    "no UTF-8": b'{"\xff"',
    "no end of brackets": b"[" * 100_000,
    "a number without end": b"9" * 10_000,
}
WRONG: dict[str, tuple[str, dict[str, Any], int]] = {
    **{f"it is {what}": (INFO, {"body": body}, UNAVAILABLE) for what, body in BODIES.items()},
    "another commit's bytes": (TOKENIZER, {"headers": {"X-Repo-Commit": "0" * 40}}, CONFLICT),
    "it sends to a file": (TOKENIZER, {"redirect": "file:///etc/passwd"}, REFUSED),
    "it sends to no address": (TOKENIZER, {"redirect": "http://["}, UNAVAILABLE),
    "it sends to a port beyond all": (
        TOKENIZER,
        {"redirect": "http://127.0.0.1:99999999/"},
        UNAVAILABLE,
    ),
    "it sends to what cannot be printed": (TOKENIZER, {"redirect": "http://\x7f/"}, UNAVAILABLE),
    "it sends back again and again": (TOKENIZER, {"redirect": ""}, UNAVAILABLE),
    "a part that was not asked for": (WEIGHTS, {"status": 206}, UNAVAILABLE),
    "more than there is": (
        "GET /resolve-cache/models/{}/.*tokenizer.json",
        {"body": bytes(100_000)},
        CORRUPT,
    ),
    "patience without end": (
        INFO,
        {"status": 429, "headers": {"Retry-After": "9" * 12}},
        UNAVAILABLE,
    ),
    "patience in another script": (
        INFO,
        {"status": 400, "headers": {"Retry-After": "²"}},
        UNAVAILABLE,
    ),
    "words that move the cursor": (INFO, {"status": 400, "error": "\x1b]0;title\x07"}, UNAVAILABLE),
}


def test_what_a_repository_says_of_itself_makes_no_sense(published, all_refused):
    codes = all_refused(
        {
            what: lambda repository, other=other: published.fault(
                INFO.format(repository), body=described(repository, **other), times=-1
            )
            for what, other in SAID.items()
        }
    )

    assert set(codes.values()) == {UNAVAILABLE}, codes


def test_answers_to_a_pull_make_no_sense(published, all_refused):
    codes = all_refused(
        {
            what: lambda repository, on=on, wrong=wrong: published.fault(
                on.format(repository), **wrong, times=-1
            )
            for what, (on, wrong, _) in WRONG.items()
        }
    )

    assert codes == {what: code for what, (_, _, code) in WRONG.items()}


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"branches":[],"converts":[],"tags":[{"name":"v1","ref":"refs/tags/v1","targetCommit":null}]}',
    ],
)
def test_tags_that_make_no_sense_end_a_push_and_a_sync(published, run, home, body):
    published.fault("GET /refs", body=body, times=-1)

    pushed, synced = (
        run(home, "push", "minilm@1", "--to", "org/minilm"),
        run(home, "sync", "minilm", "--with", "org/minilm"),
    )

    assert (pushed.code, synced.code, synced.out) == (UNAVAILABLE, UNAVAILABLE, ""), (
        pushed.err + synced.err
    )
    assert entries(home, "Publish") == []


@pytest.mark.slow
def test_a_history_that_goes_on_for_ever_is_not_read_for_ever(published, run, empty):
    run(empty, "pull", "hf://org/minilm")
    published.commit("org/minilm", {"notes.txt": b"mine"})
    endless = f'<{published.url}/api/models/org/minilm/commits/main?cursor=1>; rel="next"'
    published.fault("GET /commits/", body=b"[]", headers={"Link": endless}, times=-1)

    ran = run(empty, "pull", "hf://org/minilm")

    assert ran.code == UNAVAILABLE
    assert missing(ran.err, "1000") == []


SENT: dict[str, tuple[str, bytes]] = {
    "preupload names nothing": ("POST /preupload/", b'{"files":[]}'),
    "storage lies in a file": (
        "POST /objects/batch",
        b'{"objects":[{"oid":"OID","size":SIZE,"actions":{"upload":{"href":"file:///etc/passwd"}}}]}',
    ),
    "storage takes parts of no size": (
        "POST /objects/batch",
        b'{"objects":[{"oid":"OID","size":SIZE,"actions":{"upload":{"href":"http://x/","header":'
        b'{"chunk_size":"0"}}}}]}',
    ),
    "storage claims to have it": (
        "POST /objects/batch",
        b'{"objects":[{"oid":"OID","size":SIZE}]}',
    ),
}


@pytest.mark.parametrize("what", SENT)
def test_answers_to_a_push_make_no_sense(hub, run, home, filled, what):
    on, body = SENT[what]
    weights = next(
        path
        for path in (filled / "blobs").rglob("*")
        if path.is_file()
        and b"safetensors" not in path.name.encode()
        and path.read_bytes()[8:10] == b'{"'
    )
    hub.fault(
        on,
        body=body.replace(b"OID", weights.name.encode()).replace(
            b"SIZE", str(weights.stat().st_size).encode()
        ),
    )

    first, again = (
        run(home, "push", "minilm@1", "--to", "org/minilm"),
        run(home, "push", "minilm@1", "--to", "org/minilm"),
    )

    assert (first.code, again.code) == (UNAVAILABLE, 0), first.err + again.err
    assert [body["commit"] for body in entries(home, "Publish")] == [hub.head("org/minilm")]


@pytest.mark.parametrize("body", [b"null", b'{"commitOid":"main","commitUrl":"/"}'])
def test_a_commit_whose_answer_makes_no_sense_is_found(hub, run, home, body):
    hub.fault("POST /commit/", body=body)

    ran = run(home, "push", "minilm@1", "--to", "org/minilm")

    assert ran.code == 0, ran.err
    assert hub.tags("org/minilm") == {"v1": hub.head("org/minilm")}


def test_an_upload_does_not_wait_as_long_as_a_server_wishes(hub, run, home):
    hub.fault("POST /preupload/", status=429, headers={"Retry-After": "86400"})

    ran = run(home, "push", "minilm@1", "--to", "org/minilm")

    assert ran.code == UNAVAILABLE
    assert missing(ran.err, "429", "86400 s") == []
