"""The server for the tests says what the Hub says, as far as the unpatched client can tell."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import threading
from pathlib import Path

import pytest

from tests.support.warm import KILLED

SETUP = """
import io, json, sys
from huggingface_hub import (CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, hf_hub_download, snapshot_download)
from huggingface_hub.errors import *
api = HfApi()
def add(path, content): return CommitOperationAdd(path, content)
def commit(repo, files, **more): return api.create_commit(repo, [add(*pair) for pair in files.items()], commit_message="by the client", **more)
def said(value): print(json.dumps(value, default=str))
def refused(act):
    try:
        act()
    except Exception as error:
        return [type(error).__name__, getattr(getattr(error, "response", None), "status_code", None)]
"""


@pytest.fixture
def client(hub, lfs):
    """What a piece of Python said, run in a process of its own with the client at hand."""

    def run(code, **environment):
        ran = lfs.run(code=SETUP + code, **environment)
        assert ran.code == 0, ran.err
        return [json.loads(line) for line in ran.out.splitlines()]

    return run


def test_a_commit_names_its_parent_and_one_on_an_old_head_is_refused(hub, client):
    first, second, status = client("""
api.create_repo("org/m")
start = api.model_info("org/m").sha
first = commit("org/m", {"a.txt": b"1"}, parent_commit=start)
said(first.oid)
said(commit("org/m", {"a.txt": b"2"}, parent_commit=first.oid).oid)
said(refused(lambda: commit("org/m", {"a.txt": b"3"}, parent_commit=first.oid)))
""")

    assert [commit.oid for commit in hub.history("org/m")][:2] == [second, first]
    assert [commit.parent for commit in hub.history("org/m")][:2] == [first, hub.history("org/m")[2].oid]
    assert status == ["HfHubHTTPError", 412]
    assert hub.files("org/m")["a.txt"] == b"2"


def test_a_large_file_goes_by_lfs_once_and_comes_back_from_another_host(hub, client):
    content = bytes(range(256)) * 4000

    client("""
content = bytes(range(256)) * 4000
api.create_repo("org/m")
commit("org/m", {"model.safetensors": content, "config.json": b"{}"})
commit("org/m", {"again.safetensors": content})
said(open(hf_hub_download("org/m", "model.safetensors"), "rb").read() == content)
""")

    assert len(hub.asked("PUT /__s3__/put/")) == 1
    assert hub.files("org/m")["again.safetensors"] == content
    assert hub.downloaded == len(content)
    (fetched,) = hub.asked("GET /__cdn__/")
    assert fetched.host.startswith("localhost:") and fetched.bearer is None
    assert hub.asked("HEAD /resolve/")[0].bearer == hub.token


def test_a_file_above_the_part_size_is_sent_in_parts(hub, client):
    hub.part_size = 100_000

    client("""
api.create_repo("org/m")
commit("org/m", {"model.safetensors": b"0123456789" * 25_000})
""")

    assert len(hub.asked("PUT /__s3__/part/")) == 3
    assert len(hub.asked("POST /__s3__/complete/")) == 1
    assert hub.files("org/m")["model.safetensors"] == b"0123456789" * 25_000


def test_a_listing_has_pages_and_tells_large_files_digests(hub, client):
    hub.page = 3
    hub.commit("org/m", {f"sub/{number}.txt": b"x" for number in range(5)} | {"model.bin": b"weights"})

    (listed,) = client("""
said({entry.path: getattr(entry, "lfs", None) and entry.lfs.sha256 for entry in api.list_repo_tree("org/m", recursive=True)})
""")

    assert listed == {".gitattributes": None, "sub": None, **{f"sub/{number}.txt": None for number in range(5)},
                      "model.bin": hashlib.sha256(b"weights").hexdigest()}
    assert len(hub.asked("GET /tree/")) == 3


def test_a_snapshot_of_a_tag_is_its_commit(hub, client, tmp_path):
    first = hub.commit("org/m", {"a.txt": b"one", "model.bin": b"weights"})
    hub.tag("org/m", "v1")
    hub.commit("org/m", {"a.txt": b"two"})

    (folder,) = client("""said(snapshot_download("org/m", revision="v1"))""")

    assert folder.endswith(first)
    assert {name: (tmp_path / folder / name).read_bytes() for name in ("a.txt", "model.bin")} == {"a.txt": b"one", "model.bin": b"weights"}


def test_tags_branches_and_refs(hub, client):
    before = hub.commit("org/m", {"a.txt": b"one"})
    head = hub.commit("org/m", {"a.txt": b"two"})

    tags, branches, again, gone = client(f"""
api.create_tag("org/m", tag="v1", revision="{before}")
api.create_branch("org/m", branch="dev", revision="v1")
refs = api.list_repo_refs("org/m")
said({{ref.name: ref.target_commit for ref in refs.tags}})
said({{ref.name: ref.target_commit for ref in refs.branches}})
said(refused(lambda: api.create_tag("org/m", tag="v1", revision="main")))
api.delete_tag("org/m", tag="v1")
said(refused(lambda: api.model_info("org/m", revision="v1")))
""")

    assert tags == {"v1": before} and branches == {"main": head, "dev": before}
    assert again == ["HfHubHTTPError", 409] and gone == ["RevisionNotFoundError", 404]


def test_a_pull_request_is_a_commit_beside_main(hub, client):
    head = hub.commit("org/m", {"a.txt": b"one"})

    url, revision, refs = client("""
made = commit("org/m", {"a.txt": b"two"}, create_pr=True)
said(made.pr_url)
said(made.pr_revision)
said([ref.target_commit for ref in api.list_repo_refs("org/m", include_pull_requests=True).pull_requests])
""")

    assert url == f"{hub.url}/org/m/discussions/1" and revision == "refs/pr/1"
    assert hub.head("org/m") == head
    assert hub.files("org/m", "refs/pr/1")["a.txt"] == b"two" and refs == [hub.history("org/m", "refs/pr/1")[0].oid]


def test_deletes_copies_and_folders(hub, client):
    hub.commit("org/m", {"a.txt": b"one", "sub/b.txt": b"b", "sub/c.txt": b"c", "model.bin": b"weights"})

    client("""
api.create_commit("org/m", [CommitOperationDelete("a.txt"), CommitOperationDelete("sub/"), CommitOperationCopy("model.bin", "copy.bin")],
                  commit_message="tidy")
""")

    assert {name for name in hub.files("org/m") if name != ".gitattributes"} == {"model.bin", "copy.bin"}
    assert hub.uploaded == 0


def test_a_repository_says_what_its_card_says_and_children_are_found_by_their_base(hub, client):
    hub.commit("org/base", {"README.md": b"---\nlicense: mit\n---\n# base\n"})
    hub.commit("org/medical", {"README.md": b"---\nbase_model: org/base\ntags:\n- medical\nlibrary_name: peft\n---\n", "adapter_config.json": b"{}"})

    children, tags, expanded, blobs = client("""
said([found.id for found in api.list_models(filter="base_model:adapter:org/base")])
said(api.model_info("org/medical").tags)
said(api.model_info("org/medical", expand=["baseModels", "sha"]).sha)
said([sibling.size for sibling in api.model_info("org/base", files_metadata=True).siblings])
""")

    assert children == ["org/medical"]
    assert set(tags) >= {"medical", "peft", "base_model:org/base", "base_model:adapter:org/base"}
    assert expanded == hub.head("org/medical")
    assert blobs[-1] == len(b"---\nlicense: mit\n---\n# base\n")


def test_a_card_that_is_no_yaml_is_refused_before_anything_is_sent(hub, client):
    (refusal,) = client("""
api.create_repo("org/m")
said(refused(lambda: commit("org/m", {"README.md": b"---\\nbase_model: [\\n---\\n"})))
""")

    assert refusal[0] == "ValueError"
    assert len(hub.history("org/m")) == 1


def test_who_may_not_see_may_not_know_and_who_may_not_write_is_told(hub, client):
    hub.commit("org/open", {"a.txt": b"one"})
    hub.create("org/secret", private=True)

    nobody = client("""
said(refused(lambda: api.model_info("org/secret", token=False)))
said(refused(lambda: api.whoami(token="hf_wrong")))
""")
    bob = client("""
said(refused(lambda: api.model_info("org/secret")))
said(refused(lambda: commit("org/open", {"a.txt": b"two"})))
said(refused(lambda: api.create_repo("org/new")))
said(refused(lambda: api.auth_check("org/open", write=True)))
said(api.model_info("org/open").id)
""", HF_TOKEN=hub.tokens["bob"])

    assert nobody == [["HfHubHTTPError", 401], ["HfHubHTTPError", 401]]
    assert bob == [["RepositoryNotFoundError", 404], ["HfHubHTTPError", 403], ["HfHubHTTPError", 403], ["HfHubHTTPError", 403], "org/open"]


def test_a_gated_repository_shows_its_tree_and_keeps_its_files(hub, client):
    hub.commit("org/m", {"a.txt": b"one"})
    hub.repository("org/m").gated = "manual"

    listed, bob, nobody = client("""
said(api.list_repo_files("org/m"))
said(refused(lambda: hf_hub_download("org/m", "a.txt")))
said(refused(lambda: hf_hub_download("org/m", "a.txt", token=False)))
""", HF_TOKEN=hub.tokens["bob"])

    assert "a.txt" in listed
    assert bob[0] == "GatedRepoError" and nobody[0] == "GatedRepoError"


def test_a_renamed_repository_takes_commits_under_its_old_name(hub, client):
    hub.commit("org/old", {"a.txt": b"one"})

    name, url = client("""
api.move_repo("org/old", "org/new")
said(api.model_info("org/old").id)
said(commit("org/old", {"a.txt": b"two"}).commit_url)
""")

    assert name == "org/new" and "/org/new/commit/" in url
    assert hub.files("org/new")["a.txt"] == b"two"


def test_a_repository_deleted_and_made_again_has_another_history(hub, client):
    old = hub.commit("org/m", {"a.txt": b"one"})

    (gone,) = client(f"""
api.delete_repo("org/m")
api.create_repo("org/m")
said(refused(lambda: api.model_info("org/m", revision="{old}")))
""")

    assert gone == ["RevisionNotFoundError", 404]


def test_a_rewritten_history_loses_its_commits(hub, client):
    old = hub.commit("org/m", {"a.txt": b"one"})

    (gone,) = client(f"""
api.super_squash_history("org/m")
said(refused(lambda: api.model_info("org/m", revision="{old}")))
""")

    assert gone == ["RevisionNotFoundError", 404]
    assert len(hub.history("org/m")) == 1 and hub.files("org/m")["a.txt"] == b"one"


# Xet.


@pytest.mark.parametrize("kind", ["random", "words", "floats"])
def test_what_went_by_xet_comes_back_by_xet_and_by_lfs(hub, xet, client, kind):
    content = {"random": random.Random(1).randbytes(700_000), "words": b"the patient takes one a day, " * 30_000,
               "floats": struct.pack("<60000f", *(index / 7 for index in range(60_000)))}[kind]
    path = Path(xet.folder, f"{kind}.bin")
    path.write_bytes(content)

    ran = xet.run(path, code=SETUP + """
api.create_repo("org/m")
commit("org/m", {"model.bin": sys.argv[1]})
said(api.get_paths_info("org/m", "model.bin")[0].xet_hash)
said(open(hf_hub_download("org/m", "model.bin"), "rb").read() == open(sys.argv[1], "rb").read())
""")
    (by_lfs,) = client("""
import hashlib
said(hashlib.sha256(open(hf_hub_download("org/m", "model.bin"), "rb").read()).hexdigest())
""")

    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1] == "true"
    assert hub.asked("POST /__cas__/v1/xorbs/") and hub.asked("GET /__cas__/xorb/") and not hub.asked("PUT /__s3__/")
    assert hub.files("org/m")["model.bin"] == content
    assert by_lfs == hashlib.sha256(content).hexdigest()


# Faults to order.


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


def test_a_download_that_is_cut_goes_on_and_one_with_a_flipped_byte_is_accepted_by_the_client(hub, client):
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
    assert [request.headers.get("range") for request in hub.asked("GET /__cdn__/")] == [None, f"bytes={10 << 20}-", None]
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
    assert [(request.host.split(":")[0], request.bearer) for request in hub.asked("GET /api/models/org/m")] == [
        ("127.0.0.1", hub.token), ("localhost", None)]


def test_a_process_can_be_killed_at_a_request(hub, lfs):
    hub.commit("org/m", {"a.txt": b"one"})
    at_work = threading.Event()
    hub.fault("POST /commit/", first=lambda: at_work.wait() and running.kill(), hang=0.2)

    running = lfs.start(code=SETUP + """commit("org/m", {"a.txt": b"two"})""")
    at_work.set()

    assert running.wait().code == KILLED
