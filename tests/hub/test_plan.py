from __future__ import annotations

import hashlib

import pytest

from registry.core.digest import digest_of
from registry.hub.plan import Leak, changes, leaks, numbers, touches_loaders
from registry.hub.protocol import Refs, RemoteFile, Tree, Upload, git_blob


def upload(path: str, content: bytes) -> Upload:
    return Upload(path, digest_of(content), len(content), content)


def tree(**files: tuple[bytes, bool]) -> Tree:
    return Tree(
        "org/medical",
        "a" * 40,
        {
            path: RemoteFile(
                path,
                len(content),
                hashlib.sha256(content).hexdigest() if lfs else git_blob(content),
                lfs,
            )
            for path, (content, lfs) in files.items()
        },
    )


def test_a_git_blob_has_the_id_that_git_gives_it():
    assert git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_only_what_differs_is_sent():
    there = tree(same=(b"1", False), large=(b"2", True), other=(b"3", False))

    plan = changes(
        [upload("same", b"1"), upload("large", b"2"), upload("other", b"4"), upload("new", b"55")],
        there,
    )

    assert [item.path for item in plan.send] == ["other", "new"]
    assert (plan.same, plan.size, plan.nothing) == (2, 3, False)


def test_of_what_is_there_besides_only_what_an_earlier_push_put_there_is_removed():
    there = tree(old=(b"1", False), theirs=(b"2", False))

    assert changes([], there, ["old", "never"]).remove == ("old",)


def test_versions_are_told_by_their_tags():
    assert numbers(Refs({}, {"v1": "a", "v12": "b", "prod": "c", "v01": "d", "vx": "e"})) == {
        1: "a",
        12: "b",
    }


def test_weights_and_tokens_are_what_loaders_of_adapters_read():
    assert touches_loaders(["1_Dense/model.safetensors"]) and touches_loaders(["tokenizer.json"])
    assert not touches_loaders(["README.md", "config.json", ".registry/manifest.json"])


def test_a_place_of_this_machine_is_found_with_its_line():
    found = leaks([upload("README.md", b"one\ntwo /home/anna/models here\n")], ["/home/anna"])

    assert found == [Leak("README.md", 2, "/home/anna")]


def test_a_place_with_escaped_slashes_is_found_too():
    assert leaks([upload("config.json", rb'{"a": "\/srv\/train\/run7"}')], ["/srv/train"])


def test_the_user_s_name_in_a_path_is_found_and_a_word_like_it_is_not():
    uploads = [
        upload("a.md", b"/data/anna/runs"),
        upload("b.md", b"see https://example.org/anna/ and anna and /annals/"),
        upload("c.md", rb"C:\Users\anna\x"),
    ]

    assert [leak.path for leak in leaks(uploads, [], "anna")] == ["a.md", "c.md"]


def test_weights_and_other_bytes_are_not_searched():
    assert (
        leaks(
            [upload("model.safetensors", b"/home/anna"), upload("x", b"\xff/home/anna")],
            ["/home/anna"],
        )
        == []
    )


def test_a_folder_that_only_begins_like_a_place_is_another():
    assert leaks([upload("a.md", b"/home/annabel")], ["/home/anna"]) == []


@pytest.mark.parametrize(
    "path",
    [
        "spiece.model",
        "sentencepiece.bpe.model",
        "0_Transformer/tokenizer.model",
        "tokenizer.json",
        "pytorch_model.bin",
    ],
)
def test_adapters_stand_on_weights_and_on_tokens_of_every_kind(path):
    assert touches_loaders([path])
