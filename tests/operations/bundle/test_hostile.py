"""A bundle that is damaged, lies, or holds anything else is refused whole."""

from __future__ import annotations

import json
import os
import tarfile

import pytest

import registry
from registry.core.digest import canonical, digest_of
from registry.errors import Corrupt, ForeignCode, Invalid, NewerFormat, RegistryError, UnsafeFile
from registry.transfer import tar
from tests.operations.bundle.tampering import journal, rewritten, sealed, with_index
from tests.support.refusals import raises


@pytest.mark.slow
def test_any_flipped_byte_of_a_bundle_is_refused_whole(other, medical):
    """Headers, index, lengths and padding: each byte; contents: a few of each."""
    content = medical.read_bytes()
    with medical.open("rb") as stream:
        members = list(tar.members(stream, len(content), "it"))
    places = {
        place
        for member in members[1:]
        for place in (
            *range(member.offset - 512, member.offset, 31),
            member.offset,
            member.offset + member.size - 1,
            member.offset + member.size,
        )
    }
    places |= {*range(0, members[1].offset, 7), *range(len(content) - 1024, len(content), 31)}
    before = journal(other)
    for place in places:
        medical.write_bytes(
            content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        )
        with pytest.raises(Corrupt):
            other.pull(str(medical))
    assert len(places) > 500
    assert journal(other) == before


@pytest.mark.parametrize("cut", [0, 1, 10, 11, 130, 511, 512, 5000, -1500, -1025, -1024, -512, -1])
def test_a_bundle_cut_off_anywhere_is_damaged(other, medical, cut):
    medical.write_bytes(medical.read_bytes()[:cut])

    with raises(Corrupt, str(medical), f"byte {medical.stat().st_size}"):
        other.pull(str(medical))


@pytest.mark.parametrize("more", [b"\0", bytes(512), b"<html>", bytes(10240)])
def test_bytes_after_the_end_are_damage(other, medical, more):
    medical.write_bytes(medical.read_bytes() + more)

    with raises(Corrupt, str(medical)) as caught:
        other.pull(str(medical))

    assert type(caught.value) is Corrupt
    assert other.list() == ()


def test_any_flipped_byte_of_a_whole_home_s_journal_is_damage(copied, tmp_path):
    copied.bundle((), tmp_path / "whole.tar", everything=True)
    content = (tmp_path / "whole.tar").read_bytes()
    begin = content.index(b"journal/") // 512 * 512

    for place in range(begin, len(content), 97):
        (tmp_path / "whole.tar").write_bytes(
            content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        )
        with pytest.raises(Corrupt):
            registry.pull(str(tmp_path / "whole.tar"), home=tmp_path / "restored")

    assert not (tmp_path / "restored").exists()


def plain_tar(path):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("index.html"))


@pytest.mark.parametrize(
    ("make", "quoted"),
    [
        (
            lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000)),
            (r"b'\x89PNG\r\n\x1a\n'", "registry bundle"),
        ),
        (
            lambda path: path.write_bytes(b"PK\x03\x04" + bytes(1000)),
            (r"b'PK\x03\x04\x00\x00\x00\x00'", "registry bundle"),
        ),
        (lambda path: path.write_text("hello\n"), (r"b'hello\n'", "registry bundle")),
        (lambda path: path.write_text("index.html\n" * 100), ("b'index.ht'", "registry bundle")),
        (lambda path: path.write_bytes(bytes(1024)), (repr(bytes(8)), "registry bundle")),
        (plain_tar, ("b'index.ht'", "registry bundle")),
        (lambda path: path.mkdir(), ("registry add", "--as")),
        (os.mkfifo, ()),
    ],
    ids=range(8),
)
def test_what_is_no_bundle_at_all_is_wrong_use(other, tmp_path, make, quoted):
    make(tmp_path / "it")

    with raises(Invalid, str(tmp_path / "it"), *quoted) as caught:
        other.pull(str(tmp_path / "it"))

    assert type(caught.value) is Invalid


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    "change",
    [
        lambda files: [*files, ("../../evil", b"x")],
        lambda files: [*files, ("/etc/passwd", b"x")],
        lambda files: [*files, ("blobs/sha256/../../evil", b"x")],
        lambda files: [*files, ("journal/00000000000000000001.json", b"{}")],
        lambda files: [*files, files[1]],
        lambda files: files[:-1],
        lambda files: [*files[1:], files[0]],
        lambda files: [files[0], *files],
        lambda files: [files[0], (files[1][0], files[1][1] + b"x"), *files[2:]],
        lambda files: [
            files[0],
            (files[1][0], files[2][1]),
            (files[2][0], files[1][1]),
            *files[3:],
        ],
        lambda files: [(files[0][0], b"[" * 100_000 + b"]" * 100_000), *files[1:]],
        lambda files: [(files[0][0], b'{"format":' + b"9" * 100_000 + b"}"), *files[1:]],
        lambda files: [(files[0][0], b"\xff\xfe"), *files[1:]],
        lambda files: [],
    ],
    ids=range(14),
)
def test_a_bundle_with_anything_else_in_it_is_refused_whole(other, medical, tmp_path, change):
    rewritten(medical, change)

    with pytest.raises((UnsafeFile, Corrupt, Invalid)):
        other.pull(str(medical))

    assert other.list() == ()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.sampled(8)
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda value: value.update(format=2), NewerFormat),
        (lambda value: value.update(extra=1), UnsafeFile),
        (lambda value: value.update(versions=[]), UnsafeFile),
        (lambda value: value.update(versions=value["versions"][::-1]), UnsafeFile),
        (lambda value: value.update(versions=value["versions"][1:]), UnsafeFile),
        (
            lambda value: value.update(versions=[*value["versions"], value["versions"][0]]),
            UnsafeFile,
        ),
        (lambda value: value["versions"][0].update(name="../evil"), UnsafeFile),
        (lambda value: value["versions"][0].update(number=0), UnsafeFile),
        (lambda value: value["versions"][0].update(number=True), UnsafeFile),
        (lambda value: value["versions"][1].update(edges=[]), UnsafeFile),
        (lambda value: value["versions"][1]["edges"][0].update(evidence="sworn"), UnsafeFile),
        (lambda value: value["versions"][0].update(manifest=value["blobs"][0][0]), RegistryError),
        (lambda value: value["blobs"][0].__setitem__(1, -1), UnsafeFile),
        (lambda value: value["blobs"][0].__setitem__(1, 1 << 70), UnsafeFile),
        (lambda value: value["blobs"].append(value["blobs"][0]), UnsafeFile),
        (
            lambda value: value.update(journal={"entries": 1, "digest": value["blobs"][0][0]}),
            UnsafeFile,
        ),
        (
            lambda value: value.update(
                what="home", journal={"entries": 1, "digest": value["blobs"][0][0]}
            ),
            Corrupt,
        ),
        (
            lambda value: value["versions"][0]["source"].update(recipe={"format": 1, "seed": []}),
            UnsafeFile,
        ),
        (
            lambda value: value["versions"][0]["source"].update(
                recipe={"format": 1, "tokens": [{"id": 1, "content": []}]}
            ),
            UnsafeFile,
        ),
        (lambda value: value["versions"][0]["source"].update(recipe={"format": 2}), NewerFormat),
    ],
    ids=range(20),
)
def test_an_index_that_lies_is_refused_whole(other, medical, change, error):
    rewritten(medical, with_index(change))

    with pytest.raises(error):
        other.pull(str(medical))

    assert other.list() == ()


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.XHDTYPE,
    ],
)
def test_links_devices_and_long_names_are_refused(other, medical, kind):
    item = tarfile.TarInfo("blobs/sha256/ab/link")
    item.type, item.linkname = kind, "/etc/passwd"
    medical.write_bytes(
        medical.read_bytes()[:-1024] + item.tobuf(tarfile.USTAR_FORMAT)[:512] + bytes(1024)
    )

    with pytest.raises(UnsafeFile):
        other.pull(str(medical))


def test_a_model_that_needs_code_is_refused_with_its_whole_bundle(
    copied, other, medical, kept, tmp_path
):
    """The child alone is bad; its parents, which come first, are not registered either."""

    def poisoned(files):
        value = json.loads(files[0][1])
        contents = {f"sha256:{name.rpartition('/')[2]}": content for name, content in files[1:]}
        child = value["versions"][-1]
        manifest = json.loads(contents[child["manifest"]])
        config = next(file for file in manifest["files"] if file["path"] == "modules.json")
        modules = json.loads(contents[config["digest"]])
        modules[0]["type"] = "evil.Transformer"
        content = json.dumps(modules).encode()
        config.update(digest=digest_of(content), size=len(content))
        contents.pop(child["manifest"])
        child["manifest"] = digest_of(canonical(manifest))
        contents |= {digest_of(content): content, child["manifest"]: canonical(manifest)}
        value["blobs"] = sorted([digest, len(item)] for digest, item in contents.items())
        return [
            ("index.json", sealed(value)),
            *(
                (f"blobs/sha256/{digest[7:9]}/{digest[7:]}", contents[digest])
                for digest, _ in value["blobs"]
            ),
        ]

    rewritten(medical, poisoned)

    with raises(ForeignCode, "modules.json", "'evil.Transformer'"):
        other.pull(str(medical))

    assert other.list() == ()


@pytest.mark.parametrize("probes", [str(digest_of(b"nowhere")), "a file"])
def test_probes_that_are_not_there_or_are_none_are_refused_with_the_bundle(other, medical, probes):
    """Registered, they would make every later load fail."""

    def change(value):
        value["versions"][0]["probes"] = (
            value["versions"][0]["manifest"] if probes == "a file" else probes
        )

    rewritten(medical, with_index(change))

    with raises(UnsafeFile, "probes", *([] if probes == "a file" else ["minilm@1", probes])):
        other.pull(str(medical))

    assert other.list() == ()
