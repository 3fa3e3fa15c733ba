"""The check of forms: that each setting is of the kind that loaders read. adapter_config.json has passed it when it was read."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import NotLoadable
from ..configuration import read_object
from ..encoder.belongs import SENTENCE_CONFIGS, join
from ..encoder.modules import TRANSFORMERS, Module
from ..forms import MODEL, MODULES, TOKENIZER, Forms, misfit
from .check import Candidate, checks
from .files import MADE_FROM

CHECKS, check = checks()


@check("setting-forms", "its settings have the form that loaders read",
       "protects from a setting that a loader takes for another, as \"false\" in quotation marks is taken for true", NotLoadable)
def settings_have_their_form(candidate: Candidate) -> str | None:
    """What is true or false, a number, a text or a list in the libraries is so in the configurations too."""
    for path, forms in _read(candidate):
        if path in candidate.layout.belongs:
            found = misfit(read_object(candidate.files, path), forms, path)
            if found is not None:
                return found
    return None


def _read(candidate: Candidate) -> Iterator[tuple[str, Forms]]:
    layout = candidate.layout
    yield "config_sentence_transformers.json", MODEL
    yield join(layout.tokenizer, "tokenizer_config.json"), TOKENIZER
    for module in layout.modules or (Module("Transformer", layout.transformer),):
        names = SENTENCE_CONFIGS if module.type in TRANSFORMERS else (MADE_FROM.get(module.type, "config.json"),)
        yield from ((module.at(name), MODULES.get(module.type, {})) for name in names)
