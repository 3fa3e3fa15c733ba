"""Checks of the files as such: they parse, and every module has what it is made from."""

from __future__ import annotations

from registry.core.facts import read
from registry.errors import NotLoadable
from registry.model_files.config.parse import parse

from .base import Candidate, Problem, checks

CHECKS, check = checks()
_PARSED_ELSEWHERE = ("tokenizer.json", "vocab.json", "model.safetensors.index.json")
MADE_FROM = {
    "Pooling": "config.json",
    "Dense": "config.json",
    "LayerNorm": "config.json",
    "WeightedLayerPooling": "config.json",
    "SparseAutoEncoder": "config.json",
    "LogitScore": "config.json",
    "BoW": "config.json",
    "WordWeights": "config.json",
    "CNN": "cnn_config.json",
    "LSTM": "lstm_config.json",
    "WordEmbeddings": "wordembedding_config.json",
}
"""Modules that cannot be made without their configuration; the others have defaults."""


@check(
    "configurations",
    "configurations parse",
    "protects from a model that is registered and that no loader can open",
    NotLoadable,
)
def configurations_parse(candidate: Candidate) -> Problem | None:
    """Every configuration is JSON with each key once; what readers of their own have parsed is not parsed again."""
    for path in candidate.layout.belongs:
        if path.endswith(".json") and path.rsplit("/", 1)[-1] not in _PARSED_ELSEWHERE:
            try:
                parse(read(candidate.files, path), path)
            except NotLoadable as error:
                return Problem.of(error)
    return None


@check(
    "templates",
    "templates are text",
    "protects from a chat template that fails at the first encode",
    NotLoadable,
)
def templates_are_text(candidate: Candidate) -> Problem | None:
    """Chat templates are UTF-8."""
    for path in candidate.layout.belongs:
        if path.endswith(".jinja"):
            try:
                read(candidate.files, path).decode("utf-8")
            except UnicodeDecodeError as error:
                return Problem(f"{path} is not text: byte {error.start} is not UTF-8")
    return None


@check(
    "module-files",
    "modules have their configuration",
    "protects from a pooling that cannot be made at load",
    NotLoadable,
)
def modules_have_their_configuration(candidate: Candidate) -> Problem | None:
    """A module that has no defaults has the file it is made from."""
    for module in candidate.layout.modules:
        name = MADE_FROM.get(module.type)
        if name is not None and module.at(name) not in candidate.layout.belongs:
            return Problem(
                f"the module {module.type} requires {module.at(name)}, which is missing",
                "copy the whole folder",
            )
    return None
