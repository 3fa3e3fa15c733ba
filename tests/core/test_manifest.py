from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from registry.core.digest import Digest, canonical, digest_of
from registry.core.manifest import (
    CLASSES,
    FILES_LIMIT,
    File,
    Manifest,
    Parent,
    check_path,
    check_paths,
    parse,
)
from registry.errors import InvalidManifest, InvalidPath, NewerFormat
from tests.support.refusals import raises, text_of

ONE, TWO, THREE = (Digest(f"sha256:{digit * 64}") for digit in "123")

GOLDEN = Manifest(
    "adapter",
    "SentenceTransformer",
    (
        File("adapter_model.safetensors", TWO, 148_240),
        File("adapter_config.json", ONE, 612),
        File("1_Pooling/config.json", ONE, 190),
    ),
    (Parent("base", THREE),),
)
GOLDEN_BYTES = (
    '{"class":"SentenceTransformer","files":['
    f'{{"digest":"{ONE}","path":"1_Pooling/config.json","size":190}},'
    f'{{"digest":"{ONE}","path":"adapter_config.json","size":612}},'
    f'{{"digest":"{TWO}","path":"adapter_model.safetensors","size":148240}}'
    f'],"format":1,"kind":"adapter","parents":[{{"digest":"{THREE}","role":"base"}}]}}'
).encode()
GOLDEN_DIGEST = "sha256:25ed81a884978ad848886f0d3659e616193e74ab675b9feef97305d8c0abe52a"

DIGESTS = st.binary(max_size=4).map(digest_of)
PATHS = st.from_regex(r"x[a-z0-9]{0,5}(/x[a-z]{0,5}\.json)?", fullmatch=True)
FILES = st.lists(
    st.builds(File, PATHS, DIGESTS, st.integers(0, 2**53)),
    max_size=6,
    unique_by=lambda file: file.path.split("/")[0],
)
LINES = st.sampled_from(
    [
        ("base", ()),
        ("base", ("finetuned-from",)),
        ("resized", ("resized-from",)),
        ("resized", ("finetuned-from",)),
        ("adapter", ("base",)),
        ("merged", ("base", "adapter")),
    ]
)


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
def test_the_order_in_which_files_and_parents_are_given_means_nothing(
    manifest: Manifest, random
) -> None:
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
    with raises(NewerFormat, "manifest", "format 2", " 1"):
        parse(changed(format=2, novelty="unknown"))


@pytest.mark.parametrize(
    ("content", "quoted"),
    [
        (b"", ["manifest", "JSON", "line 1 column 1"]),
        (GOLDEN_BYTES + b"\n", ["manifest", "JSON"]),
        (b"[]", ["manifest"]),
        (b"null", ["manifest"]),
        (b"{}", ["manifest", "'format'"]),
        (changed(format="1"), ["manifest"]),
        (changed(format=0), ["manifest", "class, files, format, kind, parents"]),
        (changed(format=True), ["manifest"]),
        (changed(name="medical"), ["manifest", "class, files, format, kind, name, parents"]),
        (changed(kind="model"), ["'model'", "base, resized, adapter, merged"]),
        (changed(**{"class": "AutoModel"}), ["'AutoModel'", *CLASSES]),
        (changed(files=None), ["manifest"]),
        (changed(files=["a"]), ["manifest", "'a'"]),
        (changed(files=[7]), ["manifest", " 7"]),
        (a_file(path=5), ["manifest", "'path': 5"]),
        (a_file(size=-1), ["manifest", "'size': -1"]),
        (a_file(size=True), ["manifest", "'size': True"]),
        (a_file(size="1"), ["manifest", "'size': '1'"]),
        (a_file(mode=0o755), ["manifest", "'mode': 493"]),
        (a_file(digest="1" * 64), [f"'{'1' * 64}'", "sha256:"]),
        (a_file(digest=1), ["manifest"]),
        (changed(files=list(reversed(json.loads(GOLDEN_BYTES)["files"]))), ["manifest", "files"]),
        (changed(parents=[]), ["adapter"]),
        (changed(parents=[{"role": "base", "digest": ONE}] * 2), ["adapter", "['base', 'base']"]),
        (
            changed(parents=[{"role": "base", "digest": ONE, "name": "minilm"}]),
            ["manifest", "digest, name, role"],
        ),
        (changed(parents=[{"role": "base"}]), ["manifest", "'digest'"]),
        (changed(kind="base"), ["base", "['base']"]),
        (changed(kind="resized"), ["resized", "['base']"]),
        (changed(kind="merged"), ["merged", "['base']"]),
    ],
)
def test_bytes_that_are_no_manifest_are_refused(content: bytes, quoted: list[str]) -> None:
    with raises(InvalidManifest, *quoted):
        parse(content)


@pytest.mark.parametrize(
    "path",
    [
        "config.json",
        "1_Pooling/config.json",
        "a/b/c/d/e/f/g/h",
        ".gitattributes",
        "..a",
        "a..b",
        "...a",
        "modèle.json",
        "model (1).bin",
        "console",
        "common/auxiliary.json",
        "com10",
        "nulls.txt",
        "a" * 200,
        "-x",
        "~",
        "%2e%2e",
    ],
)
def test_these_paths_are_allowed(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../a",
        "../../etc/passwd",
        "a/..",
        "a/../b",
        "a/../../b",
        "a/b/../../..",
        "./..",
        "../",
        "/..",
        "/../a",
        "a/./../b",
        "..//a",
        "a//..",
        "..\\a",
        "a\\..\\b",
        "..\\..\\a",
        "\\..\\a",
        "a/..\\b",
        "C:\\..\\a",
        "C:..",
        ".. /a",
        "a/.. /b",
        "..:a",
        "../\0",
        "..\n/a",
        ".../a",
        "a/...",
    ],
)
def test_no_form_of_going_up_is_a_path(path: str) -> None:
    with raises(InvalidPath, repr(path)):
        check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "CON",
        "con",
        "con.json",
        "Aux.tar.gz",
        "a/nul",
        "prn/a",
        "COM1",
        "com9.txt",
        "COM0",
        "lpt1",
        "LPT³.bin",
        "com¹",
        "CONIN$",
        "conout$",
        "nul .txt",
        "aux  .a.b",
    ],
)
def test_no_device_of_windows_is_a_path(path: str) -> None:
    with raises(InvalidPath, repr(path), "Windows"):
        check_path(path)


RELATIVE = "'.', '..'"
CHARACTERS = '< > : " | ? * \\'


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", RELATIVE),
        ("/", RELATIVE),
        ("/etc/passwd", RELATIVE),
        ("//host/share", RELATIVE),
        (".", RELATIVE),
        ("./a", RELATIVE),
        ("a/", RELATIVE),
        ("a//b", RELATIVE),
        ("a/b/c/d/e/f/g/h/i", "8"),
        ("C:\\a", CHARACTERS),
        ("C:a", CHARACTERS),
        ("\\\\host\\share", CHARACTERS),
        ("a\\b", CHARACTERS),
        ("a:stream", CHARACTERS),
        ("a*", CHARACTERS),
        ("a?", CHARACTERS),
        ('a"', CHARACTERS),
        ("a<b", CHARACTERS),
        ("a|b", CHARACTERS),
        ("a\0b", CHARACTERS),
        ("a\nb", CHARACTERS),
        ("a\x1bb", CHARACTERS),
        ("a\x7f", CHARACTERS),
        ("a.", "'.'"),
        ("a./b", "'.'"),
        ("a ", "'.'"),
        (" a", "'.'"),
        ("a /b", "'.'"),
        ("\udcff", "UTF-8"),
        ("a" * 201, "200"),
        ("é" * 101, "200"),
    ],
)
def test_a_hostile_path_is_refused_with_its_reason(path: str, reason: str) -> None:
    with raises(InvalidPath, repr(path), reason) as refused:
        check_path(path)

    other_reasons = {RELATIVE, CHARACTERS, "UTF-8", "200"} - {reason}
    assert not [text for text in other_reasons if text in text_of(refused.value)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Config.json", "config.json"),
        ("1_Pooling/config.json", "1_pooling/config.json"),
        ("straße", "STRASSE"),
        ("Σ", "ς"),
        ("\u212a", "k"),
        ("\u00e9.json", "e\u0301.json"),
        ("\u00c9", "e\u0301"),
        ("\u212b", "\u00e5"),
        ("a/\u1e9b\u0323", "a/\u1e69"),
    ],
)
def test_two_paths_that_are_one_file_on_some_system_are_refused(one: str, other: str) -> None:
    with raises(InvalidPath, repr(one), repr(other)):
        check_paths([one, "between", other])


@pytest.mark.parametrize(
    "paths", [["a", "a/b"], ["a/b/c", "a"], ["A", "a/b"], ["x/\u00e9", "x/e\u0301/y"]]
)
def test_a_path_that_is_a_file_and_a_folder_is_refused(paths: list[str]) -> None:
    with raises(InvalidPath, *map(repr, paths)):
        check_paths(paths)


def test_paths_that_only_look_alike_are_allowed_together() -> None:
    check_paths(["a", "a.b", "b/a", "b/a.b", "b/c/a", "ab", "a b", "config.json", "config.jsonl"])


def test_more_files_than_the_limit_are_refused() -> None:
    with raises(InvalidPath, str(FILES_LIMIT), str(FILES_LIMIT + 1)):
        check_paths([str(number) for number in range(FILES_LIMIT + 1)])


@pytest.mark.parametrize(
    "path", [".registry/marker.json", ".registry", ".Registry/base/config.json"]
)
def test_no_content_lies_where_a_checkout_keeps_its_own(path: str) -> None:
    with raises(InvalidPath, repr(path), "'.registry'"):
        Manifest("base", "SentenceTransformer", (File(path, ONE, 1),))


@pytest.mark.parametrize("path", ["../escape", "/etc/passwd", "a/../../b", "con"])
def test_a_manifest_with_a_hostile_path_is_refused_when_it_is_read(path: str) -> None:
    with pytest.raises(InvalidPath):
        parse(a_file(path=path))
