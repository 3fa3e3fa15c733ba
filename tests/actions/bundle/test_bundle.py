"""Bundles: what goes in comes out, the same digests, names and numbers; a damaged or hostile one is refused whole."""

from __future__ import annotations

import json
import shutil
import tarfile
import threading
import time

import pytest

import registry
from registry.digest import canonical, digest_of
from registry.errors import (
    BlobNotFound,
    BrokenChain,
    Corrupt,
    DigestMismatch,
    FolderNotFound,
    Invalid,
    InvalidManifest,
    InvalidName,
    NameTaken,
    NewerFormat,
    NumberTaken,
    ParentNotFound,
    RegistryError,
    UnsafeFile,
    WrongStore,
)
from registry.store import tar
from tests.support import plain

from ..audit.damage import blob, dump, flip, names


@pytest.fixture
def other(tmp_path):
    """A registry without anything."""
    with registry.init(tmp_path / "other") as opened:
        yield opened


@pytest.fixture
def medical(copied, tmp_path):
    """A bundle of medical@1 and its line."""
    copied.bundle("medical@1", tmp_path / "medical.tar")
    return tmp_path / "medical.tar"


def journal(reg) -> list[bytes]:
    return [path.read_bytes() for path in sorted((reg.settings.home / "journal").iterdir())]


def rewritten(path, change) -> None:
    """A bundle whose files, (name, content) in order, were changed; its headers fit."""
    with tarfile.open(path) as archive:
        files = [(item.name, archive.extractfile(item).read()) for item in archive]
    changed = change(files)
    path.write_bytes(b"".join(tar.header(name, len(content)) + content + tar.padding(len(content)) for name, content in changed) + tar.END)


def with_index(change):
    def apply(files):
        value = json.loads(files[0][1])
        change(value)
        return [("index.json", sealed(value)), *files[1:]]
    return apply


def sealed(value) -> bytes:
    """An index with the digest that it then has."""
    return canonical({**value, "digest": digest_of(canonical({key: item for key, item in value.items() if key != "digest"}))})


def test_a_version_comes_with_its_line_under_the_same_names_numbers_and_digests(copied, other, medical):
    pulled = other.pull(str(medical))

    assert pulled.registered == ("minilm@1", "minilm-medical@1", "medical@1")
    for name in ("minilm@1", "minilm-medical@1", "medical@1"):
        here, there = other.show(name), copied.show(name)
        assert (here.version.digest, here.facts, here.files) == (there.version.digest, there.facts, there.files)
    assert [version.reference for version in pulled.versions] == ["medical@1"]
    assert names(other, full=True) == []


def test_what_is_there_already_is_a_success_that_writes_nothing(other, medical):
    other.pull(str(medical))
    before = journal(other)

    again = other.pull(str(medical))

    assert (again.registered, again.already) == ((), ("minilm@1", "minilm-medical@1", "medical@1"))
    assert journal(other) == before


def test_only_what_the_other_side_lacks_is_in_it(copied, other, medical, tmp_path):
    other.pull(str(medical))
    copied.add(plain.adapter(tmp_path / "second", tmp_path / "nowhere", seed=9, added=("zorvaxin", "quelora")), "medical", parent="minilm-medical@1")

    done = copied.bundle("medical@2", tmp_path / "update.tar", have=medical)

    assert done.size < medical.stat().st_size / 2
    assert other.pull(str(tmp_path / "update.tar")).registered == ("medical@2",)
    assert names(other, full=True) == []


def test_what_the_other_side_has_can_be_a_list_of_digests(copied, other, medical, tmp_path):
    other.pull(str(medical))
    (tmp_path / "have.txt").write_text("".join(f"{digest}\n" for digest, _ in other.home.blobs.all()))

    done = copied.bundle("medical@1", tmp_path / "nothing.tar", have=tmp_path / "have.txt")

    assert done.blobs == 0
    assert done.left_out > 10
    assert other.pull(str(tmp_path / "nothing.tar")).registered == ()


def test_a_bundle_for_somebody_who_has_more_is_refused_whole(copied, other, medical, tmp_path):
    copied.bundle("medical@1", tmp_path / "nothing.tar", have=medical)

    with pytest.raises(BlobNotFound, match="made for somebody who has"):
        other.pull(str(tmp_path / "nothing.tar"))

    assert other.list() == ()


def test_a_number_that_is_another_model_here_is_refused_and_can_be_given_otherwise(other, medical, tmp_path):
    other.add(plain.base(tmp_path / "foreign", seed=77), "medical")

    with pytest.raises(NumberTaken, match="medical@1 is another model here .*--renumber"):
        other.pull(str(medical))
    assert [model.name for model in other.list()] == ["medical"]

    with pytest.raises(NameTaken, match="medical is here, and does not come from the registry .*--from-any"):
        other.pull(str(medical), renumber=True)
    assert other.pull(str(medical), renumber=True, from_any=True).registered == ("minilm@1", "minilm-medical@1", "medical@2")
    assert other.show("medical@2").version.parents[0].reference == "minilm-medical@1"


def test_names_can_be_given_otherwise(other, medical, tmp_path):
    other.add(plain.base(tmp_path / "foreign", seed=77), "minilm")

    with pytest.raises(NameTaken, match="the parent minilm@1 .* is another model than minilm@1 here .*--parent-as minilm=NAME"):
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


def test_no_path_of_the_machine_is_in_it_and_the_same_versions_make_the_same_bytes(copied, medical, tmp_path):
    copied.bundle("medical@1", tmp_path / "again.tar")

    assert str(tmp_path).encode() not in medical.read_bytes()
    assert (tmp_path / "again.tar").read_bytes() == medical.read_bytes()


def test_standard_tools_read_it(copied, medical, tmp_path):
    import subprocess
    listed = subprocess.run(["tar", "tf", str(medical)], capture_output=True, text=True, check=True).stdout.splitlines()
    subprocess.run(["tar", "xf", str(medical), "-C", str(tmp_path)], check=True)

    assert listed[0] == "index.json"
    for name in listed[1:]:
        assert digest_of((tmp_path / name).read_bytes()).hex == name.rpartition("/")[2]


def test_a_damaged_blob_is_not_bundled_and_nothing_is_left(copied, tmp_path):
    flip(blob(copied, "model.safetensors", "minilm@1"))
    kept_out = tmp_path / "out"
    kept_out.mkdir()

    with pytest.raises(DigestMismatch, match="registry repair mends"):
        copied.bundle("minilm@1", kept_out / "x.tar")

    assert list(kept_out.iterdir()) == []


@pytest.mark.parametrize("what", [{}, {"versions": "medical@1", "everything": True}])
def test_it_must_be_said_what_to_bundle(copied, tmp_path, what):
    with pytest.raises(Invalid, match="--all"):
        copied.bundle(output=tmp_path / "x.tar", **what)


# a whole home

def test_a_whole_home_restored_into_an_empty_one_has_the_same_journal(copied, tmp_path):
    copied.alias("medical@1", "prod")
    copied.annotate("medical@1", {"owner": "anna"})
    copied.bundle(output=tmp_path / "all.tar", everything=True)

    restored = registry.Registry(tmp_path / "new")
    done = restored.pull(str(tmp_path / "all.tar"))

    assert (done.entries, done.added) == (6, 6)
    assert journal(restored) == journal(copied)
    assert dump(restored) == dump(copied)
    assert names(restored, full=True) == []
    restored.annotate("medical@1", {"goes": "on"})


def test_it_is_restored_into_a_home_that_init_made_just_now(copied, other, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)

    other.pull(str(tmp_path / "all.tar"))

    assert journal(other) == journal(copied)
    assert names(other, full=True) == []


def test_a_later_backup_goes_on_where_an_earlier_one_ended(copied, tmp_path):
    copied.bundle(output=tmp_path / "monday.tar", everything=True)
    restored = registry.Registry(tmp_path / "new")
    restored.pull(str(tmp_path / "monday.tar"))
    copied.alias("medical@1", "prod")
    copied.bundle(output=tmp_path / "tuesday.tar", everything=True, have=tmp_path / "monday.tar")

    done = restored.pull(str(tmp_path / "tuesday.tar"))

    assert (done.entries, done.added) == (5, 1)
    assert restored.resolve("medical@prod").number == 1
    assert restored.pull(str(tmp_path / "tuesday.tar")).added == 0
    assert journal(restored) == journal(copied)


def test_a_whole_home_is_not_mixed_with_another(copied, other, kept, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    other.add(kept / "base", "mine")

    with pytest.raises(WrongStore, match="another registry"):
        other.pull(str(tmp_path / "all.tar"))

    assert [model.name for model in other.list()] == ["mine"]


def test_a_backup_does_not_come_over_a_registry_that_went_another_way(copied, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    one, two = registry.Registry(tmp_path / "one"), registry.Registry(tmp_path / "two")
    for reg in (one, two):
        reg.pull(str(tmp_path / "all.tar"))
    one.alias("medical@1", "prod")
    two.alias("medical@1", "dev")
    one.bundle(output=tmp_path / "one.tar", everything=True)

    with pytest.raises(WrongStore, match="differ since"):
        two.pull(str(tmp_path / "one.tar"))


def test_a_backup_without_a_blob_that_a_version_needs_is_refused_whole(copied, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    copied.bundle(output=tmp_path / "less.tar", everything=True, have=tmp_path / "all.tar")
    rewritten(tmp_path / "less.tar", with_index(lambda value: value.update(lacks=[])))

    with pytest.raises(BlobNotFound, match="nothing was restored"):
        registry.Registry(tmp_path / "new").pull(str(tmp_path / "less.tar"))

    assert not (tmp_path / "new" / "journal").exists()


def test_a_backup_whose_journal_is_broken_is_refused_whole(copied, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)

    def swapped(files):
        (first, one), (second, two) = files[-2:]
        return [*files[:-2], (first, two), (second, one)]
    rewritten(tmp_path / "all.tar", swapped)

    with pytest.raises(BrokenChain):
        registry.Registry(tmp_path / "new").pull(str(tmp_path / "all.tar"))

    assert not (tmp_path / "new").exists()


# hostile

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


def test_a_bundle_that_is_not_there_is_said(other, tmp_path):
    with pytest.raises(FolderNotFound, match="no-such"):
        other.pull(str(tmp_path / "no-such.tar"))


def test_what_comes_from_the_hub_alone_cannot_be_said_of_a_bundle(other, medical):
    with pytest.raises(Invalid, match="is a bundle"):
        other.pull(str(medical), aliases=True)


def test_sizes_beyond_eight_gigabytes_are_written_as_gnu_tar_does():
    block = tar.header("blobs/sha256/ab/x", 1 << 40)

    assert tarfile.TarInfo.frombuf(block, "ascii", "strict").size == 1 << 40
    assert shutil.which("tar")


@pytest.mark.parametrize("probes", [str(digest_of(b"nowhere")), "a file"])
def test_probes_that_are_not_there_or_are_none_are_refused_with_the_bundle(other, medical, probes):
    """Registered, they would make every later load fail."""
    def change(value):
        value["versions"][0]["probes"] = value["versions"][0]["manifest"] if probes == "a file" else probes
    rewritten(medical, with_index(change))

    with pytest.raises(InvalidManifest, match="probes"):
        other.pull(str(medical))

    assert other.list() == ()


def test_a_parent_that_is_deleted_while_its_child_comes_is_not_stood_on(copied, other, medical, tmp_path):
    copied.bundle("minilm-medical@1", tmp_path / "parents.tar")
    other.pull(str(tmp_path / "parents.tar"))

    def deleting(what, done, total):
        if what == "reading" and other.list("minilm-medical"):
            other.delete("minilm-medical@1")
    with pytest.raises(ParentNotFound, match="minilm-medical@1 was deleted"):
        other.pull(str(medical), progress=deleting)

    assert [version.reference for model in other.list() for version in other.list(model.name)] == ["minilm@1"]


def test_what_is_registered_while_a_whole_home_comes_is_not_written_over(copied, other, kept, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    holding = threading.Event()

    def add():
        with registry.open(other.settings.home) as beside, beside.home.write_lock.exclusive(10):
            holding.set()
            time.sleep(1)   # until the pull has looked, and waits for its turn to write
            beside.add(kept / "base", "mine", measure=False)
    adding = threading.Thread(target=add)
    adding.start()
    holding.wait()

    with pytest.raises(WrongStore, match="entries of its own"):
        other.pull(str(tmp_path / "all.tar"))

    adding.join()
    assert [model.name for model in other.list()] == ["mine"]
