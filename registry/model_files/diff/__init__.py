"""Difference: what differs between two models as they would be loaded; torch is not needed. `moving` measures with torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from registry.core.digest import Digest
from registry.results.diff import Compared, Difference, MetricChange

from . import (
    adapter_delta as _effects,
    settings as _settings,
    tokens as _tokens,
    weights as _weights,
)
from .advice import advise
from .model_view import AreEquivalent, Side, have_equal_pipelines
from .tensor_reader import Reader

__all__ = ["Side", "compare"]


def compare(
    before: Side,
    after: Side,
    *,
    contents: tuple[Mapping[str, str], Mapping[str, str]],
    metrics: tuple[Mapping[str, str], Mapping[str, str]],
    digests: tuple[Digest | None, Digest | None],
    progress: Callable[[int, int], object],
    are_equivalent: AreEquivalent = have_equal_pipelines,
) -> Difference:
    """Return all that differs.

    contents are path to digest of each side's own files; progress gets bytes done and
    their total.

    are_equivalent decides whether two tokenizers with other files give equal ids.
    """
    tokens = (
        []
        if before.vocabulary_digest == after.vocabulary_digest
        else _tokens.compare(before.tokens, after.tokens)
    )
    done, whole = (
        0,
        sum(stored.header.length for side in (before, after) for stored in side.full.own.values()),
    )

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done, whole)

    with Reader() as reader:
        tensors, same, formed = _weights.compare(before, after, reader, count)
        effects = _effects.effects(before, after, reader, formed)
        read = reader.read
    settings = _settings.compare(before, after, are_equivalent)
    texts = _settings.texts(before, after)
    sides = [
        Compared(side.title, side.kind, side.layout.model_class, digest)
        for side, digest in zip((before, after), digests, strict=True)
    ]
    explained = bool(tokens or tensors or effects or settings)
    return Difference(
        sides[0],
        sides[1],
        tuple(tokens),
        tuple(tensors),
        same,
        tuple(effects),
        tuple(settings),
        tuple(texts),
        _metrics(*metrics),
        _files(
            *contents, explained=explained, ours=before.layout.is_adapter or after.layout.is_adapter
        ),
        advise(before, after, tokens, tensors, effects, settings),
        read,
    )


def _metrics(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[MetricChange, ...]:
    return tuple(
        MetricChange(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )


def _files(
    before: Mapping[str, str], after: Mapping[str, str], *, explained: bool, ours: bool
) -> tuple[str, ...]:
    """Files with other bytes that nothing else accounts for."""
    if ours and explained:
        return ()
    there = sorted(
        path
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path) and path != "README.md"
    )
    return tuple(
        path
        for path in there
        if not (explained and path.endswith((".json", ".safetensors", ".txt", ".model")))
    )
