"""The check of forms: that each setting is of the kind that loaders read. adapter_config.json has passed it when it was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from registry.errors import NotLoadable
from registry.model_files.config.parse import read_object
from registry.model_files.config.types import MODEL, MODULES, ROUTER, TOKENIZER, Forms, misfit
from registry.model_files.layout.file_list import SENTENCE_CONFIGS, join
from registry.model_files.layout.modules import ROUTER_CONFIGS, ROUTERS, TRANSFORMERS, Module

from .base import Candidate, Problem, checks
from .files import MADE_FROM

CHECKS, check = checks()


@check(
    "setting-forms",
    "its settings have the form that loaders read",
    'protects from a setting that a loader takes for another, as "false" in quotation marks is taken for true',
    NotLoadable,
)
def settings_have_their_form(candidate: Candidate) -> Problem | None:
    """What is true or false, a number, a text or a list in the libraries is so in the configurations too."""
    found = (misfit(value, forms, path) for path, value, forms in _settings(candidate))
    return next((Problem(message) for message in found if message is not None), None)


def _settings(candidate: Candidate) -> Iterator[tuple[str, Mapping[str, Any], Forms]]:
    """(path of a configuration, its settings, their forms) of each that belongs; what a Router is made with lies one level deeper."""
    for path, forms in _places(candidate):
        if path in candidate.layout.belongs:
            value = read_object(candidate.files, path)
            yield path, value, forms
            if forms is ROUTER and isinstance(value.get("parameters"), dict):
                yield path, value["parameters"], MODULES["Router"]


def _places(candidate: Candidate) -> Iterator[tuple[str, Forms]]:
    layout = candidate.layout
    yield "config_sentence_transformers.json", MODEL
    yield join(layout.tokenizer, "tokenizer_config.json"), TOKENIZER
    for module in layout.modules or (Module("Transformer", layout.transformer),):
        router, transformer = module.type in ROUTERS, module.type in TRANSFORMERS
        names = (
            ROUTER_CONFIGS
            if router
            else SENTENCE_CONFIGS
            if transformer
            else (MADE_FROM.get(module.type, "config.json"),)
        )
        yield from (
            (module.at(name), ROUTER if router else MODULES.get(module.type, {})) for name in names
        )
