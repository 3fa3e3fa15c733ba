"""diff --encodings of each class, against what the libraries encode and numpy makes of it."""

from __future__ import annotations

import errno
import json
import os
import shutil

import numpy
import pytest

import registry
from registry.errors import FolderNotFound, Invalid, NotLoadable
from registry.results.drift import COSINE, MAXSIM, SCORE, Encodings
from tests.operations.registration.test_every_class import loaded
from tests.support import plain, small
from tests.support.hand import rewrite
from tests.support.refusals import raises

TEXTS = (
    "the cat sat on the mat",
    "paris is the capital of france",
    "a dog sat",
    "hearts",
    "innovation",
    "the heart of a dog",
    "zorvaxin is",
    "a mat",
    "capital",
)
PAIRS = [("the cat", text) for text in TEXTS]


@pytest.fixture
def reg(tmp_path):
    with registry.init(tmp_path / "home") as opened:
        yield opened


def nudged(folder, to, amount=0.2):
    """A copy of a model with other weights."""
    shutil.copytree(folder, to)
    random = numpy.random.default_rng(1)
    rewrite(
        to / "model.safetensors",
        lambda found: [
            found.update({name: array + amount * random.normal(size=array.shape).astype("float32")})
            for name, array in list(found.items())
            if "layer.0" in name and "weight" in name
        ],
    )
    return to


def multiplied(folder, to, factor):
    """Copy a model and multiply its weight matrices."""
    shutil.copytree(folder, to)
    rewrite(
        to / "model.safetensors",
        lambda arrays: arrays.update(
            {name: array * factor for name, array in arrays.items() if array.ndim == 2}
        ),
    )
    return to


def cosine(one, other):
    return float(one @ other / numpy.linalg.norm(one) / numpy.linalg.norm(other))


@pytest.mark.slow
def test_dense_texts_move_by_the_cosine_of_their_vectors(reg, tmp_path):
    before = small.dense(tmp_path / "before")
    after = nudged(before, tmp_path / "after")

    found = reg.diff(before, after, texts=TEXTS).encodings

    vectors = [
        loaded(folder, "SentenceTransformer").encode(list(TEXTS)).astype("float64")
        for folder in (before, after)
    ]
    assert found.measure == COSINE
    assert [item.value for item in found.texts] == pytest.approx(
        [cosine(*pair) for pair in zip(*vectors, strict=True)], abs=1e-5
    )
    near = [
        numpy.argsort(-(side @ side.T - 9 * numpy.eye(len(TEXTS))), axis=1)[:, : found.neighbours]
        for side in vectors
    ]
    assert [set(item.entered) for item in found.texts] == [
        set(new.tolist()) - set(old.tolist()) for old, new in zip(*near, strict=True)
    ]
    assert all(item.before is not None for item in found.texts)


def test_the_plane_is_that_of_the_principal_components(reg, tmp_path):
    before = small.dense(tmp_path / "before")
    after = nudged(before, tmp_path / "after")

    found = reg.diff(before, after, texts=TEXTS).encodings

    rows = numpy.concatenate(
        [loaded(folder, "SentenceTransformer").encode(list(TEXTS)) for folder in (before, after)]
    ).astype("float64")
    rows -= rows.mean(axis=0)
    values, directions = numpy.linalg.eigh(rows.T @ rows)
    wanted = rows @ directions[:, ::-1][:, :2]
    places = numpy.array(
        [item.before for item in found.texts] + [item.after for item in found.texts]
    )
    numpy.testing.assert_allclose(abs(places), abs(wanted), atol=1e-4)
    assert f"{values[::-1][:2].sum() / values.sum():.0%}" in found.plane


@pytest.mark.slow
def test_sparse_texts_are_compared_token_by_token_though_ids_moved(reg, tmp_path):
    before = small.sparse(tmp_path / "before")
    reg.add(before, "before")
    reg.resize("before@1", "after", ["zorvaxin"])

    found = reg.diff("before@1", "after@1", texts=TEXTS).encodings

    one, other = (
        reg.load(name, device="cpu")
        .encode(list(TEXTS), convert_to_sparse_tensor=False)
        .float()
        .numpy()
        .astype("float64")
        for name in ("before@1", "after@1")
    )
    one = numpy.pad(one, ((0, 0), (0, other.shape[1] - one.shape[1])))
    assert [item.value for item in found.texts] == pytest.approx(
        [cosine(*pair) for pair in zip(one, other, strict=True)], abs=1e-5
    )


@pytest.mark.slow
def test_multi_vector_texts_are_compared_by_maxsim_both_ways(reg, tmp_path):
    before = small.multi_vector(tmp_path / "before")
    after = nudged(before, tmp_path / "after")

    found = reg.diff(before, after, texts=TEXTS).encodings

    sides = [
        loaded(folder, "MultiVectorEncoder").encode(list(TEXTS), convert_to_numpy=True)
        for folder in (before, after)
    ]
    wanted = []
    for a, b in zip(*sides, strict=True):
        between = numpy.array(
            [[cosine(one, other) for other in b.astype("float64")] for one in a.astype("float64")]
        )
        wanted.append((between.max(axis=0).mean() + between.max(axis=1).mean()) / 2)
    assert found.measure == MAXSIM
    assert [item.value for item in found.texts] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.slow
def test_pairs_move_by_the_change_of_their_score(reg, tmp_path):
    before = small.cross(tmp_path / "before")
    after = nudged(before, tmp_path / "after")
    file = tmp_path / "pairs.txt"
    file.write_text("\n".join([json.dumps(PAIRS[0]), "", *("\t".join(pair) for pair in PAIRS[1:])]))

    found = reg.diff(before, after, texts=file)

    scores = [
        loaded(folder, "CrossEncoder").predict(PAIRS).astype("float64")
        for folder in (before, after)
    ]
    assert found.encodings.measure == SCORE
    assert [item.value for item in found.encodings.texts] == pytest.approx(
        list(scores[1] - scores[0]), abs=1e-5
    )
    assert found.encodings.texts[0].before == pytest.approx((scores[0][0], scores[1][0]), abs=1e-5)
    assert found.advice.line.startswith(
        "stored vectors: keep: a CrossEncoder stores none; its scores change"
    )


def test_a_resized_base_moves_only_texts_with_the_new_word(reg, tmp_path):
    reg.add(plain.base(tmp_path / "base"), "base")
    reg.resize("base@1", "grown", ["zorvax"])

    found = reg.diff("base@1", "grown@1", encodings=True, html=tmp_path / "moved.html")

    moved = {item.text for item in found.encodings.texts if item.moved > 1e-5}
    assert moved
    assert all("zorvax" in text for text in moved)
    assert {"zorvax", "What is zorvax?"} <= {item.text for item in found.encodings.texts}
    (changed,) = found.encodings.pieces
    assert (changed.word, changed.before, changed.after) == (
        "zorvax",
        ("z", "##o", "##r", "##v", "##a", "##x"),
        ("zorvax",),
    )
    assert "1 token added" in (tmp_path / "moved.html").read_text("utf-8")


def test_vectors_of_two_widths_have_no_cosine_but_neighbours(reg, tmp_path):
    before = small.dense(tmp_path / "before")
    after = plain.base(tmp_path / "after", words=tuple(small.word_piece().get_vocab()))

    found = reg.diff(before, after, texts=TEXTS).encodings

    assert {item.value for item in found.texts} == {None}
    assert found.plane is None
    assert found.neighbours == 5
    assert "different widths" in found.sentence


def test_a_model_that_did_not_change_moves_nothing(reg, tmp_path):
    base = plain.base(tmp_path / "base")

    found = reg.diff(base, shutil.copytree(base, tmp_path / "copy"), encodings=True).encodings

    assert found.count == 0
    assert found.sentence.startswith("copy encodes all")
    assert found.histogram() == ((1.0, 1.0, len(found.texts)),)


@pytest.mark.parametrize(
    ("content", "quoted"), [(b"caf\xe9\n", ("texts.txt", "line 1", "0xe9")), (b"\n  \n", ())]
)
def test_a_file_of_texts_that_holds_none_is_refused_before_anything_is_loaded(
    reg, tmp_path, content, quoted
):
    base = plain.base(tmp_path / "base")
    (tmp_path / "texts.txt").write_bytes(content)

    with raises(Invalid, *quoted):
        reg.diff(base, base, texts=tmp_path / "texts.txt")


def test_lines_that_are_no_pairs_are_named(reg, tmp_path):
    base = small.cross(tmp_path / "base")

    with raises(Invalid, "line 2", "'alone'", "line 3", repr('["one"]'), "CrossEncoder"):
        reg.diff(base, base, texts=["a\tb", "alone", '["one"]'])


def test_a_file_that_is_not_there_and_a_page_that_cannot_be_written_are_told_first(reg, tmp_path):
    base = plain.base(tmp_path / "base")

    with raises(FolderNotFound, str(tmp_path / "nowhere.txt"), os.strerror(errno.ENOENT).lower()):
        reg.diff(base, base, texts=tmp_path / "nowhere.txt")
    with raises(Invalid, str(tmp_path / "nowhere" / "page.html")):
        reg.diff(base, base, html=tmp_path / "nowhere" / "page.html")


def test_a_cross_encoder_is_not_compared_with_an_encoder_of_texts(reg, tmp_path):
    with raises(Invalid, "CrossEncoder", "SentenceTransformer"):
        reg.diff(small.cross(tmp_path / "cross"), small.dense(tmp_path / "dense"), encodings=True)


def cast(folder, to, dtype):
    """A copy of a model as saved in another dtype."""
    import torch

    model = loaded(folder, "SentenceTransformer")
    model.to(getattr(torch, dtype))
    model.save(str(to))
    return to


def settled(folder, to, file, **settings):
    """A copy of a model with other settings in a file."""
    shutil.copytree(folder, to)
    (to / file).write_text(json.dumps({**json.loads((to / file).read_text()), **settings}))
    return to


def without_normalize(folder, to):
    shutil.copytree(folder, to)
    modules = json.loads((to / "modules.json").read_text())
    (to / "modules.json").write_text(
        json.dumps([item for item in modules if "Normalize" not in item["type"]])
    )
    return to


def told(found):
    """The sentence and the advice, as every form of a diff prints them."""
    return found.encodings.sentence, found.advice.line


def test_a_copy_in_half_precision_is_nearly_the_same_and_sentence_and_advice_say_how_near(
    reg, tmp_path
):
    before = small.dense(tmp_path / "before")
    after = cast(before, tmp_path / "half", "float16")

    found = reg.diff(before, after, texts=TEXTS, html=tmp_path / "page.html")

    one, other = (
        loaded(folder, "SentenceTransformer").encode(list(TEXTS)).astype("float64")
        for folder in (before, after)
    )
    furthest = found.encodings.texts[found.encodings.by_distance[0]]
    near = f"moved by {furthest.distance:.1e} of its length, a cosine of 0.999999"
    sentence, advice = told(found)
    assert [item.distance for item in found.encodings.texts] == pytest.approx(
        list(numpy.linalg.norm(other - one, axis=1) / numpy.linalg.norm(one, axis=1)), abs=1e-6
    )
    assert (found.encodings.count, found.encodings.exact, found.advice.keep) == (0, False, False)
    assert (
        sentence.startswith("half encodes all 9 texts nearly as before does: the furthest, “")
        and near in sentence
    )
    assert (
        advice.startswith("re-encode: everything: ")
        and "no more than rounding F32 to F16 does" in advice
    )
    assert (
        "; measured, all 9 texts are nearly where they were, and vectors can be kept if that is near enough: "
        in advice
        and near in advice
    )
    page = (tmp_path / "page.html").read_text("utf-8")
    assert (
        "<h1>No text moved by more than rounding</h1>" in page
        and "Measured, all 9 texts are nearly where they were" in page
    )


@pytest.mark.slow
def test_what_is_equal_to_the_bit_is_said_to_be(reg, tmp_path):
    before = small.dense(tmp_path / "before")

    same = reg.diff(before, shutil.copytree(before, tmp_path / "same"), texts=TEXTS)
    prompts = settled(
        before,
        tmp_path / "prompted",
        "config_sentence_transformers.json",
        prompts={"query": "query: "},
    )
    prompted = reg.diff(before, prompts, texts=TEXTS)

    assert told(same) == (
        "same encodes all 9 texts exactly as before does.",
        "stored vectors: keep: weights, tokens and settings that encode are the same",
    )
    assert (
        told(prompted)[0]
        == "prompted encodes all 9 texts exactly as before does. No prompt was named."
    )
    assert told(prompted)[1].startswith("re-encode: texts encoded with the prompt 'query'")


@pytest.mark.slow
def test_vectors_that_only_grew_longer_are_not_as_before(reg, tmp_path):
    before = small.dense(tmp_path / "before")

    found = reg.diff(
        before,
        without_normalize(before, tmp_path / "longer"),
        texts=TEXTS,
        html=tmp_path / "page.html",
    )

    lengths = [
        numpy.linalg.norm(loaded(folder, "SentenceTransformer").encode(list(TEXTS)), axis=1)
        for folder in (before, tmp_path / "longer")
    ]
    assert found.encodings.lengths == pytest.approx(
        [float(numpy.median(side)) for side in lengths], rel=1e-5
    )
    assert told(found)[0].startswith(
        f"longer encodes all 9 texts in the directions of before, but the vectors' median length is "
        f"{numpy.median(lengths[1]):.3g}, was 1."
    )
    assert "normalize is False, was True" in told(found)[1] and "measured" not in told(found)[1]
    assert "<h1>Every vector has another length</h1>" in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.slow
def test_advice_to_keep_says_so_where_texts_moved_by_more_than_noise(reg, tmp_path):
    # large weights, so that rounding to BF16 moves a text on any processor
    large = multiplied(small.dense(tmp_path / "dense"), tmp_path / "large", factor=10)
    half = cast(large, tmp_path / "half", "bfloat16")

    found = reg.diff(half, cast(half, tmp_path / "wide", "float32"), texts=TEXTS)

    assert found.advice.keep and found.encodings.count
    assert "the same values lie in F32 instead of BF16" in told(found)[1]
    assert (
        f"measured, {found.encodings.count} of 9 texts moved by more than rounding in float32 does: the furthest, “"
        in told(found)[1]
    )


def test_pairs_that_are_scored_as_before_are_said_to_be(reg, tmp_path):
    before = small.cross(tmp_path / "before")

    found = reg.diff(before, nudged(before, tmp_path / "after", amount=1e-8), texts=PAIRS)

    assert found.encodings.count == 0
    assert told(found)[0].startswith(
        "after scores all 9 pairs nearly as before does: the largest change of a score is "
    )
    assert (
        "; measured, all 9 pairs are nearly where they were: the largest change of a score is "
        in told(found)[1]
    )


@pytest.mark.slow
def test_vectors_of_two_widths_are_told_without_a_measure(reg, tmp_path):
    before = small.dense(tmp_path / "before")

    found = reg.diff(
        before,
        settled(before, tmp_path / "cut", "config_sentence_transformers.json", truncate_dim=8),
        texts=TEXTS,
    )

    assert told(found)[0].startswith(
        "before and cut have encodings of different widths, so only the texts' neighbours can be compared. "
    )
    assert told(found)[0].endswith("neighbours among their nearest 5.")
    assert "moved" not in str(found)


@pytest.mark.slow
def test_vectors_that_are_cut_shorter_are_cut_where_they_are_stored(reg, tmp_path):
    before = small.dense(tmp_path / "before")
    after = settled(before, tmp_path / "cut", "config_sentence_transformers.json", truncate_dim=8)

    found = reg.diff(before, after, html=tmp_path / "page.html")

    assert (found.advice.keep, found.advice.everything, found.advice.cut) == (False, False, 8)
    assert told(found)[1] == (
        "stored vectors: cut: each to its first 8 numbers, which is its encoding now, normalised again where "
        "normalize_embeddings=True made it; weights, tokens and settings that encode are the same"
    )
    assert "Cut the stored vectors" in (tmp_path / "page.html").read_text("utf-8")
    texts = [*TEXTS, ""]
    stored, new = (loaded(folder, "SentenceTransformer") for folder in (before, after))
    assert numpy.array_equal(stored.encode(texts)[:, :8], new.encode(texts))
    again = stored.encode(texts, normalize_embeddings=True)[:, :8]
    again /= numpy.linalg.norm(again, axis=1, keepdims=True)
    assert numpy.abs(again - new.encode(texts, normalize_embeddings=True)).max() < 1e-6


@pytest.mark.parametrize(
    ("was", "now", "cut"), [(None, 8, 8), (12, 8, 8), (8, 12, None), (8, None, None)]
)
def test_only_what_is_there_can_be_cut(reg, tmp_path, was, now, cut):
    plain = small.dense(tmp_path / "plain")
    before, after = (
        settled(plain, tmp_path / name, "config_sentence_transformers.json", truncate_dim=value)
        for name, value in (("before", was), ("after", now))
    )

    advice = reg.diff(before, after).advice

    assert (advice.cut, advice.keep, advice.everything) == (cut, False, cut is None)


def test_what_else_asks_for_new_vectors_leaves_nothing_to_cut(reg, tmp_path):
    before = small.dense(tmp_path / "before")
    both = settled(
        without_normalize(before, tmp_path / "longer"),
        tmp_path / "both",
        "config_sentence_transformers.json",
        truncate_dim=8,
    )
    prompted = settled(
        before,
        tmp_path / "prompted",
        "config_sentence_transformers.json",
        truncate_dim=8,
        prompts={"query": "find: "},
    )

    assert "; length truncate_dim is 8, was none; " in reg.diff(before, both).advice.line
    assert reg.diff(before, both).advice.everything
    assert (
        reg.diff(before, prompted)
        .advice.line.partition("; ")[2]
        .startswith("the other vectors are cut, each to its first 8 numbers, ")
    )


def test_encodings_that_are_no_numbers_are_measured_by_nobody(reg, tmp_path):
    before, after = small.dense(tmp_path / "before"), tmp_path / "after"
    shutil.copytree(before, after)
    with_one(after, "encoder.layer.1.output.LayerNorm.weight", float("nan"))

    with raises(NotLoadable, "after", "'a'", "NaN", "--encodings"):
        reg.diff(before, after, encodings=True)

    assert reg.diff(before, after).advice.line.endswith(
        "LayerNorm.weight, and 1 value is NaN or infinite on one side"
    )


def test_what_overflows_in_another_dtype_is_not_explained_by_rounding(reg, tmp_path):
    before = small.dense(tmp_path / "before")
    with_one(before, "embeddings.position_embeddings.weight", 1e6)

    advice = reg.diff(before, cast(before, tmp_path / "half", "float16")).advice

    assert "no more than rounding" not in advice.line
    assert ", and 1 value is NaN or infinite on one side" in advice.line


def with_one(folder, name, value):
    """One number of a model's weights, another."""

    def change(found):
        found[name] = found[name].copy()
        found[name].flat[-1] = value

    rewrite(folder / "model.safetensors", change)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.0, "1"),
        (1 - 1e-15, "1"),
        (0.99999979, "0.99999979"),
        (0.9876, "0.988"),
        (0.5, "0.500"),
        (-0.2, "-0.200"),
    ],
)
def test_a_cosine_has_as_many_digits_as_tell_it_from_one(value, said):
    assert Encodings(COSINE, "", (), 0, 0, (), None, "").said(value) == said
