"""The forms of settings are those of the libraries: each of their settings is known here, takes what is annotated, and nothing else."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from registry.model_files.adapter.config import KINDS, LEARN_A_PROMPT, SHARE_TENSORS
from registry.model_files.config.types import (
    ADAPTER,
    ADAPTER_OF,
    MODEL,
    MODULES,
    TOKENIZER,
    Form,
    misfit,
)
from tests.support import naive, small

LOADED = [kind for kind in KINDS if kind not in (*LEARN_A_PROMPT, *SHARE_TENSORS)]
FALSE_IN_QUOTATION_MARKS, THREE = "false", "3"
FAILS_ON_NULL = ("alpha_pattern", "lora_alpha", "r")
"""What peft annotates as None and then does arithmetic with, or asks for its keys."""
NOT_IN_A_FILE = {
    "sub_modules",
    "init_weight",
    "init_bias",
    "layer_weights",
    "tokenizer",
    "embedding_weights",
    "weight",
    "chunk_size",
    "model_name_or_path",
    "tokenizer_name_or_path",
    "backend",
    "route_mappings",
    "_from_auto_load",
    "activation_function",
}
"""Arguments that no configuration holds, or that are no matter of form."""
LARGE = 1000000000000000019884624838656
"""int(1e30), which transformers writes where there is no length."""
CLASSES = {
    "SentenceTransformer": small.dense,
    "SparseEncoder": small.sparse,
    "CrossEncoder": small.cross,
    "MultiVectorEncoder": small.multi_vector,
}


class Asked(dict[str, Any]):
    """A configuration in which nothing is, and which remembers what was looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return False


PACKAGES = (
    "base",
    "sentence_transformer",
    "sparse_encoder",
    "cross_encoder",
    "multi_vector_encoder",
)
PLAIN = {"bool": bool, "int": int, "float": float, "str": str, "None": type(None)}


def test_every_setting_of_an_adapter_has_the_form_that_its_library_gives_it():
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    annotated: dict[str, set[Any]] = {}
    for kind in LOADED:
        hints = typing.get_type_hints(PEFT_TYPE_TO_CONFIG_MAPPING[kind])
        for field in dataclasses.fields(PEFT_TYPE_TO_CONFIG_MAPPING[kind]):
            annotated.setdefault(field.name, set()).update(_alternatives(hints[field.name]))
    del annotated["peft_type"]

    assert annotated.keys() == ADAPTER.keys()
    for name, alternatives in annotated.items():
        _compare(ADAPTER[name], alternatives, name)


@pytest.mark.parametrize("module", MODULES)
def test_every_argument_of_a_module_has_the_form_that_its_library_gives_it(module):
    packages = (
        importlib.import_module(f"sentence_transformers.{name}.modules") for name in PACKAGES
    )
    made = inspect.unwrap(
        next(vars(package)[module] for package in packages if module in vars(package)).__init__
    )

    for name, argument in inspect.signature(made).parameters.items():
        if name not in {"self", "args", "kwargs", *NOT_IN_A_FILE}:
            written = str(argument.annotation).split(" | ")
            _compare(
                MODULES[module][name],
                {PLAIN[item] for item in written} if set(written) <= PLAIN.keys() else set(),
                name,
            )


def _alternatives(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) is typing.Literal:
        yield from (type(item) for item in typing.get_args(annotation))
    elif typing.get_origin(annotation) in (list, dict, tuple):
        yield typing.get_origin(annotation)
    elif typing.get_args(annotation):
        for item in typing.get_args(annotation):
            yield from _alternatives(item)
    else:
        yield annotation


def _compare(form: Form, annotated: set[Any], name: str) -> None:
    """A form takes what is annotated, and no other plain value."""
    if bool in annotated:
        assert form.holds(True) and form.holds(False)
    if int in annotated:
        assert form.holds(3)
    if float in annotated:
        assert form.holds(0.5) or form.holds(1.5)
    if type(None) in annotated and name not in FAILS_ON_NULL:
        assert form.holds(None)
    if annotated and annotated <= {bool, int, float, type(None)}:
        assert (
            not form.holds(FALSE_IN_QUOTATION_MARKS)
            and not form.holds(THREE)
            and not form.holds([])
            and not form.holds({})
        )
    if annotated and annotated <= {bool, type(None)}:
        assert not form.holds(0) and not form.holds(1)
    if annotated and bool not in annotated:
        assert not form.holds(True)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            {"use_rslora": "False"},
            "adapter_config.json has the use_rslora 'False'; it is true, false or null, without quotation marks",
        ),
        ({"use_rslora": 1}, "adapter_config.json has the use_rslora 1; it is true, false or null"),
        (
            {"lora_dropout": "0.1"},
            "adapter_config.json has the lora_dropout '0.1'; it is a number from 0 to 1, without quotation marks",
        ),
        (
            {"lora_alpha": 10**400},
            f"adapter_config.json has the lora_alpha 1{'0' * 79}; it is a number or null",
        ),
        (
            {"task_type": "EMBED"},
            "adapter_config.json has the task_type 'EMBED'; it is one of SEQ_CLS, SEQ_2_SEQ_LM, CAUSAL_LM, TOKEN_CLS, "
            "QUESTION_ANS, FEATURE_EXTRACTION or null",
        ),
        (
            {"rank_pattern": {"query": 0}},
            "adapter_config.json has the rank_pattern {'query': 0}; it is an object of whole numbers above 0 or null",
        ),
        ({"unheard_of": "x"}, None),
    ],
)
def test_a_setting_of_another_form_is_named_with_its_value_and_what_would_do(value, said):
    assert misfit(value, ADAPTER, "adapter_config.json") == said


def test_every_work_of_a_transformer_is_known():
    from sentence_transformers.base.modules.transformer import (
        TRANSFORMER_TASK_TO_AUTO_MODEL as WORK,
    )

    assert [
        name for name in WORK if not MODULES["Transformer"]["transformer_task"].holds(name)
    ] == []


@pytest.mark.parametrize("model_class", CLASSES)
def test_every_setting_that_a_class_looks_for_in_its_configuration_is_known(tmp_path, model_class):
    model, asked = naive.plain(CLASSES[model_class](tmp_path / "model"), model_class), Asked()
    for name in (
        "activation_fn",
        "keep_in_fp32_modules",
        "truncate_dim",
        "max_active_dims",
    ):  # looked for only where nothing was said
        setattr(model, name, None)

    model._parse_model_config(asked)

    assert asked.names
    assert asked.names <= MODEL.keys()


@pytest.mark.parametrize(
    ("value", "forms"),
    [
        ({"model_max_length": LARGE, "add_prefix_space": None}, TOKENIZER),
        ({"model_max_length": 1e30}, TOKENIZER),
        ({"max_seq_length": LARGE, "do_lower_case": False}, MODULES["Transformer"]),
        ({"prompts": {"query": "", "document": None}}, MODEL),
        (
            {
                "model_type": "ColBERT",
                "similarity_fn_name": "MaxSim",
                "query_prefix": "[Q] ",
                "document_prefix": "[D] ",
                "query_length": 32,
                "document_length": 180,
                "attend_to_expansion_tokens": False,
                "skiplist_words": ["!"],
                "do_query_expansion": True,
            },
            MODEL,
        ),
        (
            {"rank_pattern": {"encoder.layer.0.attention.self.query.lora_E": [True, False]}},
            {**ADAPTER, **ADAPTER_OF["ADALORA"]},
        ),
    ],
    ids=[
        "no length",
        "no length as a real number",
        "no length for a transformer",
        "prompts",
        "PyLate",
        "AdaLoRA",
    ],
)
def test_what_older_and_other_libraries_write_has_a_form(value, forms):
    assert misfit(value, forms, "a.json") is None
