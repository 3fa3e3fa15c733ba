from __future__ import annotations

import dataclasses
import io
import json
from typing import BinaryIO

import pytest
from hypothesis import given, strategies as st

from registry.core.digest import Digest, canonical, digest_of
from registry.core.facts import Adapter, Facts, Tensor, Token, Vocabulary, Weights, parse, read
from registry.errors import InvalidManifest, NewerFormat
from tests.support.refusals import raises, text_of

ONE, TWO, THREE, FOUR = (Digest(f"sha256:{digit * 64}") for digit in "1234")

GOLDEN = Facts(
    model_class="SentenceTransformer",
    tokenizer=ONE,
    vocabulary=Vocabulary(TWO, 30_523, (Token(30_522, "zorvaxin", normalized=True),)),
    weights=Weights(THREE, "F32", 768, (Tensor("encoder.lora_A.weight", "F32", (2, 384), FOUR),)),
    max_length=256,
    modules=("Transformer", "Pooling"),
    architecture="BertModel",
    adapter=Adapter("LORA", rank=2, alpha="4.0", targets=("query", "value")),
    settings={"pooling": "mean", "scale": "0.5"},
)
GOLDEN_BYTES = (
    '{"adapter":{"alpha":"4.0","dora":false,"modules_to_save":[],"rank":2,"targets":["query","value"],"trainable_tokens":[],'
    '"type":"LORA"},"architecture":"BertModel","max_length":256,"model_class":"SentenceTransformer",'
    '"modules":["Transformer","Pooling"],"rows":null,"schema":1,"settings":{"pooling":"mean","scale":"0.5"},'
    f'"tokenizer":"{ONE}","vocabulary":{{"added":[{{"content":"zorvaxin","id":30522,"lstrip":false,"normalized":true,'
    f'"rstrip":false,"single_word":false,"special":false}}],"digest":"{TWO}","size":30523}},'
    f'"weights":{{"digest":"{THREE}","dtype":"F32","parameters":768,"tensors":[{{"digest":"{FOUR}","dtype":"F32",'
    '"name":"encoder.lora_A.weight","shape":[2,384]}]},"width":null}'
).encode()
GOLDEN_DIGEST = "sha256:563a33fc0ebafcee563fbdb05dc1fbfd4b350200fea5e52eb078b3f8473516cf"

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
DIGESTS = st.binary(max_size=4).map(digest_of)
COUNTS = st.integers(0, 2**53)
TOKENS = st.builds(Token, COUNTS, TEXT, *[st.booleans()] * 5)
TENSORS = st.builds(Tensor, TEXT, TEXT, st.lists(COUNTS, max_size=3).map(tuple), DIGESTS)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
ADAPTERS = st.builds(
    Adapter,
    TEXT,
    st.none() | COUNTS,
    st.none() | TEXT,
    TEXTS,
    TEXTS,
    st.lists(COUNTS, max_size=3).map(tuple),
    st.booleans(),
)
FACTS = st.builds(
    Facts,
    TEXT,
    DIGESTS,
    st.builds(Vocabulary, DIGESTS, COUNTS, st.lists(TOKENS, max_size=3).map(tuple)),
    st.builds(Weights, DIGESTS, TEXT, COUNTS, st.lists(TENSORS, max_size=3).map(tuple)),
    st.none() | COUNTS,
    st.none() | COUNTS,
    st.none() | COUNTS,
    TEXTS,
    st.none() | TEXT,
    st.none() | ADAPTERS,
    st.dictionaries(TEXT, TEXT | COUNTS | st.booleans() | st.none(), max_size=3),
)


class Folder:
    """Files in memory that remember what was opened."""

    def __init__(self, **contents: bytes) -> None:
        self.contents, self.opened = contents, list[BinaryIO]()

    def paths(self) -> list[str]:
        return sorted(self.contents)

    def open(self, path: str) -> BinaryIO:
        self.opened.append(io.BytesIO(self.contents[path]))
        return self.opened[-1]

    def size(self, path: str) -> int:
        return len(self.contents[path])


def changed(**fields: object) -> bytes:
    return canonical({**json.loads(GOLDEN_BYTES), **fields})


def test_facts_have_these_bytes_for_ever() -> None:
    assert GOLDEN.to_bytes() == GOLDEN_BYTES
    assert digest_of(GOLDEN.to_bytes()) == GOLDEN_DIGEST


def test_facts_read_back_from_these_bytes() -> None:
    assert parse(GOLDEN_BYTES) == GOLDEN


def test_facts_with_a_pipeline_are_written_in_schema_2() -> None:
    facts = dataclasses.replace(GOLDEN, pipeline=FOUR)
    expected = GOLDEN_BYTES.replace(b'"schema":1', b'"schema":2').replace(
        b'"rows":null', f'"pipeline":"{FOUR}","rows":null'.encode()
    )

    assert (GOLDEN.schema, facts.schema) == (1, 2)
    assert facts.to_bytes() == expected
    assert parse(expected) == facts


@pytest.mark.parametrize(
    "fields",
    [{"schema": 2}, {"schema": 2, "pipeline": None}, {"pipeline": FOUR}, {"schema": 0}],
)
def test_schema_and_pipeline_that_do_not_belong_together_are_refused(fields) -> None:
    with raises(InvalidManifest, repr(fields.get("schema", 1))):
        parse(changed(**fields))


@given(FACTS)
def test_facts_read_back_from_their_bytes(facts: Facts) -> None:
    assert parse(facts.to_bytes()) == facts
    assert parse(facts.to_bytes()).to_bytes() == facts.to_bytes()


LISTED = {"digest": FOUR, "dtype": "F32", "name": "encoder", "shape": [2, 384]}


@pytest.mark.parametrize(
    "name", ['a "quoted" name', "back\\slash", "},{", '"tensors":[', "é", "line\nbreak", "]}"]
)
def test_tensors_of_any_name_read_back_beside_plain_ones(name: str) -> None:
    facts = dataclasses.replace(
        GOLDEN,
        settings={"tensors": [], "note": f'{name} "tensors":[]}}'},
        weights=dataclasses.replace(
            GOLDEN.weights,
            tensors=(Tensor("encoder", "F32", (), FOUR), Tensor(name, name, (1, 0, 2**70), FOUR)),
        ),
    )

    assert parse(facts.to_bytes()) == facts


def test_a_list_elsewhere_that_looks_like_that_of_the_weights_is_not_taken_for_it() -> None:
    found = parse(changed(width={"tensors": [LISTED, LISTED]}))

    assert found.weights == GOLDEN.weights


@pytest.mark.parametrize(
    "content",
    [
        changed(zzz=[LISTED]),
        changed(zzz={"tensors": [LISTED]}),
        changed(weights={"digest": ONE, "dtype": "F32", "parameters": 0, 'x"tensors': [LISTED]}),
        changed(
            weights={
                "digest": ONE,
                "dtype": "F32",
                "parameters": 0,
                "tensors": [{**LISTED, "more": 1}],
            }
        ),
        *(
            changed(
                weights={
                    "digest": ONE,
                    "dtype": "F32",
                    "parameters": 0,
                    "tensors": [{**LISTED, **other}],
                }
            )
            for other in (
                {"shape": [True]},
                {"shape": [-1]},
                {"shape": {}},
                {"shape": ""},
                {"name": 7},
                {"name": ["a"]},
                {"dtype": None},
            )
        ),
        GOLDEN_BYTES.replace(b"[2,384]", b"[2, 384]"),
        GOLDEN_BYTES.replace(b"[2,384]", b"[02,384]"),
        GOLDEN_BYTES.replace(b"[2,384]", b"[2.0]"),
        GOLDEN_BYTES.replace(b"384]}]", b"384]},]"),
        GOLDEN_BYTES.replace(b"encoder", b"\\u0065ncoder"),
        GOLDEN_BYTES.replace(b'"tensors":[', b'"tensors":[ '),
    ],
)
def test_a_list_of_tensors_in_another_form_or_place_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidManifest):
        parse(content)


def test_a_newer_schema_is_refused_by_its_number() -> None:
    with raises(NewerFormat, "schema 3", " 2"):
        parse(changed(schema=3, novelty="unknown"))


def test_a_real_number_is_no_setting_unless_it_is_text() -> None:
    with raises(InvalidManifest, "0.5"):
        dataclasses.replace(GOLDEN, settings={"scale": 0.5}).to_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        GOLDEN_BYTES + b" ",
        changed(schema="1"),
        changed(novelty=1),
        changed(modules=1),
        changed(tokenizer=1),
        changed(tokenizer="x"),
        changed(vocabulary=[]),
        changed(vocabulary={"digest": ONE, "size": 1}),
        changed(vocabulary={"digest": ONE, "size": 1, "added": [1]}),
        changed(vocabulary={"digest": ONE, "size": 1, "added": [{"id": 1}]}),
        changed(weights=None),
        changed(weights={"digest": ONE}),
        changed(
            weights={"digest": ONE, "dtype": "F32", "parameters": 0, "tensors": [{"name": "x"}]}
        ),
        changed(adapter=[1]),
        changed(adapter="LORA"),
        changed(adapter={"rank": 1}),
        changed(adapter={"type": "LORA", "novelty": 1}),
    ],
)
def test_bytes_that_are_no_facts_are_refused(content: bytes) -> None:
    with raises(InvalidManifest) as refused:
        parse(content)

    assert any(quoted in text_of(refused.value) for quoted in ("facts", "sha256:"))


def test_a_file_is_read_whole_and_closed() -> None:
    files = Folder(config=b"{}")

    assert read(files, "config") == b"{}"
    assert files.opened[0].closed
