"""A server of the Hub's protocol on 127.0.0.1, good enough for the unpatched client, that goes wrong to order.

It keeps repositories in memory, with real commits: each names its parent, and a commit whose parent is no longer the head is
refused with 412. What it says follows the recorded exchanges of the real one; large files travel by LFS (`basic`, or `multipart` above
`hub.part_size`) or by Xet, as the client decides.

    with HubServer() as hub:                                  # the fixture `hub` in tests/hub/conftest.py does this
        hub.url, hub.token                                    # http://127.0.0.1:PORT; alice may write to alice/, org/ and acme/
        hub.tokens["bob"]                                     # another user, who may write to bob/ only

        oid = hub.commit("org/medical", {"README.md": b"#"}) # behind the client's back; makes the repository if need be
        hub.files("org/medical", "v1"), hub.head("org/medical"), hub.tags("org/medical")
        hub.tag(…), hub.move(…), hub.delete(…), hub.squash(…), hub.repository("org/medical").gated = "manual"

        hub.fault("POST /commit/", status=503)                # the next such request; METHOD REGEX-IN-THE-PATH
        hub.fault("GET /__cdn__/", cut=1_000_000, times=3)    # the answer's body ends after a million bytes, the connection too
        hub.fault("PUT /__s3__/", cut_upload=65536)           # the connection ends after that much of the request's body
        hub.fault("POST /tag/", lose=True)                    # done, and the connection ends without an answer
        hub.fault("GET /tree/", skip=1, first=lambda: hub.commit(…))    # between the first and the second page
        # also: headers=, body=, flip=, short=, hang=, rate=, redirect=, reset=, stall=, after=  (tests/hub/server/faults.py says what each does)

        hub.requests                                          # what was asked: method, path, query, headers, host, length, status
        hub.asked("PUT"), hub.asked("GET /resolve/")          # those that match
        hub.uploaded, hub.downloaded                          # bytes of large files that went in and out
        hub.leaks                                             # requests that carried a token to another host than hub.url's

Large files are answered with a redirect to http://localhost:PORT, for a client another origin than http://127.0.0.1:PORT. `hub.token` is a
canary: a text that must be found in no output, log, entry, traceback or file.

A client in this process would be offline: the tests set HF_HUB_OFFLINE before any import. `client_environment` in tests/hub/conftest.py is
the environment for a process that talks to the hub.
"""

from tests.support.hub_server.faults import Fault
from tests.support.hub_server.hub import HubServer
from tests.support.hub_server.state import Repository
from tests.support.hub_server.wire import Answer, Problem, Request

__all__ = ["Answer", "Fault", "HubServer", "Problem", "Repository", "Request"]
