"""What adapter_config.json says, and its forms in the registry and in a checkout."""

from __future__ import annotations

import json

import pytest

from registry.core.digest import digest_of
from registry.core.facts import Adapter
from registry.errors import NotLoadable
from registry.model_files.adapter.config import (
    config_of,
    location_free_config,
    read_config,
    render_config,
)
from registry.model_files.folder import Folder
from tests.support import plain
from tests.support.refusals import raises

PARENT = digest_of(b"a manifest")


def test_a_configuration_is_read_as_it_was_written(tmp_path):
    folder = plain.adapter(tmp_path / "medical", "/training/base", revision="main")

    found = read_config(Folder(folder))

    assert (found.type, found.base, found.revision, found.rank, found.alpha) == (
        "LORA",
        "/training/base",
        "main",
        2,
        4,
    )
    assert found.facts == Adapter("LORA", 2, "4.0", ("query", "value"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"peft_type": "TRAINABLE_TOKENS", "token_indices": [7, 6]},
            Adapter("TRAINABLE_TOKENS", trainable_tokens=(6, 7)),
        ),
        (
            {"peft_type": "LORA", "trainable_token_indices": {"wte": [9], "emb": [9, 8]}},
            Adapter("LORA", trainable_tokens=(8, 9)),
        ),
        (
            {"peft_type": "LORA", "target_modules": "all-linear", "use_dora": True},
            Adapter("LORA", targets=("all-linear",), dora=True),
        ),
        (
            {"peft_type": "LORA", "lora_alpha": 0.5, "modules_to_save": ["head"]},
            Adapter("LORA", alpha="0.5", modules_to_save=("head",)),
        ),
    ],
)
def test_facts_of_an_adapter(fields, expected):
    assert config_of(fields).facts == expected


@pytest.mark.parametrize(
    ("fields", "quoted"),
    [
        ({}, ["peft_type"]),
        ({"peft_type": "LORA", "r": 0}, ["r 0", " 0"]),
        ({"peft_type": "LORA", "r": "8"}, ["r '8'", " 0"]),
        ({"peft_type": "LORA", "lora_alpha": "x"}, ["lora_alpha", "'x'"]),
        ({"peft_type": "LORA", "target_modules": [1]}, ["target_modules", "[1]", "null"]),
        (
            {"peft_type": "LORA", "base_model_name_or_path": 7},
            ["base_model_name_or_path", " 7", "null"],
        ),
        (
            {"peft_type": "LORA", "trainable_token_indices": [-1]},
            ["trainable_token_indices", "[-1]", "null"],
        ),
    ],
)
def test_a_field_of_the_wrong_form_is_named(fields, quoted):
    with raises(NotLoadable, "adapter_config.json", *quoted):
        config_of(fields)


def test_a_folder_without_an_adapter_is_refused(tmp_path):
    folder = plain.base(tmp_path / "base")

    with raises(NotLoadable, "adapter_config.json"):
        read_config(Folder(folder))


def test_the_same_adapter_has_one_form_whatever_the_machine_and_the_order_of_its_sets():
    one = {
        "base_model_name_or_path": "/home/ann/base",
        "revision": None,
        "target_modules": ["value", "query"],
        "lora_dropout": 1e-05,
        "r": 8,
    }
    other = {
        "r": 8,
        "lora_dropout": 0.00001,
        "target_modules": ["query", "value"],
        "revision": "main",
        "base_model_name_or_path": "org/base",
    }

    found = {
        location_free_config(json.dumps(value, indent=indent).encode(), PARENT)
        for value in (one, other)
        for indent in (None, 2)
    }

    assert found == {
        f'{{"base_model_name_or_path":"{PARENT}","lora_dropout":1e-05,"r":8,"revision":null,"target_modules":["query","value"]}}'.encode()
    }


def test_a_list_that_is_no_set_keeps_its_order():
    content = location_free_config(
        b'{"layers_to_transform": [2, 1], "modules_to_save": ["b", "a"], "target_modules": ".*query"}',
        PARENT,
    )

    assert json.loads(content) == {
        "base_model_name_or_path": PARENT,
        "layers_to_transform": [2, 1],
        "modules_to_save": ["b", "a"],
        "target_modules": ".*query",
    }


def test_another_parent_gives_another_form():
    assert location_free_config(b"{}", PARENT) != location_free_config(b"{}", digest_of(b"another"))


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"r": NaN}', b'{"r": "\\ud800"}'])
def test_what_has_no_canonical_form_is_refused(content):
    with raises(NotLoadable, "adapter_config.json"):
        location_free_config(content, PARENT)


def test_a_checkout_names_the_place_of_its_base():
    stored = location_free_config(
        b'{"peft_type": "LORA", "revision": "main", "lora_dropout": 1e-05, "x": "\xc3\xa9"}', PARENT
    )

    rendered = json.loads(render_config(stored, "/app/model/.registry/base"))

    assert rendered == {
        "base_model_name_or_path": "/app/model/.registry/base",
        "peft_type": "LORA",
        "revision": None,
        "lora_dropout": 1e-05,
        "x": "é",
    }


def test_a_push_names_repository_and_commit():
    rendered = json.loads(render_config(b'{"revision": null}', "org/base", "0123abcd"))

    assert rendered == {"base_model_name_or_path": "org/base", "revision": "0123abcd"}


def test_a_rendered_configuration_comes_back_to_its_form():
    stored = location_free_config(
        b'{"peft_type": "LORA", "revision": "main", "lora_dropout": 0.05, "target_modules": ["b", "a"]}',
        PARENT,
    )

    assert location_free_config(render_config(stored, "/anywhere"), PARENT) == stored
