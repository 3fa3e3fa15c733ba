"""Loading: what comes back, what is refused, and what a loaded object is asked."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from registry.core.digest import Digest
from registry.core.facts import Facts, Token, Vocabulary, Weights
from registry.errors import ForeignCode, Invalid, InvalidReference, MissingExtra, NotLoadable
from registry.model_files.weights import grow
from registry.runtime.loading import ask, encode, load, quiet, rows
from registry.runtime.resize.resize import resize
from tests.support import small
from tests.support.refusals import raises

NOTHING = Digest("sha256:" + "0" * 64)
DENSE = ("Transformer", "Pooling", "Normalize")


def facts(
    folder: Path,
    added: tuple[Token, ...] = (),
    *,
    modules: tuple[str, ...] = (),
    table: int | None = None,
    model_class: str = "SentenceTransformer",
) -> Facts:
    """What our readers would say of a small model, as far as a loaded object is asked about it."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    known = set(vocabulary if isinstance(vocabulary, dict) else [piece for piece, _ in vocabulary])
    size = len(known | {token["content"] for token in tokenizer["added_tokens"]})
    weights = Weights(NOTHING, "F32", 0, ())
    return Facts(
        model_class, NOTHING, Vocabulary(NOTHING, size, added), weights, rows=table, modules=modules
    )


@pytest.fixture(scope="module")
def resized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Facts]:
    folder = tmp_path_factory.mktemp("resized")
    report = resize(
        small.dense(folder / "parent"),
        small.NEW,
        folder / "model",
        model_class="SentenceTransformer",
    )
    return folder / "model", facts(
        folder / "model", report.tokens, modules=DENSE, table=report.new_rows
    )


@pytest.fixture
def copied(resized: tuple[Path, Facts], tmp_path: Path) -> tuple[Path, Facts]:
    shutil.copytree(resized[0], tmp_path / "model")
    return tmp_path / "model", resized[1]


def adapter(base: Path, folder: Path, **settings: Any) -> Path:
    """An adapter on a base, its numbers not zero, saved as sentence-transformers does."""
    import torch
    from peft import LoraConfig

    model = load(base, "SentenceTransformer", device="cpu")
    with quiet():
        model.add_adapter(LoraConfig(r=2, target_modules=["query", "value"], **settings))
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.1 if "lora" in name else 1.0)
        model.save_pretrained(str(folder))
    return folder


def test_a_model_comes_back_as_its_class_and_says_nothing(
    resized: tuple[Path, Facts], capfd: pytest.CaptureFixture[str]
) -> None:
    model = load(resized[0], "SentenceTransformer", device="cpu", truncate_dim=4)

    assert len(next(encode(model, ["the cat"]))) == 4
    assert capfd.readouterr() == ("", "")


def test_a_weight_load_report_goes_to_the_log_only(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    small.sparse(tmp_path / "masked")

    with caplog.at_level("WARNING", logger="registry.libraries"):
        load(tmp_path / "masked-plain", "SentenceTransformer", device="cpu")

    assert "LOAD REPORT" in caplog.text
    assert "LOAD REPORT" not in "".join(capfd.readouterr())


def test_libraries_are_as_loud_as_before_once_a_model_is_loaded(
    resized: tuple[Path, Facts],
) -> None:
    import logging

    from transformers.utils import logging as library

    library.get_logger()
    before = (logging.getLogger("transformers").handlers[:], library.is_progress_bar_enabled())

    load(resized[0], "SentenceTransformer", device="cpu")

    assert (logging.getLogger("transformers").handlers, library.is_progress_bar_enabled()) == before


@pytest.mark.parametrize(
    ("keywords", "error", "quoted"),
    [
        ({"trust_remote_code": True}, ForeignCode, ["trust_remote_code=True"]),
        ({"model_kwargs": {"trust_remote_code": True}}, ForeignCode, ["trust_remote_code=True"]),
        ({"revision": "main"}, InvalidReference, ["revision='main'", "name@3"]),
        ({"processor_kwargs": {"revision": "v1"}}, InvalidReference, ["revision='v1'", "name@3"]),
        ({"model_name_or_path": "org/other"}, InvalidReference, ["model_name_or_path='org/other'"]),
        (
            {"model_kwargs": {"ignore_mismatched_sizes": True}},
            InvalidReference,
            ["ignore_mismatched_sizes=True"],
        ),
        ({"local_files_only": False}, Invalid, ["local_files_only=False"]),
        ({"backend": "onnx"}, MissingExtra, ["'onnx'", "optimum", "sentence-transformers[onnx]"]),
    ],
)
def test_a_keyword_that_would_load_something_else_is_refused(
    resized: tuple[Path, Facts],
    keywords: dict[str, Any],
    error: type[Exception],
    quoted: list[str],
) -> None:
    with raises(error, *quoted) as caught:
        load(resized[0], "SentenceTransformer", **keywords)

    assert "\n" not in str(caught.value)


def test_an_unknown_class_is_refused(resized: tuple[Path, Facts]) -> None:
    classes = ("SentenceTransformer", "CrossEncoder", "SparseEncoder", "MultiVectorEncoder")
    with raises(NotLoadable, "'AutoModel'", *classes):
        load(resized[0], "AutoModel")


def test_what_the_library_cannot_load_is_one_line(copied: tuple[Path, Facts]) -> None:
    (copied[0] / "model.safetensors").write_bytes(b"short")

    library_says = "Error while deserializing header"
    with raises(NotLoadable, "SentenceTransformer", str(copied[0]), library_says) as caught:
        load(copied[0], "SentenceTransformer", device="cpu")

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("build", "model_class"),
    [(small.multi_vector, "MultiVectorEncoder"), (small.sparse, "SparseEncoder")],
)
def test_an_encoding_is_json_and_does_not_depend_on_its_neighbours(
    build: Any, model_class: str, tmp_path: Path
) -> None:
    model = load(build(tmp_path / "model"), model_class, device="cpu")

    together = list(encode(model, small.TEXTS))

    assert together == [next(encode(model, [text])) for text in small.TEXTS]
    assert json.loads(json.dumps(together)) == together
    assert isinstance(together[0], dict if model_class == "SparseEncoder" else list)


def test_a_sparse_encoding_names_its_tokens_heaviest_first(splade_folder: Path) -> None:
    (encoded,) = encode(load(splade_folder, "SparseEncoder", device="cpu"), ["the cat sat"])

    assert next(iter(encoded)) == "cat"
    assert list(encoded.values()) == sorted(encoded.values(), reverse=True)


def test_a_cross_encoder_scores_pairs_and_nothing_else(tmp_path: Path) -> None:
    model = load(small.cross(tmp_path / "model"), "CrossEncoder", device="cpu")

    assert isinstance(next(encode(model, [["the cat", "a dog"]])), float)
    with raises(Invalid, "CrossEncoder", "'the cat'", '["question", "answer"]'):
        next(encode(model, ["the cat"]))


def test_a_text_encoder_refuses_pairs(resized: tuple[Path, Facts]) -> None:
    with raises(Invalid, "SentenceTransformer", "['the cat', 'a dog']"):
        next(encode(load(resized[0], "SentenceTransformer", device="cpu"), [["the cat", "a dog"]]))


def test_a_model_that_is_what_was_registered_raises_no_question(
    resized: tuple[Path, Facts],
) -> None:
    model = load(resized[0], "SentenceTransformer", device="cpu")

    assert ask(model, resized[1], folder=resized[0]) == []
    assert rows(model) == resized[1].rows


def test_the_real_model_with_its_older_names_raises_no_question(
    minilm_folder: Path, splade_folder: Path
) -> None:
    dense, sparse = (
        load(minilm_folder, "SentenceTransformer", device="cpu"),
        load(splade_folder, "SparseEncoder", device="cpu"),
    )

    assert ask(dense, facts(minilm_folder, modules=DENSE, table=30522), folder=minilm_folder) == []
    assert (
        ask(
            sparse,
            facts(splade_folder, table=30522, model_class="SparseEncoder"),
            folder=splade_folder,
        )
        == []
    )


def test_a_masked_model_loaded_as_a_dense_one_raises_no_question_for_its_made_up_pooler(
    splade_folder: Path,
) -> None:
    model = load(splade_folder, "SentenceTransformer", device="cpu")

    assert ask(model, facts(splade_folder, table=30522), folder=splade_folder) == []


def test_a_dtype_that_was_asked_for_is_no_fault_and_one_that_was_not_is(
    resized: tuple[Path, Facts],
) -> None:
    keywords = {"model_kwargs": {"dtype": "bfloat16"}}
    model = load(resized[0], "SentenceTransformer", device="cpu", **keywords)

    assert ask(model, resized[1], folder=resized[0], kwargs=keywords) == []
    assert (
        "bfloat16 in memory and F32 in model.safetensors"
        in ask(model, resized[1], folder=resized[0])[0]
    )


def test_a_tokenizer_without_the_added_tokens_is_found(copied: tuple[Path, Facts]) -> None:
    text = (copied[0] / "tokenizer.json").read_text()
    tokenizer = json.loads(text)
    tokenizer["added_tokens"] = tokenizer["added_tokens"][:-3]
    (copied[0] / "tokenizer.json").write_text(json.dumps(tokenizer))

    problems = ask(
        load(copied[0], "SentenceTransformer", device="cpu"), copied[1], folder=copied[0]
    )

    assert problems[0] == "the tokenizer has 107 tokens, registered were 110"
    assert "registered was 'zorvaxin'" in problems[1]


def test_added_tokens_in_another_order_or_with_other_flags_are_found(
    copied: tuple[Path, Facts],
) -> None:
    tokenizer = json.loads((copied[0] / "tokenizer.json").read_text())
    first, second, third = tokenizer["added_tokens"][-3:]
    first["content"], second["content"], third["single_word"] = (
        second["content"],
        first["content"],
        True,
    )
    (copied[0] / "tokenizer.json").write_text(json.dumps(tokenizer))

    problems = ask(
        load(copied[0], "SentenceTransformer", device="cpu"), copied[1], folder=copied[0]
    )

    assert [problem.split()[1] for problem in problems] == ["107", "108", "109"]


def test_a_lost_module_is_found(copied: tuple[Path, Facts]) -> None:
    modules = json.loads((copied[0] / "modules.json").read_text())
    (copied[0] / "modules.json").write_text(json.dumps(modules[:-1]))

    assert ask(
        load(copied[0], "SentenceTransformer", device="cpu"), copied[1], folder=copied[0]
    ) == ["the modules are Transformer, Pooling, registered were Transformer, Pooling, Normalize"]


def test_a_layer_that_no_file_holds_is_found(copied: tuple[Path, Facts]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copied[0] / "model.safetensors")
    kept = {
        name: tensor.clone()
        for name, tensor in weights.items()
        if "layer.1.output.dense" not in name
    }
    save_file(kept, copied[0] / "model.safetensors", {"format": "pt"})

    problems = ask(
        load(copied[0], "SentenceTransformer", device="cpu"), copied[1], folder=copied[0]
    )

    assert (
        problems[0]
        == "parameter encoder.layer.1.output.dense.weight comes from no file: it was made up while loading"
    )


def test_numbers_that_are_not_those_of_the_file_are_found(resized: tuple[Path, Facts]) -> None:
    model = load(resized[0], "SentenceTransformer", device="cpu")
    table = model.transformers_model.get_input_embeddings().weight

    table.data = table.detach().flip(0)

    assert ask(model, resized[1], folder=resized[0]) == [
        "parameter embeddings.word_embeddings.weight is not what lies in model.safetensors"
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"modules_to_save": ["pooler"]},
        {"trainable_token_indices": [107, 108, 109]},
        {"modules_to_save": ["word_embeddings"]},
    ],
    ids=["lora", "a module", "tokens", "embeddings"],
)
def test_an_adapter_and_its_base_are_told_apart_and_raise_no_question(
    settings: dict[str, Any], resized: tuple[Path, Facts], tmp_path: Path
) -> None:
    folder = adapter(resized[0], tmp_path / "adapter", **settings)

    assert (
        ask(
            load(folder, "SentenceTransformer", device="cpu"),
            resized[1],
            folder=folder,
            adapter=True,
        )
        == []
    )


def test_the_magnitudes_that_the_library_loses_are_found_and_under_its_own_names_they_raise_no_question(
    resized: tuple[Path, Facts], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = adapter(resized[0], tmp_path / "adapter", use_dora=True)

    lost = ask(
        load(folder, "SentenceTransformer", device="cpu"), resized[1], folder=folder, adapter=True
    )
    weights = {
        name.replace("magnitude_vector", "magnitude_vector.weight"): tensor.clone()
        for name, tensor in load_file(folder / "adapter_model.safetensors").items()
    }
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
    kept = ask(
        load(folder, "SentenceTransformer", device="cpu"), resized[1], folder=folder, adapter=True
    )

    assert len(lost) == 4
    assert all("lora_magnitude_vector" in problem for problem in lost)
    assert kept == []


def test_a_peft_that_transformers_does_not_take_is_said_before_the_load(
    resized: tuple[Path, Facts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = adapter(resized[0], tmp_path / "adapter")
    monkeypatch.setattr("transformers.integrations.peft.MIN_PEFT_VERSION", "99.0.0")

    versions = (f"transformers {version('transformers')}", "99.0.0", f"peft {version('peft')}")
    with raises(MissingExtra, *versions):
        load(folder, "SentenceTransformer", device="cpu")


def test_an_adapter_whose_keys_were_not_applied_is_found(
    resized: tuple[Path, Facts], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = adapter(resized[0], tmp_path / "adapter")
    weights = load_file(folder / "adapter_model.safetensors")
    renamed = {name.replace("layer", "floor"): tensor.clone() for name, tensor in weights.items()}
    save_file(renamed, folder / "adapter_model.safetensors")

    problems = ask(
        load(folder, "SentenceTransformer", device="cpu"), resized[1], folder=folder, adapter=True
    )

    assert "comes from no file" in problems[0] or "is not what lies" in problems[0]


def test_an_adapter_that_is_off_or_missing_or_too_many_is_found(
    resized: tuple[Path, Facts], tmp_path: Path
) -> None:
    folder = adapter(resized[0], tmp_path / "adapter")
    model = load(folder, "SentenceTransformer", device="cpu")
    plain = load(resized[0], "SentenceTransformer", device="cpu")

    model.disable_adapters()

    assert "the adapter is switched off" in " ".join(
        ask(model, resized[1], folder=folder, adapter=True)
    )
    assert ask(plain, resized[1], folder=resized[0], adapter=True)[0] == "no adapter is loaded"
    assert "adapters are loaded (default)" in ask(model, resized[1], folder=folder)[0]


def test_a_stored_tensor_may_have_a_prefix_that_the_loaded_one_lacks() -> None:
    assert grow.same_name(
        "bert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight"
    )
    assert not grow.same_name("token_type_embeddings.weight", "embeddings.weight")
