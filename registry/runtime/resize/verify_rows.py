"""Proof: a resized folder, loaded anew, is its parent plus the tokens, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from registry.core.facts import Token, flags_of
from registry.core.text import counted
from registry.errors import InvalidTokens, NotLoadable
from registry.model_files.tokenizer.base_vocabulary import Lexicon, whole_texts
from registry.model_files.weights.grow import same_name, tables
from registry.runtime.loading import load, quiet

from .embedding_modules import holders


def prove(folder: Path, parent: Any, added: Sequence[Token], model_class: str, first: int) -> Any:
    """Load the folder, compare it and return it as loaded.

    `first` is the number of tokens that the parent has.

    Raises InvalidTokens where a token is not one id with its flags, NotLoadable where an old row or another parameter differs
    from the parent's: then the libraries did something that this package does not know, and the result must not be kept.
    """
    child = load(folder, model_class, device="cpu")
    growing: set[int] = set()
    for holder in holders(child, folder):
        with whole_texts(holder.backend):
            _prove_tokens(Lexicon(holder.backend), added, first)
        with quiet():
            growing |= {id(table) for table in holder.live_tables()}
    before = dict(parent.named_parameters()) | dict(parent.named_buffers())
    stored = {name for path in folder.rglob("*.safetensors") for name in tables(path)}
    for name, tensor in (*child.named_parameters(), *child.named_buffers()):
        old, new = before.get(name), tensor
        if old is not None and id(tensor) in growing:
            axis = 0 if len(old) > 1 else 1
            count = min(first, old.shape[axis])
            old, new = (part.narrow(axis, 0, count) for part in (old, new))
        # what no file holds is made up at each load, a pooler for instance, and differs by that
        if (old is None or not bits_equal(old, new)) and any(
            same_name(name, item) for item in stored
        ):
            raise NotLoadable(
                f"parameter {name} changed in the resize, and nothing may but the new rows"
            )
    return child


def _prove_tokens(lexicon: Lexicon, added: Sequence[Token], first: int) -> None:
    if lexicon.size != first + len(added):
        raise NotLoadable(
            f"the tokenizer has {lexicon.size} tokens after the resize, not {first + len(added)}"
        )
    lost = [token.content for token in added if lexicon.pieces(token.content) != (token.id,)]
    if lost:
        raise InvalidTokens(
            f"{len(lost)} of {counted(len(added), 'token')} would never be found as one: "
            + ", ".join(map(repr, lost))
        )
    for token in added:
        live = lexicon.added[token.id]
        if flags_of(live) != flags_of(token):
            raise NotLoadable(f"the flags of {token.content!r} do not survive saving: {live!r}")


def bits_equal(one: Any, other: Any) -> bool:
    """Whether two tensors have the same shape, dtype and bits."""
    import torch

    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}.get(one.element_size())
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if bits is None or not one.is_floating_point():
        return bool(torch.equal(one, other))
    return bool(torch.equal(one.contiguous().view(bits), other.contiguous().view(bits)))
