"""The demo's training: the same from the same seed, gone from no one's random numbers, and wrong bases that are truly wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.runtime import example_training, loading
from tests.support import plain

PAIRS = [
    ("the patient takes one", "a dose"),
    ("new dose a day", "one"),
    ("zorvaxin", "the patient"),
]
TEXTS = ["the zorvaxin", "quelora", "one a day"]
WORDS = ("zorvaxin", "quelora")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only to be read."""
    return plain.base(tmp_path_factory.mktemp("training") / "base", added=WORDS)


@pytest.fixture(scope="module")
def trained(
    base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, example_training.Trained]:
    out = tmp_path_factory.mktemp("trained") / "adapter"
    return out, example_training.train_adapter(base, PAIRS, TEXTS, out)


def test_what_is_saved_encodes_what_training_ended_with(
    trained: tuple[Path, example_training.Trained],
) -> None:
    out, said = trained

    model = loading.load(out, "SentenceTransformer", device="cpu")

    assert [tuple(vector) for vector in loading.encode(model, TEXTS)] == list(said.vectors)


def test_training_moves_the_vectors_and_lowers_the_loss(
    base: Path, trained: tuple[Path, example_training.Trained]
) -> None:
    _, said = trained
    untrained = loading.load(base, "SentenceTransformer", device="cpu")

    assert [tuple(vector) for vector in loading.encode(untrained, TEXTS)] != list(said.vectors)
    assert said.last_loss < said.first_loss


def test_the_same_seed_gives_the_same_bytes(
    base: Path, trained: tuple[Path, example_training.Trained], tmp_path: Path
) -> None:
    first, _ = trained

    example_training.train_adapter(base, PAIRS, TEXTS, tmp_path / "again")

    assert (tmp_path / "again" / "adapter_model.safetensors").read_bytes() == (
        first / "adapter_model.safetensors"
    ).read_bytes()


def test_the_callers_random_numbers_are_left_as_they_are(base: Path, tmp_path: Path) -> None:
    import torch

    before = torch.random.get_rng_state()

    example_training.train_adapter(base, PAIRS, [], tmp_path / "adapter")

    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_base_built_from_the_same_words_in_another_order_has_the_same_rows_in_that_order(
    tmp_path: Path,
) -> None:
    plain.base(tmp_path / "root")
    example_training.build_base(tmp_path / "root", WORDS, tmp_path / "right")
    example_training.build_base(tmp_path / "root", WORDS[::-1], tmp_path / "wrong")

    right, wrong = (
        loading.load(tmp_path / name, "SentenceTransformer", device="cpu")
        for name in ("right", "wrong")
    )
    rows = [
        model.transformers_model.get_input_embeddings().weight.detach() for model in (right, wrong)
    ]

    assert [model.tokenizer.convert_ids_to_tokens([27, 28]) for model in (right, wrong)] == [
        list(WORDS),
        list(WORDS[::-1]),
    ]
    assert rows[0][-2:].tolist() == rows[1][-2:].flip(0).tolist()
    assert rows[0][:-2].equal(rows[1][:-2])
