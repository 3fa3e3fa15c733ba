"""Proof: what a mended adapter is compared with. Either the same model put together by hand, or the file that should be in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from registry.model_files.adapter.config import WEIGHTS
from registry.runtime.loading import load, quiet
from registry.runtime.merge import surround


def live_by_hand(adapter: Path, base: Path, work: Path, *, model_class: str, rows: int) -> Any:
    """The model as it was in memory before its adapter was saved: the base, resized there to `rows`, and the adapter over it.

    base is the folder of the parent's transformer; work is a new folder. Needs nothing of what the mending wrote but the names.
    """
    surround(adapter, base, work)
    model = load(work, model_class, device="cpu")
    inner = model.transformers_model
    with quiet():
        if inner.get_input_embeddings().weight.shape[0] != rows:
            inner.resize_token_embeddings(rows, mean_resizing=False)
        inner.load_adapter(str(adapter.absolute()))
        inner.tie_weights()  # the library puts the loaded table in the place of the one that an output shares
    model.eval()
    return model


def landed(model: Any, folder: Path) -> tuple[int, list[str]]:
    """(tensors in the adapter's file of a folder, names of those that no parameter of the loaded model is equal to)."""
    import torch
    from safetensors.torch import load_file

    live: dict[tuple[int, ...], list[Any]] = {}
    for parameter in model.parameters():
        live.setdefault(tuple(parameter.shape), []).append(parameter.detach())
    stored = load_file(folder / WEIGHTS)
    lost = [
        name
        for name, tensor in stored.items()
        if not any(
            torch.equal(tensor.to(other.dtype), other)
            for other in live.get(tuple(tensor.shape), [])
        )
    ]
    return len(stored), lost
