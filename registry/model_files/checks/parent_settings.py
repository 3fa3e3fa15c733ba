"""Checks of settings, compared with the parent's: what changes encodings though every tensor and token is as it was. All of it is told.

An adapter's folder has settings of its own for all but its base's config.json; a full model has them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from registry.core.facts import Facts
from registry.model_files.config.defaults import (
    HANDED_ON,
    SILENT,
    computed_in,
    flat,
    handed_on,
    same,
    setting,
    todays,
)
from registry.model_files.config.parse import read_if_there
from registry.model_files.layout.file_list import join
from registry.model_files.tokenizer.vocabulary import (
    settings_of,
    side_of,
    special_tokens,
    splits_special,
)

from .base import Candidate, ParentView, Problem, checks
from .modules import pooling, spoken

CHECKS, check = checks()
_IN_FACTS = (
    "__version__",
    "model_type",
    "prompts",
    "default_prompt_name",
    "similarity_fn_name",
    "truncate_dim",
)
"""Of config_sentence_transformers.json: what is compared as facts, or says nothing of encodings."""
_SIDES = ("truncation", "padding")
_PARTS = ("normalizer", "pre_tokenizer", "post_processor")


@check(
    "parent-settings",
    "its settings are its parent's",
    "tells of class, prompts, lengths and other settings that are not the parent's",
    None,
)
def settings_are_its_parents(candidate: Candidate) -> Problem | None:
    """Class, prompts, maximum length, sides, similarity, dtype and trained modules beside the transformer are those of the parent; of a
    full model also modules, pooling, the way to its tokens and what config.json says of the architecture.
    """
    parent = candidate.parent
    if parent is None:
        return None
    own = candidate.inspection.facts
    if parent.facts.model_class != own.model_class:
        if candidate.layout.is_adapter:
            return None
        return Problem(
            f"not as in {parent.reference}: it is a {own.model_class} "
            f"(there {parent.facts.model_class})"
        )
    said = [*_lengths(candidate, parent), *_other_settings(own, parent.facts)]
    said += [
        *_of_its_class(candidate, parent),
        *_handed_on(candidate, parent),
        *_sides(candidate, parent),
    ]
    said += (
        _other_weights(candidate, parent)
        if candidate.layout.is_adapter
        else _of_a_full_model(candidate, parent)
    )
    return Problem(f"not as in {parent.reference}: {'; '.join(said)}") if said else None


def _lengths(candidate: Candidate, parent: ParentView) -> Iterator[str]:
    places = _places(parent if candidate.layout.is_adapter else candidate), _places(parent)
    own, other = (
        facts.max_length or place
        for facts, place in zip((candidate.inspection.facts, parent.facts), places, strict=True)
    )
    if own != other and own is not None and other is not None:
        yield f"it reads {own} tokens (there {other})"


def _places(view: Candidate | ParentView) -> int | None:
    """How many tokens have a place in the transformer; so many are read where nothing else says how many."""
    found = _object(view, view.layout.transformer, "config.json").get("max_position_embeddings")
    return found if type(found) is int else None


def _other_settings(own: Facts, parent: Facts) -> Iterator[str]:
    mine, theirs = todays(own.settings), todays(parent.settings)
    for side, facts in ((mine, own), (theirs, parent)):
        side["dtype"] = computed_in(
            side.get("dtype"), (tensor.dtype for tensor in facts.weights.tensors)
        )
    for key in sorted({*mine, *theirs}):
        pools = key.startswith("Pooling.") and not key.endswith(".include_prompt")
        if (
            pools
            or key.rpartition(".")[2] == "embedding_dimension"
            or (key == "dtype" and own.adapter is not None)
        ):
            continue
        yield from _said(
            key, setting(mine, key, own.model_class), setting(theirs, key, parent.model_class)
        )


def _of_its_class(candidate: Candidate, parent: ParentView) -> Iterator[str]:
    """What the class itself is told: the activation of scores, how many dimensions stay, how many tokens a query has."""
    own, other = (
        dict(flat(_object(view, "", "config_sentence_transformers.json")))
        for view in (candidate, parent)
    )
    for key in sorted(own.keys() | other.keys()):
        # older library versions kept the activation elsewhere
        if key.partition(".")[0] not in _IN_FACTS and (
            key != "activation_fn" or (key in own and key in other)
        ):
            yield from _said(key, own.get(key), other.get(key))


def _handed_on(candidate: Candidate, parent: ParentView) -> Iterator[str]:
    """What sentence_bert_config.json says of how the transformer is made and read."""
    own, other = (handed_on(view.files, view.layout.transformer) for view in (candidate, parent))
    for key in sorted(own.keys() | other.keys()):
        if key.partition(".")[0].endswith(HANDED_ON) or (key in own and key in other):
            yield from _said(key, own.get(key), other.get(key))


def _sides(candidate: Candidate, parent: ParentView) -> Iterator[str]:
    """On which side texts are cut and filled up, and what a tokenizer hands to the model."""
    for name in _SIDES:
        yield from _said(
            f"{name}_side",
            *(side_of(view.files, view.layout.tokenizer, name) for view in (candidate, parent)),
        )
    own, other = (_tokenizer_config(view) for view in (candidate, parent))
    if not candidate.layout.is_adapter:  # of an adapter it is refused
        yield from _said(
            "split_special_tokens",
            *(splits_special(view.files, view.layout.tokenizer) for view in (candidate, parent)),
        )
    own_names, other_names = own.get("model_input_names"), other.get("model_input_names")
    if own_names is not None and other_names is not None:
        yield from _said("model_input_names", own_names, other_names)
    elif own_names is not None and not (
        isinstance(own_names, list) and "attention_mask" in own_names
    ):
        yield f"model_input_names is {own_names!r:.80}, without attention_mask"


def _of_a_full_model(candidate: Candidate, parent: ParentView) -> Iterator[str]:
    yield from _said(
        "modules",
        *([module.type for module in view.layout.modules] for view in (candidate, parent)),
    )
    own_modes, other_modes = (
        pooling(candidate.inspection.facts.settings),
        pooling(parent.facts.settings),
    )
    if own_modes != other_modes:
        yield f"the pooling is by {spoken(own_modes)} (there {spoken(other_modes)})"
    own, other = (
        {
            **settings_of(_tokenizer_config(view)),
            **special_tokens(view.files, view.layout.tokenizer),
        }
        for view in (candidate, parent)
    )
    for key in sorted(own.keys() | other.keys()) if own["class"] == other["class"] else ("class",):
        yield from _said(key, own.get(key), other.get(key))
    other_parts = set(candidate.inspection.pipeline.differing(parent.pipeline)).intersection(_PARTS)
    if other_parts and candidate.decide is not None:  # the class may build equal ones
        other_parts.intersection_update(candidate.decide(candidate, parent).components)
    yield from (f"{part} in tokenizer.json is another" for part in _PARTS if part in other_parts)
    config, before = (
        dict(flat(_object(view, view.layout.transformer, "config.json")))
        for view in (candidate, parent)
    )
    for key in sorted(config.keys() & before.keys()):
        if key.partition(".")[0] not in (*SILENT, "torch_dtype"):
            yield from _said(key, config[key], before[key])


def _other_weights(candidate: Candidate, parent: ParentView) -> Iterator[str]:
    """A sentence for each module beside the transformer that an adapter's training has changed; it belongs to the adapter's version."""
    own, other = (
        {tensor.name: tensor.digest for tensor in view.weights.tensors if "/" in tensor.name}
        for view in (candidate.inspection.facts, parent.facts)
    )
    for folder in sorted({name.rpartition("/")[0] for name in own}):
        mine, theirs = (
            {name: digest for name, digest in side.items() if name.startswith(f"{folder}/")}
            for side in (own, other)
        )
        if mine != theirs:
            yield f"the weights of {folder} are its own and belong to this version"


def _said(key: str, own: Any, other: Any) -> Iterator[str]:
    if not same(key, own, other):
        yield f"{key} is {own!r:.80} (there {other!r:.80})"


def _tokenizer_config(view: Candidate | ParentView) -> Mapping[str, Any]:
    return _object(view, view.layout.tokenizer, "tokenizer_config.json")


def _object(view: Candidate | ParentView, folder: str, name: str) -> Mapping[str, Any]:
    return read_if_there(view.files, join(folder, name), set(view.files.paths()))
