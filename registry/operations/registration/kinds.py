"""Kinds: what a model is beside its parent, and what the parent is seen as while that is found out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from registry.core.digest import Digest
from registry.core.facts import Facts, Files, Token
from registry.core.version import Version
from registry.errors import ParentMismatch, RegistryError
from registry.home.home import Home
from registry.operations.shared.resolve import VersionLike, facts_of, line_here, stored

from .parents import Known, declared_parent, evidence_of

if TYPE_CHECKING:
    from registry.model_files.checks import ParentView
    from registry.model_files.facts import Inspection
    from registry.model_files.layout import Layout


_TOKENS: WeakValueDictionary[tuple[Path, Digest], Sequence[Token]] = WeakValueDictionary()
"""Token lists in use, by registry and digest."""


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
    """Return the token list of that digest, read when it is first looked into.

    The list of a parent that is the root ancestor is needed twice, and read once.
    """
    from registry.model_files.tokenizer.vocabulary import StoredTokens

    key = (home.root, vocabulary)
    tokens = _TOKENS.get(key)
    if tokens is None:
        tokens = _TOKENS[key] = StoredTokens(lambda: home.blobs.read(vocabulary))
    return tokens


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


def fits(home: Home, files: Files, model_class: str | None) -> Callable[[Version], bool]:
    """Return a function that decides whether a version can be the parent of a folder.

    An adapter fits if no check of identity or structure refuses it, a full model if its
    tokens extend those of the version and its embeddings are as wide.
    """
    from registry.model_files.checks import Candidate, find_all
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout as layout_of

    @functools.cache
    def inspected(parent_class: str) -> tuple[Layout, Inspection]:
        layout = layout_of(files, class_hint=model_class, parent_class=parent_class)
        return layout, inspect(files, layout, root=None)

    def is_parent(version: Version) -> bool:
        try:
            layout, inspection = inspected(version.model_class)
            known = Known(version, "given")
            view = parent_candidate(home, known, stored(home, version), facts_of(home, version))
            if layout.is_adapter:
                if version.kind == "adapter":
                    return False
                candidate = Candidate(files, layout, inspection, parent=view)
                return not any(
                    problem is not None and check.error is not None and not check.judgement
                    for check, problem in find_all(candidate)
                )
        except RegistryError:
            return False
        assert view is not None
        tokens = [(token.id, token.content) for token in view.tokens]
        extended = [(token.id, token.content) for token in inspection.tokens[: len(tokens)]]
        return tokens == extended and view.facts.width == inspection.facts.width

    return is_parent


def compared_with_evidence(
    home: Home,
    folder: Path | None,
    files: Files,
    layout: Layout,
    declared: VersionLike,
    model_class: str | None,
) -> Known:
    """Return the declared parent, compared with what an adapter's own files prove.

    folder is None for files that another machine made. Raises what `declared_parent`
    raises.
    """
    from registry.model_files.adapter.config import read_config

    evidence = None
    if layout.is_adapter:
        config = read_config(files, layout.transformer)
        evidence = evidence_of(home, folder, config.base, config.revision)
    return declared_parent(home, declared, evidence, fits(home, files, model_class))


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
    from registry.model_files.tokenizer.vocabulary import rows_behind

    new_tokens = rows_behind(root, inspection.vocabulary)
    if new_tokens is None:
        own = {token.id: token.content for token in inspection.tokens}
        lost = [token for token in root if own.get(token.id) != token.content]
        if lost:
            raise ParentMismatch(
                f"the token list does not extend that of {parent.version.reference}: id "
                f"{lost[0].id} is {own.get(lost[0].id)!r}, there it is {lost[0].content!r}, and "
                f"{len(lost) - 1} more differ"
            )
        new_tokens = len(own) - len(root)
    report = compare_rows(
        files, inspection.facts, parent_files, parent_facts, parent_facts.vocabulary.size
    )
    kind = "base" if new_tokens == 0 else "resized"
    role = "resized-from" if kind == "resized" and report.unchanged else "finetuned-from"
    return kind, role, report.sentence
