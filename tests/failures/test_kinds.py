"""Adapters of every kind, and LoRA with every option: what loads right is kept, what does not is refused by what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotLoadable, ParentMismatch
from registry.model_files.adapter.config import LEARN_A_PROMPT, PARTS, SHARE_TENSORS
from tests.support import lively, naive, small
from tests.support.hand import edit, rewrite
from tests.support.live import TARGETS, lora
from tests.support.refusals import raises

NEW = [107, 108, 109]


def adalora() -> Any:
    from peft import AdaLoraConfig

    return AdaLoraConfig(init_r=3, target_r=2, total_step=10, target_modules=TARGETS)


def lokr() -> Any:
    from peft import LoKrConfig

    return LoKrConfig(r=2, target_modules=TARGETS)


def allocated(model: Any, kept: list[bool]) -> dict[str, list[bool]]:
    """Ranks taken away as AdaLoRA does it in a training; the pattern as peft writes it into the configuration."""
    import torch

    found = {}
    for name, parameter in model.transformers_model.named_parameters():
        if "lora_E" in name:
            found[f"base_model.model.{name.removesuffix('.default')}"] = kept
            with torch.no_grad():
                parameter.mul_(torch.tensor(kept).unsqueeze(-1))
    return found


def block_diagonal() -> Any:
    from peft.tuners.lora.config import BdLoraConfig

    return lora(
        use_bdlora=BdLoraConfig(
            target_modules_bd_a=["query"], target_modules_bd_b=["value"], nblocks=2
        )
    )


def kasa() -> Any:
    from peft.tuners.lora.config import KasaConfig

    return lora(kasa_config=KasaConfig())


def rows_and_places() -> Any:
    return lora(trainable_token_indices={"position_embeddings": [1, 2, 3], "word_embeddings": NEW})


def layers_twice() -> Any:
    return lora(layer_replication=[(0, 2), (1, 2)])


def whole_embeddings() -> Any:
    return lora(modules_to_save=["embeddings"])


@pytest.fixture
def saved(made, tmp_path) -> Any:
    """Puts an adapter on resized@1 as users do and saves it: (its folder, the live model)."""

    def save(config: Any) -> tuple[Path, Any]:
        model = naive.adapt(lively.loaded(made.resized, "SentenceTransformer"), config).eval()
        return lively.save(model, tmp_path / "adapter"), model

    return save


def test_the_parts_of_every_kind_that_goes_into_a_model_are_known_by_their_names():
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

    elsewhere = (*LEARN_A_PROMPT, *SHARE_TENSORS)

    assert {
        kind.value
        for kind, tuner in PEFT_TYPE_TO_TUNER_MAPPING.items()
        if getattr(tuner, "uses_shared_state", False)
    } <= {*SHARE_TENSORS}
    assert {
        prefix
        for kind, prefix in PEFT_TYPE_TO_PREFIX_MAPPING.items()
        if kind.value not in elsewhere
    } <= {*PARTS}


@pytest.mark.slow
@pytest.mark.parametrize("config", [adalora, lokr])
def test_trained_layers_that_the_configuration_leaves_out_are_over(reg, saved, config):
    folder, model = saved(config())
    edit(folder / "adapter_config.json", lambda fields: fields.update(layers_to_transform=[0]))
    assert (
        lively.distance(
            lively.encodings(lively.loaded(folder, "SentenceTransformer")), lively.encodings(model)
        )
        > 1e-3
    )

    name = "'base_model.model.encoder.layer.1.attention.self.query."
    with raises(NotLoadable, name, "adapter_config.json", check="adapter-over"):
        reg.add(folder, "medical", measure=False)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("config", [adalora, lokr, block_diagonal, rows_and_places])
def test_what_the_library_loads_right_is_kept_from_a_folder_and_from_memory(reg, saved, config):
    folder, model = saved(config())
    live = naive.encodings(model)
    assert naive.encodings(lively.loaded(folder, "SentenceTransformer")) == live

    added = reg.add(folder, "folder")
    reg.save(model, "memory")

    assert added.warnings == ()
    assert [
        naive.encodings(reg.load(f"{name}@1", device="cpu")) for name in ("folder", "memory")
    ] == [live, live]


@pytest.mark.slow
def test_ranks_that_were_allocated_are_kept_where_their_tensors_are_whole(reg, saved, tmp_path):
    _, model = saved(adalora())
    pattern = allocated(model, [True, False, True])
    folder = lively.save(model, tmp_path / "allocated")
    edit(folder / "adapter_config.json", lambda fields: fields.update(rank_pattern=pattern))
    live = naive.encodings(model)
    model.transformers_model.peft_config["default"].rank_pattern = pattern

    added = reg.add(folder, "folder")
    reg.save(model, "memory")

    assert added.warnings == ()
    assert [
        naive.encodings(reg.load(f"{name}@1", device="cpu")) for name in ("folder", "memory")
    ] == [live, live]


def test_ranks_that_were_cut_off_when_they_were_saved_have_no_place_in_what_is_loaded(reg, saved):
    from safetensors.torch import load_file, save_file

    folder, model = saved(adalora())
    pattern = allocated(model, [True, False, True])
    edit(folder / "adapter_config.json", lambda fields: fields.update(rank_pattern=pattern))
    weights = folder / "adapter_model.safetensors"
    save_file(
        {
            name: tensor[:, [0, 2]] if "lora_B" in name else tensor[[0, 2]]
            for name, tensor in load_file(weights).items()
        },
        weights,
        metadata={"format": "pt"},
    )
    with pytest.raises(RuntimeError):
        lively.loaded(folder, "SentenceTransformer")

    first = "'base_model.model.encoder.layer.0.attention.self.query.lora_A'"
    ranks = (" 2 ", " 11 ", "adapter_config.json", " 3")
    with raises(NotLoadable, first, *ranks, "peft", "registry.save", check="adapter-rank"):
        reg.add(folder, "medical", measure=False)


def test_rows_of_another_table_are_no_tokens_and_those_of_the_tokens_are_looked_at_all_the_same(
    reg, saved
):
    folder, _ = saved(
        lora(trainable_token_indices={"position_embeddings": [4, 5], "word_embeddings": [1, 2]})
    )

    ids = ("[1, 2]", "resized@1", "trainable_token_indices=[107, 108, 109]")
    tokens = ("'1 [UNK]'", "'2 [CLS]'", "'107 zorvaxin'", "'108 cardiomab'", "'109 heartmat'")
    hint = "--force trained-tokens"
    with raises(ParentMismatch, *ids, *tokens, hint, check="trained-tokens"):
        reg.add(folder, "medical")


def test_a_beginning_that_cuts_the_base_down_is_refused(reg, saved):
    folder, model = saved(kasa())

    hints = ("--parent", "registry.save")
    with raises(ParentMismatch, "adapter_config.json", "kasa_config", *hints, check="adapter-init"):
        reg.add(folder, "medical")
    with raises(NotLoadable, "'encoder.layer.0.attention.self.query.weight'"):
        reg.save(model, "medical")


def test_layers_that_were_copied_in_memory_leave_another_model_behind(reg, made, saved):
    from registry.runtime.adapter_effect import without_adapter

    folder, model = saved(layers_twice())
    with without_adapter(model):
        assert (
            lively.distance(
                naive.encodings(model),
                naive.encodings(lively.loaded(made.resized, "SentenceTransformer")),
            )
            > 1e-3
        )

    quoted = ("adapter_config.json", "layer_replication", "[[0, 2], [1, 2]]")
    with raises(NotLoadable, *quoted, check="adapter-kind"):
        reg.add(folder, "medical", measure=False)
    with raises(NotLoadable, "'default'", "layer_replication", "[(0, 2), (1, 2)]"):
        reg.save(model, "medical")


def test_embeddings_that_were_trained_whole_and_come_back_half(reg, saved):
    folder, model = saved(whole_embeddings())
    assert (
        lively.distance(
            naive.encodings(lively.loaded(folder, "SentenceTransformer")), naive.encodings(model)
        )
        > 1e-3
    )

    changed = "embeddings.token_type_embeddings.weight"
    with raises(NotLoadable, changed, "adapter_model.safetensors"):
        reg.add(folder, "medical")
    with raises(NotLoadable, "'embeddings.word_embeddings.weight'"):
        reg.save(model, "medical")


def test_an_option_on_which_the_library_stumbles_is_no_traceback(reg, copied):
    edit(copied / "adapter_config.json", lambda config: config.update(use_bdlora={}))
    with pytest.raises(ValueError, match="Target"):
        lively.loaded(copied, "SentenceTransformer")

    with raises(NotLoadable, "SentenceTransformer", "Target encoder.layer.0.attention.self.query"):
        reg.add(copied, "medical")


@pytest.mark.parametrize("wrap", ["add_adapter", "get_peft_model"])
def test_a_head_that_peft_names_and_no_model_has_is_not_missed(reg, tmp_path, wrap):
    """For SEQ_CLS peft always writes modules_to_save classifier and score, and skips the one that is not there."""
    from peft import get_peft_model

    base = small.cross(tmp_path / "cross")
    reg.add(base, "cross")
    model, config = (
        lively.loaded(base, "CrossEncoder"),
        lora(task_type="SEQ_CLS", modules_to_save=["classifier", "score"]),
    )
    if wrap == "get_peft_model":
        model[0].model = get_peft_model(model[0].model, config)
    else:
        naive.adapt(model, config)
    lively.train(model)
    before = lively.encodings(model)
    folder = lively.save(model, tmp_path / "adapter")
    assert lively.encodings(lively.loaded(folder, "CrossEncoder")) == before

    assert reg.add(folder, "medical", parent="cross@1").version.kind == "adapter"
    assert lively.encodings(reg.load("medical@1", device="cpu")) == before


def test_an_output_that_is_tied_in_the_base_is_a_module_of_it(reg, tmp_path):
    """save_embedding_layers writes it with its bias; the base's file has neither, being tied."""
    base = small.sparse(tmp_path / "sparse")
    reg.add(base, "sparse")
    model = naive.adapt(lively.loaded(base, "SparseEncoder"), lora())
    before = lively.encodings(model)
    folder = lively.save(model, tmp_path / "adapter")
    own, name = model[0].model.state_dict(), "cls.predictions.decoder"
    rewrite(
        folder / "adapter_model.safetensors",
        lambda tensors: tensors.update(
            {
                f"base_model.model.{name}.{part}": own[f"{name}.{part}"].numpy()
                for part in ("weight", "bias")
            }
        ),
    )
    assert lively.distance(lively.encodings(lively.loaded(folder, "SparseEncoder")), before) == 0

    assert reg.add(folder, "medical", parent="sparse@1").version.kind == "adapter"
