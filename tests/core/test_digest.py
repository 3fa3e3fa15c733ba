from __future__ import annotations

import io
import json
import math
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from registry.core.digest import (
    BLOCK,
    Digest,
    canonical,
    digest_of,
    digest_of_stream,
    parse_canonical,
    parse_json,
    real,
)
from registry.errors import InvalidManifest
from tests.support.refusals import raises

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_a_digest_is_the_sha256_of_the_bytes() -> None:
    assert digest_of(b"") == EMPTY
    assert digest_of(b"").hex == EMPTY[7:]
    assert digest_of(b"").short == "sha256:e3b0c44298fc"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        EMPTY[7:],
        EMPTY.upper(),
        EMPTY + "0",
        EMPTY[:-1],
        EMPTY + "\n",
        "sha1:" + "0" * 64,
        "sha256:" + "٠" * 64,
    ],
)
def test_only_a_whole_digest_is_one(text: str) -> None:
    with raises(InvalidManifest, repr(text), "sha256:", "64"):
        Digest(text)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
def test_a_stream_is_hashed_copied_and_counted_in_one_pass(size: int) -> None:
    content, copy, steps = bytes(range(256)) * (size // 256 + 1), io.BytesIO(), []

    found = digest_of_stream(io.BytesIO(content[:size]).read, copy.write, steps.append)

    assert found == (digest_of(content[:size]), size)
    assert copy.getvalue() == content[:size]
    assert sum(steps) == size


def test_canonical_json_has_these_bytes() -> None:
    value = {"b": [1, True, None], "a": 'é\n"', "A": {}, "￿": 0, "𐀀": -1, "": (2,)}

    assert (
        canonical(value) == '{"":[2],"A":{},"a":"é\\n\\"","b":[1,true,null],"￿":0,"𐀀":-1}'.encode()
    )


@given(VALUES)
def test_canonical_json_says_its_value_and_only_one_way(value: object) -> None:
    content = canonical(value)

    assert parse_canonical(content, "it") == value
    assert canonical(parse_canonical(content, "it")) == content


@given(
    st.lists(VALUES, min_size=2, max_size=4),
    st.sampled_from([{"indent": 1}, {"separators": (", ", ":")}]),
)
def test_the_same_value_in_another_form_is_refused(value: list, form: dict) -> None:
    content = json.dumps(
        value, **{"ensure_ascii": False, "sort_keys": True, "separators": (",", ":"), **form}
    ).encode()

    assert parse_json(content, "the file") == value
    with raises(InvalidManifest, "the file", "JSON"):
        parse_canonical(content, "the file")


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        (1.5, ["1.5"]),
        ([math.nan], ["nan"]),
        ({"a": b"x"}, ["b'x'"]),
        ({1: "a"}, ["1"]),
        (["\ud800"], ["surrogate"]),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: object, quoted: list[str]) -> None:
    with raises(InvalidManifest, *quoted):
        canonical(value)


@pytest.mark.parametrize(
    ("content", "quoted"),
    [
        (b"", ["Expecting value"]),
        (b"{", ["line 1 column 2"]),
        (b"\xff", ["'utf-8' codec can't decode"]),
        (b"\xef\xbb\xbf{}", ["Unexpected UTF-8 BOM"]),
        (b'{"a":1,"b":2,"a":1}', ["'a'"]),
        (b'{"x":{"a":1,"a":2}}', ["'a'"]),
        (b"[NaN]", ["NaN"]),
        (b"[-Infinity]", ["-Infinity"]),
        (b"[" * 100_000, []),
        (b"1" * 5_000, ["Exceeds the limit"]),
    ],
)
def test_what_is_not_json_is_refused_in_one_line(content: bytes, quoted: list[str]) -> None:
    with raises(InvalidManifest, "the file", "JSON", *quoted) as caught:
        parse_json(content, "the file")

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b" 1", b"1\n", b"-0", b'{"b":1,"a":2}', b'"\\u00e9"', b'"\\/"', b"[1, 2]"]
)
def test_json_in_another_form_is_not_canonical(content: bytes) -> None:
    parse_json(content, "the file")
    with raises(InvalidManifest, "the file", "JSON"):
        parse_canonical(content, "the file")


@pytest.mark.parametrize("depth", range(900, 1000, 3))
def test_nesting_at_the_limit_of_the_interpreter_is_read_or_refused_and_nothing_else(
    depth: int,
) -> None:
    content = b"[" * depth + b"]" * depth

    with suppress(InvalidManifest):
        assert canonical(parse_canonical(content, "it")) == content


@given(st.floats(allow_nan=False))
def test_a_real_number_kept_as_text_comes_back_bit_for_bit(number: float) -> None:
    assert float(real(number)).hex() == number.hex()


def test_a_real_number_has_its_shortest_text() -> None:
    assert [real(0.1), real(1), real(1e-05), real(float("1e22"))] == [
        "0.1",
        "1.0",
        "1e-05",
        "1e+22",
    ]
