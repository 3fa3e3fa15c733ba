"""Bundles: what goes in comes out, the same digests, names and numbers; what does not fit here is said."""

from __future__ import annotations

import errno
import os
import shutil
import tarfile

import pytest

from registry.core.digest import digest_of
from registry.core.entry import parse
from registry.errors import (
    BlobNotFound,
    DigestMismatch,
    FolderNotFound,
    Invalid,
    InvalidName,
    NameTaken,
    NumberTaken,
    ParentNotFound,
)
from registry.transfer import tar
from tests.operations.bundle.tampering import journal
from tests.operations.maintenance.audit.damage import blob, entry_file, flip, names
from tests.support import plain
from tests.support.refusals import raises


def test_a_version_comes_with_its_line_under_the_same_names_numbers_and_digests(
    copied, other, medical
):
    pulled = other.pull(str(medical))

    assert pulled.registered == ("minilm@1", "minilm-medical@1", "medical@1")
    for name in ("minilm@1", "minilm-medical@1", "medical@1"):
        here, there = other.show(name), copied.show(name)
        assert (here.version.digest, here.facts, here.files) == (
            there.version.digest,
            there.facts,
            there.files,
        )
    assert [version.reference for version in pulled.versions] == ["medical@1"]
    assert names(other, full=True) == []


def test_what_is_there_already_is_a_success_that_writes_nothing(other, medical):
    other.pull(str(medical))
    before = journal(other)

    again = other.pull(str(medical))

    assert (again.registered, again.already) == ((), ("minilm@1", "minilm-medical@1", "medical@1"))
    assert journal(other) == before


@pytest.mark.slow
def test_only_what_the_other_side_lacks_is_in_it(copied, other, medical, tmp_path):
    other.pull(str(medical))
    copied.add(
        plain.adapter(
            tmp_path / "second", tmp_path / "nowhere", seed=9, added=("zorvaxin", "quelora")
        ),
        "medical",
        parent="minilm-medical@1",
    )

    done = copied.bundle("medical@2", tmp_path / "update.tar", have=medical)

    assert done.size < medical.stat().st_size / 2
    assert other.pull(str(tmp_path / "update.tar")).registered == ("medical@2",)
    assert names(other, full=True) == []


def test_what_the_other_side_has_can_be_a_list_of_digests(copied, other, medical, tmp_path):
    other.pull(str(medical))
    (tmp_path / "have.txt").write_text(
        "".join(f"{digest}\n" for digest, _ in other.home.blobs.all())
    )

    done = copied.bundle("medical@1", tmp_path / "nothing.tar", have=tmp_path / "have.txt")

    assert done.blobs == 0
    assert done.left_out > 10
    assert other.pull(str(tmp_path / "nothing.tar")).registered == ()


def test_an_empty_list_of_digests_leaves_nothing_out_and_a_mark_of_utf_8_is_no_digest(
    copied, tmp_path
):
    (tmp_path / "none").write_text("")
    (tmp_path / "some").write_bytes(
        b"\xef\xbb\xbf" + copied.show("minilm@1").version.digest.encode() + b"\r\n"
    )

    left_out = [
        copied.bundle("minilm@1", tmp_path / "out.tar", have=tmp_path / have).left_out
        for have in ("none", "some")
    ]

    assert left_out == [0, 1]


def test_a_bundle_for_somebody_who_has_more_is_refused_whole(copied, other, medical, tmp_path):
    copied.bundle("medical@1", tmp_path / "nothing.tar", have=medical)

    with tarfile.open(medical) as archive:
        lacked = sorted(name.rpartition("/")[2] for name in archive.getnames()[1:])
    with raises(BlobNotFound, f"sha256:{lacked[0]}", f" {len(lacked) - 1} ", "--have"):
        other.pull(str(tmp_path / "nothing.tar"))

    assert other.list() == ()


def test_a_number_that_is_another_model_here_is_refused_and_can_be_given_otherwise(
    copied, other, medical, tmp_path
):
    foreign = other.add(plain.base(tmp_path / "foreign", seed=77), "medical")

    with raises(
        NumberTaken,
        "medical@1",
        foreign.digest[:19],
        copied.resolve("medical@1").digest[:19],
        "--renumber",
        "--as",
    ):
        other.pull(str(medical))
    assert [model.name for model in other.list()] == ["medical"]

    registry_id = parse(entry_file(copied, 1).read_bytes()).body.store
    with raises(NameTaken, "medical", registry_id[:12], "--as", "--from-any"):
        other.pull(str(medical), renumber=True)
    assert other.pull(str(medical), renumber=True, from_any=True).registered == (
        "minilm@1",
        "minilm-medical@1",
        "medical@2",
    )
    assert other.show("medical@2").version.parents[0].reference == "minilm-medical@1"


def test_names_can_be_given_otherwise(copied, other, medical, tmp_path):
    foreign = other.add(plain.base(tmp_path / "foreign", seed=77), "minilm")

    with raises(
        NameTaken,
        "minilm@1",
        foreign.digest[:19],
        copied.resolve("minilm@1").digest[:19],
        "--parent-as minilm=",
    ):
        other.pull(str(medical))

    pulled = other.pull(str(medical), name="medical-eu", parent_as={"minilm": "org-minilm"})
    assert pulled.registered == ("org-minilm@1", "minilm-medical@1", "medical-eu@1")
    with pytest.raises(InvalidName):
        other.pull(str(medical), name="../x")


def test_a_parent_that_is_here_under_another_name_stays_there(other, medical, kept):
    other.add(kept / "base", "ours")

    assert other.pull(str(medical)).registered == ("minilm-medical@1", "medical@1")
    assert other.show("minilm-medical@1").version.parents[0].reference == "ours@1"


def test_it_loads_exactly_there(copied, other, medical):
    texts = ["zorvaxin one a day", "the patient takes quelora"]
    before = copied.load("medical@1", device="cpu").encode(texts)

    other.pull(str(medical))

    assert (other.load("medical@1", device="cpu").encode(texts) == before).all()


def test_no_path_of_the_machine_is_in_it_and_the_same_versions_make_the_same_bytes(
    copied, medical, tmp_path
):
    copied.bundle("medical@1", tmp_path / "again.tar")

    assert str(tmp_path).encode() not in medical.read_bytes()
    assert (tmp_path / "again.tar").read_bytes() == medical.read_bytes()


def test_standard_tools_read_it(copied, medical, tmp_path):
    import subprocess

    listed = subprocess.run(
        ["tar", "tf", str(medical)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    subprocess.run(["tar", "xf", str(medical), "-C", str(tmp_path)], check=True)

    assert listed[0] == "index.json"
    for name in listed[1:]:
        assert digest_of((tmp_path / name).read_bytes()).hex == name.rpartition("/")[2]


def test_a_damaged_blob_is_not_bundled_and_nothing_is_left(copied, tmp_path):
    weights = blob(copied, "model.safetensors", "minilm@1")
    flip(weights)
    kept_out = tmp_path / "out"
    kept_out.mkdir()

    with raises(DigestMismatch, f"sha256:{weights.name}", "registry repair"):
        copied.bundle("minilm@1", kept_out / "x.tar")

    assert list(kept_out.iterdir()) == []


@pytest.mark.parametrize("what", [{}, {"versions": "medical@1", "everything": True}])
def test_it_must_be_said_what_to_bundle(copied, tmp_path, what):
    with raises(Invalid, "--all"):
        copied.bundle(output=tmp_path / "x.tar", **what)


def test_a_bundle_that_is_not_there_is_said(other, tmp_path):
    with raises(FolderNotFound, str(tmp_path / "no-such.tar"), os.strerror(errno.ENOENT).lower()):
        other.pull(str(tmp_path / "no-such.tar"))


def test_what_comes_from_the_hub_alone_cannot_be_said_of_a_bundle(other, medical):
    with raises(Invalid, str(medical), "hf://"):
        other.pull(str(medical), aliases=True)


def test_sizes_beyond_eight_gigabytes_are_written_as_gnu_tar_does():
    block = tar.header("blobs/sha256/ab/x", 1 << 40)

    assert tarfile.TarInfo.frombuf(block, "ascii", "strict").size == 1 << 40
    assert shutil.which("tar")


@pytest.mark.slow
def test_a_parent_that_is_deleted_while_its_child_comes_is_not_stood_on(
    copied, other, medical, tmp_path
):
    copied.bundle("minilm-medical@1", tmp_path / "parents.tar")
    other.pull(str(tmp_path / "parents.tar"))

    def deleting(what, done, total):
        if what == "reading" and other.list("minilm-medical"):
            other.delete("minilm-medical@1")

    with raises(ParentNotFound, "minilm-medical@1"):
        other.pull(str(medical), progress=deleting)

    assert [version.reference for model in other.list() for version in other.list(model.name)] == [
        "minilm@1"
    ]
