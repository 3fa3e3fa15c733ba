"""A journal in memory and a catalog that follows it, for tests that need versions and no models."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.catalog import schema
from registry.catalog.apply import apply
from registry.catalog.reader import Catalog
from registry.catalog.writer import Writer
from registry.core.digest import Digest, digest_of
from registry.core.entry import Body, Edge, Entry, Init, Register
from registry.core.facts import Adapter, Facts, Tensor, Token, Vocabulary, Weights
from registry.core.manifest import File, Manifest, Parent
from registry.errors import BlobNotFound

TIME = "2026-01-02T03:04:{:02d}.{:06d}Z"


def a_digest(text: str) -> Digest:
    """The digest of a text."""
    return digest_of(text.encode())


def a_manifest(
    content: str,
    *,
    kind: str = "base",
    parents: tuple[tuple[str, Digest], ...] = (),
    model_class: str = "SentenceTransformer",
) -> Manifest:
    """A manifest of two files; `content` tells it from others."""
    files = (
        File("config.json", a_digest("config"), 600),
        File("model.safetensors", a_digest(f"weights file {content}"), 1000),
    )
    return Manifest(
        kind, model_class, files, tuple(Parent(role, digest) for role, digest in parents)
    )


def some_facts(
    content: str, *, tokens: tuple[Token, ...] = (), adapter: Adapter | None = None
) -> Facts:
    """Facts of a small model whose weights are told apart by `content`."""
    tensors = (
        Tensor("embeddings", "F32", (100 + len(tokens), 8), a_digest(f"embeddings {content}")),
        Tensor("layer", "F32", (8, 8), a_digest(f"layer {content}")),
    )
    vocabulary = Vocabulary(a_digest(f"vocabulary {tokens}"), 100 + len(tokens), tokens)
    return Facts(
        "SentenceTransformer",
        a_digest(f"tokenizer {tokens}"),
        vocabulary,
        Weights(a_digest(f"weights {content}"), "F32", 864 + 8 * len(tokens), tensors),
        rows=100 + len(tokens),
        width=8,
        max_length=128,
        architecture="BertModel",
        adapter=adapter,
    )


@dataclass
class Journal:
    """Entries in order, and the blobs that they name. `write` folds into every catalog in `catalogs`."""

    blobs: dict[Digest, bytes] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    catalogs: list[Catalog] = field(default_factory=list)

    def read(self, digest: Digest) -> bytes:
        """The bytes of a blob."""
        if digest not in self.blobs:
            raise BlobNotFound(f"the store has no blob {digest}")
        return self.blobs[digest]

    def add(self, content: bytes) -> Digest:
        """Keep a blob."""
        self.blobs[digest_of(content)] = content
        return digest_of(content)

    def write(
        self, body: Body, *, by: str = "anna", time: str | None = None, **fields: Any
    ) -> Entry:
        """Append an entry, if every catalog takes it; fields are login, uid and format."""
        number = len(self.entries) + 1
        entry = Entry(
            number,
            f"{number:032x}",
            time or TIME.format(number % 60, number),
            by,
            body,
            self.entries[-1].digest if self.entries else None,
            **{"format": 1, **fields},
        )
        for catalog in self.catalogs:
            with writing(catalog) as connection:
                apply(connection, entry, self.read)
        self.entries.append(entry)
        return entry

    def register(
        self,
        name: str,
        number: int,
        content: str | None = None,
        *,
        kind: str = "base",
        tokens: tuple[Token, ...] = (),
        parents: tuple[tuple[str, Digest, str], ...] = (),
        adapter: Adapter | None = None,
        model_class: str = "SentenceTransformer",
        **more: Any,
    ) -> Manifest:
        """Register a version; parents are (role, digest, reference)."""
        content = content or f"{name.lower()}@{number}"
        manifest = a_manifest(
            content, kind=kind, parents=tuple(item[:2] for item in parents), model_class=model_class
        )
        edges = tuple(Edge(role, digest, "given", reference) for role, digest, reference in parents)
        facts = some_facts(content, tokens=tokens, adapter=adapter)
        self.write(
            Register(
                name,
                number,
                self.add(manifest.to_bytes()),
                self.add(facts.to_bytes()),
                edges=edges,
                **more,
            )
        )
        return manifest


@contextmanager
def writing(catalog: Catalog) -> Iterator[sqlite3.Connection]:
    """A transaction of a writer that lives as long as the block."""
    with closing(Writer(catalog.path)) as writer, writer.transaction() as connection:
        yield connection


def a_journal(*folders: Path) -> Journal:
    """A journal that begins, followed by a new catalog in each folder."""
    journal = Journal(catalogs=[Catalog.create(folder) for folder in folders])
    journal.write(Init("0" * 32))
    return journal


def fold(journal: Journal, folder: Path) -> Catalog:
    """A new catalog of all entries."""
    catalog = Catalog.create(folder)
    with writing(catalog) as connection:
        for entry in journal.entries:
            apply(connection, entry, journal.read)
    return catalog


def head_of(catalog: Catalog) -> tuple[int, Digest | None]:
    """Number and digest of the last entry."""
    with catalog.reading() as connection:
        return catalog.head(connection)


def names_of(catalog: Catalog) -> list[str]:
    """Every name there ever was, sorted."""
    with catalog.reading() as connection:
        return [
            row.name
            for row in connection.execute(schema.models.select().order_by(schema.models.c.name))
        ]


def opened(folder: Path, *, readonly: bool = False) -> Catalog:
    """The catalog that is there."""
    catalog = Catalog.open(folder, readonly=readonly)
    assert catalog is not None
    return catalog
