"""Code that is not part of the libraries is refused by name, before any library sees it."""

from __future__ import annotations

import json

import pytest

from registry.errors import ForeignCode, NotLoadable
from tests.support import plain
from tests.support.hand import edit, lay
from tests.support.refusals import raises


@pytest.mark.parametrize(
    ("name", "field", "quoted"),
    [
        (
            "config.json",
            {"auto_map": {"AutoModel": "modeling_x.Model"}},
            ["'auto_map'", "'modeling_x.Model'"],
        ),
        (
            "config.json",
            {"text_config": {"auto_map": {"AutoModel": "org/repo--modeling_x.Model"}}},
            ["'auto_map'", "'org/repo--modeling_x.Model'"],
        ),
        ("config.json", {"trust_remote_code": True}, ["trust_remote_code"]),
        (
            "config.json",
            {"custom_pipelines": {"x": {"impl": "x.Pipeline"}}},
            ["'custom_pipelines'", "'x.Pipeline'"],
        ),
        (
            "config.json",
            {"_attn_implementation": "org/kernel"},
            ["_attn_implementation", "'org/kernel'"],
        ),
        (
            "config.json",
            {"attn_implementation": {"": "org/kernel@v1:f"}},
            ["attn_implementation", "'org/kernel@v1:f'"],
        ),
        (
            "config.json",
            {"_attn_implementation_internal": "org/kernel"},
            ["_attn_implementation_internal", "'org/kernel'"],
        ),
        (
            "config.json",
            {"sbert_ce_default_activation_function": "os.system"},
            ["sbert_ce_default_activation_function", "'os.system'", "torch.nn"],
        ),
        (
            "config.json",
            {"sentence_transformers": {"activation_fn": "torch.hub.load"}},
            ["activation_fn", "'torch.hub.load'", "torch.nn"],
        ),
        (
            "tokenizer_config.json",
            {"auto_map": {"AutoTokenizer": ["tokenization_x.T", None]}},
            ["'auto_map'", "'tokenization_x.T'"],
        ),
        (
            "config_sentence_transformers.json",
            {"activation_fn": "evil.Function"},
            ["activation_fn", "'evil.Function'", "torch.nn"],
        ),
        (
            "sentence_bert_config.json",
            {"model_args": {"trust_remote_code": True}},
            ["trust_remote_code"],
        ),
        (
            "sentence_bert_config.json",
            {"model_args": {"attn_implementation": "org/kernel"}},
            ["attn_implementation", "'org/kernel'"],
        ),
    ],
)
def test_a_configuration_that_asks_for_code_is_refused(tmp_path, name, field, quoted):
    folder = plain.base(tmp_path / "base")
    edit(folder / name, lambda config: config.update(field))

    with raises(ForeignCode, name, *quoted):
        lay(folder)


@pytest.mark.parametrize(
    "field",
    [
        {"auto_map": {}},
        {"trust_remote_code": False},
        {"_attn_implementation": "flash_attention_2"},
        {"activation_function": "gelu_new"},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
    ],
)
def test_fields_that_ask_for_nothing_are_kept(tmp_path, field):
    folder = plain.base(tmp_path / "base")
    edit(folder / "config.json", lambda config: config.update(field))

    assert lay(folder).model_class


@pytest.mark.parametrize(
    "kind",
    [
        "custom_st.Transformer",
        "org/repo--modeling.Module",
        "sentence_transformers..Pooling",
        "os.system",
        "sentence_transformers_evil.Pooling",
    ],
)
def test_a_module_of_another_package_is_refused(tmp_path, kind):
    folder = plain.base(tmp_path / "base")
    edit(folder / "modules.json", lambda modules: modules[1].update(type=kind))

    with raises(ForeignCode, "modules.json", f"'{kind}'", "sentence-transformers"):
        lay(folder)


def test_an_activation_that_a_loader_would_silently_replace_is_refused(tmp_path):
    folder = plain.base(tmp_path / "base")
    edit(
        folder / "modules.json",
        lambda modules: modules.append(
            {"path": "3_Dense", "type": "sentence_transformers.models.Dense"}
        ),
    )
    (folder / "3_Dense").mkdir()
    (folder / "3_Dense" / "config.json").write_text(
        json.dumps({"in_features": 8, "out_features": 8, "activation_function": "mine.Swish"})
    )
    plain.write_safetensors(folder / "3_Dense" / "model.safetensors", {})

    quoted = ("3_Dense/config.json", "activation_function", "'mine.Swish'", "torch.nn")
    with raises(ForeignCode, *quoted):
        lay(folder)


@pytest.mark.parametrize("library", ["transformers_modules.org.repo", "evil", "peft_evil.x", 7])
def test_an_adapter_of_a_base_made_by_other_code_is_refused(tmp_path, library):
    folder = plain.adapter(tmp_path / "medical", "/base")
    edit(
        folder / "adapter_config.json",
        lambda config: config.update(
            auto_mapping={"base_model_class": "X", "parent_library": library}
        ),
    )

    with raises(ForeignCode, "adapter_config.json", repr(library)):
        lay(folder)


@pytest.mark.parametrize(
    ("field", "quoted"),
    [
        ({"tokenizer_name_or_path": "/home/me/x"}, ["tokenizer_name_or_path", "'/home/me/x'"]),
        ({"corda_config": {"cache_file": "/tmp/x"}}, ["cache_file", "'/tmp/x'"]),
    ],
)
def test_an_adapter_that_names_another_place_is_refused(tmp_path, field, quoted):
    folder = plain.adapter(tmp_path / "medical", "/base")
    edit(folder / "adapter_config.json", lambda config: config.update(field))

    with raises(NotLoadable, "adapter_config.json", *quoted, "null"):
        lay(folder)


@pytest.mark.parametrize(
    "field",
    [
        {"gguf_file": "x.gguf"},
        {"variant": "fp16"},
        {"use_safetensors": False},
        {"revision": "main"},
    ],
)
def test_arguments_that_make_a_loader_read_other_files_are_refused(tmp_path, field):
    folder = plain.base(tmp_path / "base")
    edit(folder / "sentence_bert_config.json", lambda config: config.update(model_args=field))

    ((name, value),) = field.items()
    with raises(NotLoadable, "sentence_bert_config.json", "model_args", f"{name}={value!r}"):
        lay(folder)


def test_code_that_nothing_asks_for_is_left_out(tmp_path):
    folder = plain.base(tmp_path / "base")
    (folder / "train_script.py").write_text("raise SystemExit")

    assert ("train_script.py", "Python code that the model does not need") in lay(folder).left_out
