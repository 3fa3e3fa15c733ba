"""Probes: what they notice, what they leave alone, and that they are the same after being stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from registry.core.digest import canonical
from registry.core.facts import Token
from registry.errors import InvalidManifest, NewerFormat, NotLoadable
from registry.runtime import probes
from registry.runtime.loading import load
from registry.runtime.resize.resize import resize
from tests.support import small
from tests.support.refusals import raises

Resized = tuple[Path, tuple[Token, ...], probes.Probes]


@pytest.fixture(scope="module")
def resized(tmp_path_factory: pytest.TempPathFactory) -> Resized:
    folder = tmp_path_factory.mktemp("resized")
    report = resize(
        small.dense(folder / "parent"),
        small.NEW,
        folder / "model",
        model_class="SentenceTransformer",
    )
    model = load(folder / "model", "SentenceTransformer", device="cpu")
    return folder / "model", report.tokens, probes.record(model, report.tokens)


def test_a_model_that_cannot_make_ids_of_a_text_is_said_to_be_one(tmp_path: Path) -> None:
    model = load(small.dense(tmp_path / "model"), "SentenceTransformer", device="cpu")
    model.max_seq_length = 30.0

    python_says = "TypeError: 'float' object cannot be interpreted as an integer"
    with raises(NotLoadable, "''", python_says):
        probes.record(model)


@pytest.mark.parametrize(
    ("build", "model_class"),
    [
        (small.dense, "SentenceTransformer"),
        (small.static, "SentenceTransformer"),
        (small.sparse, "SparseEncoder"),
        (small.cross, "CrossEncoder"),
        (small.multi_vector, "MultiVectorEncoder"),
    ],
)
def test_a_model_loaded_again_gives_no_difference_and_one_changed_weight_does(
    build: Any, model_class: str, tmp_path: Path
) -> None:
    import torch

    folder = build(tmp_path / "model")
    stored = probes.record(load(folder, model_class, device="cpu")).to_bytes()
    again = load(folder, model_class, device="cpu")

    same = probes.compare(again, probes.parse(stored))
    with torch.no_grad():
        next(again.parameters()).mul_(1.01)

    assert same == ()
    assert probes.compare(again, probes.parse(stored))


def test_stored_probes_are_canonical_and_come_back_equal(resized: Resized) -> None:
    content = resized[2].to_bytes()

    assert probes.parse(content).to_bytes() == content
    assert probes.parse(content).probes == resized[2].probes


def test_what_was_recorded_of_a_text_alone_is_what_the_model_makes_of_it(resized: Resized) -> None:
    model = load(resized[0], "SentenceTransformer", device="cpu")
    recorded = {
        probe.text[0]: probe
        for probe in resized[2].probes
        if not probe.prompt and probe.shape is not None
    }

    with probes.still(model):
        again = {text: probes.probe(model, text) for text in recorded}

    assert {*probes.TEXTS, *(token.content for token in resized[1])} <= recorded.keys()
    assert again == recorded


def test_probes_of_a_newer_format_are_refused(resized: Resized) -> None:
    value = json.loads(resized[2].to_bytes())

    with pytest.raises(NewerFormat):
        probes.parse(canonical(value | {"format": 2}))
    with pytest.raises(InvalidManifest):
        probes.parse(canonical(value | {"probes": [{"text": ["a"], "colour": 1}]}))


def test_rows_that_changed_places_are_noticed_though_plain_texts_are_equal(
    resized: Resized,
) -> None:
    import torch

    folder, tokens, recorded = resized
    model = load(folder, "SentenceTransformer", device="cpu")
    table = model.transformers_model.get_input_embeddings().weight

    with torch.no_grad():
        table[[107, 108]] = table[[108, 107]].clone()

    assert {difference.text for difference in probes.compare(model, recorded)} == {
        tokens[0].content,
        tokens[1].content,
    }


def test_other_flags_are_noticed_by_the_ids_of_variants(resized: Resized, tmp_path: Path) -> None:
    parent = resized[0].parent / "parent"
    report = resize(
        parent, small.NEW, tmp_path / "out", model_class="SentenceTransformer", single_word=True
    )

    found = probes.compare(load(tmp_path / "out", "SentenceTransformer", device="cpu"), resized[2])

    assert len(report.tokens) == 3
    assert any("token ids were" in str(difference) for difference in found)
    assert "prezorvaxin" in {difference.text for difference in found}


def test_another_pooling_is_noticed(resized: Resized) -> None:
    model = load(resized[0], "SentenceTransformer", device="cpu")

    model[1].pooling_mode = ("cls",)

    assert probes.compare(model, resized[2])


def test_a_coarser_dtype_has_a_wider_tolerance_and_still_shows_a_wrong_row(
    resized: Resized,
) -> None:
    import torch

    model = load(
        resized[0], "SentenceTransformer", device="cpu", model_kwargs={"dtype": "bfloat16"}
    )

    before = probes.compare(model, resized[2])
    with torch.no_grad():
        model.transformers_model.get_input_embeddings().weight[107] = torch.linspace(-9, 9, 16)

    assert before == ()
    assert [difference.text for difference in probes.compare(model, resized[2])] == ["zorvaxin"]


def test_probing_leaves_the_model_as_it_was(resized: Resized) -> None:
    import torch

    model = load(
        resized[0],
        "SentenceTransformer",
        device="cpu",
        model_kwargs={"dtype": "float16"},
        truncate_dim=4,
    ).train()
    before = [(parameter.data_ptr(), parameter.dtype) for parameter in model.parameters()]
    state = torch.random.get_rng_state()

    found = probes.compare(model, resized[2])

    assert found == ()
    assert [(parameter.data_ptr(), parameter.dtype) for parameter in model.parameters()] == before
    assert (model.training, model.truncate_dim, torch.get_num_threads()) == (True, 4, 1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_each_named_prompt_is_probed(resized: Resized) -> None:
    model = load(resized[0], "SentenceTransformer", device="cpu", prompts={"query": "find: "})

    recorded = probes.record(model)

    assert [probe.prompt for probe in recorded.probes if probe.prompt] == ["find: "]


def test_many_tokens_are_all_probed_by_ids_and_some_by_encoding(resized: Resized) -> None:
    model = load(resized[0], "SentenceTransformer", device="cpu")

    recorded = probes.record(model, [Token(id, f"word{id}") for id in range(300)])

    bare = [
        probe
        for probe in recorded.probes
        if probe.text[0].startswith("word") and probe.text[0][4:].isdigit()
    ]
    assert len(bare) == 300
    assert sum(probe.shape is not None for probe in bare) == 64


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({}, None),
        ({"backend": "onnx"}, "backend 'onnx'"),
        ({"model_kwargs": {"quantization_config": {}}}, "quantised"),
        ({"processor_kwargs": {"model_max_length": 3}}, "processor_kwargs change"),
    ],
)
def test_what_a_comparison_cannot_judge_is_said(
    kwargs: dict[str, Any], said: str | None, resized: Resized
) -> None:
    reason = probes.unmeasured(
        load(resized[0], "SentenceTransformer", device="cpu"), resized[2], kwargs
    )

    assert (reason is None) if said is None else (reason is not None and said in reason)


def test_the_name_of_an_environment_tells_dtypes_apart_and_is_one_line(resized: Resized) -> None:
    plain = load(resized[0], "SentenceTransformer", device="cpu")
    half = load(resized[0], "SentenceTransformer", device="cpu", model_kwargs={"dtype": "float16"})

    names = [
        probes.environment_name(plain),
        probes.environment_name(plain),
        probes.environment_name(half),
    ]

    assert names[0] == names[1] != names[2]
    assert "\n" not in names[0]


def written(**changes: Any) -> bytes:
    """Probes of one text by hand, changed so."""
    probe = {
        "text": ["a"],
        "prompt": None,
        "ids": [1, 2],
        "shape": [2],
        "values": "0000803f" * 2,
        "places": None,
        "given": False,
    }
    head = {
        "format": 1,
        "model_class": "SentenceTransformer",
        "dtype": "float32",
        "device": "cpu",
        "environment": {},
    }
    return canonical(
        head
        | {"probes": [probe | changes]}
        | {key: value for key, value in changes.items() if key in head}
    )


def test_probes_by_hand_are_read() -> None:
    sparse = {"shape": [9], "places": [0, 8]}

    assert probes.dense(probes.parse(written()).probes[0]).tolist() == [1.0, 1.0]
    assert probes.dense(probes.parse(written(**sparse)).probes[0]).tolist() == [
        1.0,
        *[0.0] * 7,
        1.0,
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"values": "zz" * 8},
        {"values": "0000803f"},
        {"values": 7},
        {"text": []},
        {"text": [1]},
        {"text": "a"},
        {"ids": ["1"]},
        {"ids": None},
        {"shape": [-2]},
        {"shape": [2, "x"]},
        {"shape": None},
        {"shape": [10**6, 10**6], "places": []},
        {"shape": [9], "places": [0, 9]},
        {"shape": [9], "places": [8, -1]},
        {"shape": [9], "places": [8]},
        {"shape": [3, 3], "places": [0, 1]},
        {"prompt": 1},
        {"given": "yes"},
        {"dtype": 32},
        {"environment": {"torch": 2}},
        {"environment": "cpu"},
    ],
    ids=str,
)
def test_probes_with_which_nothing_can_be_compared_are_refused_in_a_line(
    changes: dict[str, Any],
) -> None:
    with raises(InvalidManifest, "probes") as refused:
        probes.parse(written(**changes))

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("build", "model_class"), [(small.dense, "SentenceTransformer"), (small.cross, "CrossEncoder")]
)
def test_ids_of_texts_in_batches_are_those_of_each_text(
    build: Any, model_class: str, tmp_path: Path
) -> None:
    model = load(build(tmp_path / "model"), model_class, device="cpu")
    texts = ["cat"] * (64 + 128) + ["the cat sat", "the " * 300, "cat", "dog"]
    first = len(probes.record(model).probes)

    recorded = probes.record(model, [Token(index, text) for index, text in enumerate(texts)])

    ids = [probe.ids for probe in recorded.probes[first : first + len(texts)]]
    assert ids == [probes.ids_of(model, text) for text in texts]
    assert probes.compare(model, recorded) == ()
