"""Checks of what stands around the transformer, compared with the parent's: class, modules, pooling, rows.

A loader takes all of that from the adapter's own folder and never looks at the base's, so a file that was changed or lost there
changes every encoding without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.errors import NotLoadable, ParentMismatch
from registry.model_files.config.defaults import todays
from registry.model_files.config.parse import read_if_there
from registry.util.gc_pause import uncollected

from .base import Candidate, ParentView, Problem, checks

CHECKS, check = checks()
_PADDED = 8
"""Tables are made longer in multiples of this, for speed; such rows are no sign of anything."""


@check(
    "parent-class",
    "its class is its parent's",
    "protects from an adapter that is loaded as another kind of model than it was trained as",
    ParentMismatch,
    judgement=True,
)
def class_is_its_parents(candidate: Candidate) -> Problem | None:
    """An adapter with the very modules of its parent is of its class."""
    parent, layout = candidate.parent, candidate.layout
    if (
        parent is None
        or not layout.is_adapter
        or not layout.modules
        or layout.model_class == parent.facts.model_class
    ):
        return None
    if tuple(module.type for module in layout.modules) != tuple(
        module.type for module in parent.layout.modules
    ):
        return None
    return Problem(
        f"the adapter is loaded as a {layout.model_class} ({layout.told_by}), "
        f"but {parent.reference}, which has the same modules, is a {parent.facts.model_class}",
        "use the config_sentence_transformers.json that was saved with the adapter",
    )


@check(
    "parent-modules",
    "its modules are its parent's",
    "protects from a Normalize, Pooling or Dense that was lost or put in after the training",
    ParentMismatch,
    judgement=True,
)
def modules_are_its_parents(candidate: Candidate) -> Problem | None:
    """An adapter of its parent's class has the same modules in the same order."""
    parent = _alike(candidate)
    if parent is None:
        return None
    own, other = (
        tuple(module.type for module in view.modules) for view in (candidate.layout, parent.layout)
    )
    return (
        Problem(
            f"the adapter's modules are {', '.join(own)}, but those of {parent.reference} are "
            f"{', '.join(other)} (a loader uses the adapter's, so every encoding would change)",
            "save the whole model again with save_pretrained",
        )
        if own not in (other, _completed(parent))
        else None
    )


@check(
    "parent-pooling",
    "its pooling is its parent's",
    "protects from a pooling that was changed after the training, which nothing notices",
    ParentMismatch,
    judgement=True,
)
def pooling_is_its_parents(candidate: Candidate) -> Problem | None:
    """An adapter of its parent's class pools as that does."""
    parent = _alike(candidate)
    if parent is None:
        return None
    own, other = pooling(candidate.inspection.facts.settings), pooling(parent.facts.settings)
    return (
        Problem(
            f"the adapter pools by {spoken(own)}, but {parent.reference} pools by {spoken(other)}",
            "use the 1_Pooling/config.json that was saved with the adapter, "
            f"or that of {parent.reference}",
        )
        if own and other and own != other
        else None
    )


@check(
    "spare-rows",
    "its rows have tokens",
    "protects from a table that was made longer for tokens that were never added",
    NotLoadable,
    judgement=True,
)
def rows_have_tokens(candidate: Candidate) -> Problem | None:
    """A table is not longer than its parent's where the token list is not."""
    facts, parent = candidate.inspection.facts, candidate.parent
    if (
        candidate.layout.is_adapter
        or parent is None
        or facts.rows is None
        or parent.facts.rows is None
    ):
        return None
    if (
        facts.rows <= parent.facts.rows
        or facts.vocabulary.size > parent.facts.vocabulary.size
        or facts.rows % _PADDED == 0
    ):
        return None
    return Problem(
        f"the table has {facts.rows} rows, {facts.rows - parent.facts.rows} more than "
        f"{parent.reference}, but not one more token (it was resized and the tokens were never "
        "added, so no text uses the new rows)",
        "add the tokens before saving, or use registry resize",
    )


@check(
    "shrunk-table",
    "its table is not shorter than its parent's",
    "protects from rows that a resize cut off",
    ParentMismatch,
)
def table_is_not_shorter(candidate: Candidate) -> Problem | None:
    """A model that came from another has at least as many rows, spare ones too."""
    facts, parent = candidate.inspection.facts, candidate.parent
    if (
        candidate.layout.is_adapter
        or parent is None
        or facts.rows is None
        or parent.facts.rows is None
        or facts.rows >= parent.facts.rows
    ):
        return None
    return Problem(
        f"the table has {facts.rows} rows, but that of {parent.reference} has {parent.facts.rows} "
        "(resize_token_embeddings removed its spare rows)",
        "use registry resize, which never shrinks a table, or register the model without --parent",
    )


@check(
    "old-tokens",
    "its old tokens are its parent's",
    "tells of old tokens with other flags, which change ordinary texts",
    None,
)
def old_tokens_are_its_parents(candidate: Candidate) -> Problem | None:
    """The tokens that a model has from its parent have the same flags."""
    parent = candidate.parent
    if (
        parent is None
        or candidate.layout.is_adapter
        or candidate.inspection.facts.vocabulary.digest == parent.facts.vocabulary.digest
    ):
        return None
    with uncollected():
        before = {token[:2]: token for token in parent.tokens}
        other = [
            token for token in candidate.inspection.tokens if before.get(token[:2], token) != token
        ]
    if not other:
        return None
    more = f" and {len(other) - 1} more" if len(other) > 1 else ""
    return Problem(
        f"the token {other[0].content!r} (id {other[0].id}){more} was an ordinary entry or had "
        f"other flags in {parent.reference}: it is now found inside words, "
        "so ordinary texts encode differently"
    )


def _completed(parent: ParentView) -> tuple[str, ...] | None:
    """Return the modules that a late-interaction model of PyLate has when loaded.

    Source: sentence_transformers 6.2, MultiVectorEncoder: _apply_legacy_fixups and
    _load_converted_modules.
    """
    settings = read_if_there(
        parent.files, "config_sentence_transformers.json", set(parent.files.paths())
    )
    if parent.facts.model_class != "MultiVectorEncoder" or (
        settings.get("model_type") == "MultiVectorEncoder"
    ):
        return None
    modules = [module.type for module in parent.layout.modules if module.type != "Pooling"]
    return (*modules, "MultiVectorMask", "Normalize")


def _alike(candidate: Candidate) -> ParentView | None:
    """The parent, where adapter and parent list their modules and are of one class."""
    parent = candidate.parent
    if (
        parent is None
        or not candidate.layout.is_adapter
        or not candidate.layout.modules
        or not parent.layout.modules
    ):
        return None
    return parent if parent.facts.model_class == candidate.layout.model_class else None


def pooling(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The ways in which a model pools, as older and newer configurations say it; empty where it has no Pooling."""
    named = todays(settings).get("Pooling.pooling_mode") or ()
    return (
        (named,)
        if isinstance(named, str)
        else tuple(sorted(map(str, named)))
        if isinstance(named, list)
        else ()
    )


def spoken(modes: tuple[str, ...]) -> str:
    """Ways of pooling for a message."""
    return " + ".join(modes) or "nothing"
