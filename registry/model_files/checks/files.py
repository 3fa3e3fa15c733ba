"""Checks of the files as such: they parse, and every module has what it is made from."""

from __future__ import annotations

from registry.core.facts import read
from registry.errors import NotLoadable
from registry.model_files.config.parse import read_if_there, read_json
from registry.model_files.layout.file_list import join
from registry.model_files.layout.nested import add_command, described, nested_models

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
_SETFIT = ("config_setfit.json", "model_head.joblib", "model_head.pkl")
_BITS = {"load_in_4bit": 4, "_load_in_4bit": 4, "load_in_8bit": 8, "_load_in_8bit": 8}


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
                read_json(candidate.files, path)
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


@check(
    "other-models",
    "the folder is one model",
    "warns of checkpoints and further adapters in the folder, which are not registered",
    None,
)
def folder_is_one_model(candidate: Candidate) -> Problem | None:
    """No subfolder is another model, for example a checkpoint or a second adapter."""
    belongs = candidate.layout.belongs
    nested = [
        folder
        for folder in nested_models(set(candidate.files.paths()))
        if not any(path.startswith(f"{folder}/") for path in belongs)
    ]
    if not nested:
        return None
    return Problem(
        f"the folder contains {described(nested)}, not part of this version",
        f"to register: {add_command(candidate.files, nested)}",
    )


@check(
    "classifier",
    "the model has no classifier outside of the library",
    "warns of the classifier of a SetFit model, which is not registered",
    None,
)
def no_classifier_is_lost(candidate: Candidate) -> Problem | None:
    """No file holds a classifier of SetFit."""
    lost = sorted(set(candidate.files.paths()) & set(_SETFIT))
    if not lost:
        return None
    return Problem(
        f"the folder is a SetFit model, and its classifier is not part of the version: "
        f"{', '.join(lost)} (the version is its sentence encoder)",
        "keep these files apart and load them with SetFit",
    )


@check(
    "quantized",
    "weights are not quantized by another package",
    "warns of a model that loads only where that package is installed",
    None,
)
def weights_are_not_quantized(candidate: Candidate) -> Problem | None:
    """No configuration names a quantization that another package implements."""
    present = set(candidate.layout.belongs)
    path = join(candidate.layout.transformer, "config.json")
    settings = read_if_there(candidate.files, path, present).get("quantization_config")
    if not isinstance(settings, dict):
        return None
    method = settings.get("quant_method") or "bitsandbytes"
    bits = next((f", {bits} bits" for key, bits in _BITS.items() if settings.get(key)), "")
    return Problem(
        f"{path} has quantization_config ({method!s:.40}{bits}): the weights are quantized, and "
        "loading them can require the package of that method",
        "register the model that was quantized instead, and train adapters on it",
    )
