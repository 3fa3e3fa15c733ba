"""Configurations of adapters as users write them."""

from __future__ import annotations

from typing import Any

from tests.support import small

TARGETS = ["query", "value"]


def lora(**options: Any) -> Any:
    """A LoRA on query and value, unless said otherwise."""
    from peft import LoraConfig

    return LoraConfig(**{"r": 2, "lora_alpha": 4, "target_modules": TARGETS, **options})


def new_ids() -> list[int]:
    """The ids that two tokens added to the small WordPiece tokenizer get."""
    size = len(small.word_piece())
    return [size, size + 1]
