"""The server for the tests says what the Hub says, as far as the unpatched client can tell."""

from __future__ import annotations

import hashlib


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
    assert [commit.parent for commit in hub.history("org/m")][:2] == [
        first,
        hub.history("org/m")[2].oid,
    ]
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
    hub.commit(
        "org/m", {f"sub/{number}.txt": b"x" for number in range(5)} | {"model.bin": b"weights"}
    )

    (listed,) = client("""
said({entry.path: getattr(entry, "lfs", None) and entry.lfs.sha256 for entry in api.list_repo_tree("org/m", recursive=True)})
""")

    assert listed == {
        ".gitattributes": None,
        "sub": None,
        **{f"sub/{number}.txt": None for number in range(5)},
        "model.bin": hashlib.sha256(b"weights").hexdigest(),
    }
    assert len(hub.asked("GET /tree/")) == 3


def test_a_snapshot_of_a_tag_is_its_commit(hub, client, tmp_path):
    first = hub.commit("org/m", {"a.txt": b"one", "model.bin": b"weights"})
    hub.tag("org/m", "v1")
    hub.commit("org/m", {"a.txt": b"two"})

    (folder,) = client("""said(snapshot_download("org/m", revision="v1"))""")

    assert folder.endswith(first)
    assert {name: (tmp_path / folder / name).read_bytes() for name in ("a.txt", "model.bin")} == {
        "a.txt": b"one",
        "model.bin": b"weights",
    }


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
    assert hub.files("org/m", "refs/pr/1")["a.txt"] == b"two" and refs == [
        hub.history("org/m", "refs/pr/1")[0].oid
    ]


def test_deletes_copies_and_folders(hub, client):
    hub.commit(
        "org/m", {"a.txt": b"one", "sub/b.txt": b"b", "sub/c.txt": b"c", "model.bin": b"weights"}
    )

    client("""
api.create_commit("org/m", [CommitOperationDelete("a.txt"), CommitOperationDelete("sub/"), CommitOperationCopy("model.bin", "copy.bin")],
                  commit_message="tidy")
""")

    assert {name for name in hub.files("org/m") if name != ".gitattributes"} == {
        "model.bin",
        "copy.bin",
    }
    assert hub.uploaded == 0


def test_a_repository_says_what_its_card_says_and_children_are_found_by_their_base(hub, client):
    hub.commit("org/base", {"README.md": b"---\nlicense: mit\n---\n# base\n"})
    hub.commit(
        "org/medical",
        {
            "README.md": b"---\nbase_model: org/base\ntags:\n- medical\nlibrary_name: peft\n---\n",
            "adapter_config.json": b"{}",
        },
    )

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
    bob = client(
        """
said(refused(lambda: api.model_info("org/secret")))
said(refused(lambda: commit("org/open", {"a.txt": b"two"})))
said(refused(lambda: api.create_repo("org/new")))
said(refused(lambda: api.auth_check("org/open", write=True)))
said(api.model_info("org/open").id)
""",
        HF_TOKEN=hub.tokens["bob"],
    )

    assert nobody == [["HfHubHTTPError", 401], ["HfHubHTTPError", 401]]
    assert bob == [
        ["RepositoryNotFoundError", 404],
        ["HfHubHTTPError", 403],
        ["HfHubHTTPError", 403],
        ["HfHubHTTPError", 403],
        "org/open",
    ]


def test_a_gated_repository_shows_its_tree_and_keeps_its_files(hub, client):
    hub.commit("org/m", {"a.txt": b"one"})
    hub.repository("org/m").gated = "manual"

    listed, bob, nobody = client(
        """
said(api.list_repo_files("org/m"))
said(refused(lambda: hf_hub_download("org/m", "a.txt")))
said(refused(lambda: hf_hub_download("org/m", "a.txt", token=False)))
""",
        HF_TOKEN=hub.tokens["bob"],
    )

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
