"""What several checks of an adapter ask of it and of its parent."""

from __future__ import annotations

from collections.abc import Sequence

from registry.core.facts import Tensor
from registry.model_files.adapter.config import AdapterConfig, read_config
from registry.model_files.adapter.targets import check_patterns, ends
from registry.model_files.facts import table_of
from registry.model_files.layout.layout import Layout

from .base import Candidate, ParentView


def config_of(candidate: Candidate) -> AdapterConfig | None:
    """The adapter's configuration; None for a full model. Raises NotLoadable where its patterns must not be matched."""
    if not candidate.layout.is_adapter:
        return None
    config = read_config(candidate.files, candidate.layout.transformer)
    check_patterns(config)
    return config


def own_tensors(candidate: Candidate) -> list[Tensor]:
    """The tensors of the adapter, or of a full model's transformer, without its folder in front."""
    return within(candidate.inspection.facts.weights.tensors, candidate.layout)


def within(tensors: Sequence[Tensor], layout: Layout) -> list[Tensor]:
    """The tensors of the transformer alone, without its folder in front."""
    own = f"{layout.transformer}/" if layout.transformer else ""
    others = tuple(prefix for _, prefix in layout.weights if prefix and prefix != own)
    return [
        Tensor(tensor.name.removeprefix(own), tensor.dtype, tensor.shape, tensor.digest)
        for tensor in tensors
        if tensor.name.startswith(own) and not (others and tensor.name.startswith(others))
    ]


def token_groups(config: AdapterConfig, parent: ParentView) -> list[tuple[int, ...]]:
    """The ids that are trained as rows of the token table; those of other tables, of positions for instance, are no tokens."""
    named = (
        config.targets
        if config.type == "TRAINABLE_TOKENS" and isinstance(config.targets, tuple)
        else ()
    )
    return [
        ids
        for name, ids in config.trainable_tokens.items()
        if is_of_the_table(name or next(iter(named), ""), parent)
    ]


def is_of_the_table(module: str, parent: ParentView) -> bool:
    """Whether a module is the parent's token table, by a name that may be cut short; one that nobody knows counts as it."""
    tensors = within(parent.facts.weights.tensors, parent.layout)
    table, modules = table_of(tensors), {tensor.name.rpartition(".")[0] for tensor in tensors}
    known = [name for name in modules if ends(name, [module]) or module.endswith(f".{name}")]
    return not known or table is None or table.name.rpartition(".")[0] in known


def parent_of(candidate: Candidate) -> str:
    """The parent's reference, for a message."""
    return candidate.parent.reference if candidate.parent is not None else "its parent"


def some(found: Sequence[object], limit: int = 3) -> str:
    """The first few for a message, and how many more there are."""
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return (
        ", ".join(str(item) if isinstance(item, int) else repr(item) for item in found[:limit])
        + more
    )
