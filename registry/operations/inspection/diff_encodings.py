"""Encodings: both models of a diff loaded one after the other, the same texts encoded by each, and what that shows."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from registry.core.progress import Progress
from registry.core.text import counted
from registry.errors import Invalid, NotLoadable
from registry.home.home import Home
from registry.results.diff import Advice, Difference
from registry.results.drift import COSINE, SCORE, Encodings, MovedText

from .diff_operands import Given
from .text_input import Text, Texts, read_texts

TOKENS_SAID = 64
"""Added tokens for which sentences are made."""
FRAMES = ("{}", "What is {}?", "A short text about {} and the weather.")
_PAIRED = "What is the capital of France?"
Chosen = tuple[list[Text], str]
"""The texts, and in a few words where they are from."""


def with_encodings(
    home: Home,
    before: Given,
    after: Given,
    difference: Difference,
    texts: Chosen | None,
    progress: Progress,
) -> Difference:
    """The difference with how far the texts moved, and the advice with what that shows of it.

    Raises Invalid where one of the two scores pairs and the other encodes texts, NotLoadable where an encoding is no number.
    """
    found = _measured(home, before, after, difference, texts, progress)
    return replace(difference, encodings=found, advice=_advice(difference.advice, found))


def _measured(
    home: Home,
    before: Given,
    after: Given,
    difference: Difference,
    texts: Chosen | None,
    progress: Progress,
) -> Encodings:
    classes = {given.side.layout.model_class for given in (before, after)}
    if len(classes) > 1:
        raise Invalid(
            f"{before.side.title} is a {before.side.layout.model_class} and {after.side.title} a {after.side.layout.model_class}: "
            "their encodings cannot be compared"
        )
    pairs = classes == {"CrossEncoder"}
    chosen, source = (
        texts if texts is not None else _own_texts(home, before, after, difference, pairs=pairs)
    )
    from registry.model_files.diff import tokenization
    from registry.operations.shared.tokenizer_decision import are_equivalent
    from registry.runtime.drift import embedding_drift

    encoded = [_encoded(home, given, chosen, progress) for given in (before, after)]
    progress("measuring", 0, None)
    measure, moved, neighbours, compared, plane = embedding_drift.measure(chosen, *encoded)
    words = tokenization.changed(
        before.side,
        after.side,
        (part for text in chosen for part in ([text] if isinstance(text, str) else text)),
        are_equivalent,
    )
    made = Encodings(
        measure,
        source,
        tuple(moved),
        neighbours,
        compared,
        tuple(words),
        plane,
        "",
        embedding_drift.median_lengths(*encoded),
    )
    return replace(made, sentence=_sentence(difference, made))


def given_texts(before: Given, texts: Texts) -> Chosen:
    """The user's texts, read before anything slow begins, and once: a pipe can be read no second time. Raises Invalid, FolderNotFound."""
    source = f"from {os.path.basename(texts)}" if isinstance(texts, (str, os.PathLike)) else "given"  # noqa: PTH119  # a text is no Path
    return read_texts(texts, pairs=before.side.layout.model_class == "CrossEncoder"), source


def _own_texts(
    home: Home, before: Given, after: Given, difference: Difference, *, pairs: bool
) -> Chosen:
    """Registry's own, sentences about the added tokens, and what was encoded at the registration."""
    from registry.runtime.probes import TEXTS

    known = [
        token.content
        for given in (before, after)
        if given.side.facts is not None
        for token in given.side.facts.vocabulary.added
    ]
    changed = list(dict.fromkeys([*(item.content for item in difference.tokens), *known]))[
        :TOKENS_SAID
    ]
    ours = [text for text in TEXTS if text.strip()] + [
        frame.format(word) for word in changed for frame in FRAMES
    ]
    found: list[Text] = [(_PAIRED, text) for text in ours] if pairs else list(ours)
    for given in (before, after):
        found += _recorded(home, given)
    said = "registry's own" + (
        f", with sentences about {counted(len(changed), 'added token')}" if changed else ""
    )
    return list(dict.fromkeys(found)), said


def _recorded(home: Home, given: Given) -> Iterator[Text]:
    """The texts that were encoded when a version was registered."""
    if given.version is None or given.version.probes is None:
        return
    from registry.runtime import probes

    for probe in probes.parse(home.blobs.read(given.version.probes)).probes:
        if (
            probe.shape is not None
            and probe.prompt is None
            and all(part.strip() for part in probe.text)
        ):
            yield (probe.text[0], probe.text[1]) if len(probe.text) == 2 else probe.text[0]


def _encoded(home: Home, given: Given, texts: Sequence[Text], progress: Progress) -> Any:
    from registry.runtime.drift import embedding_drift

    progress(f"loading {given.side.title}", 0, None)
    model = _loaded(home, given, progress)
    made = embedding_drift.encode(
        model, texts, lambda done: progress(f"encoding with {given.side.title}", done, len(texts))
    )
    strange = embedding_drift.first_not_finite(made)
    if strange is not None:
        raise NotLoadable(
            f"{given.side.title} encodes {texts[strange]!r:.60} to NaN or infinity, so its "
            "change cannot be measured (its training diverged, or its weights were damaged)",
            hint="use an earlier checkpoint, or leave out --encodings to see which weights differ",
        )
    del model
    gc.collect()  # the other model needs the room
    return made


def _loaded(home: Home, given: Given, progress: Progress) -> Any:
    if given.version is not None:
        from registry.operations.loading.load import load

        return load(home, given.version, probes="skip", progress=progress)
    from registry.runtime import loading

    assert given.folder is not None
    return loading.load(given.folder, given.side.layout.model_class)


def _sentence(difference: Difference, found: Encodings) -> str:
    """What a person would say of it first."""
    before, after, whole = difference.before.title, difference.after.title, len(found.texts)
    if not found.comparable:
        apart = (
            "score another number of labels"
            if found.measure == SCORE
            else "have encodings of different widths"
        )
        only = (
            f", so only the texts' neighbours can be compared.{_neighbours(found)}"
            if found.neighbours
            else "."
        )
        return f"{before} and {after} {apart}{only}"
    verb, prompts = (
        "scores" if found.measure == SCORE else "encodes",
        any(item.area == "prompts" for item in difference.settings),
    )
    without = " No prompt was named." if prompts else ""
    if found.exact:
        return f"{after} {verb} all {counted(whole, found.what)} exactly as {before} does.{without}"
    furthest = found.texts[found.by_distance[0]]
    lengths = (
        f"the vectors' median length is {found.lengths[1]:.3g}, was {found.lengths[0]:.3g}"
        if found.lengths and found.resized
        else ""
    )
    if not found.count and lengths:
        return f"{after} {verb} all {counted(whole, found.what)} in the directions of {before}, but {lengths}.{_neighbours(found)}{without}"
    if not found.count:
        return f"{after} {verb} all {counted(whole, found.what)} nearly as {before} does: {_nearness(found)}.{_neighbours(found)}{without}"
    said = f"{after} {verb} {found.count} of {counted(whole, found.what)} otherwise than {before}: "
    if found.measure == SCORE:
        said += (
            f"the largest change of a score is {found.said(furthest.value)}, of {_quoted(furthest)}"
        )
    else:
        name = "cosine" if found.measure == COSINE else found.measure
        said += f"the median {name} is {found.said(found.quantile(0.5))}, the lowest {found.said(furthest.value)}, of {_quoted(furthest)}"
    return f"{said}{'; ' + lengths if lengths else ''}.{_neighbours(found)}{without}"


def _nearness(found: Encodings) -> str:
    """How far the text went that went furthest."""
    furthest = found.texts[found.by_distance[0]]
    if found.measure == SCORE:
        return (
            f"the largest change of a score is {found.said(furthest.value)}, of {_quoted(furthest)}"
        )
    said = found.said(furthest.value)
    told = f"{'a cosine' if found.measure == COSINE else f'a {found.measure}'} of {said}"
    if not furthest.distance:
        return f"the furthest, {_quoted(furthest)}, has {told}"
    return f"the furthest, {_quoted(furthest)}, moved by {furthest.distance:.1e} of its length" + (
        f", {told}" if said != "1" else ""
    )


def _advice(advice: Advice, found: Encodings) -> Advice:
    """It is judged from the files. Where what was measured looks otherwise, it says so itself, so that no reader has to choose."""
    texts, scored = counted(len(found.texts), found.what), found.measure == SCORE
    otherwise = bool(found.count) if advice.keep else advice.everything and not found.count
    if not found.comparable or found.resized or not (otherwise or scored):
        return advice
    if found.count:
        said = f"measured, {found.count} of {texts} moved by more than rounding in float32 does: {_nearness(found)}"
    elif found.exact:
        said = f"measured, all {texts} are where they were, to the bit"
    elif advice.everything:
        said = f"measured, all {texts} are nearly where they were, and vectors can be kept if that is near enough: {_nearness(found)}"
    else:
        said = f"measured, all {texts} are nearly where they were: {_nearness(found)}"
    return replace(
        advice,
        line=f"{advice.line}; {said}",
        reasons=(*advice.reasons, said) if advice.reasons else (),
    )


def _neighbours(found: Encodings) -> str:
    """A sentence more, where neighbours were looked at."""
    changed = sum(bool(item.entered) for item in found.texts)
    if not found.neighbours:
        return ""
    return f" {changed} of {found.compared} {'has' if changed == 1 else 'have'} other neighbours among their nearest {found.neighbours}."


def _quoted(item: MovedText) -> str:
    return f"“{item.text if len(item.text) <= 60 else item.text[:59] + '…'}”"
