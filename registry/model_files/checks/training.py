"""Checks of what an adapter trained: which rows, in which way, in which numbers; and whether it trained anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from registry.core.facts import Tensor
from registry.core.text import counted
from registry.errors import NoEffect, NotLoadable, ParentMismatch
from registry.model_files.adapter.config import LEAVES_THE_BASE, AdapterConfig
from registry.model_files.adapter.structure import ends_with
from registry.model_files.facts import table_of
from registry.model_files.weights.rows import all_zero, nearly_one, read_rows
from registry.model_files.weights.safetensors import constant_digest

from .base import EFFECT, Candidate, ParentView, Problem, checks
from .helpers import config_of, is_of_the_table, own_tensors, some, token_groups, within

CHECKS, check = checks()
_HALF = {"float16": "F16", "bfloat16": "BF16"}
_NEARLY, _FAR = 0.95, 0.2
"""Cosines: of rows that training moved a little, and by how much their own token's row is farther away."""
_ALIKE_LIMIT = 2_000
"""Added rows that are compared with each other; of more, the first ones."""


@check(
    "adapter-init",
    "its base is the one it was begun on",
    "protects from PiSSA, OLoRA, CorDA, LoftQ, which change the base in memory as they begin",
    ParentMismatch,
)
def base_is_the_one_it_was_begun_on(candidate: Candidate) -> Problem | None:
    """The way in which it began leaves its base alone."""
    config = config_of(candidate)
    init = config.fields.get("init_lora_weights") if config is not None else None
    named = (
        "kasa_config"
        if config is not None and config.says("kasa_config")
        else f"init_lora_weights {init!r}"
    )
    if init in LEAVES_THE_BASE and named != "kasa_config":
        return None
    return Problem(
        f"adapter_config.json has {named}, which changes the base when the adapter is initialized, "
        "so every load would change it again, with different results on different machines",
        "save the changed (residual) base, register it, set init_lora_weights to true, "
        "and pass that base with --parent, "
        "or use registry.save on the model in memory, which does all of this",
    )


@check(
    "adapter-bias",
    "its parent's biases are not trained",
    "protects from an adapter that cannot be switched off or stand beside another",
    NotLoadable,
    judgement=True,
)
def parents_biases_are_not_trained(candidate: Candidate) -> Problem | None:
    """Biases of the base are not among its tensors, unless they were split from a live model."""
    config = config_of(candidate)
    bias = config.fields.get("bias") if config is not None else None
    trained = [
        tensor.name
        for tensor in own_tensors(candidate)
        if tensor.name.endswith(".bias") and ".lora_" not in tensor.name
    ]
    if bias in (None, "none", False) or not trained or candidate.from_memory:
        return None
    return Problem(
        f"the adapter was trained with bias={bias!r} and overwrites "
        f"{counted(len(trained), 'bias', 'biases')} of its base (first: {trained[0]!r}), "
        "so the base stays changed when the adapter is switched off",
        "train with bias='none', or save the model with registry.save while it is in memory",
    )


@check(
    "adapter-dtype",
    "it is not finer than its base",
    "protects from an adapter that is cast to fewer bits at every load",
    NotLoadable,
    judgement=True,
)
def adapter_is_not_finer_than_its_base(candidate: Candidate) -> Problem | None:
    """An adapter in float32 does not stand on a base that loads in half precision."""
    parent = candidate.parent
    if parent is None or not candidate.layout.is_adapter:
        return None
    named = parent.facts.settings.get("dtype")
    half = (
        _HALF.get(named)
        if named is not None
        else next((item for item in _HALF.values() if item == parent.facts.weights.dtype), None)
    )
    fine = [tensor.name for tensor in own_tensors(candidate) if tensor.dtype in ("F32", "F64")]
    if half is None or not fine:
        return None
    return Problem(
        f"{counted(len(fine), 'tensor of the adapter is', 'tensors of the adapter are')} F32 "
        f"(first: {fine[0]!r}), but {parent.reference} loads as {half}, so every load casts them "
        "and the model encodes texts differently than in training",
        f"cast the adapter to {half} before saving it, "
        "or register the base in float32 and pass that with --parent",
    )


@check(
    "trained-tokens",
    "it trains the added tokens",
    "protects from trained rows that are off by one, or those of ordinary words",
    ParentMismatch,
    judgement=True,
)
def trains_the_added_tokens(candidate: Candidate) -> Problem | None:
    """The rows that it trains by id are those of all added tokens, and no others."""
    config, parent = config_of(candidate), candidate.parent
    if config is None or parent is None:
        return None
    ids = sorted({index for group in token_groups(config, parent) for index in group})
    if not ids:
        return None
    words = {token.id: token.content for token in parent.tokens}
    known = [token.id for token in parent.facts.vocabulary.added]
    added = known or sorted(words)[-len(ids) :]
    over, under = sorted(set(ids) - set(added)), sorted(set(added) - set(ids))
    if not over and not under:
        return None
    if not known:
        verb = "belongs" if len(over or ids) == 1 else "belong"
        return Problem(
            f"the adapter trains the rows of {counted(len(ids), 'id')}, {_range(ids)}, "
            f"but {parent.reference} has no added tokens: "
            f"{_spoken(over or ids, words)} {verb} to its original vocabulary",
            "register the base that the tokens were added to, and pass it with --parent",
        )
    said = []
    if over:
        verb = "is not an added token" if len(over) == 1 else "are not added tokens"
        said.append(f"{_spoken(over, words)} {verb}")
    if under:
        said.append(
            f"{_spoken(under, words)} {'was' if len(under) == 1 else 'were'} added and {'is' if len(under) == 1 else 'are'} not trained"
        )
    return Problem(
        f"the adapter trains the rows of {counted(len(ids), 'id')}, {_range(ids)}, but the added "
        f"tokens of {parent.reference} have {_range(added)}: {' and '.join(said)}",
        f"train with trainable_token_indices={_range(added)}",
    )


@check(
    "trained-rows",
    "its trained rows stand at their tokens",
    "tells of rows that were trained at the ids of other tokens, as after somebody put trainable_token_indices in order",
    None,
    net=EFFECT,
)
def trained_rows_stand_at_their_tokens(candidate: Candidate) -> Problem | None:
    """No row that it trained is nearly the one that another token has in the parent, and far from its own token's."""
    config, parent = config_of(candidate), candidate.parent
    if config is None or parent is None:
        return None
    import numpy as np

    for tensor in own_tensors(candidate):
        found = (
            _trained_rows(candidate, tensor, config, parent)
            if tensor.name.endswith("trainable_tokens_delta")
            else None
        )
        if found is None or len(found[0]) > _ALIKE_LIMIT:
            continue
        ids, own, before = found
        near = _directions(own) @ _directions(before).T
        best = near.argmax(axis=1)
        strange = np.flatnonzero(
            (near.max(axis=1) > _NEARLY) & (near.diagonal() < near.max(axis=1) - _FAR)
        )
        if strange.size:
            words = {token.id: token.content for token in parent.tokens}
            mine, other = ids[strange[0]], ids[best[strange[0]]]
            return Problem(
                f"the row that the adapter trained for {words.get(mine)!r} is nearly that of "
                f"{words.get(other)!r} in {parent.reference} "
                f"({counted(int(strange.size), 'row')} of {len(ids)}): "
                "the order of trainable_token_indices may differ from that of the training"
            )
    return None


@check(
    "adapter-trained",
    "it is not as it began",
    "protects from an adapter that changes nothing",
    NoEffect,
    net=EFFECT,
    judgement=True,
)
def adapter_is_not_as_it_began(candidate: Candidate) -> Problem | None:
    """Something in its file has moved from where training begins: lora_B from 0, IA3 from 1, rows from the parent's."""
    config = config_of(candidate)
    if config is None or candidate.parent is None:
        return None
    if config.type == "LORA" and config.alpha == 0 and not config.fields.get("alpha_pattern"):
        return Problem(
            "adapter_config.json has the lora_alpha 0, by which every change is multiplied, "
            "so the adapter changes nothing",
            "set it to the value that was used in training",
        )
    began, moved = _begun(candidate, config, candidate.parent)
    if not began or moved:
        return None
    zero = " (every lora_B is 0)" if all("lora_B" in item for item in began) else ""
    verb = "has" if len(began) == 1 else "have"
    return Problem(
        f"all {counted(len(began), 'tensor')} that training changes still {verb} the initial "
        f"value{zero}, so the adapter changes nothing (first: {began[0]})",
        "save it after the training, or, if it is untrained on purpose: --allow-no-effect",
    )


@check(
    "adapter-parts",
    "all of its parts were trained",
    "tells of layers that training left as they began",
    None,
    net=EFFECT,
)
def all_of_its_parts_were_trained(candidate: Candidate) -> Problem | None:
    """No part is as it began while others have moved."""
    config = config_of(candidate)
    if config is None or candidate.parent is None:
        return None
    began, moved = _begun(candidate, config, candidate.parent)
    return (
        Problem(
            f"{len(began)} of {len(began) + len(moved)} parts of the adapter still have their initial "
            f"value and change nothing (first: {began[0]})"
        )
        if began and moved
        else None
    )


@check(
    "new-rows",
    "its new tokens can be told apart",
    "tells of new tokens whose rows are nearly one vector, so that they encode alike",
    None,
    net=EFFECT,
)
def new_tokens_can_be_told_apart(candidate: Candidate) -> Problem | None:
    """The rows of the added tokens are not all nearly the same, or the adapter trains them."""
    config, parent = config_of(candidate), candidate.parent
    facts, files = (
        (candidate.inspection.facts, candidate.files)
        if parent is None or config is None
        else (parent.facts, parent.files)
    )
    ids = [token.id for token in facts.vocabulary.added[:_ALIKE_LIMIT]]
    table = table_of(facts.weights.tensors)
    if len(ids) < 2 or table is None or (config is not None and _trains_rows(candidate, config)):
        return None
    if not nearly_one(read_rows(files, table, ids)):
        return None
    words = f"the rows of its {len(ids)} added tokens are nearly one vector (cosine above 0.9999)"
    if config is None or parent is None:
        return Problem(
            f"{words}, so the new tokens cannot be distinguished until their rows are trained",
            "to initialize them with distinct rows, use registry resize",
        )
    return Problem(
        f"{words}, and the adapter trains none of them, so the new tokens cannot be distinguished",
        f"train with trainable_token_indices={_range(ids)}, "
        "or on a base created by registry resize",
    )


def _begun(
    candidate: Candidate, config: AdapterConfig, parent: ParentView
) -> tuple[list[str], list[str]]:
    """(what is as training begins it, what has moved), of the parts for which a file can tell."""
    tensors = own_tensors(candidate)
    began: list[str] = []
    moved: list[str] = []
    base = {tensor.name: tensor for tensor in within(parent.facts.weights.tensors, parent.layout)}
    starts = {
        tensor.name: start for tensor in tensors if (start := _start(tensor, config)) is not None
    }
    zero = _all_zero(
        candidate,
        [
            tensor
            for tensor in tensors
            if tensor.digest != starts.get(tensor.name, tensor.digest) and "lora_" in tensor.name
        ],
    )
    for tensor in tensors:
        name = tensor.name
        if name in starts:
            (began if tensor.digest == starts[name] or name in zero else moved).append(repr(name))
        elif name.endswith("trainable_tokens_delta"):
            still, changed = _rows_as_before(candidate, tensor, config, parent)
            began += [f"the row of token {index}" for index in still]
            moved += [f"the row of token {index}" for index in changed]
        elif not (
            name.endswith(("lora_A.weight", "lora_embedding_B")) or "lora_magnitude_vector" in name
        ):
            bare = name.removeprefix("base_model.model.")
            same = [
                old
                for own, old in base.items()
                if own == bare or own.endswith(f".{bare}") or bare.endswith(f".{own}")
            ]
            (began if any(old.digest == tensor.digest for old in same) else moved).append(
                repr(name)
            )
    return began, moved


def _all_zero(candidate: Candidate, tensors: Sequence[Tensor]) -> set[str]:
    """Of tensors of the transformer those of zeros, also where some have a sign, as after a multiplication with 0."""
    folder = f"{candidate.layout.transformer}/" if candidate.layout.transformer else ""
    whole = [
        Tensor(folder + tensor.name, tensor.dtype, tensor.shape, tensor.digest)
        for tensor in tensors
    ]
    return {name.removeprefix(folder) for name in all_zero(candidate.files, whole)}


def _start(tensor: Tensor, config: AdapterConfig) -> str | None:
    """The digest with which training begins a tensor that begins as one number; None for all others."""
    if (
        tensor.name.endswith(("lora_B.weight", "lora_embedding_A"))
        and config.fields.get("init_lora_weights") is not False
    ):
        return constant_digest(tensor.dtype, tensor.shape, 0)
    if tensor.name.endswith("ia3_l"):
        return constant_digest(tensor.dtype, tensor.shape, 1)
    return None


def _rows_as_before(
    candidate: Candidate, delta: Tensor, config: AdapterConfig, parent: ParentView
) -> tuple[list[int], list[int]]:
    """(ids whose trained row is the parent's, ids whose row moved)."""
    found = _trained_rows(candidate, delta, config, parent)
    if found is None:
        return [], []
    ids, own, before = found
    equal = (own == before).all(axis=1).tolist()
    return (
        [index for index, same in zip(ids, equal, strict=True) if same],
        [index for index, same in zip(ids, equal, strict=True) if not same],
    )


def _trained_rows(
    candidate: Candidate, delta: Tensor, config: AdapterConfig, parent: ParentView
) -> tuple[tuple[int, ...], Any, Any] | None:
    """(ids, their trained rows, the parent's rows of these ids); the file holds whole rows, not differences."""
    groups = [ids for ids in token_groups(config, parent) if len(ids) == delta.shape[0]]
    table = table_of(parent.facts.weights.tensors)
    module = (
        delta.name.removeprefix("base_model.model.")
        .rpartition(".")[0]
        .removesuffix(".token_adapter")
    )
    if (
        not is_of_the_table(module, parent)
        or not groups
        or table is None
        or max(groups[0], default=0) >= table.shape[0]
    ):
        return None
    ids, whole = (
        groups[0],
        f"{candidate.layout.transformer}/{delta.name}"
        if candidate.layout.transformer
        else delta.name,
    )
    own = read_rows(
        candidate.files, Tensor(whole, delta.dtype, delta.shape, delta.digest), range(len(ids))
    )
    return ids, own, read_rows(parent.files, table, ids)


def _trains_rows(candidate: Candidate, config: AdapterConfig) -> bool:
    """Whether the adapter changes rows of the token table at all."""
    names = [tensor.name for tensor in own_tensors(candidate)]
    whole = any(
        ends_with(name.rpartition(".")[0], item) and "embed" in item
        for name in names
        for item in config.modules_to_save
    )
    return (
        bool(candidate.parent and token_groups(config, candidate.parent))
        or whole
        or any("lora_embedding_" in name for name in names)
    )


def _directions(rows: Any) -> Any:
    import numpy as np

    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)


def _spoken(ids: Sequence[int], words: dict[int, str]) -> str:
    return some([f"{index} {words.get(index, '')}".strip() for index in ids])


def _range(ids: Iterable[int]) -> str:
    """Ids in a few characters: [30522, …, 30529] where they follow each other."""
    listed = list(ids)
    if len(listed) > 3 and listed == list(range(listed[0], listed[0] + len(listed))):
        return f"[{listed[0]}, …, {listed[-1]}]"
    return f"[{', '.join(map(str, listed[:8]))}{', …' if len(listed) > 8 else ''}]"
