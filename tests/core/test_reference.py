from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from registry.core.reference import (
    HubReference,
    Reference,
    check_alias,
    check_name,
    looks_like_path,
    parse,
    parse_hub,
    path_of,
)
from registry.errors import FolderNotFound, InvalidName, InvalidReference
from tests.support.refusals import raises

HEX = "ab12cd34" * 8

NAMES = st.lists(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True), min_size=1, max_size=4
).map("/".join)
NUMBERS = st.integers(1, 10**18 - 1)
ALIASES = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,12}", fullmatch=True).filter(
    lambda text: text.lower() not in ("latest", "main", "sha256") and not text[1:].isdigit()
)
DIGESTS = st.from_regex(r"[0-9a-f]{8,64}", fullmatch=True)
PARTS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8
)
PATHS = st.lists(PARTS.filter(lambda part: part != ".."), min_size=1, max_size=3).map("/".join)
UPS = st.integers(0, 3)
REFERENCES = (
    st.builds(Reference, NAMES, up=UPS)
    | st.builds(
        Reference, NAMES, number=NUMBERS, digest=st.none() | DIGESTS, up=UPS, path=st.none() | PATHS
    )
    | st.builds(
        Reference, NAMES, alias=ALIASES, digest=st.none() | DIGESTS, up=UPS, path=st.none() | PATHS
    )
    | st.builds(Reference, NAMES, digest=DIGESTS, up=UPS, path=st.none() | PATHS)
    | st.builds(Reference, NAMES, up=UPS, path=PATHS)
)
TEXTS = st.text("ab1@:^/.~ v-\0é", max_size=14) | st.from_regex(
    r"(a|b/c|hf://)?(@(1|0|prod|latest|v2|sha256:[0-9a-fA-F]{6,10})){0,3}\^{0,2}(:[a./:@^]{0,6})?",
    fullmatch=True,
)


def parsed_or_refused(text: str) -> Reference | None:
    try:
        return parse(text)
    except InvalidReference:
        return None


@given(REFERENCES)
def test_a_reference_reads_back_from_its_text(reference: Reference) -> None:
    assert parse(str(reference)) == reference


@given(TEXTS)
def test_any_text_is_refused_or_means_the_same_when_it_is_written_again(text: str) -> None:
    reference = parsed_or_refused(text)

    assert reference is None or parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("medical", Reference("medical")),
        ("team/medical@3", Reference("team/medical", number=3)),
        ("medical@prod", Reference("medical", alias="prod")),
        ("medical@latest", Reference("medical")),
        ("medical@sha256:AB12CD34", Reference("medical", digest="ab12cd34")),
        (f"medical@3@sha256:{HEX}", Reference("medical", number=3, digest=HEX)),
        ("medical@prod^^", Reference("medical", alias="prod", up=2)),
        ("medical^", Reference("medical", up=1)),
        (
            "medical@3:1_Pooling/config.json",
            Reference("medical", number=3, path="1_Pooling/config.json"),
        ),
        ("medical@3^:a:b", Reference("medical", number=3, up=1, path="a:b")),
        ("medical@latest:README.md", Reference("medical", path="README.md")),
        ("medical@sha256:ab12cd34:x", Reference("medical", digest="ab12cd34", path="x")),
        ("3", Reference("3")),
        ("v3", Reference("v3")),
    ],
)
def test_each_form_means_what_the_design_says(text: str, meant: Reference) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", ["name@3", "name@alias"]),
        ("./medical", ["'./medical'", "name@3", "name@alias"]),
        ("/srv/medical", ["'/srv/medical'", "name@3", "name@alias"]),
        ("~/medical", ["'~/medical'", "name@3", "name@alias"]),
        ("..", ["'..'", "name@3", "name@alias"]),
        ("hf://org/medical", ["'hf://org/medical'"]),
        ("models:/medical/3", ["'models:/medical/3'", "medical@3"]),
        ("s3://bucket/medical", ["'s3://bucket/medical'", "name@3", "name@alias", "name@sha256:…"]),
        ("medical:prod", ["'medical:prod'", "medical@prod"]),
        ("medical:3", ["'medical:3'", "medical@3"]),
        ("org/medical:v1", ["'org/medical:v1'", "org/medical@1"]),
        ("medical:README.md", ["'medical:README.md'", "medical@latest:README.md"]),
        ("medical==3", ["'medical==3'", "medical@3"]),
        ("medical#v3", ["'medical#v3'", "medical@3"]),
        ("medical v3", ["'medical v3'", "medical@3"]),
        ("sha256:ab12cd34", ["NAME@sha256:ab12cd34", "registry find sha256:ab12cd34"]),
        ("médical:prod", ["'médical:prod'", "médical@prod"]),
        ("medical/", ["'medical/'", "./medical/"]),
        ("medical@v3", ["'medical@v3'", "medical@3"]),
        ("medical@", ["'medical@'", "'@'", "sha256:…"]),
        ("medical@0", ["'medical@0'", "'0'", "sha256:…"]),
        ("medical@03", ["'medical@03'", "'03'", "sha256:…"]),
        ("medical@-1", ["'medical@-1'", "'-1'", "sha256:…"]),
        ("medical@1.2.0", ["'medical@1.2.0'", "'1.2.0'", "sha256:…"]),
        ("medical@٣", ["'medical@٣'", "'٣'", "sha256:…"]),
        ("medical@" + "9" * 19, [f"'medical@{'9' * 19}'", f"'{'9' * 19}'", "sha256:…"]),
        ("medical@3 ", ["'medical@3 '", "'3 '", "sha256:…"]),
        ("medical@prod^1", ["'medical@prod^1'", "'prod^1'", "sha256:…"]),
        ("medical@3@4", ["'medical@3@4'"]),
        ("medical@3@prod", ["'medical@3@prod'"]),
        ("medical@sha256:ab12cd34@3", ["'medical@sha256:ab12cd34@3'"]),
        ("medical@sha256:ab12cd3", ["'medical@sha256:ab12cd3'", "8", "64"]),
        ("medical@sha256:" + "a" * 65, [f"'medical@sha256:{'a' * 65}'", "8", "64"]),
        ("medical@sha256:hexhexhex", ["'medical@sha256:hexhexhex'", "8", "64"]),
        ("@3", ["'@3'", "''"]),
        ("medi cal", ["'medi cal'", " 1 ", " 4 ", "'/'"]),
        ("a//b", ["'a//b'", " 1 ", " 4 ", "'/'"]),
        ("a/b/c/d/e", ["'a/b/c/d/e'", " 1 ", " 4 ", "'/'"]),
        ("a/../b", ["'a/../b'", " 1 ", " 4 ", "'/'"]),
        ("-medical", ["'-medical'", " 1 ", " 4 ", "'/'"]),
        ("a\\b", [repr("a\\b"), " 1 ", " 4 ", "'/'"]),
        ("a" * 256, ["a" * 40, "256", "255"]),
        ("medical@3:", ["'medical@3:'", "''"]),
        ("medical@3:/etc/passwd", ["'medical@3:/etc/passwd'", "'/etc/passwd'"]),
        ("medical@3:a/../b", ["'medical@3:a/../b'", "'a/../b'"]),
    ],
)
def test_each_wrong_form_says_what_is_wrong_and_what_would_do(text: str, quoted: list[str]) -> None:
    with raises(InvalidReference, *quoted):
        parse(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hf://org/repo", HubReference("org/repo")),
        ("hf://org/repo@main", HubReference("org/repo", "main")),
        ("hf://org/repo@refs/pr/1", HubReference("org/repo", "refs/pr/1")),
        ("org/repo@" + HEX[:40], HubReference("org/repo", HEX[:40])),
        ("gpt2", HubReference("gpt2")),
    ],
)
def test_a_hub_repository_reads_back_from_its_text(text: str, meant: HubReference) -> None:
    assert parse_hub(text) == meant
    assert parse_hub(str(meant)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf://",
        "hf://org/repo@",
        "hf://org/repo/",
        "a/b/c",
        "hf://../repo",
        "hf://org/re..po",
        "hf:///etc",
        "http://host/a",
        "a b",
    ],
)
def test_what_is_no_hub_repository_is_refused(text: str) -> None:
    with raises(InvalidReference, repr(text), "hf://org/repo", "hf://org/repo@revision"):
        parse_hub(text)


@pytest.mark.parametrize("text", ["a", "0", "A.b-c_d", "a/b/c/d", "a" * 255])
def test_these_can_name_a_model(text: str) -> None:
    assert check_name(text) == text


@pytest.mark.parametrize(
    "text", ["prod", "A", "release-1.2", "v", "v1a", "vision", "latest-1", "a" * 128]
)
def test_these_can_be_aliases(text: str) -> None:
    assert check_alias(text) == text


@pytest.mark.parametrize("text", ["", "1", "1a", "-a", "a b", "a/b", "a@b", "é", "a" * 129, "a\n"])
def test_these_cannot_be_aliases(text: str) -> None:
    with raises(InvalidName, repr(text), "'.'", "'_'", "'-'"):
        check_alias(text)


@pytest.mark.parametrize(
    "text", ["latest", "Latest", "main", "MAIN", "sha256", "v1", "V23", "v007"]
)
def test_words_with_a_meaning_of_their_own_cannot_be_aliases(text: str) -> None:
    with raises(InvalidName, repr(text), "latest", "main", "sha256", "v<number>"):
        check_alias(text)


def test_only_a_leading_dot_slash_or_tilde_makes_a_path() -> None:
    assert all(looks_like_path(text) for text in (".", "./a", "../a", "/a", "~/a"))
    assert not any(looks_like_path(text) for text in ("", "a", "a/b", "a.b", "a~", "hf://a/b"))


def test_a_path_of_a_user_who_is_not_known_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert path_of("~/a") == tmp_path / "a"
    assert path_of("a~") == Path("a~")
    with raises(FolderNotFound, "'~nobody-of-that-name/a'"):
        path_of("~nobody-of-that-name/a")
