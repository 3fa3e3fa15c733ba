"""The server for the tests fails as it is told to, and speaks Xet, as the unpatched client can tell."""

from __future__ import annotations

import hashlib
import random
import struct
import threading
from pathlib import Path

import pytest

from tests.support.hub.client import SETUP
from tests.support.warm import KILLED


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "words", "floats"])
def test_what_went_by_xet_comes_back_by_xet_and_by_lfs(hub, xet, client, kind):
    content = {
        "random": random.Random(1).randbytes(700_000),
        "words": b"the patient takes one a day, " * 30_000,
        "floats": struct.pack("<60000f", *(index / 7 for index in range(60_000))),
    }[kind]
    path = Path(xet.folder, f"{kind}.bin")
    path.write_bytes(content)

    ran = xet.run(
        path,
        code=SETUP
        + """
api.create_repo("org/m")
commit("org/m", {"model.bin": sys.argv[1]})
said(api.get_paths_info("org/m", "model.bin")[0].xet_hash)
said(open(hf_hub_download("org/m", "model.bin"), "rb").read() == open(sys.argv[1], "rb").read())
""",
    )
    (by_lfs,) = client("""
import hashlib
said(hashlib.sha256(open(hf_hub_download("org/m", "model.bin"), "rb").read()).hexdigest())
""")

    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1] == "true"
    assert (
        hub.asked("POST /__cas__/v1/xorbs/")
        and hub.asked("GET /__cas__/xorb/")
        and not hub.asked("PUT /__s3__/")
    )
    assert hub.files("org/m")["model.bin"] == content
    assert by_lfs == hashlib.sha256(content).hexdigest()


def test_an_answer_that_is_lost_leaves_the_commit(hub, client):
    hub.commit("org/m", {"a.txt": b"one"})
    fault = hub.fault("POST /commit/", lose=True)

    (lost,) = client("""said(refused(lambda: commit("org/m", {"a.txt": b"two"})))""")

    assert lost[0] in {"RemoteProtocolError", "ReadError"}
    assert fault.hit == 1 and hub.files("org/m")["a.txt"] == b"two"


def test_an_upload_that_is_cut_is_sent_again_and_one_that_is_refused_is_not(hub, client):
    hub.create("org/m")
    cut = hub.fault("PUT /__s3__/", cut_upload=1000)
    refused = hub.fault("PUT /__s3__/", status=403, skip=1)

    sent, not_sent = client("""
commit("org/m", {"model.bin": b"w" * 500_000})
said("sent")
said(refused(lambda: commit("org/m", {"other.bin": b"v" * 500_000})))
""")

    assert cut.hit == refused.hit == 1
    assert sent == "sent" and not_sent[0] == "RuntimeError"
    assert "other.bin" not in hub.files("org/m")


def test_a_download_that_is_cut_goes_on_and_one_with_a_flipped_byte_is_accepted_by_the_client(
    hub, client
):
    content = bytes(range(256)) * 45_000
    hub.commit("org/m", {"model.bin": content, "flipped.bin": content[::-1]})
    hub.fault("GET /__cdn__/", cut=11_000_000)
    hub.fault("GET /__cdn__/", flip=-1, skip=1)

    whole, flipped = client("""
import hashlib
said(hashlib.sha256(open(hf_hub_download("org/m", "model.bin"), "rb").read()).hexdigest())
said(hashlib.sha256(open(hf_hub_download("org/m", "flipped.bin"), "rb").read()).hexdigest())
""")

    assert whole == hashlib.sha256(content).hexdigest()
    assert [request.headers.get("range") for request in hub.asked("GET /__cdn__/")] == [
        None,
        f"bytes={10 << 20}-",
        None,
    ]
    assert flipped != hashlib.sha256(content[::-1]).hexdigest()


def test_a_body_too_short_a_status_with_headers_and_silence(hub, client):
    hub.commit("org/m", {"model.bin": b"w" * 10_000})
    hub.fault("GET /__cdn__/", short=10)
    hub.fault("GET /refs", status=429, headers={"Retry-After": "7"})
    hub.fault("GET /commits/", hang=0.5)

    short, limited, waited = client("""
import time
said(refused(lambda: hf_hub_download("org/m", "model.bin")))
try:
    api.list_repo_refs("org/m")
except HfHubHTTPError as error:
    said([error.response.status_code, error.response.headers["Retry-After"]])
start = time.monotonic()
api.list_repo_commits("org/m")
said(time.monotonic() - start > 0.4)
""")

    assert short[0] == "OSError" and limited == [429, "7"] and waited


def test_a_listing_can_change_between_its_pages(hub, client):
    hub.page = 2
    hub.commit("org/m", {"a.txt": b"", "c.txt": b"", "d.txt": b""})
    hub.fault("GET /tree/", skip=1, first=lambda: hub.commit("org/m", {"a.txt": None}))

    (listed,) = client("""said(api.list_repo_files("org/m"))""")

    assert listed == [".gitattributes", "a.txt", "d.txt"]


def test_no_token_follows_a_redirect_to_another_host(hub, client):
    hub.commit("org/m", {"a.txt": b"one"})
    hub.fault("GET /api/models/org/m", redirect=f"{hub.elsewhere}/api/models/org/m")

    (name,) = client("""said(api.model_info("org/m").id)""")

    assert name == "org/m"
    assert [
        (request.host.split(":")[0], request.bearer)
        for request in hub.asked("GET /api/models/org/m")
    ] == [("127.0.0.1", hub.token), ("localhost", None)]


def test_a_process_can_be_killed_at_a_request(hub, lfs):
    hub.commit("org/m", {"a.txt": b"one"})
    at_work = threading.Event()
    hub.fault("POST /commit/", first=lambda: at_work.wait() and running.kill(), hang=0.2)

    running = lfs.start(code=SETUP + """commit("org/m", {"a.txt": b"two"})""")
    at_work.set()

    assert running.wait().code == KILLED
