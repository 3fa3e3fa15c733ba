"""Kinds: what a model is beside its parent, and what the parent is seen as while that is found out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from registry.core.digest import Digest
from registry.core.facts import Facts, Files, Token
from registry.errors import ParentMismatch
from registry.home.home import Home
from registry.operations.shared.resolve import facts_of, line_here, stored

from .parents import Known

if TYPE_CHECKING:
    from registry.model_files.checks import ParentView
    from registry.model_files.facts import Inspection
    from registry.model_files.layout import Layout


def parent_view(
    home: Home, parent: Known | None
) -> tuple[Sequence[Token] | None, Files | None, Facts | None]:
    """(token list of the root ancestor, the parent's files, its facts)."""
    if parent is None:
        return None, None, None
    root = line_here(home, parent.version)[-1]
    return (
        tokens_of(home, root.vocabulary),
        stored(home, parent.version),
        facts_of(home, parent.version),
    )


def tokens_of(home: Home, vocabulary: Digest) -> Sequence[Token]:
    """The token list of that digest, read when it is first looked into."""
    from registry.model_files.tokenizer.vocabulary import StoredTokens

    return StoredTokens(lambda: home.blobs.read(vocabulary))


def parent_candidate(
    home: Home, parent: Known | None, files: Files | None, facts: Facts | None
) -> ParentView | None:
    """The parent as the checks see it."""
    from registry.model_files.checks import ParentView
    from registry.model_files.layout import layout

    if parent is None or files is None or facts is None:
        return None
    parts = layout(files, class_hint=parent.version.model_class)
    return ParentView(
        parent.version.reference,
        files,
        parts,
        facts,
        tokens_of(home, facts.vocabulary.digest),
        loaded_shapes_of(files, parts),
    )


def loaded_shapes_of(
    files: Files, layout: Layout
) -> Callable[[], Mapping[str, tuple[int, ...]] | None]:
    """Return a function that builds the transformer without weights, at most once."""

    @functools.cache
    def build() -> Mapping[str, tuple[int, ...]] | None:
        from registry.runtime.converted_tensors import parameter_shapes

        return parameter_shapes(files, layout.transformer)

    return build


def kind_of(
    layout: Layout,
    inspection: Inspection,
    parent: Known | None,
    root: Sequence[Token] | None,
    files: Files,
    parent_files: Files | None,
    parent_facts: Facts | None,
) -> tuple[str, str | None, str | None]:
    """(kind, role of the parent, what happened to the token rows)."""
    if layout.is_adapter:
        return "adapter", "base", None
    if parent is None or root is None or parent_files is None or parent_facts is None:
        return "base", None, None
    if parent.version.kind == "adapter":
        raise ParentMismatch(
            f"{parent.version.reference} is an adapter and cannot be the parent of a full model",
            hint="give the model that it was trained from",
        )
    from registry.model_files.parent_diff import compare_rows

    own = {token.id: token.content for token in inspection.tokens}
    lost = [token for token in root if own.get(token.id) != token.content]
    if lost:
        raise ParentMismatch(
            f"the token list does not extend that of {parent.version.reference}: id {lost[0].id} is {own.get(lost[0].id)!r}, "
            f"there it is {lost[0].content!r}, and {len(lost) - 1} more differ"
        )
    report = compare_rows(
        files, inspection.facts, parent_files, parent_facts, parent_facts.vocabulary.size
    )
    kind = "base" if len(own) == len(root) else "resized"
    role = "resized-from" if kind == "resized" and report.unchanged else "finetuned-from"
    return kind, role, report.sentence
