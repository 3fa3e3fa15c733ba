"""Folders in which every tensor and token is right, and a file around them is not: first what the library makes of it, then what is said.

Users get there by editing a file, by mixing two folders, or by an older library's left-overs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotLoadable, ParentMismatch
from tests.support import lively, naive, small
from tests.support.hand import edit, edit_modules
from tests.support.live import lora
from tests.support.refusals import raises

SPECIAL = ("a [MASK] on the mat",)
LONG = ("the cat sat on a mat and the heart " * 6,)
CONFIG, SENTENCE, TOKENIZER = "config.json", "sentence_bert_config.json", "tokenizer_config.json"


def setting(file: str, **values: Any) -> Any:
    """A change of some fields of a JSON file."""
    return lambda folder: edit(folder / file, lambda config: config.update(values))


def beside(file: str, **values: Any) -> Any:
    """One more file in the folder."""
    return lambda folder: (folder / file).write_text(json.dumps(values))


def off(one: Path, other: Path, texts: tuple[str, ...] = lively.TEXTS) -> float:
    """How far apart plain sentence-transformers is on two folders, of which it says nothing."""
    return lively.distance(
        *(
            lively.encodings(lively.loaded(folder, "SentenceTransformer"), texts)
            for folder in (one, other)
        )
    )


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("spoil", "texts", "quoted", "check"),
    [
        (
            setting(SENTENCE, config_args={"num_attention_heads": 4}),
            lively.TEXTS,
            ["'The cat sat on the mat.'", "1e-05", "--parent", "--force line-adapter"],
            "line-adapter",
        ),
        (
            setting(TOKENIZER, truncation_side="left"),
            LONG,
            [
                "'TWO patients; three doses (40 mg), 12.5 % better!'",
                "[2, 49, 93, ",
                "[2, 1, 49, ",
                "--parent",
                "--force line-adapter",
            ],
            "line-adapter",
        ),
        (
            setting(TOKENIZER, split_special_tokens=True),
            SPECIAL,
            [TOKENIZER, "split_special_tokens", "True", "False", "--tokenizer parent"],
            "adapter-tokenizer",
        ),
        (
            beside("special_tokens_map.json", cls_token="the"),
            lively.TEXTS,
            [
                "cls_token",
                "'the'",
                "'[CLS]'",
                "special_tokens_map.json",
                TOKENIZER,
                "--tokenizer parent",
            ],
            "adapter-tokenizer",
        ),
    ],
    ids=[
        "arguments for the transformer",
        "the side that is cut",
        "special tokens in texts",
        "special tokens of an older library",
    ],
)
def test_a_file_that_changes_the_base_under_an_adapter_is_refused(
    reg, made, copied, spoil, texts, quoted, check
):
    spoil(copied)
    assert off(copied, made.adapter, texts) > 1e-3

    with raises(ParentMismatch, "resized@1", *quoted, check=check):
        reg.add(copied, "medical")


@pytest.mark.slow
def test_what_is_meant_is_forced_by_name_and_said_for_ever(reg, copied):
    setting(SENTENCE, config_args={"num_attention_heads": 4})(copied)

    added = reg.add(copied, "medical", force=["line-adapter"])

    assert added.version.forced == ("line-adapter",)
    assert [
        item.verdict for item in reg.check("medical@1").outcomes if item.check == "line-adapter"
    ] == ["forced"]


def test_an_adapter_that_became_another_class_is_refused(reg, made, copied):
    setting("config_sentence_transformers.json", model_type="SparseEncoder")(copied)
    assert type(lively.loaded(copied, "SparseEncoder")).__name__ == "SparseEncoder"

    classes = ("SparseEncoder", "config_sentence_transformers.json", "SentenceTransformer")
    with raises(
        ParentMismatch, *classes, "resized@1", "--force parent-class", check="parent-class"
    ):
        reg.add(copied, "medical")


def test_a_model_that_cannot_encode_is_no_traceback(reg, copied):
    setting(SENTENCE, module_output_name="sentence_embedding")(copied)
    with pytest.raises(KeyError):
        lively.encodings(lively.loaded(copied, "SentenceTransformer"))

    with raises(NotLoadable, "'a'", "KeyError: 'token_embeddings'"):
        reg.add(copied, "medical")


@pytest.mark.parametrize("names", [True, 7, "input_ids", {"input_ids": 1}])
def test_names_of_inputs_in_no_list_are_no_traceback(reg, made, copied, names):
    setting(TOKENIZER, model_input_names=names)(copied)

    setting_forms = (TOKENIZER, "model_input_names", repr(names), "null")
    with raises(NotLoadable, *setting_forms, check="setting-forms"):
        reg.add(copied, "medical", measure=False)


def test_texts_that_are_filled_up_on_the_other_side_are_told(reg, made, copied):
    setting(TOKENIZER, padding_side="left")(copied)
    together = [
        lively.loaded(folder, "SentenceTransformer")
        .encode(["the cat sat on the mat", "a"])
        .tolist()
        for folder in (copied, made.adapter)
    ]
    assert lively.distance(*together) > 1e-3

    assert reg.add(copied, "medical", measure=False).warnings == (
        "not as in resized@1: padding_side is 'left' (there 'right')",
    )


def asked(folder: Path, model_class: str) -> list[Any]:
    """What plain sentence-transformers answers a query with, as its users ask."""
    model = lively.loaded(folder, model_class)
    found = (
        model.predict([("the cat", "a dog")])
        if model_class == "CrossEncoder"
        else model.encode_query(["the cat sat on the mat"])[0]
    )
    return (found.to_dense() if hasattr(found, "to_dense") else found).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("build", "model_class", "field", "value"),
    [
        (small.cross, "CrossEncoder", "activation_fn", "torch.nn.modules.activation.Tanh"),
        (small.sparse, "SparseEncoder", "max_active_dims", 2),
        (small.multi_vector, "MultiVectorEncoder", "query_length", 3),
    ],
)
def test_a_setting_of_its_class_that_is_not_the_bases_is_told(
    reg, tmp_path, build, model_class, field, value
):
    reg.add(build(tmp_path / "own"), "own", measure=False)
    lively.save_adapter(tmp_path / "own", model_class, lora(), tmp_path / "adapter")
    before = asked(tmp_path / "adapter", model_class)
    setting("config_sentence_transformers.json", **{field: value})(tmp_path / "adapter")
    assert asked(tmp_path / "adapter", model_class) != before

    (warning,) = reg.add(tmp_path / "adapter", "medical", parent="own@1", measure=False).warnings

    assert warning.startswith(f"not as in own@1: {field} is {value!r} (there ")


@pytest.mark.parametrize(
    ("spoil", "texts", "said"),
    [
        (
            setting(CONFIG, num_attention_heads=4),
            lively.TEXTS,
            "num_attention_heads is 4 (there 2)",
        ),
        (
            lambda folder: edit_modules(folder, lambda modules: modules.pop()),
            lively.TEXTS,
            "modules is ['Transformer', 'Pooling'] (there",
        ),
        (
            setting(TOKENIZER, do_lower_case=False),
            ("The CAT",),
            "do_lower_case is False (there True)",
        ),
        (
            setting(TOKENIZER, truncation_side="left"),
            LONG,
            "truncation_side is 'left' (there 'right')",
        ),
        (
            setting(TOKENIZER, split_special_tokens=True),
            SPECIAL,
            "split_special_tokens is True (there False)",
        ),
        (
            beside("special_tokens_map.json", cls_token="the"),
            lively.TEXTS,
            "cls_token is 'the' (there '[CLS]')",
        ),
        (
            setting(SENTENCE, config_args={"num_attention_heads": 4}),
            lively.TEXTS,
            "config_args.num_attention_heads is 4 (there None)",
        ),
    ],
    ids=[
        "heads",
        "normalisation",
        "casing",
        "side",
        "special tokens in texts",
        "special tokens",
        "arguments",
    ],
)
def test_a_resized_base_that_is_otherwise_than_its_parent_is_told(
    reg, made, tmp_path, spoil, texts, said
):
    folder = Path(
        shutil.copytree(
            made.resized, tmp_path / "resized", ignore=shutil.ignore_patterns(".registry")
        )
    )
    spoil(folder)
    assert off(folder, made.resized, texts) > 1e-3

    (warning,) = reg.add(folder, "child", parent="base@1", measure=False).warnings

    assert warning.startswith("not as in base@1: ") and said in warning


def test_a_resized_base_whose_tokens_no_text_finds_is_told(reg, made, tmp_path):
    folder = Path(
        shutil.copytree(
            made.resized, tmp_path / "resized", ignore=shutil.ignore_patterns(".registry")
        )
    )
    edit(
        folder / "tokenizer.json",
        lambda value: value["added_tokens"][-1].update(content="Zorvaxin"),
    )
    tokenizer = lively.loaded(folder, "SentenceTransformer").tokenizer
    assert tokenizer("Zorvaxin")["input_ids"] == tokenizer("zorvaxin")["input_ids"]

    with raises(NotLoadable, "'Zorvaxin'", "'zorvaxin'", check="ambiguous-tokens"):
        reg.add(folder, "child", parent="base@1", measure=False)


def test_layers_that_a_configuration_leaves_out_are_refused(reg, made, tmp_path):
    folder = Path(
        shutil.copytree(
            made.resized, tmp_path / "resized", ignore=shutil.ignore_patterns(".registry")
        )
    )
    setting(CONFIG, num_hidden_layers=1)(folder)
    assert off(folder, made.resized) > 1e-3

    quoted = (CONFIG, " 1 ", " 2", "--force spare-layers")
    with raises(NotLoadable, *quoted, check="spare-layers"):
        reg.add(folder, "shallow")


def test_trained_rows_that_somebody_put_in_order_are_told(reg, made, tmp_path):
    model = lively.adapted(
        made.resized,
        "SentenceTransformer",
        lora(trainable_token_indices=[109, 107, 108]),
        scale=0.05,
    )
    folder = lively.save(model, tmp_path / "rows")
    assert lively.encodings(lively.loaded(folder, "SentenceTransformer")) == lively.encodings(model)
    setting("adapter_config.json", trainable_token_indices=[107, 108, 109])(folder)
    assert (
        lively.distance(
            lively.encodings(lively.loaded(folder, "SentenceTransformer")), lively.encodings(model)
        )
        > 1e-3
    )

    (warning,) = reg.add(folder, "medical", measure=False).warnings

    values = ("'zorvaxin'", "'heartmat'", "resized@1 (3 rows of 3)")
    trained, near, parent = map(warning.index, values)
    assert trained < near < parent


def vera() -> Any:
    from peft import VeraConfig

    return VeraConfig(r=2, target_modules=["query", "value"])


def prefix() -> Any:
    from peft import PrefixTuningConfig

    return PrefixTuningConfig(num_virtual_tokens=3, task_type="FEATURE_EXTRACTION")


@pytest.mark.parametrize(
    ("config", "library", "kind"),
    [
        (vera, "does not support PeftType.VERA", "VERA"),
        (prefix, "does not support prompt learning", "PREFIX_TUNING"),
    ],
)
def test_kinds_that_the_library_saves_and_cannot_load(reg, made, tmp_path, config, library, kind):
    from peft import get_peft_model

    model = lively.loaded(made.resized, "SentenceTransformer")
    model[0].model = get_peft_model(model[0].model, config())
    lively.save(model, tmp_path / "saved")
    with pytest.raises(ValueError, match=library):
        lively.loaded(tmp_path / "saved", "SentenceTransformer")

    loadable = ("LORA", "IA3", "TRAINABLE_TOKENS")
    with raises(NotLoadable, kind, *loadable, check="adapter-kind"):
        reg.add(tmp_path / "saved", "medical")
    with raises(NotLoadable, "'default'", kind, *loadable):
        reg.save(model, "medical")


def test_an_adapter_inside_a_router_that_the_library_saves_and_cannot_load(reg, tmp_path):
    from sentence_transformers.base.modules import Transformer

    model = lively.loaded(small.routed(tmp_path / "routed"), "SparseEncoder")
    next(module for module in model.modules() if isinstance(module, Transformer)).model.add_adapter(
        lora()
    )
    lively.save(naive.train(model), tmp_path / "saved")
    with pytest.raises(ValueError, match="Unrecognized model"):
        lively.loaded(tmp_path / "saved", "SparseEncoder")

    with raises(NotLoadable, "document_0_Transformer/adapter_config.json", "Router"):
        reg.add(tmp_path / "saved", "medical")
    with raises(NotLoadable, "Router"):
        reg.save(model, "medical")
