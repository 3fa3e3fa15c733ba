"""Defaults: what a setting is where a folder does not say it. Older libraries left out what newer ones write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS: Mapping[str, object] = {"similarity_fn_name": "cosine", "module_input_name": "sentence_embedding",
                                  "module_output_name": "sentence_embedding", "include_prompt": True}
"""By the last part of a setting's name. Source: sentence_transformers 6.2, sentence_transformer/modules."""


def setting(settings: Mapping[str, Any], key: str) -> Any:
    """The value of one of the facts' settings, or its default; None where neither is known."""
    found = settings.get(key)
    return DEFAULTS.get(key.rpartition(".")[2]) if found is None else found
