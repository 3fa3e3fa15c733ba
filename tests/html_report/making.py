"""A difference with encodings, made by hand, that has something in every part of the page and does its worst in every text."""

from __future__ import annotations

import math
from dataclasses import replace

from registry.core.facts import Token
from registry.results.diff import (
    Advice,
    Compared,
    Difference,
    Effect,
    MetricChange,
    SettingChange,
    TensorChange,
    TextChange,
    TokenChange,
)
from registry.results.drift import COSINE, SCORE, Encodings, MovedText, PiecesChange

NASTY = '</title><script>alert("no")</script><img src=https://example.org/x onerror=alert(1)> & \x1b[2J \u202e\'"`'
LONG = "a whole paragraph of somebody's corpus, " * 12 + "x" * 300


def encodings(*, measure: str = COSINE, count: int = 40) -> Encodings:
    """Some texts that moved, some that did not."""
    texts = []
    for index in range(count):
        moved = 0.0 if index % 4 == 0 else (index % 17) / 20
        before = (math.cos(index) * index, math.sin(index) * index)
        value = moved - 0.3 if measure == SCORE else 1 - moved
        text = [NASTY, LONG, "zorvaxin lowers fever"][index % 3] + f" {index}"
        texts.append(
            MovedText(
                text,
                value,
                abs(value) if measure == SCORE else moved,
                before,
                before if measure == SCORE else (before[0] + moved * 9, before[1] - moved * 5),
                (1, 2) if index % 5 == 1 else (),
                (3, 4) if index % 5 == 1 else (),
            )
        )
    pieces = (
        PiecesChange("zorvaxin", ("z", "##or", "##va", "##xin"), ("zorvaxin",), 12),
        PiecesChange(NASTY, ("<b>",), (NASTY,), 1),
    )
    return Encodings(
        measure,
        "from texts.txt",
        tuple(texts),
        5,
        count,
        pieces,
        "the two principal components, 41% of the variance",
        NASTY,
    )


def difference(*, keep: bool = False, **said: object) -> Difference:
    """Everything differs."""
    token = Token(30522, "zorvaxin")
    return Difference(
        Compared("minilm@1", "base", "SentenceTransformer", "sha256:" + "a" * 64),
        Compared(NASTY, "adapter", "SentenceTransformer"),
        (TokenChange("zorvaxin", "added", None, token), TokenChange(NASTY, "removed", token, None)),
        (
            TensorChange(
                "encoder.layer.0.attention.self.query.weight",
                "changed",
                ("F32", "F32"),
                ((8, 8), (8, 8)),
                64,
                3,
                0.5,
                1.5,
                0.7,
                9.0,
            ),
            TensorChange(NASTY, "added", (None, "F32"), (None, (3, 3))),
        ),
        100,
        (Effect("encoder.layer.3.attention.self.value", 0.0, 1.89, 1.89, 27.0),),
        (SettingChange("prompts", NASTY, None, NASTY),),
        (TextChange("README.md", 1, 1, (f"-{NASTY}", "+better", " same")),),
        (MetricChange("ndcg@10", "0.5", "0.75"),),
        ("modules.json",),
        Advice(keep, not keep, f"re-encode: everything: {NASTY}", (NASTY, "and another reason")),
        encodings=encodings(**said),
    )  # type: ignore[arg-type]


def without_movement() -> Difference:
    """Two models that encode alike."""
    whole = difference(keep=True)
    still = encodings()
    texts = tuple(
        replace(
            item, value=1.0, moved=0.0, before=(0.0, 0.0), after=(0.0, 0.0), left=(), entered=()
        )
        for item in still.texts
    )
    return replace(
        whole,
        tokens=(),
        tensors=(),
        effects=(),
        settings=(),
        texts=(),
        metrics=(),
        encodings=replace(still, texts=texts, pieces=(), sentence="nothing moved"),
    )
