"""Training: what a user does with plain sentence-transformers, short enough for the demo. Nothing here knows the registry.

An adapter trained on a folder and saved as users do; and a base built again from the same words in another order, which is
how an adapter meets a base that is not its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .loading import encode, quiet, refuse_unfit_peft

SEED = 20
STEPS = 8
RATE = 5e-3
RANK = 8
SHARPNESS = 20.0
"""By how much cosines are multiplied in the loss, as sentence-transformers does by default."""


@dataclass(frozen=True)
class Trained:
    """What training ended with."""

    vectors: tuple[tuple[float, ...], ...]
    """One for each text that was asked for, of the model in memory before it was saved."""
    first_loss: float
    last_loss: float
    parameters: int
    """How many numbers were trained."""


def train_adapter(
    base: Path, pairs: Sequence[tuple[str, str]], texts: Sequence[str], out: Path
) -> Trained:
    """Train a LoRA adapter on the model in `base`, so that the texts of a pair become alike, and save it in `out`.

    The same seed gives the same adapter on the same machine; the caller's random numbers are left as they are.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = _model(base)
        _wrap(model)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=RATE)
        model.train()
        losses = []
        for _ in range(STEPS):
            loss = _loss(model, pairs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
    vectors = tuple(tuple(vector) for vector in encode(model, texts))
    _save(model, out)
    return Trained(vectors, losses[0], losses[-1], sum(parameter.numel() for parameter in trained))


def build_base(base: Path, words: Sequence[str], out: Path) -> None:
    """Add words to the model in `base`, in this order, each with the mean of its own pieces' rows, and save it in `out`."""
    import torch

    model = _model(base)
    tokenizer, inner = model.tokenizer, model.transformers_model
    pieces = [tokenizer.encode(word, add_special_tokens=False) for word in words]
    old = inner.get_input_embeddings().weight.detach()
    new = torch.stack([old[ids].double().mean(dim=0).to(old.dtype) for ids in pieces])
    tokenizer.add_tokens(list(words))
    with quiet():
        inner.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        inner.get_input_embeddings().weight[len(tokenizer) - len(words) :] = new
    _save(model, out)


def _model(folder: Path) -> Any:
    with quiet():
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def _wrap(model: Any) -> None:
    from peft import LoraConfig

    with quiet():
        refuse_unfit_peft()
        model.add_adapter(LoraConfig(r=RANK, lora_alpha=2 * RANK))


def _save(model: Any, out: Path) -> None:
    with quiet():
        model.save_pretrained(str(out))


def _loss(model: Any, pairs: Sequence[tuple[str, str]]) -> Any:
    """Each left text should find its right one among all of them."""
    import torch

    left, right = (
        model(model.preprocess([pair[side] for pair in pairs]))["sentence_embedding"]
        for side in (0, 1)
    )
    left, right = (torch.nn.functional.normalize(side, dim=-1) for side in (left, right))
    return torch.nn.functional.cross_entropy(left @ right.T * SHARPNESS, torch.arange(len(pairs)))
