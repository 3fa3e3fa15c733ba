"""Checks of an adapter against its parent, from headers and configurations. Loaders make a log line of a misfit at most."""

from __future__ import annotations

import re
from collections.abc import Sequence

from registry.core.digest import digest_of
from registry.core.facts import Tensor
from registry.errors import NotLoadable, ParentMismatch
from registry.model_files.adapter.config import (
    KINDS,
    LEARN_A_PROMPT,
    SHARE_TENSORS,
    WEIGHTS,
    WRAPPERS,
    AdapterConfig,
    is_part,
)
from registry.model_files.adapter.structure import Fault, Shape, ends_with, faults
from registry.model_files.adapter.targets import base_prefix, loaded_part
from registry.model_files.facts import table_of
from registry.model_files.layout.modules import TRANSFORMERS

from .base import Candidate, ParentView, Problem, checks
from .helpers import config_of, own_tensors, parent_of, token_groups, within

CHECKS, check = checks()
_PREFIX = "base_model.model."
_IN_A_WRAPPER = re.compile(r"(module|_orig_mod|base_model|auto_model|transformers_model|\d+)\.")
_IN_MEMORY = re.compile(
    r"\.(lora_[AB]|lora_embedding_[AB]|ia3_l|lora_magnitude_vector|trainable_tokens_delta)\.(?!weight$|bias$)[^.]+"
    r"(\.weight|\.bias)?$|\.base_layer\.(lora_|ia3_)|\.(original_module|modules_to_save)\."
)
_HEADS = ("classifier", "score", "classification_head", "lm_head", "cls")
_OTHER_BASE = "pass the base that it was trained on with --parent"
_SAVED_WITH = "use the adapter_config.json that was saved with these weights"
_OUTPUTS = (
    "cls",
    "lm_head",
    "vocab_transform",
    "vocab_projector",
    "generator_predictions",
    "generator_lm_head",
    "head",
    "decoder",
)


@check(
    "adapter-kind",
    "its kind can be loaded",
    "protects from an adapter that sentence-transformers refuses or applies to nothing",
    NotLoadable,
)
def kind_can_be_loaded(candidate: Candidate) -> Problem | None:
    """The kind is one that can be put into a model, and its patterns are regular expressions that end."""
    try:
        config = config_of(candidate)
    except NotLoadable as error:
        return Problem.of(error)
    if config is not None and config.type not in KINDS:
        return Problem(
            f"adapter_config.json has the peft_type {config.type!r:.80}, which no loader supports",
            "set it to the type that was trained: LORA, IA3 or TRAINABLE_TOKENS",
        )
    if config is not None and config.type in (*LEARN_A_PROMPT, *SHARE_TENSORS):
        return Problem(
            f"adapters of type {config.type} cannot be loaded by sentence-transformers",
            "train an adapter of type LORA, IA3 or TRAINABLE_TOKENS",
        )
    if config is not None and config.fields.get("layer_replication"):
        return Problem(
            "adapter_config.json has layer_replication "
            f"{config.fields['layer_replication']!r:.80}, which copies layers of the base in "
            "memory, so the base alone is a different model",
            "save the model with its copied layers, register it, and train the adapter on that",
        )
    if config is not None and config.says("alora_invocation_tokens"):
        return Problem(
            "adapter_config.json has alora_invocation_tokens "
            f"{config.fields['alora_invocation_tokens']!r:.80} (such an adapter only acts on text "
            "that a model generates after these tokens, which sentence-transformers never does)",
            "train the adapter without alora_invocation_tokens",
        )
    if config is not None and config.says("arrow_config"):
        return Problem(
            "adapter_config.json has an arrow_config (such an adapter selects among other loaded "
            "adapters and has no effect alone)",
            "register the other adapters, and load them together with --adapter",
        )
    if (
        config is not None
        and config.says("layers_pattern")
        and not config.says("layers_to_transform")
    ):
        return Problem(
            "adapter_config.json has a layers_pattern without layers_to_transform, "
            "which peft rejects",
            "list the layers in layers_to_transform, or set layers_pattern to null",
        )
    return None


@check(
    "adapter-names",
    "its tensors have the names that loaders look for",
    "protects from an adapter that is applied to nothing, with a log line",
    NotLoadable,
)
def tensors_have_the_names_that_loaders_look_for(candidate: Candidate) -> Problem | None:
    """No name of a wrapper stands before or within a tensor's name, and no adapter's name."""
    names = (
        [tensor.name for tensor in own_tensors(candidate)] if candidate.layout.is_adapter else []
    )
    wrapped = [
        name
        for name in names
        if _IN_A_WRAPPER.match(name.removeprefix(_PREFIX))
        or _IN_MEMORY.search(name)
        or WRAPPERS.search(name)
    ]
    return (
        Problem(
            f"{len(wrapped)} of {len(names)} tensors of the adapter have names that exist only inside "
            f"a wrapper, so loaders would skip them with a log line (first: {wrapped[0]!r})",
            "save the sentence-transformers model itself with save_pretrained, "
            "or rename the tensors: add --fix",
        )
        if wrapped
        else None
    )


@check(
    "adapter-parent",
    "it stands on a full model",
    "protects from a line that no loader follows",
    ParentMismatch,
)
def stands_on_a_full_model(candidate: Candidate) -> Problem | None:
    """The parent is no adapter, and has a transformer."""
    parent = candidate.parent
    if parent is None or not candidate.layout.is_adapter:
        return None
    if parent.layout.is_adapter:
        name = parent.reference.partition("@")[0]
        return Problem(
            f"the parent {parent.reference} is an adapter too",
            f"if it was trained after {parent.reference} was merged: registry merge "
            f"{parent.reference} --as {name}-merged, then --parent {name}-merged; "
            "if both were trained on one model: --parent with that model",
        )
    kinds = [module.type for module in parent.layout.modules]
    if kinds and not any(kind in TRANSFORMERS for kind in kinds):
        return Problem(
            f"{parent.reference} contains no transformer that an adapter could change "
            f"(its modules: {', '.join(kinds)})"
        )
    return None


@check(
    "adapter-table",
    "its token table is its parent's",
    "protects from a table that was resized in memory only",
    ParentMismatch,
)
def token_table_is_its_parents(candidate: Candidate) -> Problem | None:
    """A token table that the adapter carries whole has as many rows as the parent's; trained tokens have rows there."""
    found = _faults(candidate, "table")
    if found:
        return Problem(
            f"the adapter contains the complete table {found[0].name!r} with {found[0].found} "
            f"rows, but {parent_of(candidate)} has {found[0].wanted} rows "
            "(the table was resized in memory and that base was never saved)",
            "pass that base with --parent, or build it from the rows in the adapter: add --fix",
        )
    config, parent = config_of(candidate), candidate.parent
    if config is None or parent is None or parent.facts.rows is None:
        return None
    last = max((index for ids in token_groups(config, parent) for index in ids), default=0)
    if last < parent.facts.rows:
        return None
    return Problem(
        f"the adapter trains the token with id {last}, "
        f"but {parent.reference} has {parent.facts.rows} rows",
        "register the resized base that it was trained on and pass it with --parent, "
        "or, if that base was never saved: add --fix",
    )


@check(
    "adapter-rows",
    "the rows of a table that it carries are its parent's",
    "protects from trained rows that a loader drops, or writes over the base's",
    ParentMismatch,
)
def rows_of_a_table_are_its_parents(candidate: Candidate) -> Problem | None:
    """A whole token table among its tensors, which the library adds to a file by itself, is the parent's bit for bit."""
    config, parent = config_of(candidate), candidate.parent
    if config is None or parent is None or parent.facts.rows is None:
        return None
    shape, known = (
        (parent.facts.rows, parent.facts.width),
        {tensor.digest for tensor in parent.facts.weights.tensors},
    )
    saved = [
        tensor
        for tensor in own_tensors(candidate)
        if tensor.shape == shape
        and not is_part(tensor.name)
        and tensor.name.endswith(".weight")
        and not any(
            ends_with(tensor.name.rpartition(".")[0], name) for name in config.modules_to_save
        )
    ]
    other = next((tensor for tensor in saved if tensor.digest not in known), None)
    return (
        Problem(
            f"the adapter contains the complete table {other.name!r} with rows that differ from those "
            f"of {parent.reference} (a loader either drops them or overwrites the rows of the base)",
            "save the model with registry.save while it is in memory, which creates a base with these "
            "rows, or remove that tensor from the file",
        )
        if other is not None
        else None
    )


@check(
    "adapter-targets",
    "what it changes is in its parent",
    "protects from an adapter that is applied to nothing",
    ParentMismatch,
)
def modules_are_its_parents(candidate: Candidate) -> Problem | None:
    """Every module that it changes is one of the parent's."""
    found = _faults(candidate, "module")
    if not found:
        return None
    message = (
        f"the adapter changes {found[0].name!r}{_more(found)}, "
        f"but {parent_of(candidate)} has no such module"
    )
    if candidate.parent is not None and _within_another(found[0].name, candidate.parent):
        return Problem(
            f"{message} (the names have another prefix, as inside a wrapper)",
            "to remove that prefix: add --fix",
        )
    return Problem(f"{message} (it was trained on another base)", _OTHER_BASE)


@check(
    "adapter-shapes",
    "its shapes are its parent's",
    "protects from an adapter of a base of another width",
    ParentMismatch,
)
def shapes_are_its_parents(candidate: Candidate) -> Problem | None:
    """Every tensor has the shape that the parent's weight asks for."""
    found = _faults(candidate, "shape")
    return (
        Problem(
            f"the adapter's {found[0].name!r} has the shape {_said(found[0].found)}{_more(found)}, "
            f"but {parent_of(candidate)} requires {_said(found[0].wanted)} "
            "(it was trained on another base)",
            _OTHER_BASE,
        )
        if found
        else None
    )


@check(
    "adapter-rank",
    "its rank is its configuration's",
    "protects from weights and configuration of two different trainings",
    NotLoadable,
)
def rank_is_its_configurations(candidate: Candidate) -> Problem | None:
    """The rank of every tensor is that of `r` or of rank_pattern."""
    found = _faults(candidate, "rank")
    if not found:
        return None
    config = config_of(candidate)
    message = (
        f"the adapter's {found[0].name!r} has the rank {found[0].found}{_more(found)}, "
        f"but adapter_config.json has {found[0].wanted}"
    )
    if config is not None and config.type == "ADALORA" and config.says("rank_pattern"):
        return Problem(
            f"{message} (peft saved only the ranks that it allocated, but loaders expect all)",
            "save the model from memory with registry.save",
        )
    return Problem(message, _SAVED_WITH)


@check(
    "adapter-missing",
    "no tensor is missing",
    "protects from layers that are left unadapted with a log line",
    NotLoadable,
)
def no_tensor_is_missing(candidate: Candidate) -> Problem | None:
    """There is a tensor for every target in every layer of the parent, and for all that is to be saved whole."""
    found = _faults(candidate, "missing")
    return (
        Problem(
            f"the adapter lacks {found[0].name!r}{_more(found)}, "
            f"which adapter_config.json requires on {parent_of(candidate)}",
            f"save the adapter again, or {_OTHER_BASE}",
        )
        if found
        else None
    )


@check(
    "adapter-over",
    "no tensor is over",
    "protects from trained weights that a loader drops with a log line",
    NotLoadable,
)
def no_tensor_is_over(candidate: Candidate) -> Problem | None:
    """Every tensor is one that the configuration asks for."""
    found = _faults(candidate, "over")
    return (
        Problem(
            f"the adapter contains {found[0].name!r}{_more(found)}, "
            "which adapter_config.json does not list, so a loader would drop it",
            _SAVED_WITH,
        )
        if found
        else None
    )


@check(
    "adapter-dora",
    "its magnitudes are read",
    "protects from a DoRA adapter that loads without its magnitudes and a log line",
    NotLoadable,
)
def magnitudes_are_read(candidate: Candidate) -> Problem | None:
    """The magnitudes of DoRA have the name that loaders look for, not the one that save_pretrained writes."""
    own = own_tensors(candidate) if candidate.layout.is_adapter else []
    lost = [tensor.name for tensor in own if tensor.name.endswith(".lora_magnitude_vector")]
    return (
        Problem(
            f"loaders drop DoRA magnitudes with names such as {lost[0]!r} ({len(lost)} in {WEIGHTS}), "
            "so the model encodes texts differently than in training",
            f"to rename them in {WEIGHTS} so that they end with '.lora_magnitude_vector.weight', "
            "which loaders read: add --fix",
        )
        if lost
        else None
    )


@check(
    "adapter-head",
    "its head is somewhere",
    "protects from scores of a head that is random at every load",
    ParentMismatch,
    judgement=True,
)
def head_is_somewhere(candidate: Candidate) -> Problem | None:
    """The head of a CrossEncoder, or that of a SPLADE model over its tokens, is in the adapter or in its parent."""
    parent, kinds = candidate.parent, [module.type for module in candidate.layout.modules]
    if parent is None or not candidate.layout.is_adapter:
        return None
    splade = candidate.layout.model_class == "SparseEncoder" and "SpladePooling" in kinds
    if not splade and (candidate.layout.model_class != "CrossEncoder" or "LogitScore" in kinds):
        return None
    tensors = [*own_tensors(candidate), *parent.facts.weights.tensors]
    if any(
        ends_with(tensor.name.rpartition(".")[0], head)
        for tensor in tensors
        for head in (_OUTPUTS if splade else _HEADS)
    ):
        return None
    whose, example = (
        ("SPLADE model's", "a base saved as *ForMaskedLM")
        if splade
        else ("CrossEncoder's", "a base that was saved with its head")
    )
    head = "cls" if splade else "classifier"
    return Problem(
        f"neither the adapter nor {parent.reference} contains the {whose} head, "
        "so it would be random at every load",
        f'train with modules_to_save=["{head}"], or on {example}',
    )


@check(
    "adapter-files",
    "its modules.json is there",
    "protects from a pooling or normalisation that a loader makes up",
    NotLoadable,
)
def modules_json_is_there(candidate: Candidate) -> Problem | None:
    """An adapter saved without the model around it is one whose parent has nothing around its transformer either."""
    parent = candidate.parent
    if (
        parent is None
        or not candidate.layout.is_adapter
        or candidate.layout.modules
        or not parent.layout.modules
    ):
        return None
    kinds = ", ".join(module.type for module in parent.layout.modules)
    return Problem(
        f"the adapter's folder has no modules.json, but {parent.reference} has the modules {kinds} "
        "(a loader would create default modules after the transformer)",
        f"to take the modules of {parent.reference}: add --fix, "
        "or save the whole model with save_pretrained",
    )


@check(
    "adapter-patterns",
    "its patterns mean something",
    "tells of a rank or alpha that nothing gets",
    None,
)
def patterns_mean_something(candidate: Candidate) -> Problem | None:
    """Every key of rank_pattern and alpha_pattern matches a module that is changed."""
    config = config_of(candidate)
    if config is None or candidate.parent is None:
        return None
    modules = {
        tensor.name.removeprefix(_PREFIX).rpartition(".lora_")[0]
        for tensor in own_tensors(candidate)
        if ".lora_" in tensor.name
    }
    for field in ("rank_pattern", "alpha_pattern"):
        for key in config.fields.get(field) or {}:
            if config.type != "ADALORA" and not any(
                re.match(rf"(.*\.)?({key})$", module) for module in modules
            ):
                return Problem(
                    f"{key!r} in {field} of adapter_config.json matches no module "
                    "that the adapter changes"
                )
    return None


@check(
    "adapter-sign",
    "it adds what it learnt",
    "tells of an adapter that is subtracted from its base",
    None,
)
def adds_what_it_learnt(candidate: Candidate) -> Problem | None:
    """No change is multiplied by a number below 0."""
    config = config_of(candidate)
    fields = config.fields if config is not None else {}
    scales = {
        **{name: fields.get(name) or 0 for name in ("lora_alpha", "alpha")},
        **(fields.get("alpha_pattern") or {}),
    }
    below = next(((name, scale) for name, scale in scales.items() if scale < 0), None)
    return (
        Problem(
            f"the {below[0]} in adapter_config.json is {below[1]}: "
            "what was learnt is subtracted from the base"
        )
        if below
        else None
    )


def _faults(candidate: Candidate, kind: str) -> list[Fault]:
    config, parent = config_of(candidate), candidate.parent
    if config is None or parent is None:
        return []
    base = loaded_part(
        within(parent.facts.weights.tensors, parent.layout),
        parent.files,
        parent.layout.transformer,
    )
    misfits = _faults_on(candidate, config, parent, base)
    if any(fault.kind == "module" for fault in misfits):
        # the library may rename or split tensors of the parent's files
        shapes = parent.loaded_shapes() or {}
        empty = digest_of(b"")  # only names and shapes are compared
        loaded = [Tensor(name, "F32", shape, empty) for name, shape in shapes.items()]
        misfits = _faults_on(candidate, config, parent, loaded) if loaded else misfits
    return [fault for fault in misfits if fault.kind == kind]


def _faults_on(
    candidate: Candidate, config: AdapterConfig, parent: ParentView, base: Sequence[Tensor]
) -> list[Fault]:
    table = table_of(base)
    return faults(
        config,
        _shapes(own_tensors(candidate)),
        _shapes(base),
        table.name if table is not None else None,
        base_prefix(parent.files, parent.layout.transformer),
    )


def _within_another(module: str, parent: ParentView) -> bool:
    """Whether a name ends with that of one of the parent's modules."""
    modules = {
        tensor.name.rpartition(".")[0]
        for tensor in within(parent.facts.weights.tensors, parent.layout)
    }
    parts = module.split(".")
    return any(".".join(parts[start:]) in modules for start in range(1, len(parts)))


def _shapes(tensors: Sequence[Tensor]) -> dict[str, Shape]:
    return {tensor.name: tensor.shape for tensor in tensors}


def _more(found: Sequence[Fault]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""


def _said(shape: object) -> str:
    return str(list(shape)) if isinstance(shape, tuple) else str(shape)
