"""add --tokenizer: a model's folder with the tokenizer files of its parent or of
another folder.

Lengths and sides stay those of the model: they belong to its training, not to the
tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from registry.core.facts import Facts, Files, read
from registry.core.filenames import TOKENIZER_FILES

from .overlay import Overlay

PARENT = "parent"
"""The word for the tokenizer of the parent."""
_CONFIG, _TOKENIZER = "tokenizer_config.json", "tokenizer.json"
_LENGTHS = (
    "model_max_length",
    "max_length",
    "max_len",
    "truncation_side",
    "truncation_strategy",
    "stride",
    "padding_side",
    "pad_to_multiple_of",
)
"""Fields of tokenizer_config.json for lengths and sides."""
_CUT = ("truncation", "padding")
"""Parts of tokenizer.json for lengths and sides."""


def with_tokenizer(model: Files, tokenizer: Files) -> Files:
    """Return a model with the tokenizer of another folder."""
    return Overlay(model, tokenizer_contents(model, "", tokenizer, ""))


def with_parents_tokenizer(
    model: Files, parent: Files, parent_facts: Facts, model_class: str | None
) -> Files:
    """Return a model with the tokenizer files of its parent. Raises what reading
    raises."""
    return Overlay(model, parents_contents(model, parent, parent_facts, model_class))


def parents_contents(
    model: Files, parent: Files, parent_facts: Facts, model_class: str | None
) -> dict[str, bytes | None]:
    """Return the tokenizer files of a parent for a model's folder, by path."""
    from registry.model_files.layout import layout as layout_of
    from registry.model_files.tokenizer.pipeline import class_for_adapters

    source = layout_of(parent, class_hint=parent_facts.model_class)
    model_layout = layout_of(model, class_hint=model_class, parent_class=parent_facts.model_class)
    contents = tokenizer_contents(
        model, model_layout.tokenizer, parent, source.tokenizer, length=parent_facts.max_length
    )
    if model_layout.is_adapter:
        class_name = class_for_adapters(parent, source)
        if class_name is not None:
            path = _at(model_layout.tokenizer, _CONFIG)
            config = _parsed(contents.get(path))
            contents[path] = _json({**config, "tokenizer_class": class_name})
    return contents


def tokenizer_contents(
    model: Files, folder: str, tokenizer: Files, source: str, *, length: int | None = None
) -> dict[str, bytes | None]:
    """Return the tokenizer files for the folder of a model by path, None for those to
    leave out.

    length is the maximum length where the model states none.
    """
    paths, own_paths = set(tokenizer.paths()), set(model.paths())
    contents: dict[str, bytes | None] = {}
    for name in TOKENIZER_FILES:
        path, original = _at(source, name), _at(folder, name)
        if path in paths:
            contents[original] = read(tokenizer, path)
        elif original in own_paths:
            contents[original] = None
    config_path, path = _at(folder, _CONFIG), _at(folder, _TOKENIZER)
    own_config = _parsed(read(model, config_path)) if config_path in own_paths else None
    config = _parsed(contents.get(config_path))
    if own_config is not None:
        merged = {key: entry for key, entry in config.items() if key not in _LENGTHS}
        merged |= {key: entry for key, entry in own_config.items() if key in _LENGTHS}
    else:
        merged = config | ({"model_max_length": length} if length is not None else {})
    if merged != config:
        contents[config_path] = _json(merged)
    content = contents.get(path)
    if content is not None and path in own_paths:
        parsed, model_parsed = _parsed(content), _parsed(read(model, path))
        cut = {key: model_parsed.get(key) for key in _CUT}
        if any(parsed.get(key) != entry for key, entry in cut.items()):
            contents[path] = _json({**parsed, **cut})
    return contents


def _at(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _parsed(content: bytes | None) -> dict[str, Any]:
    from registry.model_files.config.parse import parse

    parsed = parse(content, _CONFIG) if content is not None else {}
    return dict(parsed) if isinstance(parsed, dict) else {}


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=2).encode("utf-8", "surrogatepass")
