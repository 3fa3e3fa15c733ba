"""What adapters add to the weights of their base, against products that numpy forms."""

from __future__ import annotations

import itertools
import shutil

import numpy
import pytest

from registry.cli.commands.diff import lines, value as value_of
from registry.html_report.parts import details
from tests.model_files.diff.making import bfloat16, differences, side, write
from tests.support import plain, small
from tests.support.hand import edit, rewrite, tensors

SELF = "encoder.layer.0.attention.self."
PREFIX = f"base_model.model.{SELF}"
TABLE = "embeddings.word_embeddings"


@pytest.fixture
def base(tmp_path):
    return plain.base(tmp_path / "base")


@pytest.fixture
def adapter(tmp_path, base):
    return plain.adapter(tmp_path / "adapter", base)


def product(folder, module, scaling):
    found = {
        name: array.astype("float64")
        for name, array in tensors(folder / "adapter_model.safetensors").items()
    }
    return (
        scaling
        * found[f"{PREFIX}{module}.lora_B.weight"]
        @ found[f"{PREFIX}{module}.lora_A.weight"]
    )


@pytest.mark.parametrize(("rslora", "scaling"), [(False, 4 / 2), (True, 4 / 2**0.5)])
def test_the_effect_is_the_norm_of_the_scaled_product(base, adapter, rslora, scaling):
    edit(adapter / "adapter_config.json", lambda config: config.update(use_rslora=rslora))

    found = differences(base, side(adapter, side(base)))

    weights = tensors(base / "model.safetensors")
    assert {item.module for item in found.effects} == {f"{SELF}query", f"{SELF}value"}
    for item in found.effects:
        wanted = numpy.linalg.norm(product(adapter, item.module.rsplit(".", 1)[1], scaling))
        assert (item.before, item.after, item.change) == pytest.approx(
            (0.0, wanted, wanted), rel=1e-6
        )
        assert item.relative == pytest.approx(
            wanted / numpy.linalg.norm(weights[f"{item.module}.weight"].astype("float64")), rel=1e-6
        )
    assert found.effects[0].change >= found.effects[1].change
    assert not found.tensors
    assert found.advice.everything


def test_rank_and_alpha_of_a_pattern_hold_for_their_modules(base, adapter):
    edit(adapter / "adapter_config.json", lambda config: config.update(alpha_pattern={"query": 32}))

    found = {
        item.module: item.change for item in differences(base, side(adapter, side(base))).effects
    }

    assert found == pytest.approx(
        {
            f"{SELF}query": numpy.linalg.norm(product(adapter, "query", 16)),
            f"{SELF}value": numpy.linalg.norm(product(adapter, "value", 2)),
        },
        rel=1e-6,
    )


def test_two_adapters_differ_by_the_difference_of_their_products(tmp_path, base, adapter):
    other = plain.adapter(tmp_path / "other", base, seed=9, rank=3)

    found = differences(side(adapter, side(base)), side(other, side(base)))

    for item in found.effects:
        module = item.module.rsplit(".", 1)[1]
        old, new = product(adapter, module, 2), product(other, module, 4 / 3)
        assert (item.before, item.after, item.change) == pytest.approx(
            [numpy.linalg.norm(part) for part in (old, new, new - old)], rel=1e-6
        )


def test_an_adapter_beside_itself_has_no_effect(base, adapter):
    assert differences(side(adapter, side(base)), side(adapter, side(base))).same


def test_a_fresh_adapter_that_adds_nothing_lets_stored_vectors_be_kept(base, adapter):
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda found: found.update(
            {name: array * 0 for name, array in found.items() if ".lora_B." in name}
        ),
    )

    found = differences(base, side(adapter, side(base)))

    assert [item.change for item in found.effects] == [0, 0]
    assert found.advice.keep
    assert "the adapter adds nothing" in found.advice.line


def test_the_prefix_of_the_base_model_makes_no_other_module(base, adapter):
    rewrite(
        base / "model.safetensors",
        lambda found: [found.update({f"bert.{name}": found.pop(name)}) for name in list(found)],
    )

    found = differences(base, side(adapter, side(base)))

    assert all(item.weight for item in found.effects)


def test_rows_that_an_adapter_trained_are_changed_rows_of_the_table(base, adapter):
    rows = numpy.full((2, 8), 7, "float32")
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(trainable_token_indices={"word_embeddings": [6, 9]}),
    )
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda found: found.update(
            {f"base_model.model.{TABLE}.token_adapter.trainable_tokens_delta": rows}
        ),
    )

    found = differences(base, side(adapter, side(base)))

    (table,) = found.tensors
    old = tensors(base / "model.safetensors")[f"{TABLE}.weight"].astype("float64")
    assert (table.name, table.kind, table.changed_rows, table.changed) == (
        f"{TABLE}.weight",
        "changed",
        2,
        16,
    )
    assert table.norm == pytest.approx(numpy.linalg.norm(old[[6, 9]] - 7), rel=1e-6)


def test_a_module_saved_with_the_adapter_stands_in_for_that_of_the_base(base, adapter):
    dense = numpy.ones((8, 8), "float32")
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(modules_to_save=["pooler.dense"]),
    )
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda found: found.update({"base_model.model.pooler.dense.weight": dense}),
    )

    found = differences(base, side(adapter, side(base)))

    (saved,) = found.tensors
    assert (saved.name, saved.kind) == ("pooler.dense.weight", "changed")
    assert saved.largest == pytest.approx(
        float(abs(1 - tensors(base / "model.safetensors")["pooler.dense.weight"]).max())
    )


def test_an_ia3_adapter_changes_a_weight_by_its_scaled_rows(base, adapter):
    scale = numpy.linspace(0.5, 2, 8, dtype="float32").reshape(8, 1)
    edit(
        adapter / "adapter_config.json",
        lambda config: config.update(
            peft_type="IA3", target_modules=["query"], feedforward_modules=[]
        ),
    )
    plain.write_safetensors(adapter / "adapter_model.safetensors", {f"{PREFIX}query.ia3_l": scale})

    (effect,) = differences(base, side(adapter, side(base))).effects

    weight = tensors(base / "model.safetensors")[f"{SELF}query.weight"].astype("float64")
    assert effect.change == pytest.approx(numpy.linalg.norm(weight * scale - weight), rel=1e-6)


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_a_merged_model_is_what_its_adapter_was_but_for_rounding(tmp_path, base, adapter, dtype):
    merged = plain.base(tmp_path / "merged")
    found = tensors(merged / "model.safetensors")
    added = {f"{SELF}{module}.weight": product(adapter, module, 2) for module in ("query", "value")}
    whole = {name: array.astype("float64") + added.get(name, 0) for name, array in found.items()}
    write(
        merged / "model.safetensors",
        {
            name: (
                dtype,
                bfloat16(array.astype("float32")) if dtype == "BF16" else array.astype("float32"),
            )
            for name, array in whole.items()
        },
    )

    found = differences(side(adapter, side(base)), merged)

    kinds = {item.name: item.kind for item in found.tensors}
    assert {kinds.get(f"{SELF}{module}.weight", "merged") for module in ("query", "value")} == {
        "merged"
    }
    assert not found.effects
    assert found.advice.keep == (dtype == "F32")


def test_a_merged_model_with_other_numbers_is_changed(tmp_path, base, adapter):
    merged = plain.base(tmp_path / "merged")
    rewrite(
        merged / "model.safetensors",
        lambda found: found.update({f"{SELF}query.weight": found[f"{SELF}query.weight"] + 1}),
    )

    found = differences(side(adapter, side(base)), merged)

    (query,) = [item for item in found.tensors if item.name == f"{SELF}query.weight"]
    wanted = 1 - product(adapter, "query", 2)
    assert (query.kind, query.norm) == (
        "changed",
        pytest.approx(numpy.linalg.norm(wanted), rel=1e-6),
    )
    assert [item.module for item in found.effects] == [f"{SELF}value"]


SCALES = {
    "rows": numpy.linspace(0.5, 2, 8, dtype="float32").reshape(8, 1),
    "columns": numpy.linspace(0.5, 2, 8, dtype="float32").reshape(1, 8),
}
WHOLE = numpy.arange(64, dtype="float32").reshape(8, 8) / 64


def made(folder, base, kind):
    """An adapter on the query's weight alone, and on a LoRA's also that of the value."""
    plain.adapter(folder, base, seed=7 if kind == "other lora" else 5)
    if kind in SCALES:
        edit(
            folder / "adapter_config.json",
            lambda config: config.update(
                peft_type="IA3", target_modules=["query"], feedforward_modules=[]
            ),
        )
        plain.write_safetensors(
            folder / "adapter_model.safetensors", {f"{PREFIX}query.ia3_l": SCALES[kind]}
        )
    if kind == "whole":
        edit(
            folder / "adapter_config.json",
            lambda config: config.update(modules_to_save=["query"], target_modules=["value"]),
        )
        rewrite(
            folder / "adapter_model.safetensors",
            lambda found: (
                [found.pop(name) for name in list(found) if "query" in name]
                and found.update({f"{PREFIX}query.weight": WHOLE})
            ),
        )
    if kind == "dora":
        edit(folder / "adapter_config.json", lambda config: config.update(use_dora=True))
        rewrite(
            folder / "adapter_model.safetensors",
            lambda found: found.update(
                {
                    f"{PREFIX}{module}.lora_magnitude_vector.weight": numpy.linspace(
                        1, 3, 8, dtype="float32"
                    )
                    for module in ("query", "value")
                }
            ),
        )
    return folder


def query_of(folder, base, kind):
    """The query's weight as numpy makes it of the files."""
    weight = tensors(base / "model.safetensors")[f"{SELF}query.weight"].astype("float64")
    if kind in SCALES:
        return weight * SCALES[kind]
    if kind in ("base", "whole"):
        return weight if kind == "base" else WHOLE.astype("float64")
    weight = weight + product(folder, "query", 2)
    if kind == "dora":
        magnitude = tensors(folder / "adapter_model.safetensors")[
            f"{PREFIX}query.lora_magnitude_vector.weight"
        ].astype("float64")
        weight = magnitude[:, None] * weight / numpy.linalg.norm(weight, axis=1)[:, None]
    return weight


KINDS = ["base", "lora", "other lora", "dora", "rows", "columns", "whole"]


@pytest.mark.parametrize(("one", "other"), [*itertools.permutations(KINDS, 2)])
def test_of_two_kinds_each_module_has_one_line_with_the_norm_that_numpy_finds(
    tmp_path, base, one, other
):
    folders = [
        base if kind == "base" else made(tmp_path / kind, base, kind) for kind in (one, other)
    ]

    found = differences(
        *(
            folder if kind == "base" else side(folder, side(base))
            for folder, kind in zip(folders, (one, other), strict=True)
        )
    )

    lines = [(item.module, item.change) for item in found.effects] + [
        (item.module, item.norm) for item in found.tensors
    ]
    plain_, old, new = (
        query_of(folder, base, kind)
        for folder, kind in zip((base, *folders), ("base", one, other), strict=True)
    )
    assert len({module for module, _ in lines}) == len(lines)
    assert dict(lines)[f"{SELF}query"] == pytest.approx(numpy.linalg.norm(new - old), rel=1e-5)
    for item in found.effects:
        if item.module == f"{SELF}query":
            assert (item.before, item.after) == pytest.approx(
                (numpy.linalg.norm(old - plain_), numpy.linalg.norm(new - plain_)), rel=1e-5
            )
            assert item.relative == pytest.approx(
                numpy.linalg.norm(new - old) / numpy.linalg.norm(plain_), rel=1e-5
            )


@pytest.mark.parametrize("kind", ["dora", "rows", "columns"])
def test_a_model_with_any_adapter_merged_is_what_the_adapter_was_but_for_rounding(
    tmp_path, base, kind
):
    folder = made(tmp_path / "adapter", base, kind)
    merged = plain.base(tmp_path / "merged")
    rewrite(
        merged / "model.safetensors",
        lambda found: found.update(
            {f"{SELF}query.weight": query_of(folder, base, kind).astype("float32")}
        ),
    )

    found = differences(side(folder, side(base)), merged)

    assert {item.kind for item in found.tensors if item.module == f"{SELF}query"} <= {"merged"}
    assert f"{SELF}query" not in {item.module for item in found.effects}


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": ["query", "word_embeddings"], "use_dora": True},
        {"target_modules": ["query", "word_embeddings"]},
    ],
    ids=["DoRA", "LoRA"],
)
def test_the_effect_is_what_peft_makes_of_the_weights(tmp_path, config):
    """With magnitudes, and products, as after a training; of a linear layer and of the table."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import BertModel

    base = small.dense(tmp_path / "base")
    model = BertModel.from_pretrained(base)
    old = {name: value.detach().double().numpy() for name, value in model.state_dict().items()}
    model = get_peft_model(model, LoraConfig(r=3, lora_alpha=5, **config))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(torch.rand_like(parameter))
    model.save_pretrained(tmp_path / "adapter")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, tmp_path / "adapter")
    merged = {
        name: value.detach().double().numpy()
        for name, value in model.merge_and_unload().state_dict().items()
    }

    found = differences(base, side(tmp_path / "adapter", side(base)))

    assert {item.module for item in found.effects} == {
        TABLE,
        *(f"encoder.layer.{layer}.attention.self.query" for layer in range(2)),
    }
    for item in found.effects:
        assert item.change == pytest.approx(
            numpy.linalg.norm(merged[f"{item.module}.weight"] - old[f"{item.module}.weight"]),
            rel=1e-5,
        )
    assert not found.tensors


def test_an_adapter_that_does_not_fit_its_weight_is_told_as_not_computed(base, adapter):
    edit(adapter / "adapter_config.json", lambda config: config.update(use_dora=True))
    rewrite(
        adapter / "adapter_model.safetensors",
        lambda found: found.update(
            {f"{PREFIX}query.lora_magnitude_vector.weight": numpy.ones(5, "float32")}
        ),
    )

    found = differences(base, side(adapter, side(base)))

    assert [item.module for item in found.effects] == [f"{SELF}value"]
    assert (
        "3 tensors of an adapter whose effect is not computed here are added" in found.advice.line
    )


def loha(folder, base, targets):
    """The adapter of `plain` as a LoHa on the targets: tensors of the names that peft writes."""
    plain.adapter(folder, base, targets=targets)
    edit(folder / "adapter_config.json", lambda config: config.update(peft_type="LOHA"))
    rewrite(
        folder / "adapter_model.safetensors",
        lambda found: [
            found.update(
                {name.replace("lora_A.weight", "hada_w1_b"): found.pop(name)}
                if "lora_A" in name
                else {name.replace("lora_B.weight", "hada_w1_a"): found.pop(name)}
            )
            for name in list(found)
        ],
    )
    return folder


@pytest.mark.parametrize("turned", [False, True], ids=["LoHa after", "LoHa before"])
def test_a_module_that_the_other_side_changes_in_a_way_that_is_not_computed_has_no_norm_there(
    tmp_path, base, adapter, turned
):
    sides = [side(adapter, side(base)), side(loha(tmp_path / "loha", base, ["value"]), side(base))]

    found = differences(*reversed(sides)) if turned else differences(*sides)

    query, value = found.effects
    norm = pytest.approx(numpy.linalg.norm(product(adapter, "value", 2)))
    assert query.module == f"{SELF}query" and query.change > 0
    assert (value.module, value.change, value.relative) == (f"{SELF}value", None, None)
    assert ((value.after, value.before) if turned else (value.before, value.after)) == (norm, None)
    assert "2 modules, 1 of them in a way that is not computed" in dict(found.told())["adapter"]
    assert "the adapter changes 1 module, most in" in found.advice.line
    told = "\n".join(lines(found, stat=False))
    assert (
        f"{SELF}value: norm not computed (was " in told
        and "is 0)" not in told.partition(f"{SELF}value: norm")[2].partition("\n")[0]
    )
    assert [item["change"] for item in value_of(found)["adapter"]][1:] == [None]
    assert '<td class="number">not computed</td>' in details(found)
