"""Encodings: both models of a diff loaded one after the other, the same texts encoded by each, and what that shows."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from typing import Any

from ..differences import Difference
from ..errors import Invalid
from ..home import Home
from ..movement import COSINE, SCORE, Encodings, MovedText
from ..plural import counted
from ..progress import Progress
from .sides import Given
from .texts import Text, Texts, read_texts

TOKENS_SAID = 64
"""Added tokens for which sentences are made."""
FRAMES = ("{}", "What is {}?", "A short text about {} and the weather.")
_PAIRED = "What is the capital of France?"
Chosen = tuple[list[Text], str]
"""The texts, and in a few words where they are from."""


def encodings(home: Home, before: Given, after: Given, difference: Difference, texts: Chosen | None, progress: Progress) -> Encodings:
    """How far the texts moved. Raises Invalid where one of the two scores pairs and the other encodes texts."""
    classes = {given.side.layout.model_class for given in (before, after)}
    if len(classes) > 1:
        raise Invalid(f"{before.side.title} is a {before.side.layout.model_class} and {after.side.title} a {after.side.layout.model_class}: "
                      "their encodings cannot be compared")
    pairs = classes == {"CrossEncoder"}
    chosen, source = texts if texts is not None else _own_texts(home, before, after, difference, pairs=pairs)
    from ..artifacts.difference import moving, pieces
    encoded = [_encoded(home, given, chosen, progress) for given in (before, after)]
    progress("measuring", 0, None)
    measure, moved, neighbours, compared, plane = moving.measure(chosen, *encoded)
    words = pieces.changed(before.side, after.side, (part for text in chosen for part in ([text] if isinstance(text, str) else text)))
    made = Encodings(measure, source, tuple(moved), neighbours, compared, tuple(words), plane, "")
    return Encodings(measure, source, tuple(moved), neighbours, compared, tuple(words), plane, _sentence(difference, made))


def given_texts(before: Given, texts: Texts) -> Chosen:
    """The user's texts, read before anything slow begins, and once: a pipe can be read no second time. Raises Invalid, FolderNotFound."""
    source = f"from {os.path.basename(texts)}" if isinstance(texts, (str, os.PathLike)) else "given"  # noqa: PTH119  # a text is no Path
    return read_texts(texts, pairs=before.side.layout.model_class == "CrossEncoder"), source


def _own_texts(home: Home, before: Given, after: Given, difference: Difference, *, pairs: bool) -> Chosen:
    """Registry's own, sentences about the added tokens, and what was encoded at the registration."""
    from ..artifacts.probes import TEXTS
    known = [token.content for given in (before, after) if given.side.facts is not None for token in given.side.facts.vocabulary.added]
    changed = list(dict.fromkeys([*(item.content for item in difference.tokens), *known]))[:TOKENS_SAID]
    ours = [text for text in TEXTS if text.strip()] + [frame.format(word) for word in changed for frame in FRAMES]
    found: list[Text] = [(_PAIRED, text) for text in ours] if pairs else list(ours)
    for given in (before, after):
        found += _recorded(home, given)
    said = "registry's own" + (f", with sentences about {counted(len(changed), 'added token')}" if changed else "")
    return list(dict.fromkeys(found)), said


def _recorded(home: Home, given: Given) -> Iterator[Text]:
    """The texts that were encoded when a version was registered."""
    if given.version is None or given.version.probes is None:
        return
    from ..artifacts import probes
    for probe in probes.parse(home.blobs.read(given.version.probes)).probes:
        if probe.shape is not None and probe.prompt is None and all(part.strip() for part in probe.text):
            yield (probe.text[0], probe.text[1]) if len(probe.text) == 2 else probe.text[0]


def _encoded(home: Home, given: Given, texts: Sequence[Text], progress: Progress) -> Any:
    from ..artifacts.difference import moving
    progress(f"loading {given.side.title}", 0, None)
    model = _loaded(home, given, progress)
    made = moving.encode(model, texts, lambda done: progress(f"encoding with {given.side.title}", done, len(texts)))
    del model
    gc.collect()  # the other model needs the room
    return made


def _loaded(home: Home, given: Given, progress: Progress) -> Any:
    if given.version is not None:
        from .load import load
        return load(home, given.version, probes="skip", progress=progress)
    from ..artifacts import loading
    assert given.folder is not None
    return loading.load(given.folder, given.side.layout.model_class)


def _sentence(difference: Difference, found: Encodings) -> str:
    """What a person would say of it first."""
    before, after, whole = difference.before.title, difference.after.title, len(found.texts)
    if any(item.value is None for item in found.texts):
        return f"{before} and {after} have encodings of different widths, so only the texts' neighbours can be compared."
    if not found.count:
        return f"{after} encodes all {whole} texts as {before} does."
    furthest = found.texts[found.by_distance[0]]
    what = "scores" if found.measure == SCORE else "encodes"
    said = f"{after} {what} {found.count} of {whole} texts otherwise than {before}: "
    if found.measure == SCORE:
        said += f"the largest change of a score is {furthest.value:+.3g}, of {_quoted(furthest)}."
    else:
        name = "cosine" if found.measure == COSINE else found.measure
        said += f"the median {name} is {found.quantile(0.5):.3f}, the lowest {furthest.value:.3f}, of {_quoted(furthest)}."
    changed = sum(bool(item.entered) for item in found.texts)
    if found.neighbours:
        said += f" {changed} of {found.compared} {'has' if changed == 1 else 'have'} other neighbours among their nearest {found.neighbours}."
    return said


def _quoted(item: MovedText) -> str:
    return f"“{item.text if len(item.text) <= 60 else item.text[:59] + '…'}”"


