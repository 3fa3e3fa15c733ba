"""Adapters saved in ways that no library loads, or as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import registry
from registry.model_files.weights.rewrite import rewrite
from registry.runtime.loading import quiet
from tests.support import lively, small

NEW = ["zorvaxin", "quelora"]
BUILDERS = {
    "SentenceTransformer": small.dense,
    "CrossEncoder": small.cross,
    "SparseEncoder": small.sparse,
    "MultiVectorEncoder": small.multi_vector,
}
WEIGHTS = "adapter_model.safetensors"


def lora(rows: int, **more: Any) -> Any:
    from peft import LoraConfig

    return LoraConfig(r=2, target_modules=["query", "value"], **more)


def trained_tokens(rows: int) -> Any:
    return lora(rows, trainable_token_indices=[rows - 2, rows - 1])


def targeted_table(rows: int) -> Any:
    from peft import LoraConfig

    return LoraConfig(r=2, target_modules=["query", "word_embeddings"])


def tokens_alone(rows: int) -> Any:
    from peft import TrainableTokensConfig

    return TrainableTokensConfig(token_indices=[rows - 2, rows - 1])


def naive(
    base: Path, model_class: str, configure: Any, out: Path, tokens: list[str] = NEW
) -> list[Any]:
    """Tokens added and the table resized in memory, an adapter on top, saved; the base never is. What the live model encodes."""
    import torch

    model = lively.loaded(base, model_class)
    model.tokenizer.add_tokens(tokens)
    torch.manual_seed(5)
    with quiet():
        model.transformers_model.resize_token_embeddings(len(model.tokenizer), mean_resizing=False)
        model.add_adapter(configure(len(model.tokenizer)))
    lively.train(model)
    before = lively.encodings(model)
    lively.save(model, out)
    return before


def changed(folder: Path, **how: Any) -> None:
    """Rewrite the weights of an adapter."""
    rewrite(folder / WEIGHTS, folder / "new", **how)
    (folder / "new").replace(folder / WEIGHTS)


def saved(reg: registry.Registry, tmp_path: Path, configure: Any) -> tuple[Path, list[Any]]:
    """Another adapter on the checkout of base@1, saved as it should be: (its folder, what the live model encodes)."""
    checkout, rows = reg.checkout("base@1").folder, reg.show("base@1").facts.rows
    return tmp_path / "adapter", lively.save_adapter(
        checkout, "SentenceTransformer", configure(rows), tmp_path / "adapter"
    )


def wrap(name: str) -> str:
    """What a tensor is called inside a wrapper that has a wrapper around it."""
    return (
        name.replace("base_model.model.", "base_model.model.base_model.model.")
        .replace(".lora_A.", ".lora_A.foo.")
        .replace(".lora_B.", ".lora_B.foo.")
    )
