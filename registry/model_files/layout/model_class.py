"""Which class a folder is loaded as. Every class loads every folder, a wrong one with a log line only, so nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from registry.core.manifest import CLASSES
from registry.errors import NotLoadable

from .modules import Module

_SETTINGS = "config_sentence_transformers.json"
_CROSS_ENCODER = ("sentence_transformers", "sbert_ce_default_activation_function")
"""Keys that sentence-transformers before 6 wrote into the config.json of a CrossEncoder."""
_TRAINED_ENDS = {
    "CrossEncoder": ("ForSequenceClassification", "ForCausalLM"),
    "SparseEncoder": ("ForMaskedLM",),
    "MultiVectorEncoder": ("ForRetrieval", "HF_ColBERT"),
}
"""Without modules.json a class makes up what follows the transformer; with other architectures it starts with random weights."""


_PYLATE_SETTINGS = (
    "query_prefix",
    "document_prefix",
    "query_length",
    "document_length",
    "query_expansion",
    "do_query_expansion",
    "attend_to_expansion_tokens",
    "attend_to_mask_tokens",
    "skiplist_words",
)
"""Settings by which the library recognizes a model of PyLate.
Source: sentence_transformers 6.2, MultiVectorEncoder._parse_model_config."""
_MULTI_VECTOR_SIMILARITIES = ("MaxSim", "maxsim", "MeanMaxSim", "mean_maxsim")


def class_of(
    modules: Sequence[Module],
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    architecture: str | None,
    *,
    is_adapter: bool,
    hint: str | None,
    parent: str | None,
) -> tuple[str, str]:
    """(class, what told it). hint is what somebody says, parent the class of an adapter's parent.

    settings is config_sentence_transformers.json, config is config.json. Raises NotLoadable where it is ambiguous, with the
    option to give, and where the hint contradicts the folder.
    """
    if hint is not None and hint not in CLASSES:
        raise NotLoadable(
            f"unknown class: {hint!r}", hint=f"use one of {', '.join(CLASSES)} with --class"
        )
    if modules:
        return _of_modules(modules, settings, hint)
    if is_adapter:
        if hint or parent:
            return hint or parent or "", "--class" if hint else "the parent's class"
        raise NotLoadable(
            "an adapter without modules.json has the class of its parent, but no parent is known",
            hint=f"add --class {' | '.join(CLASSES)}",
        )
    return _of_plain(config, architecture, hint)


def _of_modules(
    modules: Sequence[Module], settings: Mapping[str, Any], hint: str | None
) -> tuple[str, str]:
    named = settings.get("model_type")
    if "model_type" not in settings and hint in (None, "MultiVectorEncoder"):
        # some were registered as a SentenceTransformer, and stay what they were
        source = _sign_of_pylate(modules, settings)
        if source is not None:
            return "MultiVectorEncoder", source
    told = (
        "MultiVectorEncoder"
        if named == "ColBERT"
        else named
        if "model_type" in settings
        else "SentenceTransformer"
    )
    if told not in CLASSES:
        raise NotLoadable(
            f"{_SETTINGS} has the model_type {named!r:.80}, which is not a known class",
            hint=f"set it to one of {', '.join(CLASSES)}",
        )
    if hint is not None and hint != told:
        by = f"{_SETTINGS} states" if named else "modules.json without a model_type states"
        raise NotLoadable(f"{by} that this is a {told}, not a {hint}", hint="omit --class")
    return told, _SETTINGS if named else "modules.json"


def _sign_of_pylate(modules: Sequence[Module], settings: Mapping[str, Any]) -> str | None:
    """Return the file that shows a model of PyLate before 5.0 (no model_type)."""
    if any(module.is_pylate for module in modules):
        return "modules.json"
    is_multi_vector = settings.get("similarity_fn_name") in _MULTI_VECTOR_SIMILARITIES
    has_settings = any(key in settings for key in _PYLATE_SETTINGS)
    return _SETTINGS if is_multi_vector or has_settings else None


def _of_plain(
    config: Mapping[str, Any], architecture: str | None, hint: str | None
) -> tuple[str, str]:
    if hint in _TRAINED_ENDS and not (architecture or "").endswith(_TRAINED_ENDS[hint]):
        raise NotLoadable(
            f"loaded as a {hint}, this folder of {_called(architecture)} "
            "would get a random head at every load",
            hint=f"load it as a {hint}, train it, save it with save_pretrained, "
            "and register that folder",
        )
    if hint is not None:
        return hint, "--class"
    if any(key in config for key in _CROSS_ENCODER) or (architecture or "").endswith(
        "ForSequenceClassification"
    ):
        return "CrossEncoder", "config.json"
    if architecture == "HF_ColBERT":
        return "MultiVectorEncoder", "config.json"
    if architecture is not None and architecture.endswith("Model"):
        return "SentenceTransformer", "config.json"
    could = [name for name, ends in _TRAINED_ENDS.items() if (architecture or "").endswith(ends)]
    raise NotLoadable(
        f"a folder of {_called(architecture)} without modules.json "
        "could be loaded as more than one class",
        hint=f"add --class {' or --class '.join(['SentenceTransformer', *could])}",
    )


def _called(architecture: str | None) -> str:
    return repr(architecture) if architecture else "no named architecture"
