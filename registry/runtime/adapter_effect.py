"""Effect: whether an adapter changes what its model encodes, told by the loaded object itself, with and without it.

The library's own way to switch adapters off leaves some modules half on; asking each layer tells the truth. What is compared is
computed in float32 and must differ in at least one bit: an adapter that was not applied, or not trained, leaves them equal.
Without it the model must be its base: where it is not, something around the transformer, or a setting, is not the base's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .probes import FAIL, TEXTS, Probe, dense, ids_of, measure, probe, still
from .tensor_matching import not_landed
from .vector_distance import difference

_PLAIN = 4
_TOKENS = 8
"""Added or trained tokens that are encoded in a text of their own."""
NOISE = 1e-6
"""A change below this is no more than another order of adding makes."""


@dataclass(frozen=True)
class Effect:
    """What an adapter changes."""

    largest: float
    """Largest difference of an encoding with and without it, as a part of the encoding's length; 0 where nothing changes."""
    where: str
    """The text, or the token's id, where that is."""
    lost: tuple[str, ...] = ()
    """Tensors of its file that are nowhere in the loaded model; only looked for where nothing changes."""
    strayed: str = ""
    """How the model without the adapter is not its base; empty where it is, and where that was not asked."""


def effect(
    model: Any,
    folder: Path,
    *,
    words: Sequence[str],
    trained: Sequence[int],
    parent: Callable[[], Any] | None = None,
    base: Sequence[Probe] = (),
    known: Sequence[Probe] = (),
) -> Effect:
    """The effect of the adapter on a model that was loaded from the folder.

    words are tokens to be looked at in texts, trained those that the adapter trains by id. parent loads the base itself, for an
    adapter that changes its base in a way that cannot be switched off (trained biases); base is what the base made of texts, to be
    compared. known is what this very model made of texts just now. Raises NotLoadable for a model that cannot encode.
    """
    texts = [*TEXTS[2 : 2 + _PLAIN], *words[:_TOKENS]]
    strayed = ""
    with still(model):
        there = {
            item.text[-1]: item
            for item in known
            if not item.prompt and not item.given and item.shape is not None
        }
        found = [there[text] if text in there else probe(model, text) for text in texts]
        if parent is None:
            with without_adapter(model):
                others = [probe(model, text) for text in texts]
                strayed = _strayed(model, others, base)
        else:
            other = parent()
            with still(other):
                others = [probe(other, text) for text in texts]
        changes = [
            (difference(dense(mine), dense(theirs)), repr(text))
            for text, mine, theirs in zip(texts, found, others, strict=True)
            if mine.shape is not None and theirs.shape is not None
        ]
        if not any(change for change, _ in changes) and trained:
            changes.append(_by_id(model, trained))
    largest, where = max(changes, key=lambda item: item[0], default=(0.0, ""))
    return Effect(largest, where, () if largest else tuple(not_landed(model, folder)), strayed)


def _strayed(model: Any, now: Sequence[Probe], base: Sequence[Probe]) -> str:
    """The first text of which the base makes something else, by its ids or its encoding."""
    made = {item.text: item for item in now}
    for before in base:
        own = made.get(before.text) or Probe(before.text, None, ids_of(model, before.text[-1]))
        found = measure(
            before if own.shape is not None else Probe(before.text, None, before.ids),
            own,
            FAIL["float32"],
        )
        if found is not None and found.amount > found.tolerance:
            return str(found)
    return ""


@contextlib.contextmanager
def without_adapter(model: Any) -> Iterator[None]:
    """While this holds, the model encodes as its base does; afterwards it is as before. Trained biases of the base stay."""
    layers = [module for module in model.modules() if _can_be_switched(module)]
    on = [layer for layer in layers if not layer.disable_adapters]
    try:
        for layer in on:
            layer.enable_adapters(False)
        yield
    finally:
        for layer in on:
            layer.enable_adapters(True)


def _can_be_switched(module: Any) -> bool:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper))


def _by_id(model: Any, trained: Sequence[int]) -> tuple[float, str]:
    """(largest change, which token) of the transformer's output for each trained token alone: a text may not reach its row."""
    import torch

    ids = torch.tensor([[index] for index in trained], device=model.device)
    features = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def outputs() -> Any:
        with torch.inference_mode():
            given = model.transformers_model(**features)
        return (
            next(value for value in given.values() if torch.is_tensor(value)).float().cpu().numpy()
        )

    one = outputs()
    with without_adapter(model):
        other = outputs()
    return max(
        (difference(mine, theirs), f"token {index}")
        for mine, theirs, index in zip(one, other, trained, strict=True)
    )
