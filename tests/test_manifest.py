from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from registry.digest import Digest, canonical, digest_of
from registry.errors import InvalidManifest, InvalidPath, NewerFormat
from registry.manifest import CLASSES, FILES_LIMIT, File, Manifest, Parent, check_path, check_paths, parse

ONE, TWO, THREE = (Digest(f"sha256:{digit * 64}") for digit in "123")

GOLDEN = Manifest(
    "adapter", "SentenceTransformer",
    (File("adapter_model.safetensors", TWO, 148_240), File("adapter_config.json", ONE, 612),
     File("1_Pooling/config.json", ONE, 190)),
    (Parent("base", THREE),))
GOLDEN_BYTES = (
    '{"class":"SentenceTransformer","files":['
    f'{{"digest":"{ONE}","path":"1_Pooling/config.json","size":190}},'
    f'{{"digest":"{ONE}","path":"adapter_config.json","size":612}},'
    f'{{"digest":"{TWO}","path":"adapter_model.safetensors","size":148240}}'
    f'],"format":1,"kind":"adapter","parents":[{{"digest":"{THREE}","role":"base"}}]}}').encode()
GOLDEN_DIGEST = "sha256:25ed81a884978ad848886f0d3659e616193e74ab675b9feef97305d8c0abe52a"

DIGESTS = st.binary(max_size=4).map(digest_of)
PATHS = st.from_regex(r"x[a-z0-9]{0,5}(/x[a-z]{0,5}\.json)?", fullmatch=True)
FILES = st.lists(st.builds(File, PATHS, DIGESTS, st.integers(0, 2 ** 53)), max_size=6,
                 unique_by=lambda file: file.path.split("/")[0])
LINES = st.sampled_from([
    ("base", ()), ("base", ("finetuned-from",)), ("resized", ("resized-from",)), ("resized", ("finetuned-from",)),
    ("adapter", ("base",)), ("merged", ("base", "adapter"))])


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    kind, roles = draw(LINES)
    parents = tuple(Parent(role, draw(DIGESTS)) for role in roles)
    return Manifest(kind, draw(st.sampled_from(CLASSES)), tuple(draw(FILES)), parents)


def changed(**fields: object) -> bytes:
    """The golden manifest's bytes, canonical again, with these fields set."""
    return canonical({**json.loads(GOLDEN_BYTES), **fields})


def a_file(**fields: object) -> bytes:
    return changed(files=[{"path": "a", "digest": ONE, "size": 1, **fields}])


def test_a_manifest_has_these_bytes_for_ever() -> None:
    assert GOLDEN.to_bytes() == GOLDEN_BYTES
    assert GOLDEN.digest == GOLDEN_DIGEST


def test_a_manifest_reads_back_from_these_bytes() -> None:
    assert parse(GOLDEN_BYTES) == GOLDEN


@given(manifests())
def test_a_manifest_reads_back_from_its_bytes(manifest: Manifest) -> None:
    assert parse(manifest.to_bytes()) == manifest
    assert parse(manifest.to_bytes()).digest == manifest.digest == digest_of(manifest.to_bytes())


@given(manifests(), st.randoms(use_true_random=False))
def test_the_order_in_which_files_and_parents_are_given_means_nothing(manifest: Manifest, random) -> None:
    files, parents = list(manifest.files), list(manifest.parents)
    random.shuffle(files)
    random.shuffle(parents)

    assert Manifest(manifest.kind, manifest.model_class, tuple(files), tuple(parents)) == manifest


def test_the_questions_about_a_manifest_have_answers() -> None:
    assert GOLDEN.size == 190 + 612 + 148_240
    assert GOLDEN.file("adapter_config.json") == File("adapter_config.json", ONE, 612)
    assert GOLDEN.file("config.json") is None
    assert GOLDEN.parent("base") == THREE
    assert GOLDEN.parent("adapter") is None


def test_a_newer_format_is_refused_by_its_number() -> None:
    with pytest.raises(NewerFormat, match="the manifest has format 2, this registry reads 1; update st-registry"):
        parse(changed(format=2, novelty="unknown"))


@pytest.mark.parametrize(("content", "message"), [
    (b"", "the manifest is not JSON"),
    (GOLDEN_BYTES + b"\n", "the manifest is not canonical JSON"),
    (b"[]", "the manifest is malformed"),
    (b"null", "the manifest is malformed"),
    (b"{}", "the manifest is malformed: 'format'"),
    (changed(format="1"), "the manifest is malformed"),
    (changed(format=0), "the manifest has the wrong fields"),
    (changed(format=True), "the manifest is not in its one form"),
    (changed(name="medical"), "the manifest has the wrong fields: class, files, format, kind, name, parents"),
    (changed(kind="model"), "'model' is no kind; one of base, resized, adapter, merged"),
    (changed(**{"class": "AutoModel"}), "'AutoModel' is no class; one of SentenceTransformer"),
    (changed(files=None), "the manifest is malformed"),
    (changed(files=["a"]), "the manifest has a malformed file"),
    (changed(files=[7]), "the manifest has a malformed file"),
    (a_file(path=5), "the manifest has a malformed file"),
    (a_file(size=-1), "the manifest has a malformed file"),
    (a_file(size=True), "the manifest has a malformed file"),
    (a_file(size="1"), "the manifest has a malformed file"),
    (a_file(mode=0o755), "the manifest has a malformed file"),
    (a_file(digest="1" * 64), "is no digest"),
    (a_file(digest=1), "the manifest is malformed"),
    (changed(files=list(reversed(json.loads(GOLDEN_BYTES)["files"]))), "the manifest is not in its one form"),
    (changed(parents=[]), "a version of kind adapter cannot have the parents none"),
    (changed(parents=[{"role": "base", "digest": ONE}] * 2), r"kind adapter cannot have the parents \['base', 'base'\]"),
    (changed(parents=[{"role": "base", "digest": ONE, "name": "minilm"}]), "the manifest is not in its one form"),
    (changed(parents=[{"role": "base"}]), "the manifest is malformed: 'digest'"),
    (changed(kind="base"), "a version of kind base cannot have the parents"),
    (changed(kind="resized"), "a version of kind resized cannot have the parents"),
    (changed(kind="merged"), "a version of kind merged cannot have the parents"),
])
def test_bytes_that_are_no_manifest_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(InvalidManifest, match=message):
        parse(content)


@pytest.mark.parametrize("path", [
    "config.json", "1_Pooling/config.json", "a/b/c/d/e/f/g/h", ".gitattributes", "..a", "a..b", "...a", "modèle.json",
    "model (1).bin", "console", "common/auxiliary.json", "com10", "nulls.txt", "a" * 200, "-x", "~", "%2e%2e"])
def test_these_paths_are_allowed(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize("path", [
    "..", "../a", "../../etc/passwd", "a/..", "a/../b", "a/../../b", "a/b/../../..", "./..", "../", "/..", "/../a", "a/./../b",
    "..//a", "a//..", "..\\a", "a\\..\\b", "..\\..\\a", "\\..\\a", "a/..\\b", "C:\\..\\a", "C:..", ".. /a", "a/.. /b", "..:a",
    "../\0", "..\n/a", ".../a", "a/..."])
def test_no_form_of_going_up_is_a_path(path: str) -> None:
    with pytest.raises(InvalidPath, match="no file of a version can have the path"):
        check_path(path)


@pytest.mark.parametrize("path", [
    "CON", "con", "con.json", "Aux.tar.gz", "a/nul", "prn/a", "COM1", "com9.txt", "COM0", "lpt1", "LPT³.bin", "com¹", "CONIN$",
    "conout$", "nul .txt", "aux  .a.b"])
def test_no_device_of_windows_is_a_path(path: str) -> None:
    with pytest.raises(InvalidPath, match="it holds a device name of Windows"):
        check_path(path)


@pytest.mark.parametrize(("path", "reason"), [
    ("", "must be relative"), ("/", "must be relative"), ("/etc/passwd", "must be relative"),
    ("//host/share", "must be relative"), (".", "must be relative"),
    ("./a", "must be relative"), ("a/", "must be relative"), ("a//b", "must be relative"),
    ("a/b/c/d/e/f/g/h/i", "it is 9 levels deep, 8 are allowed"),
    ("C:\\a", "it holds a control character or one of"), ("C:a", "one of"), ("\\\\host\\share", "one of"), ("a\\b", "one of"),
    ("a:stream", "one of"), ("a*", "one of"), ("a?", "one of"), ('a"', "one of"), ("a<b", "one of"), ("a|b", "one of"),
    ("a\0b", "one of"), ("a\nb", "one of"), ("a\x1bb", "one of"), ("a\x7f", "one of"),
    ("a.", "ends in '.'"), ("a./b", "ends in '.'"),
    ("a ", "blank at an end"), (" a", "blank at an end"), ("a /b", "blank at an end"),
    ("\udcff", "it is not UTF-8"), ("a" * 201, "it has more than 200 bytes"), ("é" * 101, "it has more than 200 bytes"),
])
def test_a_hostile_path_is_refused_with_its_reason(path: str, reason: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        check_path(path)

    assert reason in str(caught.value)


@pytest.mark.parametrize(("one", "other"), [
    ("Config.json", "config.json"), ("1_Pooling/config.json", "1_pooling/config.json"), ("straße", "STRASSE"), ("Σ", "ς"),
    ("\u212a", "k"),
    ("\u00e9.json", "e\u0301.json"), ("\u00c9", "e\u0301"), ("\u212b", "\u00e5"), ("a/\u1e9b\u0323", "a/\u1e69")])
def test_two_paths_that_are_one_file_on_some_system_are_refused(one: str, other: str) -> None:
    with pytest.raises(InvalidPath, match="are one file on some systems; rename one"):
        check_paths([one, "between", other])


@pytest.mark.parametrize("paths", [["a", "a/b"], ["a/b/c", "a"], ["A", "a/b"], ["x/\u00e9", "x/e\u0301/y"]])
def test_a_path_that_is_a_file_and_a_folder_is_refused(paths: list[str]) -> None:
    with pytest.raises(InvalidPath, match="cannot be a file and, for .*, a folder; rename one"):
        check_paths(paths)


def test_paths_that_only_look_alike_are_allowed_together() -> None:
    check_paths(["a", "a.b", "b/a", "b/a.b", "b/c/a", "ab", "a b", "config.json", "config.jsonl"])


def test_more_files_than_the_limit_are_refused() -> None:
    with pytest.raises(InvalidPath, match="a version may have 100000 files, this one has 100001"):
        check_paths([str(number) for number in range(FILES_LIMIT + 1)])


@pytest.mark.parametrize("path", [".registry/marker.json", ".registry", ".Registry/base/config.json"])
def test_no_content_lies_where_a_checkout_keeps_its_own(path: str) -> None:
    with pytest.raises(InvalidPath, match="'.registry' belongs to the checkout"):
        Manifest("base", "SentenceTransformer", (File(path, ONE, 1),))


@pytest.mark.parametrize("path", ["../escape", "/etc/passwd", "a/../../b", "con"])
def test_a_manifest_with_a_hostile_path_is_refused_when_it_is_read(path: str) -> None:
    with pytest.raises(InvalidPath):
        parse(a_file(path=path))
