"""Targets: which modules of a model an adapter's configuration means, by the rules of peft, from names and shapes alone.

Source: peft 0.21, tuners/tuners_utils.py (check_target_module_exists), utils/other.py (get_pattern_key, _set_trainable).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.core.facts import Files, Tensor
from registry.errors import NotLoadable
from registry.model_files.config.parse import read_if_there
from registry.model_files.layout.file_list import join

from .config import AdapterConfig

BASE_PREFIX = {
    **{
        name: name
        for name in (
            "albert",
            "bert",
            "convbert",
            "deberta",
            "distilbert",
            "electra",
            "ernie",
            "fnet",
            "funnel",
            "gte",
            "ibert",
            "layoutlm",
            "longformer",
            "luke",
            "mobilebert",
            "mpnet",
            "mra",
            "nomic_bert",
            "nystromformer",
            "rembert",
            "roberta",
            "roformer",
            "splinter",
            "yoso",
        )
    },
    **dict.fromkeys(("camembert", "xlm-roberta"), "roberta"),
    **dict.fromkeys(("big_bird", "megatron-bert"), "bert"),
    "deberta-v2": "deberta",
    **dict.fromkeys(
        (
            "eurobert",
            "gemma",
            "gemma2",
            "gemma3_text",
            "llama",
            "mistral",
            "modernbert",
            "phi",
            "qwen2",
            "qwen3",
        ),
        "model",
    ),
    **dict.fromkeys(
        ("bloom", "flaubert", "gpt2", "mt5", "squeezebert", "t5", "xlm", "xlnet"), "transformer"
    ),
}
"""By model_type. Source: transformers 5.23, base_model_prefix of the classes."""
_LENGTH, _REPEATS = 1_000, 12
_MAY_BE_PATTERNS = ("target_modules", "exclude_modules", "feedforward_modules")
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{\d*,\d*\})")
_LITERAL = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]")


def check_patterns(config: AdapterConfig) -> None:
    """Raises NotLoadable for a regular expression that is none, or that could take for ever on a module's name."""
    fields = config.fields
    patterns = [
        (name, fields[name]) for name in _MAY_BE_PATTERNS if isinstance(fields.get(name), str)
    ]
    patterns += [
        (name, key) for name in ("rank_pattern", "alpha_pattern") for key in fields.get(name) or {}
    ]
    layers = fields.get("layers_pattern") or []
    patterns += [
        ("layers_pattern", item) for item in ([layers] if isinstance(layers, str) else layers)
    ]
    patterns += [("modules_to_save", item) for item in config.modules_to_save]
    for name, pattern in patterns:
        bare = _LITERAL.sub("x", pattern)
        repeats = len(re.findall(r"[*+]|,\}", bare))
        if len(pattern) > _LENGTH or _REPEATED_GROUP.search(bare) or repeats > _REPEATS:
            raise NotLoadable(
                f"adapter_config.json has the {name} {pattern!r:.80}, "
                "a regular expression that could take unlimited time to match",
                hint="list the names of the modules instead",
            )
        try:
            re.compile(pattern)
        except re.error as error:
            raise NotLoadable(
                f"adapter_config.json has the {name} {pattern!r:.80}, no regular expression: {error}"
            ) from None


def is_targeted(config: AdapterConfig, module: str) -> bool:
    """Whether the adapter changes the module of that name, if it is one that can be changed. `all-linear` means every one."""
    excluded = config.fields.get("exclude_modules")
    if excluded and ends(module, excluded):
        return False
    if any(re.match(rf"(^|.*\.){name}($|\..*)", module) for name in config.modules_to_save):
        return False
    if isinstance(config.targets, str):
        return (
            config.targets.lower() == "all-linear"
            or re.fullmatch(config.targets, module) is not None
        )
    if module in config.targets:
        return True
    return ends(module, config.targets) and _in_layers(config.fields, module)


def ends(module: str, names: str | Iterable[str]) -> bool:
    """Whether a module is meant by a regular expression, or by one of the names that modules end with."""
    if isinstance(names, str):
        return re.fullmatch(names, module) is not None
    return any(module == name or module.endswith(f".{name}") for name in names)


def has_token_rows(module: str, name: str) -> bool:
    """Return whether a name of trainable_token_indices selects a module.

    A part of the last name is enough: `embeddings` selects `position_embeddings` too.
    Source: peft 0.21, utils/other.py, `_set_trainable`.
    """
    return module.endswith(name)


def rank_of(config: AdapterConfig, module: str) -> int | None:
    """The rank that the configuration gives a module."""
    patterns = config.fields.get("rank_pattern") or {}
    key = next((key for key in patterns if re.match(rf"(.*\.)?({key})$", module)), None)
    rank = config.rank if key is None else patterns[key]
    return rank if type(rank) is int else None


ENCODER_ONLY = frozenset(
    (
        "blenderbot",
        "blenderbot-small",
        "longt5",
        "m2m_100",
        "marian",
        "mt5",
        "pegasus",
        "pegasus_x",
        "prophetnet",
        "switch_transformers",
        "t5",
        "t5gemma",
        "t5gemma2",
        "udop",
        "umt5",
    )
)
"""Model types whose encoder only is loaded. Source: sentence-transformers 6.2,
base/modules/transformer.py, `_ENCODER_ONLY_MODELS`."""
_OF_A_DECODER = re.compile(r"(^|\.)decoder\.")


def loaded_part(tensors: Sequence[Tensor], files: Files, folder: str) -> list[Tensor]:
    """Return the tensors of a transformer without those of an unused decoder."""
    settings = read_if_there(files, join(folder, "config.json"), set(files.paths()))
    if settings.get("model_type") not in ENCODER_ONLY:
        return list(tensors)
    return [tensor for tensor in tensors if not _OF_A_DECODER.search(tensor.name)]


def base_prefix(files: Files, folder: str) -> str | None:
    """What a class with a head calls the transformer in a folder, as `bert`; None for an architecture that is not listed."""
    model_type = read_if_there(files, join(folder, "config.json"), set(files.paths())).get(
        "model_type"
    )
    return BASE_PREFIX.get(model_type) if isinstance(model_type, str) else None


def live_names(
    own: Iterable[str], parent: Mapping[str, Any], prefix: str | None = None
) -> dict[str, str]:
    """The parent's modules by the names that they have in the class the adapter was trained on: {live name: name in the file}.

    A file may carry the prefix of its base model (`bert.`) where the adapter's class has none, or lack it where that has one; which
    that can be is said by prefix, and any can where that is None.
    """
    meant = set(own)
    prefixes = {name.partition(".")[0] + "." for name in (*meant, *parent) if "." in name}
    best = {name: name for name in parent}
    for item in sorted(prefixes):
        stripped = {name.removeprefix(item): name for name in parent if name.startswith(item)}
        prefixed = (
            {item + name: name for name in parent} if prefix is None or item == f"{prefix}." else {}
        )
        best = max((best, stripped, prefixed), key=lambda names: len(meant & names.keys()))
    return best


def _in_layers(fields: Mapping[str, Any], module: str) -> bool:
    chosen, patterns = fields.get("layers_to_transform"), fields.get("layers_pattern")
    if chosen is None or chosen == []:
        return True
    patterns = [patterns] if isinstance(patterns, str) and patterns else patterns
    if patterns:
        found = next(
            (
                match
                for pattern in patterns
                if (match := re.match(rf"(?:^|.*?\.){pattern}\.(\d+)\.", module))
            ),
            None,
        )
    else:
        found = re.match(r".*?\.[^.]*\.(\d+)\.", module)
    return found is not None and int(found[1]) in ([chosen] if isinstance(chosen, int) else chosen)
