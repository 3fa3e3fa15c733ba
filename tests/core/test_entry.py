from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from registry.core.digest import Digest, canonical, digest_of
from registry.core.entry import (
    BODIES,
    Alias,
    Annotate,
    Approve,
    Body,
    Delete,
    Edge,
    Entry,
    FactsUpdate,
    Format,
    Init,
    Probes,
    Publish,
    Register,
    Yank,
    now,
    parse,
)
from registry.errors import InvalidManifest, NewerFormat
from tests.support.refusals import raises

ONE, TWO, THREE, FOUR = (Digest(f"sha256:{digit * 64}") for digit in "1234")
TIME = "2025-06-01T12:00:00.000000Z"

GOLDEN = Entry(
    number=3,
    id="5f0c",
    time=TIME,
    by="Ada <ada@example.org>",
    previous=FOUR,
    body=Register(
        name="medical",
        number=1,
        manifest=ONE,
        facts=TWO,
        probes=None,
        message="first",
        edges=(Edge("base", THREE, "witnessed", "minilm-medical@1"),),
        source={"command": "registry add", "git": {"dirty": False}},
    ),
    format=1,
)
GOLDEN_UNSIGNED = (
    '{"body":{"checkpoint":false,"edges":['
    f'{{"digest":"{THREE}","evidence":"witnessed","reference":"minilm-medical@1","role":"base"}}],"facts":"{TWO}","forced":[],'
    f'"manifest":"{ONE}","message":"first","name":"medical","number":1,"probes":null,'
    '"source":{"command":"registry add","git":{"dirty":false}}},"by":"Ada <ada@example.org>",'
    'SIGNATURE"format":1,"id":"5f0c","kind":"Register","number":3,'
    f'"previous":"{FOUR}","time":"{TIME}"}}'
)
GOLDEN_DIGEST = "sha256:55f161ede5122277950a7c2e183088dd7fe011950fd5957ea8f0f1f960e6f56e"

GOLDEN_2 = Entry(3, "5f0c", TIME, "Ada <ada@example.org>", Init("store"), FOUR, "ada", 1000)
GOLDEN_2_BYTES = (
    '{"body":{"store":"store"},"by":"Ada <ada@example.org>",'
    '"digest":"sha256:ea27cd3af8df83a561104b599cb4a00505399eda9982363c1d92b19ca83a0c95","format":2,"id":"5f0c","kind":"Init","login":"ada","number":3,'
    f'"previous":"{FOUR}","time":"{TIME}","uid":1000}}'
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DIGESTS = st.binary(max_size=4).map(digest_of)
NUMBERS = st.integers(1, 10**9)
JSON = st.dictionaries(
    TEXT, st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT, max_size=2), max_size=3
)
BODY: st.SearchStrategy[Body] = st.one_of(
    st.builds(Init, TEXT),
    st.builds(
        Register,
        TEXT,
        NUMBERS,
        DIGESTS,
        DIGESTS,
        st.none() | DIGESTS,
        st.lists(st.builds(Edge, TEXT, DIGESTS, TEXT, TEXT), max_size=2).map(tuple),
        st.none() | TEXT,
        st.booleans(),
        st.lists(TEXT, max_size=2).map(tuple),
        JSON,
    ),
    st.builds(Alias, TEXT, TEXT, st.none() | NUMBERS, st.none() | TEXT),
    st.builds(Yank, TEXT, NUMBERS, st.none() | TEXT, st.booleans()),
    st.builds(Annotate, TEXT, NUMBERS, st.dictionaries(TEXT, st.none() | TEXT, max_size=3)),
    st.builds(Probes, TEXT, NUMBERS, DIGESTS, st.none() | TEXT),
    st.builds(
        Publish,
        TEXT,
        NUMBERS,
        TEXT,
        TEXT,
        st.none() | TEXT,
        st.dictionaries(TEXT, TEXT, max_size=2),
        st.none() | TEXT,
    ),
    st.builds(Delete, TEXT, NUMBERS, st.none() | TEXT),
    st.builds(FactsUpdate, TEXT, NUMBERS, DIGESTS, st.none() | TEXT),
    st.builds(Approve, DIGESTS, st.none() | TEXT, st.booleans()),
    st.builds(Format, st.just(())),
)
TIMES = st.datetimes().map(lambda time: time.isoformat(timespec="microseconds") + "Z")
ENTRIES = st.builds(
    Entry,
    NUMBERS,
    TEXT,
    TIMES,
    TEXT,
    BODY,
    st.none() | DIGESTS,
    st.none() | TEXT,
    st.none() | st.integers(0, 2**32),
)


def signed(**fields: Any) -> bytes:
    """The golden entry with these fields, signed again as a writer of such an entry would."""
    value = {**json.loads(GOLDEN_UNSIGNED.replace("SIGNATURE", "")), **fields}
    return canonical({**value, "digest": digest_of(canonical(value))})


def body(**fields: Any) -> dict[str, Any]:
    return {**json.loads(GOLDEN_UNSIGNED.replace("SIGNATURE", ""))["body"], **fields}


def test_an_entry_has_these_bytes_for_ever() -> None:
    assert GOLDEN.to_bytes().decode() == GOLDEN_UNSIGNED.replace(
        "SIGNATURE", f'"digest":"{GOLDEN_DIGEST}",'
    )
    assert GOLDEN.digest == GOLDEN_DIGEST


def test_the_digest_of_an_entry_is_that_of_its_bytes_without_the_digest() -> None:
    assert digest_of(GOLDEN_UNSIGNED.replace("SIGNATURE", "").encode()) == GOLDEN_DIGEST


def test_an_entry_reads_back_from_these_bytes() -> None:
    assert (
        parse(GOLDEN_UNSIGNED.replace("SIGNATURE", f'"digest":"{GOLDEN_DIGEST}",').encode())
        == GOLDEN
    )


@given(ENTRIES)
def test_an_entry_of_any_kind_reads_back_from_its_bytes(entry: Entry) -> None:
    assert parse(entry.to_bytes()) == entry
    assert parse(entry.to_bytes()).digest == entry.digest


def test_every_kind_has_its_word() -> None:
    assert list(BODIES) == [
        "Init",
        "Register",
        "Facts",
        "Probes",
        "Alias",
        "Yank",
        "Annotate",
        "Publish",
        "Delete",
        "Approve",
        "Format",
    ]


def test_an_entry_of_format_2_is_written_as_these_bytes() -> None:
    assert GOLDEN_2.to_bytes().decode() == GOLDEN_2_BYTES
    assert parse(GOLDEN_2_BYTES.encode()) == GOLDEN_2


def test_format_2_without_a_known_user_has_neither_login_nor_uid() -> None:
    entry = Entry(1, "5f0c", TIME, "ada", Init("store"), None)

    assert set(json.loads(entry.to_bytes())) == set(json.loads(GOLDEN.to_bytes()))
    assert (parse(entry.to_bytes()).login, parse(entry.to_bytes()).uid) == (None, None)


def test_a_feature_that_this_package_does_not_implement_is_a_newer_format() -> None:
    entry = Entry(3, "5f0c", TIME, "ada", Format(("recipes",)), FOUR)

    with raises(NewerFormat, "entry 3", "'recipes'"):
        parse(entry.to_bytes(), "entry 3")


def digest_without_signature(content: bytes) -> Digest:
    """Return the digest that an entry of these bytes should state."""
    value = json.loads(content)
    del value["digest"]
    return digest_of(canonical(value))


@pytest.mark.parametrize(
    ("content", "quoted"),
    [
        (signed(format=3), ["format 3", " 2"]),
        (signed(kind="Attest"), ["'Attest'"]),
        (signed(body=body(licence="MIT")), ["Register", "licence"]),
    ],
)
def test_what_a_newer_version_wrote_is_refused_as_newer(content: bytes, quoted: list[str]) -> None:
    with raises(NewerFormat, "entry 3", *quoted):
        parse(content, "entry 3")


@pytest.mark.parametrize(
    "content",
    [
        signed().replace(b'"format":1', b'"format":3'),
        signed().replace(b'"kind":"Register"', b'"kind":"Rdgister"'),
        signed().replace(b'"checkpoint"', b'"checkpoinu"'),
    ],
    ids=["format", "kind", "field"],
)
def test_a_flipped_bit_in_a_word_is_damage_and_no_newer_word(content: bytes) -> None:
    assert content != signed()
    content_digest = digest_without_signature(content)
    with raises(InvalidManifest, "entry 3", GOLDEN_DIGEST, content_digest):
        parse(content, "entry 3")


@pytest.mark.parametrize(
    ("content", "quoted"),
    [
        (b"", ["entry 3", "JSON", "line 1 column 1"]),
        (signed()[:-1], ["entry 3", "JSON", f"char {len(signed().decode()) - 1}"]),
        (signed() + b"\n", ["entry 3", "JSON"]),
        (b"[]", ["entry 3"]),
        (b"{}", ["entry 3", "'format'"]),
        (signed(format="1"), ["entry 3"]),
        (signed(format=0), ["entry 3", "format 0"]),
        (signed(format=True), ["entry 3", "format True"]),
        (signed(login="ada"), ["entry 3", "login"]),
        (signed(format=2, login=None), ["entry 3", "None"]),
        (signed(format=2, uid="1000"), ["entry 3", "'1000'"]),
        (signed(format=2, uid=True), ["entry 3", "True"]),
        (signed(kind="Approve", body={"code": ONE}), ["entry 3", "Approve"]),
        (signed(format=2, kind="Approve", body={"code": "x"}), ["'x'"]),
        (signed(format=2, kind="Format", body={"features": "recipes"}), ["entry 3", "'recipes'"]),
        (signed(kind=["Init"]), ["entry 3"]),
        (signed(host="laptop"), ["entry 3", "body, by, digest, format, host"]),
        (signed(number=0), ["entry 3", "number 0"]),
        (signed(number="3"), ["entry 3", "number '3'"]),
        (signed(number=True), ["entry 3", "number True"]),
        (signed(time="2025-06-01T12:00:00Z"), ["entry 3", "'2025-06-01T12:00:00Z'"]),
        (
            signed(time="2025-06-01T12:00:00.000000+02:00"),
            ["entry 3", "'2025-06-01T12:00:00.000000+02:00'"],
        ),
        (signed(time=5), ["entry 3"]),
        (signed(by={"a": 1, "by": "y"}), ["entry 3", "{'a': 1, 'by': 'y'}", "'5f0c'"]),
        (signed(id=7), ["entry 3", "'Ada <ada@example.org>'", "7"]),
        (signed(body=None), ["entry 3"]),
        (signed(body=[]), ["entry 3"]),
        (signed(kind="Yank", body={"name": "medical"}), ["entry 3", "Yank", "'number'"]),
        (signed(body=body(manifest="1" * 64)), [f"'{'1' * 64}'", "sha256:"]),
        (signed(body=body(edges=[{"role": "base"}])), ["entry 3", "'digest'"]),
        (
            signed(
                body=body(
                    edges=[
                        {
                            "role": "base",
                            "digest": ONE,
                            "evidence": "given",
                            "reference": "a@1",
                            "note": "",
                        }
                    ]
                )
            ),
            ["digest, evidence, note, reference, role"],
        ),
        (signed(previous="no"), ["'no'", "sha256:"]),
        (signed(body=body(source=[5])), ["entry 3", "Register", "source", "[5]"]),
        (signed(body=body(number="1")), ["entry 3", "Register", "number", "'1'"]),
        (signed(body=body(name=None)), ["entry 3", "Register", "name", "None"]),
        (signed(body=body(forced=[1])), ["entry 3", "Register", "forced", "[1]"]),
        (signed(body=body(checkpoint=1)), ["entry 3", "Register", "checkpoint", " 1"]),
        (
            signed(
                body=body(
                    edges=[{"role": 7, "digest": ONE, "evidence": "given", "reference": "a@1"}]
                )
            ),
            ["role", " 7", "'given'", "'a@1'"],
        ),
        (
            signed(kind="Annotate", body={"name": "medical", "number": 1, "notes": {"dim": 3}}),
            ["entry 3", "Annotate", "notes", "{'dim': 3}"],
        ),
        (
            signed(kind="Alias", body={"name": "medical", "alias": "prod", "number": True}),
            ["entry 3", "Alias", "number", "True"],
        ),
    ],
)
def test_bytes_that_are_no_entry_are_refused(content: bytes, quoted: list[str]) -> None:
    with raises(InvalidManifest, *quoted):
        parse(content, "entry 3")


@pytest.mark.parametrize("field", ["number", "id", "time", "by", "previous", "body"])
def test_an_entry_changed_after_it_was_signed_is_refused(field: str) -> None:
    other = {
        "number": 4,
        "id": "5f0d",
        "time": TIME.replace("12", "13"),
        "by": "Eve",
        "previous": ONE,
        "body": body(number=2),
    }
    value = {**json.loads(signed()), field: other[field]}

    content_digest = digest_without_signature(canonical(value))
    with raises(InvalidManifest, GOLDEN_DIGEST, content_digest):
        parse(canonical(value))


def test_the_present_is_written_as_entries_write_it() -> None:
    entry = Entry(1, "1", now(), "ada", Init("store"), None)

    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry.time)
    assert parse(entry.to_bytes()) == entry
