"""Parameters that transformers makes of stored tensors with other names: split, merged, renamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from registry.errors import ParentMismatch
from registry.model_files.facts import inspect
from registry.model_files.folder import Folder
from registry.model_files.layout import layout
from registry.runtime import loading
from registry.runtime.converted_tensors import parameter_shapes
from tests.support import plain
from tests.support.refusals import raises


def model_of(folder: Path, name: str, **settings: Any) -> Path:
    """Save a transformers model with random weights as a SentenceTransformer folder."""
    import torch
    import transformers

    plain.base(folder)
    (folder / "model.safetensors").unlink()
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(plain.WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        **settings,
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    pooling = folder / "1_Pooling" / "config.json"
    value = json.loads(pooling.read_text())
    pooling.write_text(json.dumps({**value, "word_embedding_dimension": 32}))
    return folder


MODELS: dict[str, dict[str, Any]] = {
    "NomicBert": {},
    "Qwen3Moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "pad_token_id": 0,
    },
}
"""A fused tensor that becomes three parameters; tensors of several experts that become one."""


@pytest.fixture(scope="module", params=sorted(MODELS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that the library converts while loading."""
    return model_of(
        tmp_path_factory.mktemp("models") / request.param, request.param, **MODELS[request.param]
    )


def test_converted_parameters_are_matched_with_their_files(folder: Path) -> None:
    """No problem is found, although names and shapes of the files differ from those in memory."""
    files = Folder(folder)
    facts = inspect(files, layout(files), root=None).facts
    model = loading.load(folder, "SentenceTransformer", device="cpu")
    stored = {tensor.name for tensor in facts.weights.tensors}
    assert not {name for name, _ in model[0].model.named_parameters()} <= stored
    assert loading.ask(model, facts, folder=folder) == []


def test_a_converted_parameter_with_other_numbers_is_found(folder: Path) -> None:
    """Every converted parameter is compared by its numbers when it is among the sampled ones."""
    import torch

    from registry.runtime.converted_tensors import conversions
    from registry.runtime.tensor_matching import stored_tensors

    model = loading.load(folder, "SentenceTransformer", device="cpu")
    all_conversions = conversions(list(model.named_modules()), stored_tensors(folder))
    parameters = dict(model[0].model.named_parameters())
    split = {item.name: item for item in all_conversions.values() if item.converter is not None}
    assert split
    for name, conversion in split.items():
        assert conversion.gives(parameters[name])
        with torch.no_grad():
            parameters[name].view(-1)[-1] += 1
        assert not conversion.gives(parameters[name])


def test_shapes_are_those_of_the_loaded_model(folder: Path) -> None:
    """The model built without weights has the names and shapes of the loaded one."""
    model = loading.load(folder, "SentenceTransformer", device="cpu")
    live = {name: tuple(item.shape) for name, item in model[0].model.named_parameters()}
    assert parameter_shapes(Folder(folder), "") == live


def test_shapes_of_an_unknown_model_type_are_not_known(tmp_path: Path) -> None:
    """A model type that the library lacks has no shapes."""
    folder = plain.base(tmp_path / "model")
    value = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**value, "model_type": "unheard_of"}))
    assert parameter_shapes(Folder(folder), "") is None


@pytest.mark.slow
def test_an_adapter_on_a_converted_base_is_registered(tmp_path: Path) -> None:
    """Its modules are those that the library makes of the base's tensors; others are refused."""
    from peft import LoraConfig
    from sentence_transformers import SentenceTransformer

    import registry

    home = registry.init(tmp_path / "home")
    home.add(model_of(tmp_path / "nomic", "NomicBert"), "nomic")
    folder = home.checkout("nomic@1").folder
    model = SentenceTransformer(str(folder))
    model.add_adapter(LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    model.save_pretrained(str(tmp_path / "adapter"))
    expected = model.eval().encode(["the patient takes one dose"])
    version = home.add(tmp_path / "adapter", "adapter").version
    assert version is not None
    assert version.parents[0].evidence == "witnessed"
    assert (home.load("adapter").encode(["the patient takes one dose"]) == expected).all()
    bert = home.add(plain.base(tmp_path / "bert"), "bert").version
    with raises(ParentMismatch, check="adapter-targets"):
        home.add(tmp_path / "adapter", "other", parent=bert)
