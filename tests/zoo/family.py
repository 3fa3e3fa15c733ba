"""The list of families; the modules with builders add to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

BERT_TARGETS = ("query", "value")


@dataclass(frozen=True, kw_only=True)
class Family:
    """A kind of published repository."""

    name: str
    repositories: tuple[str, ...]
    write: Callable[[Path], None]
    model_class: str = "SentenceTransformer"
    has_class_hint: bool = False
    """The folder does not name its class, so `add` needs `model_class`."""
    targets: tuple[str, ...] = BERT_TARGETS
    """Layers that LoRA adapts; empty where the model has no such layer."""
    embeddings: str = "word_embeddings"
    """Last part of the name of the module that holds the token table."""
    trained_with: str = "AdamW"
    """SGD for float16, in which the epsilon of AdamW underflows."""
    reloads_adapter: bool = True
    """Plain sentence-transformers can load an adapter that it saved of this model."""
    inner: str = ""
    """Where the model is inside the folder that `write` fills."""
    is_large: bool = False
    """Takes minutes, so it runs only with ZOO=full."""
    resaves: bool = True
    """Whether the matrix contains the re-saved form too."""


FAMILIES: dict[str, Family] = {}


def declare(
    name: str,
    repositories: tuple[str, ...],
    write: Callable[..., None],
    /,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Add a family. `settings` are arguments of `write`, `options` fields of Family."""
    assert name not in FAMILIES, name
    FAMILIES[name] = Family(
        name=name, repositories=repositories, write=partial(write, **(settings or {})), **options
    )
