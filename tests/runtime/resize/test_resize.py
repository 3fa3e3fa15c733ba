"""Resizing: the parent plus the tokens, and nothing else, for each class and each shape of table."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import FolderNotFound, InvalidTokens, NotEmpty, NotLoadable
from registry.model_files.weights import grow
from registry.model_files.weights.rewrite import Values, rewrite
from registry.model_files.weights.row_init import narrow, new_rows
from registry.runtime.loading import encode, load, quiet
from registry.runtime.resize.resize import ResizeReport, plan, resize
from registry.runtime.resize.verify_rows import prove
from tests.support import small
from tests.support.refusals import raises

ROWS = "embeddings.word_embeddings.weight"
COUNT = 107
"""Tokens of the small WordPiece vocabulary."""


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.dense(tmp_path_factory.mktemp("dense") / "model")


@pytest.fixture(scope="module")
def minilm_resized(
    minilm_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ResizeReport]:
    out = tmp_path_factory.mktemp("minilm") / "resized"
    return out, resize(
        minilm_folder, ["zorvaxin", "cardiomab"], out, model_class="SentenceTransformer"
    )


def stored(folder: Path, name: str, file: str = "model.safetensors") -> Any:
    """The rows of a stored tensor, as they lie in the file."""
    return grow.tables(folder / file)[name].view()


def encodings(folder: Path, model_class: str, inputs: list[Any]) -> list[Any]:
    return list(encode(load(folder, model_class, device="cpu"), inputs))


def without_new(encoded: list[Any]) -> list[Any]:
    """Sparse encodings in the parent's dimensions."""
    return [
        {token: weight for token, weight in item.items() if token not in small.NEW}
        if isinstance(item, dict)
        else item
        for item in encoded
    ]


PAIRS = [(text, small.TEXTS[0]) for text in small.TEXTS]
MODELS: dict[str, tuple[Callable[[Path], Path], str, list[Any]]] = {
    "dense": (small.dense, "SentenceTransformer", small.TEXTS),
    "dense, byte-level": (
        lambda folder: small.dense(folder, small.byte_level(), "ModernBertModel"),
        "SentenceTransformer",
        small.TEXTS,
    ),
    "dense, unigram": (
        lambda folder: small.dense(folder, small.unigram()),
        "SentenceTransformer",
        small.TEXTS,
    ),
    "dense, spare rows": (
        lambda folder: small.dense(folder, rows=128),
        "SentenceTransformer",
        small.TEXTS,
    ),
    "static": (small.static, "SentenceTransformer", small.TEXTS),
    "sparse, tied": (small.sparse, "SparseEncoder", small.TEXTS),
    "sparse, untied": (
        lambda folder: small.sparse(folder, tie_word_embeddings=False),
        "SparseEncoder",
        small.TEXTS,
    ),
    "sparse, untied, two biases": (
        lambda folder: small.sparse(
            folder, small.byte_level(), "RobertaForMaskedLM", tie_word_embeddings=False
        ),
        "SparseEncoder",
        small.TEXTS,
    ),
    "sparse, routed": (small.routed, "SparseEncoder", small.TEXTS),
    "cross": (small.cross, "CrossEncoder", PAIRS),
    "multi-vector": (small.multi_vector, "MultiVectorEncoder", small.TEXTS),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", MODELS)
def test_plain_texts_encode_bit_equal_and_the_new_ones_encode(kind: str, tmp_path: Path) -> None:
    build, model_class, inputs = MODELS[kind]
    parent = build(tmp_path / "parent")

    report = resize(parent, small.NEW, tmp_path / "out", model_class=model_class)

    assert without_new(encodings(tmp_path / "out", model_class, inputs)) == encodings(
        parent, model_class, inputs
    )
    new = ("zorvaxin", "the cat") if model_class == "CrossEncoder" else "zorvaxin"
    assert encodings(tmp_path / "out", model_class, [new])[0]
    assert [token.content for token in report.tokens] == small.NEW


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_old_rows_and_their_dtype_stay_byte_for_byte(dtype: str, tmp_path: Path) -> None:
    parent = small.dense(tmp_path / "parent", dtype=dtype)

    resize(parent, small.NEW, tmp_path / "out", model_class="SentenceTransformer")

    before, after = (
        grow.tables(parent / "model.safetensors"),
        grow.tables(tmp_path / "out" / "model.safetensors"),
    )
    assert after.keys() == before.keys()
    assert after[ROWS].shape == (COUNT + 3, 16)
    assert [after[name].dtype for name in after] == [before[name].dtype for name in after]
    assert all(
        after[name].view()[: before[name].rows].tobytes() == before[name].view().tobytes()
        for name in before
    )


def test_the_table_is_found_by_identity_among_others_of_its_shape(tmp_path: Path) -> None:
    parent = small.dense(tmp_path / "parent", type_vocab_size=COUNT)
    other = "embeddings.token_type_embeddings.weight"
    assert stored(parent, other).shape == stored(parent, ROWS).shape

    report = resize(parent, small.NEW, tmp_path / "out", model_class="SentenceTransformer")

    assert report.tables == (ROWS,)
    assert stored(tmp_path / "out", other).tobytes() == stored(parent, other).tobytes()
    assert stored(tmp_path / "out", ROWS).shape == (COUNT + 3, 16)


@pytest.mark.parametrize(
    "name", [ROWS, "encoder.layer.1.output.dense.weight"], ids=["an old row", "another tensor"]
)
def test_whatever_else_a_resize_changed_is_refused(name: str, dense: Path, tmp_path: Path) -> None:
    report = resize(dense, small.NEW, tmp_path / "out", model_class="SentenceTransformer")
    values = np.array(stored(tmp_path / "out", name))
    values[3] += 1
    weights = tmp_path / "out" / "model.safetensors"
    rewrite(
        weights, tmp_path / "new", replaced={name: Values("F32", values.shape, values.tobytes())}
    )
    (tmp_path / "new").replace(weights)

    with raises(NotLoadable, name):
        prove(
            tmp_path / "out",
            load(dense, "SentenceTransformer", device="cpu"),
            report.tokens,
            "SentenceTransformer",
            COUNT,
        )


def test_files_that_need_not_change_are_the_parents_bytes(
    minilm_folder: Path, minilm_resized: tuple[Path, ResizeReport]
) -> None:
    out, _ = minilm_resized

    changed = {
        path.relative_to(out).as_posix()
        for path in out.rglob("*")
        if path.is_file()
        and path.read_bytes() != (minilm_folder / path.relative_to(out)).read_bytes()
    }

    assert changed == {"config.json", "model.safetensors", "tokenizer.json"}
    assert (out / "config.json").read_text() == (minilm_folder / "config.json").read_text().replace(
        "30522", "30524"
    )


def test_a_new_row_is_the_mean_of_its_pieces_in_float64(
    minilm_folder: Path, minilm_resized: tuple[Path, ResizeReport]
) -> None:
    out, _ = minilm_resized
    pieces = load(minilm_folder, "SentenceTransformer", device="cpu").tokenizer.encode(
        "zorvaxin", add_special_tokens=False
    )

    mean = stored(minilm_folder, ROWS)[pieces].astype(np.float64).sum(axis=0) / len(pieces)
    row = stored(out, ROWS)[30522]

    assert len(pieces) > 1
    assert np.array_equal(row, mean.astype("f4"))


def rows_of_the_library(folder: Path) -> str:
    """What transformers makes of two more rows of a table, its generator seeded; as a digest."""
    import torch

    torch.manual_seed(1)
    with quiet():
        table = (
            load(folder, "SentenceTransformer", device="cpu")
            .transformers_model.resize_token_embeddings(30524)
            .weight
        )
    return hashlib.sha256(table[30522:].detach().numpy().tobytes()).hexdigest()


@pytest.mark.slow
def test_new_rows_have_the_same_bytes_in_a_process_that_adds_otherwise_and_those_of_the_library_do_not(
    minilm_folder: Path, minilm_resized: tuple[Path, ResizeReport], tmp_path: Path
) -> None:
    import torch

    program = (
        "import sys; from pathlib import Path; from registry.runtime.resize.resize import resize; "
        "resize(Path(sys.argv[1]), ['zorvaxin', 'cardiomab'], Path(sys.argv[2]), model_class='SentenceTransformer'); "
        "from tests.runtime.resize.test_resize import rows_of_the_library; print(rows_of_the_library(Path(sys.argv[1])))"
    )
    other = {
        "ATEN_CPU_CAPABILITY": "default",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
        "OMP_NUM_THREADS": "2",
        "PYTHONHASHSEED": "7",
    }

    ran = subprocess.run(
        [sys.executable, "-c", program, str(minilm_folder), str(tmp_path / "out")],
        check=True,
        env=os.environ | other,
        stdout=subprocess.PIPE,
        text=True,
    )

    if (
        torch.backends.cpu.get_cpu_capability() != "DEFAULT"
    ):  # a processor with one way to count cannot show it
        assert ran.stdout.split()[-1] != rows_of_the_library(minilm_folder)
    assert _digests(tmp_path / "out") == _digests(minilm_resized[0])


def test_resizing_again_gives_the_same_bytes_for_random_rows_of_one_seed(
    dense: Path, tmp_path: Path
) -> None:
    for name, seed in (("one", 5), ("again", 5), ("other", 6)):
        resize(
            dense,
            small.NEW,
            tmp_path / name,
            model_class="SentenceTransformer",
            init="random",
            seed=seed,
        )

    assert _digests(tmp_path / "one") == _digests(tmp_path / "again")
    assert (
        stored(tmp_path / "one", ROWS)[COUNT:].tobytes()
        != stored(tmp_path / "other", ROWS)[COUNT:].tobytes()
    )


def test_random_rows_have_the_spread_of_the_table() -> None:
    table = np.random.default_rng(1).normal(3.0, 0.25, (200, 64)).astype("<f4")

    rows = new_rows(
        table,
        "F32",
        200,
        [[0]] * 50,
        init="random",
        generator=np.random.Generator(np.random.PCG64(0)),
    )

    assert rows.std() == pytest.approx(0.25, rel=0.05)


def test_mean_rows_are_one_vector_and_that_is_said(dense: Path, tmp_path: Path) -> None:
    report = resize(
        dense, small.NEW, tmp_path / "out", model_class="SentenceTransformer", init="mean"
    )

    first, *others = stored(tmp_path / "out", ROWS)[COUNT:]
    assert all(np.array_equal(first, other) for other in others)
    assert np.allclose(first, stored(dense, ROWS).mean(axis=0), atol=1e-6)
    assert "cannot be told apart" in report.warnings[0]


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (1.0, 0x3F80),
        (1 + 2**-8, 0x3F80),
        (1 + 2**-8 + 2**-40, 0x3F81),
        (1 + 2**-8 - 2**-40, 0x3F80),
        (1 + 3 * 2**-8, 0x3F82),
        (-1 - 2**-8 - 2**-40, 0xBF81),
        (0.0, 0x0000),
        (2.0**-133, 0x0001),
        (2.0**-134, 0x0000),
        (2.0**-134 + 2.0**-160, 0x0001),
    ],
)
def test_a_bfloat16_row_is_rounded_once_to_nearest_and_even(value: float, bits: int) -> None:
    assert narrow(np.array([value]), "BF16").tolist() == [bits]


def test_untied_output_rows_and_biases_follow_by_their_own_pieces(tmp_path: Path) -> None:
    parent = small.sparse(tmp_path / "parent", tie_word_embeddings=False)
    pieces = load(parent, "SparseEncoder", device="cpu").tokenizer.encode(
        "zorvaxin", add_special_tokens=False
    )

    report = resize(parent, small.NEW, tmp_path / "out", model_class="SparseEncoder")

    assert report.tables == (
        "bert.embeddings.word_embeddings.weight",
        "cls.predictions.bias",
        "cls.predictions.decoder.bias",
        "cls.predictions.decoder.weight",
    )
    assert all(
        np.allclose(
            stored(tmp_path / "out", name)[COUNT],
            stored(parent, name)[pieces].mean(axis=0),
            atol=1e-6,
        )
        for name in report.tables
    )


def test_a_sparse_output_grows_with_its_dimension_and_that_is_said(tmp_path: Path) -> None:
    parent = small.sparse(tmp_path / "parent")

    report = resize(parent, small.NEW, tmp_path / "out", model_class="SparseEncoder")

    assert report.output == (COUNT, COUNT + 3)
    assert f"grow from {COUNT} to {COUNT + 3} dimensions" in report.warnings[0]
    assert (
        json.loads((tmp_path / "out" / "1_SpladePooling" / "config.json").read_text())[
            "embedding_dimension"
        ]
        == COUNT + 3
    )


def test_the_packaged_splade_keeps_plain_texts_and_loses_its_pickle(
    splade_folder: Path, tmp_path: Path
) -> None:
    resize(splade_folder, ["zorvaxin"], tmp_path / "out", model_class="SparseEncoder")

    text = ["the cat sat"]
    assert encodings(tmp_path / "out", "SparseEncoder", text) == encodings(
        splade_folder, "SparseEncoder", text
    )
    assert not (tmp_path / "out" / "heads.pt").exists()


def test_a_masked_language_model_read_as_a_dense_one_grows_whole(tmp_path: Path) -> None:
    small.sparse(tmp_path / "parent", tie_word_embeddings=False)

    report = resize(
        tmp_path / "parent-plain", small.NEW, tmp_path / "out", model_class="SentenceTransformer"
    )

    assert "cls.predictions.decoder.weight" in report.tables


def test_a_sharded_model_grows_in_the_shard_that_holds_the_table(tmp_path: Path) -> None:
    from transformers import BertModel

    plain = small.transformer_folder(tmp_path / "plain", small.word_piece())
    BertModel.from_pretrained(plain).save_pretrained(tmp_path / "parent", max_shard_size="8KB")
    small.word_piece().save_pretrained(tmp_path / "parent")

    resize(tmp_path / "parent", small.NEW, tmp_path / "out", model_class="SentenceTransformer")

    shards = sorted(path.name for path in (tmp_path / "parent").glob("*.safetensors"))
    assert len(shards) > 1
    assert (
        sum(
            (tmp_path / "out" / name).read_bytes() != (tmp_path / "parent" / name).read_bytes()
            for name in shards
        )
        == 1
    )
    sizes = [
        json.loads((folder / "model.safetensors.index.json").read_text())["metadata"]["total_size"]
        for folder in (tmp_path / "parent", tmp_path / "out")
    ]
    assert sizes[1] - sizes[0] == 3 * 16 * 4


@pytest.mark.parametrize(
    ("rows", "kind", "after"),
    [(COUNT, "append", COUNT + 3), (COUNT + 2, "spare+append", COUNT + 3), (128, "spare", 128)],
)
def test_each_plan_is_said_before_it_is_done_and_recorded(
    rows: int, kind: str, after: int, tmp_path: Path
) -> None:
    parent = small.dense(tmp_path / "parent", rows=rows)
    said: list[tuple[str, bool]] = []

    report = resize(
        parent,
        small.NEW,
        tmp_path / "out",
        model_class="SentenceTransformer",
        say=lambda line: said.append((line, (tmp_path / "out").exists())),
    )

    assert said == [(report.plan.text, False)]
    assert (report.plan.kind, report.old_rows, report.new_rows) == (kind, rows, after)
    assert (report.recipe()["plan"], report.recipe()["new_rows"]) == (kind, after)
    assert stored(tmp_path / "out", ROWS).shape[0] == after
    assert json.loads((tmp_path / "out" / "config.json").read_text())["vocab_size"] == after


def test_spare_rows_behind_the_used_ones_keep_their_bytes(tmp_path: Path) -> None:
    parent = small.dense(tmp_path / "parent", rows=128)

    resize(parent, small.NEW, tmp_path / "out", model_class="SentenceTransformer")

    before, after = stored(parent, ROWS), stored(tmp_path / "out", ROWS)
    assert np.array_equal(before[COUNT + 3 :], after[COUNT + 3 :])
    assert not np.array_equal(before[COUNT : COUNT + 3], after[COUNT : COUNT + 3])


def test_a_table_that_is_too_short_gets_the_missing_rows_first() -> None:
    made = plan(110, 107, 3)

    assert (made.kind, made.used, made.missing, made.new_rows) == ("append", 107, 3, 113)


def test_flags_and_ids_are_kept_by_save_and_reload(dense: Path, tmp_path: Path) -> None:
    tokens = [
        {"content": "[Q]", "special": True},
        {"content": "zorvaxin", "single_word": True},
        {"content": "Zed-1", "normalized": False, "lstrip": True, "rstrip": True},
    ]

    report = resize(dense, tokens, tmp_path / "out", model_class="SentenceTransformer")

    load(tmp_path / "out", "SentenceTransformer", device="cpu").save_pretrained(
        str(tmp_path / "again")
    )
    known = load(
        tmp_path / "again", "SentenceTransformer", device="cpu"
    ).tokenizer.added_tokens_decoder
    flags = ("content", "special", "lstrip", "rstrip", "single_word", "normalized")
    assert [token.id for token in report.tokens] == [COUNT, COUNT + 1, COUNT + 2]
    assert [[getattr(known[token.id], flag) for flag in flags] for token in report.tokens] == [
        [getattr(token, flag) for flag in flags] for token in report.tokens
    ]
    assert [(token.special, token.single_word, token.normalized) for token in report.tokens] == [
        (True, False, False),
        (False, True, True),
        (False, False, False),
    ]


def test_resizing_twice_adds_behind_what_was_added(dense: Path, tmp_path: Path) -> None:
    resize(dense, small.NEW, tmp_path / "one", model_class="SentenceTransformer")

    report = resize(
        tmp_path / "one",
        ["zorvaxin", "qqx"],
        tmp_path / "two",
        model_class="SentenceTransformer",
        skip_existing=True,
    )

    assert [(token.id, token.content) for token in report.tokens] == [(COUNT + 3, "qqx")]
    assert report.skipped == ("zorvaxin",)


def test_the_token_lists_of_older_libraries_get_the_new_tokens(dense: Path, tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    _copy(dense, parent)
    config = json.loads((parent / "tokenizer_config.json").read_text())
    config["added_tokens_decoder"] = {"0": {"content": "[PAD]", "special": True}}
    (parent / "tokenizer_config.json").write_text(json.dumps(config))
    (parent / "added_tokens.json").write_text("{}")

    resize(parent, ["zorvaxin"], tmp_path / "out", model_class="SentenceTransformer")

    decoder = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())[
        "added_tokens_decoder"
    ]
    assert decoder[str(COUNT)]["content"] == "zorvaxin"
    assert json.loads((tmp_path / "out" / "added_tokens.json").read_text()) == {"zorvaxin": COUNT}


def test_a_vocabulary_file_alone_gets_a_tokenizer_file(dense: Path, tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    _copy(dense, parent)
    ids = json.loads((parent / "tokenizer.json").read_text())["model"]["vocab"]
    (parent / "vocab.txt").write_text("\n".join(sorted(ids, key=ids.__getitem__)) + "\n")
    (parent / "tokenizer.json").unlink()

    resize(parent, ["zorvaxin"], tmp_path / "out", model_class="SentenceTransformer")

    assert (
        json.loads((tmp_path / "out" / "tokenizer.json").read_text())["added_tokens"][-1]["id"]
        == COUNT
    )


def test_words_of_the_same_pieces_are_warned_of(dense: Path, tmp_path: Path) -> None:
    report = resize(
        dense,
        ["Zorvaxin", "zorvaxin"],
        tmp_path / "out",
        model_class="SentenceTransformer",
        normalized=False,
    )

    assert any(
        "'zorvaxin' and 'Zorvaxin' have the same pieces" in warning for warning in report.warnings
    )


@pytest.mark.parametrize(
    ("options", "quoted"),
    [
        ({"init": "random"}, ["random", "--seed 0", "seed=0"]),
        ({"init": "clever"}, ["'clever'", "subwords", "mean", "random"]),
        ({"seed": 1}, [" 1 ", "'subwords'", "random"]),
        ({"init": "random", "seed": -1}, ["-1", "0"]),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(
    options: dict[str, Any], quoted: list[str], dense: Path, tmp_path: Path
) -> None:
    with raises(InvalidTokens, *quoted):
        resize(dense, small.NEW, tmp_path / "out", model_class="SentenceTransformer", **options)


def test_a_refused_list_leaves_nothing_behind(dense: Path, tmp_path: Path) -> None:
    with raises(InvalidTokens, "2 of 3 ", "'cat'", "6", "' x'"):
        resize(
            dense, ["cat", "zorvaxin", " x"], tmp_path / "out", model_class="SentenceTransformer"
        )

    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_files_is_left_alone(dense: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(NotEmpty):
        resize(dense, small.NEW, tmp_path, model_class="SentenceTransformer")

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with raises(FolderNotFound, str(tmp_path / "nowhere")):
        resize(tmp_path / "nowhere", small.NEW, tmp_path / "out", model_class="SentenceTransformer")


def test_an_adapter_is_not_resized(dense: Path, tmp_path: Path) -> None:
    _copy(dense, tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")

    with raises(NotLoadable, "adapter"):
        resize(tmp_path / "adapter", small.NEW, tmp_path / "out", model_class="SentenceTransformer")

    assert not (tmp_path / "out").exists()


def test_an_interrupted_resize_leaves_nothing_behind(dense: Path, tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resize(dense, small.NEW, tmp_path / "out", model_class="SentenceTransformer", say=interrupt)

    assert not (tmp_path / "out").exists()


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _copy(source: Path, target: Path) -> None:
    import shutil

    shutil.copytree(source, target)
