"""A home with a long journal, made by the package's own words and written without syncing, since nobody will miss it.

Of ten entries four register, three move an alias, two annotate and one yanks or takes that back. A hundred versions a model.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from registry.core.digest import Digest, digest_of
from registry.core.entry import Alias, Annotate, Body, Edge, Entry, Register, Yank, parse
from registry.core.facts import Facts, Tensor, Token, Vocabulary, Weights
from registry.core.manifest import File, Manifest, Parent

VERSIONS = 100
"""Versions of each model."""
BEGIN = datetime(2050, 1, 1, tzinfo=UTC)
"""After the first entry, which is made today."""
PEOPLE = ("anna", "bob", "carla", "the build")


def fill(home: Path, entries: int) -> None:
    """Append to the journal of a new home until it has that many entries, a minute apart; its catalog is left behind."""
    last = parse((home / "journal" / f"{1:020}.json").read_bytes())
    facts = _blob(home, _facts().to_bytes())
    for number, body in zip(range(2, entries + 1), _bodies(home, facts), strict=False):
        time = (BEGIN + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        last = Entry(
            number, secrets.token_hex(16), time, PEOPLE[number % len(PEOPLE)], body, last.digest
        )
        (home / "journal" / f"{number:020}.json").write_bytes(last.to_bytes())


def time_of(number: int) -> str:
    """When an entry was made."""
    return (BEGIN + timedelta(minutes=number)).isoformat()


def _bodies(home: Path, facts: Digest) -> Iterator[Body]:
    registered = 0
    while True:
        name, number = f"team/model-{registered // VERSIONS:04}", registered % VERSIONS
        for step in range(1, 5):
            registered += 1
            yield _register(home, facts, name, number + step)
        for step, alias in ((1, "stage"), (2, "prod"), (3, "stage")):
            yield Alias(name, alias, number + step, message=f"better by {step}")
        yield Annotate(name, number + 4, {"f1": f"0.{registered % 100:02}"})
        yield Annotate(name, number + 4, {"owner": PEOPLE[registered % len(PEOPLE)]})
        yield Yank(name, number + 4, "wrong words")


def _register(home: Path, facts: Digest, name: str, number: int) -> Register:
    """The first version of a model is a base, the others are adapters on it."""
    base = _manifest(name, 1, None)
    if number == 1:
        return Register(name, 1, _blob(home, base.to_bytes()), facts, message="as published")
    adapter = _manifest(name, number, base.digest)
    edge = Edge("base", base.digest, "witnessed", f"{name}@1")
    return Register(
        name, number, _blob(home, adapter.to_bytes()), facts, edges=(edge,), source={"how": "add"}
    )


def _manifest(name: str, number: int, base: Digest | None) -> Manifest:
    files = tuple(
        File(path, digest_of(f"{path} {name} {number}".encode()), 1000)
        for path in ("config.json", "model.safetensors")
    )
    return Manifest(
        "adapter" if base else "base",
        "SentenceTransformer",
        files,
        (Parent("base", base),) if base else (),
    )


def _facts() -> Facts:
    digest = digest_of(b"benchmark")
    vocabulary = Vocabulary(digest, 30_523, (Token(30_522, "zorvaxin", normalized=True),))
    weights = Weights(digest, "F32", 384, (Tensor("embeddings.weight", "F32", (1, 384), digest),))
    return Facts(
        "SentenceTransformer",
        digest,
        vocabulary,
        weights,
        rows=30_523,
        width=384,
        modules=("Transformer", "Pooling"),
    )


def _blob(home: Path, content: bytes) -> Digest:
    digest = digest_of(content)
    place = home / "blobs" / "sha256" / digest.hex[:2] / digest.hex
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return digest
