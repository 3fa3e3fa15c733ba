"""Shapes: how each table's rows are written down, and by which columns an open one is told from others.

The fold knows tables by these alone, so that whoever records an entry need not import SQLAlchemy, which takes longer than the rest of
a short command. `tables` declares the same for queries and migrations; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from registry.core.digest import Digest, rendered

Values = tuple[Any, ...]
"""One row as SQLite keeps it, in the order of the table's columns."""


class Shape:
    """A table: its columns in their order, which of them hold JSON, and of one with intervals the key that may be open once."""

    def __init__(self, name: str, columns: str, *, key: str = "", json: str = "") -> None:
        self.name = name
        self.columns = tuple(columns.split())
        self.key = tuple(key.split())
        self.json = tuple(json.split())
        self._json = [self.columns.index(column) for column in self.json]
        self.until, self.of_name, self.of_number = (
            (self.columns.index(column) for column in ("until", "name", "number"))
            if key
            else (0, 0, 0)
        )
        listed, marks = (
            ", ".join(f'"{column}"' for column in self.columns),
            ", ".join("?" * len(self.columns)),
        )
        self.insert = f'INSERT INTO "{name}" ({listed}) VALUES ({marks})'

    def values(self, row: dict[str, Any]) -> list[Any]:
        """Exact types only: of others SQLite and a tally would each have to ask what they are."""
        values = list(map(row.get, self.columns))
        for place, value in enumerate(values):
            if type(value) is Digest:
                values[place] = str(value)
            elif type(value) is bool:
                values[place] = int(value)
        for place in self._json:
            values[place] = rendered(values[place])
        return values


entries = Shape(
    "entries", "number id time clock by kind name version digest body format login uid", json="body"
)
models = Shape("models", "name folded since")
versions = Shape(
    "versions",
    "name number manifest probes message source checkpoint forced since until",
    key="name number",
    json="source forced",
)
version_facts = Shape("version_facts", "name number facts since until", key="name number")
version_probes = Shape("version_probes", "name number probes since until", key="name number")
edges = Shape("edges", "name number since position role parent evidence reference")
aliases = Shape("aliases", "name alias number message since until", key="name alias")
yanks = Shape("yanks", "name number reason since until", key="name number")
notes = Shape("notes", "name number key value real since until", key="name number key")
metrics = Shape("metrics", "name number key value real since until", key="name number key")
copies = Shape(
    "copies", "name number repository commit tag since until", key="name number repository"
)
manifests = Shape("manifests", "digest kind class size")
files = Shape("files", "manifest path digest size")
parents = Shape("parents", "manifest role parent")
facts = Shape(
    "facts",
    "digest schema class tokenizer vocabulary vocabulary_size added_digest added weights rows width max_length architecture "
    "adapter rank",
)
tokens = Shape("tokens", "added_digest id content special lstrip rstrip single_word normalized")
weights = Shape("weights", "digest dtype parameters tensors")
tensors = Shape("tensors", "weights name dtype shape digest", json="shape")
skipped = Shape("skipped", "digest what reason")

ALL = (
    entries,
    models,
    versions,
    version_facts,
    version_probes,
    edges,
    aliases,
    yanks,
    notes,
    metrics,
    copies,
    manifests,
    files,
    parents,
    facts,
    tokens,
    weights,
    tensors,
    skipped,
)
"""Each after those that it refers to."""
INTERVALS = tuple(shape for shape in ALL if shape.key)
"""Tables whose rows begin and end."""
TOLD_BY = {manifests: "digest", facts: "digest", weights: "digest", tokens: "added_digest"}
"""The digest that says whether what a table holds is there already: its first column."""
