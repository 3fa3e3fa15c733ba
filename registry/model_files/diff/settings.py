"""Settings: what configurations say that changes, or may change, how a model encodes; and texts, line by line.

A key that only another library version writes, or that it writes under another name, is no difference.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from registry.core.digest import digest_of
from registry.core.facts import read
from registry.model_files.config.defaults import (
    DEFAULTS,
    HANDED_ON,
    SILENT,
    computed_in,
    flat,
    handed_on,
    same,
    similarity,
    todays,
)
from registry.model_files.config.parse import parse, read_if_there
from registry.model_files.layout.file_list import SENTENCE_CONFIGS, join
from registry.model_files.layout.modules import TRANSFORMERS
from registry.model_files.tokenizer.vocabulary import (
    settings_of,
    side_of,
    special_tokens,
    splits_special,
)
from registry.results.diff import SettingChange, TextChange

from .model_view import AreEquivalent, Side, have_equal_pipelines

_AREAS = {"Pooling": "pooling", "SpladePooling": "pooling", "Normalize": "normalisation"}
_DEFAULTS: Mapping[str, object] = {
    **DEFAULTS,
    "position_embedding_type": "absolute",
    "pooling_mode": "mean",
    "bias": "none",
}
_ADAPTER_SILENT = (
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "auto_mapping",
    "peft_version",
    "task_type",
    "lora_dropout",
    "init_lora_weights",
    "runtime_config",
    "loftq_config",
    "corda_config",
    "eva_config",
    "megatron_config",
    "megatron_core",
    "qalora_group_size",
    "use_qalora",
    "ensure_weight_tying",
    "arrow_config",
    "lora_ga_config",
    "monteclora_config",
    "velora_config",
)
SPELLING = "spelling"
"""Key of the one change that equivalent tokenizers with other files have."""
_LENGTHS_AND_SIDES = ("truncation_side", "padding_side", "model_input_names")
_DTYPE = (".dtype", ".torch_dtype")
_TEXT_LIMIT = 1 << 20


def compare(
    before: Side, after: Side, are_equivalent: AreEquivalent = have_equal_pipelines
) -> list[SettingChange]:
    """Every setting with another value, by area.

    are_equivalent decides whether two tokenizers with other files give equal ids.
    """
    old, new = _settings(before), _settings(after)
    found = [
        SettingChange(area, key, old.get((area, key)), new.get((area, key)))
        for area, key in sorted(old.keys() | new.keys())
        if _differ(area, key, old.get((area, key)), new.get((area, key)))
    ]
    if before.tokenizer_digest != after.tokenizer_digest:
        found += _tokenizer_json(before, after)
        if are_equivalent(before, after):
            spelling = SettingChange("tokenizer", SPELLING, "same tokens", "other spelling")
            return [spelling, *(change for change in found if not _is_spelling(change))]
    return found


def _is_spelling(change: SettingChange) -> bool:
    """Return whether a change of equivalent tokenizers is one of their spelling."""
    return change.area == "tokenizer" and change.key not in _LENGTHS_AND_SIDES


def texts(before: Side, after: Side) -> list[TextChange]:
    """README.md as a unified diff, where it differs."""
    old, new = (_text(side) for side in (before, after))
    if old == new:
        return []
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return [TextChange("README.md", added, removed, tuple(lines))]


def _settings(side: Side) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {("class", "class"): side.layout.model_class}
    own, full = set(side.files.paths()), set(side.full.files.paths())
    kinds = [module.type for module in side.layout.modules]
    found["modules", "modules"] = [
        "Transformer" if kind in TRANSFORMERS else kind for kind in kinds
    ] or None
    found["normalisation", "normalize"] = "Normalize" in kinds
    for module in side.layout.modules:
        if module.folder and module.type not in TRANSFORMERS:
            for key, value in todays(
                dict(flat(read_if_there(side.files, module.at("config.json"), own)))
            ).items():
                found[_AREAS.get(module.type, module.type.lower()), key] = value
    whole = read_if_there(side.files, "config_sentence_transformers.json", own)
    prompts = whole.get("prompts")
    found |= {
        ("prompts", name): text or None
        for name, text in (prompts if isinstance(prompts, dict) else {}).items()
    }
    found["prompts", "default_prompt_name"] = whole.get("default_prompt_name")
    found["similarity", "similarity_fn_name"] = similarity(
        whole.get("similarity_fn_name"), side.layout.model_class
    )
    found["length", "truncate_dim"] = whole.get("truncate_dim")
    found["length", "max_seq_length"] = _length(side, own)
    config = read_if_there(side.full.files, join(side.full.layout.transformer, "config.json"), full)
    found["dtype", "dtype"] = computed_in(
        config.get("dtype", config.get("torch_dtype")),
        (item.dtype for item in side.full.sources.values()),
    )
    found["configuration", "is_decoder"] = False
    found |= {
        ("configuration", key): value
        for key, value in flat(config)
        if key.partition(".")[0] not in SILENT and key not in ("torch_dtype",)
    }
    if side.config is not None:
        found |= {
            ("adapter", key): value
            for key, value in flat(side.config.fields)
            if key.partition(".")[0] not in _ADAPTER_SILENT
        }
    return found | _reading(side, own)


def _reading(side: Side, own: set[str]) -> dict[tuple[str, str], Any]:
    """What is said of how texts become ids, and of how the transformer is made and read."""
    folder = side.layout.tokenizer
    config = read_if_there(side.files, join(folder, "tokenizer_config.json"), own)
    inputs = config.get("model_input_names")
    said = {
        **settings_of(config),
        **special_tokens(side.files, folder),
        "split_special_tokens": splits_special(side.files, folder),
        **{f"{name}_side": side_of(side.files, folder, name) for name in ("truncation", "padding")},
        "model_input_names": inputs
        if isinstance(inputs, list) and "attention_mask" not in inputs
        else None,
    }
    handed = handed_on(side.files, side.layout.transformer)
    return {("tokenizer", key): value for key, value in said.items()} | {
        ("dtype" if key.endswith(_DTYPE) else "transformer", key): value
        for key, value in handed.items()
    }


def _differ(area: str, key: str, old: Any, new: Any) -> bool:
    if (
        area == "transformer"
        and not key.partition(".")[0].endswith(HANDED_ON)
        and None in (old, new)
    ):
        return False  # older versions had no such setting
    default = _DEFAULTS.get(key)
    old, new = (default if value is None else value for value in (old, new))
    return not same(key, old, new)


def _length(side: Side, there: set[str]) -> int | None:
    if side.facts is not None:
        return side.facts.max_length
    for name in SENTENCE_CONFIGS:
        own = read_if_there(side.files, join(side.layout.transformer, name), there).get(
            "max_seq_length"
        )
        if type(own) is int:
            return own
    return side.tokenizer.max_length


def _tokenizer_json(before: Side, after: Side) -> list[SettingChange]:
    """What differs in tokenizer.json beside the token list."""
    old, new = (dict(_parts(side)) for side in (before, after))
    return [
        SettingChange("tokenizer", key, old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _parts(side: Side) -> Iterator[tuple[str, Any]]:
    path = join(side.layout.tokenizer, "tokenizer.json")
    value = parse(read(side.files, path), path) if path in side.files.paths() else {}
    model: dict[str, Any] = value["model"] if isinstance(value.get("model"), dict) else {}
    kept = {
        key: item
        for key, item in value.items()
        if key not in ("truncation", "padding", "added_tokens", "version", "model")
    }
    yield from flat(
        {
            **kept,
            "model": {key: item for key, item in model.items() if key not in ("vocab", "merges")},
        }
    )
    if model.get("merges"):
        yield "model.merges", _digest(model["merges"])
    if isinstance(model.get("vocab"), list):  # of a Unigram model, which has a score for each piece
        yield (
            "model.scores",
            _digest([item[1:] for item in model["vocab"] if isinstance(item, list)]),
        )


def _digest(items: list[Any]) -> str:
    return f"{len(items)}, {digest_of(repr(items).encode()).short}"


def _text(side: Side) -> str:
    if "README.md" not in side.files.paths() or side.files.size("README.md") > _TEXT_LIMIT:
        return ""
    return read(side.files, "README.md").decode("utf-8", "replace")
