"""A bundle that is damaged, lies, or holds anything else is refused whole."""

from __future__ import annotations

import json
import tarfile

import pytest

from registry.digest import canonical, digest_of
from registry.errors import Corrupt, DigestMismatch, InvalidManifest, InvalidName, NewerFormat, RegistryError, UnsafeFile
from registry.store import tar

from .tampering import journal, rewritten, sealed, with_index


def test_any_flipped_byte_of_a_bundle_is_refused_whole(other, medical):
    """Headers, index, lengths and padding: each byte; contents: a few of each."""
    content = medical.read_bytes()
    with medical.open("rb") as stream:
        members = list(tar.members(stream, len(content), "it"))
    places = {place for member in members[1:] for place in (*range(member.offset - 512, member.offset, 31), member.offset,
                                                            member.offset + member.size - 1, member.offset + member.size)}
    places |= {*range(0, members[1].offset, 7), *range(len(content) - 1024, len(content), 31)}
    before = journal(other)
    for place in places:
        medical.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1:])
        with pytest.raises(RegistryError):
            other.pull(str(medical))
    assert len(places) > 500
    assert journal(other) == before


@pytest.mark.parametrize(("cut", "error"), [(0, UnsafeFile), (1, UnsafeFile), (511, UnsafeFile), (512, Corrupt), (5000, Corrupt), (-1, Corrupt),
                                            (-512, Corrupt), (-1024, Corrupt), (-1500, Corrupt)])
def test_a_cut_off_bundle_is_refused_as_damaged_where_it_can_still_be_told_for_one(other, medical, cut, error):
    medical.write_bytes(medical.read_bytes()[:cut])

    with pytest.raises(error):
        other.pull(str(medical))


def test_bytes_after_the_end_are_refused(other, medical):
    medical.write_bytes(medical.read_bytes() + bytes(512))

    with pytest.raises(UnsafeFile, match="after its end"):
        other.pull(str(medical))


@pytest.mark.parametrize("change", [
    lambda files: [*files, ("../../evil", b"x")],
    lambda files: [*files, ("/etc/passwd", b"x")],
    lambda files: [*files, ("blobs/sha256/../../evil", b"x")],
    lambda files: [*files, ("journal/00000000000000000001.json", b"{}")],
    lambda files: [*files, files[1]],
    lambda files: files[:-1],
    lambda files: [*files[1:], files[0]],
    lambda files: [files[0], *files],
    lambda files: [files[0], (files[1][0], files[1][1] + b"x"), *files[2:]],
    lambda files: [files[0], (files[1][0], files[2][1]), (files[2][0], files[1][1]), *files[3:]],
    lambda files: [(files[0][0], b"[" * 100_000 + b"]" * 100_000), *files[1:]],
    lambda files: [(files[0][0], b'{"format":' + b"9" * 100_000 + b"}"), *files[1:]],
    lambda files: [(files[0][0], b"\xff\xfe"), *files[1:]],
    lambda files: [],
], ids=range(14))
def test_a_bundle_with_anything_else_in_it_is_refused_whole(other, medical, tmp_path, change):
    rewritten(medical, change)

    with pytest.raises((UnsafeFile, InvalidManifest, DigestMismatch)):
        other.pull(str(medical))

    assert other.list() == ()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(("change", "error"), [
    (lambda value: value.update(format=2), NewerFormat),
    (lambda value: value.update(extra=1), InvalidManifest),
    (lambda value: value.update(versions=[]), InvalidManifest),
    (lambda value: value.update(versions=value["versions"][::-1]), InvalidManifest),
    (lambda value: value.update(versions=value["versions"][1:]), InvalidManifest),
    (lambda value: value.update(versions=[*value["versions"], value["versions"][0]]), InvalidManifest),
    (lambda value: value["versions"][0].update(name="../evil"), InvalidName),
    (lambda value: value["versions"][0].update(number=0), InvalidManifest),
    (lambda value: value["versions"][0].update(number=True), InvalidManifest),
    (lambda value: value["versions"][1].update(edges=[]), InvalidManifest),
    (lambda value: value["versions"][1]["edges"][0].update(evidence="sworn"), InvalidManifest),
    (lambda value: value["versions"][0].update(manifest=value["blobs"][0][0]), RegistryError),
    (lambda value: value["blobs"][0].__setitem__(1, -1), InvalidManifest),
    (lambda value: value["blobs"][0].__setitem__(1, 1 << 70), InvalidManifest),
    (lambda value: value["blobs"].append(value["blobs"][0]), InvalidManifest),
    (lambda value: value.update(journal={"entries": 1, "digest": value["blobs"][0][0]}), InvalidManifest),
    (lambda value: value.update(what="home", journal={"entries": 1, "digest": value["blobs"][0][0]}), UnsafeFile),
], ids=range(17))
def test_an_index_that_lies_is_refused_whole(other, medical, change, error):
    rewritten(medical, with_index(change))

    with pytest.raises(error):
        other.pull(str(medical))

    assert other.list() == ()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_LONGNAME,
                                  tarfile.XHDTYPE])
def test_links_devices_and_long_names_are_refused(other, medical, kind):
    item = tarfile.TarInfo("blobs/sha256/ab/link")
    item.type, item.linkname = kind, "/etc/passwd"
    medical.write_bytes(medical.read_bytes()[:-1024] + item.tobuf(tarfile.USTAR_FORMAT)[:512] + bytes(1024))

    with pytest.raises(UnsafeFile):
        other.pull(str(medical))


def test_a_model_that_needs_code_is_refused_with_its_whole_bundle(copied, other, medical, kept, tmp_path):
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
        return [("index.json", sealed(value)),
                *((f"blobs/sha256/{digest[7:9]}/{digest[7:]}", contents[digest]) for digest, _ in value["blobs"])]
    rewritten(medical, poisoned)

    with pytest.raises(RegistryError, match="evil"):
        other.pull(str(medical))

    assert other.list() == ()


@pytest.mark.parametrize("probes", [str(digest_of(b"nowhere")), "a file"])
def test_probes_that_are_not_there_or_are_none_are_refused_with_the_bundle(other, medical, probes):
    """Registered, they would make every later load fail."""
    def change(value):
        value["versions"][0]["probes"] = value["versions"][0]["manifest"] if probes == "a file" else probes
    rewritten(medical, with_index(change))

    with pytest.raises(InvalidManifest, match="probes"):
        other.pull(str(medical))

    assert other.list() == ()
