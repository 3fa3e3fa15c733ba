"""Defaults: what a setting is where a folder does not say it, and which settings say nothing. Older libraries left out what newer ones write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from registry.core.digest import real
from registry.core.facts import Files
from registry.model_files.layout.file_list import SENTENCE_CONFIGS, join
from registry.model_files.weights.safetensors import TORCH

from .parse import read_if_there

DEFAULTS: Mapping[str, object] = {
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
    "include_prompt": True,
}
"""By the last part of a setting's name. Source: sentence_transformers 6.2, sentence_transformer/modules."""
SIMILARITY: Mapping[str, str] = {
    "SentenceTransformer": "cosine",
    "SparseEncoder": "dot",
    "MultiVectorEncoder": "maxsim",
}
"""By class: the similarity of a model that names none, or one by the name PyLate has for it. Source: sentence_transformers 6.2, the four classes."""

SILENT = (
    "_name_or_path",
    "name_or_path",
    "transformers_version",
    "adapters",
    "model_type",
    "vocab_size",
    "use_cache",
    "gradient_checkpointing",
    "tie_word_embeddings",
    "add_cross_attention",
    "classifier_dropout",
    "finetuning_task",
    "initializer_range",
    "_num_labels",
    "output_past",
    "torchscript",
    "problem_type",
    "cross_attention_hidden_size",
    "use_bfloat16",
    "architectures",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "id2label",
    "label2id",
    "dtype",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)
"""Of config.json: what does not change what comes out, or stands elsewhere."""
HANDED_ON = ("_args", "_kwargs", "_length")
"""Ends of the fields in which sentence_bert_config.json hands something to other libraries; one that is absent changes nothing."""
NO_READER = ("max_seq_length", "do_lower_case")
"""Of sentence_bert_config.json: what stands elsewhere, or what no library reads any more."""
RENAMED = {"word_embedding_dimension": "embedding_dimension", "torch_dtype": "dtype"}
"""Names of older libraries to today's."""
POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Older fields of a Pooling, each true or false, to what today's pooling_mode calls them.
Source: sentence_transformers 6.2, sentence_transformer/modules/pooling.py."""


def todays(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under the names that today's library gives them, whichever library wrote them; keys may have a module in front."""
    found: dict[str, Any] = {}
    modes: dict[str, list[str]] = {}
    for key, value in settings.items():
        module, dot, last = key.rpartition(".")
        if last not in POOLING:
            found[f"{module}{dot}{RENAMED.get(last, last)}"] = value
        elif value:
            modes.setdefault(f"{module}{dot}pooling_mode", []).append(POOLING[last])
    return {
        **{key: named[0] if len(named) == 1 else named for key, named in modes.items()},
        **found,
    }


def computed_in(named: Any, stored: Iterable[str]) -> Any:
    """The dtype of a model in memory: what its config.json names, else that in which its weights lie, as safetensors spells those."""
    return named or next((TORCH[dtype] for dtype in stored if dtype in TORCH), None)


def similarity(named: Any, model_class: str) -> Any:
    """The similarity that a model of a class has by its config_sentence_transformers.json; None for a class that has none."""
    return SIMILARITY.get(model_class) if named in (None, "MaxSim") else named


def setting(settings: Mapping[str, Any], key: str, model_class: str) -> Any:
    """The value of one of the facts' settings, or its default; None where neither is known."""
    found = settings.get(key)
    if key == "similarity_fn_name":
        return similarity(found, model_class)
    return DEFAULTS.get(key.rpartition(".")[2]) if found is None else found


def same(key: str, one: Any, other: Any) -> bool:
    """Whether two values of a setting are one: an absent list, object or false and an empty one are written by different library versions."""
    empty: tuple[object, ...] = (None, [], {}, False)
    # accents that nothing is said of go the way of the case
    return bool(one == other or (key != "strip_accents" and one in empty and other in empty))


def handed_on(files: Files, folder: str) -> dict[str, Any]:
    """What sentence_bert_config.json says of how the transformer in a folder is made and read, flat."""
    there = set(files.paths())
    path = next(
        (join(folder, name) for name in SENTENCE_CONFIGS if join(folder, name) in there), None
    )
    said = dict(flat(read_if_there(files, path, there))) if path is not None else {}
    return {key: value for key, value in said.items() if key.partition(".")[0] not in NO_READER}


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of nested objects, keys joined by a dot; real numbers as text."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flat(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, real(value) if isinstance(value, float) else value
