"""version_of: every change of what a model in memory computes is detected, its use is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

import registry
from registry.errors import Invalid, VersionNotFound
from tests.operations.conftest import ADDED
from tests.support import plain, small
from tests.support.refusals import raises


@pytest.fixture(scope="module")
def reg(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    with registry.init(folder / "home") as opened:
        resized = plain.base(folder / "resized", added=ADDED)
        opened.add(resized, "minilm", measure=False)
        opened.add(plain.adapter(folder / "first", resized, added=ADDED), "first", measure=False)
        second = plain.adapter(folder / "second", resized, added=ADDED, seed=5)
        opened.add(second, "second", measure=False)
        opened.add(small.dense(folder / "dense"), "dense", measure=False)
        yield opened


def layer(model: Any) -> Any:
    return model.transformers_model.encoder.layer[0]


def table(model: Any) -> Any:
    return model.transformers_model.embeddings.word_embeddings.weight


def swap_rows(model: Any) -> None:
    table(model).data[[5, 6]] = table(model).data[[6, 5]].clone()


def flip_bit(model: Any) -> None:
    table(model).data.view(torch.int32)[7, 3] ^= 1


def train_step(model: Any) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    features = model.tokenize(["the patient"])
    model(features)["sentence_embedding"].sum().backward()
    optimizer.step()
    model.eval()


def patch_class(model: Any, patches: pytest.MonkeyPatch) -> None:
    kind = type(layer(model))
    patches.setattr(kind, "forward", kind.__init__)


def set_normalizer(model: Any) -> None:
    from tokenizers import normalizers

    model.tokenizer.backend_tokenizer.normalizer = normalizers.NFC()


def set_vocabulary(model: Any) -> None:
    from tokenizers import models

    backend = model.tokenizer.backend_tokenizer
    words = backend.get_vocab(False)
    words["the"], words["takes"] = words["takes"], words["the"]
    backend.model = models.WordPiece(words, unk_token="[UNK]")


def append_module(model: Any) -> None:
    from sentence_transformers.sentence_transformer.modules import Normalize

    model.append(Normalize())


def swap_layers(model: Any) -> None:
    layers = model.transformers_model.encoder.layer
    layers.append(copy.deepcopy(layers[0]))


CHANGES = {
    "half": lambda model: model.half(),
    "bfloat16 and back": lambda model: model.to(torch.bfloat16).to(torch.float32),
    "a bit by .data": flip_bit,
    "two rows exchanged": swap_rows,
    "a training step": train_step,
    "a buffer": lambda model: model.transformers_model.embeddings.position_ids.add_(1),
    "an attribute": lambda model: setattr(layer(model), "scale", torch.ones(2)),
    "a forward hook": lambda model: layer(model).register_forward_hook(lambda *a: None),
    "a hook before": lambda model: model[0].register_forward_pre_hook(lambda *a: None),
    "a forward of its own": lambda model: setattr(layer(model), "forward", lambda *a, **k: a),
    "an encode of its own": lambda model: setattr(model, "encode", lambda *a, **k: 0),
    "a prompt": lambda model: model.prompts.update(query="query: "),
    "the default prompt": lambda model: (
        model.prompts.update(query=""),
        setattr(model, "default_prompt_name", "query"),
    ),
    "the similarity": lambda model: setattr(model, "similarity_fn_name", "dot"),
    "truncate_dim": lambda model: setattr(model, "truncate_dim", 4),
    "the maximum length": lambda model: setattr(model, "max_seq_length", 4),
    "an added token": lambda model: model.tokenizer.add_tokens(["another"]),
    "the padding side": lambda model: setattr(model.tokenizer, "padding_side", "left"),
    "the normalizer": set_normalizer,
    "the vocabulary": set_vocabulary,
    "the pooling": lambda model: setattr(model[1], "pooling_mode", "cls"),
    "prompts in the pooling": lambda model: setattr(model[1], "include_prompt", False),
    "a module more": append_module,
    "a layer more": swap_layers,
    "another activation": lambda model: setattr(
        layer(model).intermediate, "intermediate_act_fn", torch.nn.ReLU()
    ),
    "the attention": lambda model: setattr(
        model.transformers_model.config, "_attn_implementation", "eager"
    ),
    "a norm's epsilon": lambda model: setattr(layer(model).output.LayerNorm, "eps", 1.0),
    "the training mode": lambda model: model.train(),
    "another table": lambda model: model.transformers_model.resize_token_embeddings(40),
}


def first_lora(model: Any) -> Any:
    return next(part for part in model.modules() if hasattr(part, "lora_A"))


ADAPTER_CHANGES = {
    "switched off": lambda model: model.disable_adapters(),
    "switched off in a part": lambda model: first_lora(model).enable_adapters(False),
    "another scale": lambda model: first_lora(model).scaling.update(default=9.0),
    "merged": lambda model: first_lora(model).merge(),
    "its values": lambda model: first_lora(model).lora_B["default"].weight.data.add_(1),
    "a second adapter": lambda model: model.add_adapter(
        __import__("peft").LoraConfig(r=2, target_modules=["query"]), "other"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_detected(reg, change):
    model = reg.load("minilm@1", device="cpu")
    assert reg.version_of(model).reference == "minilm@1"

    CHANGES[change](model)

    with raises(VersionNotFound, "minilm@1") as refused:
        reg.version_of(model)
    assert ": " in str(refused.value)


@pytest.mark.parametrize("change", ADAPTER_CHANGES)
def test_a_change_of_an_adapter_is_detected(reg, change):
    model = reg.load("first@1", device="cpu")
    assert reg.version_of(model).reference == "first@1"

    ADAPTER_CHANGES[change](model)

    with raises(VersionNotFound, "first@1"):
        reg.version_of(model)


def test_weights_of_another_adapter_are_detected(reg):
    model, other = (reg.load(name, device="cpu") for name in ("first@1", "second@1"))

    model.load_state_dict(other.state_dict())

    with raises(VersionNotFound, "first@1"):
        reg.version_of(model)


def test_a_method_of_a_class_that_was_replaced_is_detected(reg, monkeypatch):
    model = reg.load("minilm@1", device="cpu")

    patch_class(model, monkeypatch)

    with raises(VersionNotFound, "BertLayer"):
        reg.version_of(model)


@pytest.mark.parametrize("reference", ["minilm@1", "first@1", "dense@1"])
def test_using_a_model_is_not_a_change(reg, reference, tmp_path):
    model = reg.load(reference, device="cpu")

    model.encode(["the patient", "the patient takes one a day " * 9])
    model.encode(["the"], prompt="query: ")
    model.encode_query(["the"], batch_size=1)
    model.similarity(model.encode(["the"]), model.encode(["a"]))
    model.to("cpu").eval()
    model.requires_grad_(False)
    model.get_embedding_dimension()
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)

    assert reg.version_of(model).reference == reference


def test_active_adapters_choose_the_version(reg):
    model = reg.load("minilm@1", adapters={"a": "first@1", "b": "second@1"}, device="cpu")
    assert reg.version_of(model).reference == "first@1"

    reg.activate(model, "b")
    assert reg.version_of(model).reference == "second@1"
    flip_bit(model)

    with raises(VersionNotFound, "second@1"):
        reg.version_of(model)


@pytest.mark.parametrize(
    "keywords",
    [
        {"truncate_dim": 4},
        {"prompts": {"query": "query: "}},
        {"similarity_fn_name": "dot"},
        {"model_kwargs": {"dtype": "float16"}},
        {"model_kwargs": {"attn_implementation": "eager"}},
    ],
    ids=str,
)
def test_what_a_user_sets_on_purpose_is_reported(reg, keywords):
    model = reg.load("minilm@1", device="cpu", **keywords)

    with raises(VersionNotFound, "minilm@1", next(iter(keywords))):
        reg.version_of(model)


@pytest.mark.parametrize(
    "keywords", [{"truncate_dim": None}, {"prompts": {}}, {"backend": "torch"}], ids=str
)
def test_what_changes_nothing_is_not_reported(reg, keywords):
    assert reg.version_of(reg.load("minilm@1", device="cpu", **keywords)).reference == "minilm@1"


@pytest.mark.parametrize("reference", ["minilm@1", "first@1"])
@pytest.mark.parametrize("place", ["config_kwargs", "model_kwargs"])
@pytest.mark.parametrize(
    ("key", "value"),
    [("num_hidden_layers", 0), ("num_attention_heads", 1), ("hidden_act", "relu")],
)
def test_keywords_that_build_another_structure_are_refused(reg, reference, place, key, value):
    with raises(Invalid, key) as refused:
        reg.load(reference, device="cpu", **{place: {key: value}})

    assert refused.value.exit_code == 2


def test_the_sum_covers_every_bit_and_place():
    from registry.runtime.model_state import total

    values = torch.arange(0, 9001, dtype=torch.float32)
    whole = total(values)
    for index in (0, 1, 4095, 4096, 8191, 8999, 9000):
        changed = values.clone()
        changed.view(torch.int32)[index] ^= 1
        assert total(changed) != whole
    exchanged = values.clone()
    exchanged[[0, 8200]] = exchanged[[8200, 0]]
    assert total(exchanged) != whole
    assert total(values.to(torch.bfloat16)) != total(values.to(torch.float16))
    assert total(values.view(1, -1)) == whole
