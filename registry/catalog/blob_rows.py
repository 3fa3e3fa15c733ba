"""Content: the rows that a manifest and facts make. Their bytes alone say them, whoever reads them, in whatever process.

Rows are plain tuples in the order of the tables' columns, so they can be handed over as they are. SQLAlchemy is not needed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from registry.core import facts as _facts, manifest as _manifest
from registry.core.digest import Digest, digest_of, rendered
from registry.errors import InvalidManifest

from .columns import Values

ManifestRows = tuple[Values, list[Values], list[Values]]
"""A row of manifests, those of files, those of parents."""
FactsRows = tuple[Values, list[Values], Values, list[Values]]
"""A row of facts, those of tokens, one of weights, those of tensors; tokens and weights may be there, others may have them too."""

_INTEGERS = range(-(1 << 63), 1 << 63)


def rows_of_manifest(digest: Digest, content: bytes) -> ManifestRows:
    """The rows of the manifest these bytes are. Raises InvalidManifest, InvalidPath, or NewerFormat."""
    manifest, own = _manifest.parse(content), str(digest)
    _refuse_large([manifest.size])
    return (
        (own, manifest.kind, manifest.model_class, manifest.size),
        [(own, file.path, str(file.digest), file.size) for file in manifest.files],
        [(own, parent.role, str(parent.digest)) for parent in manifest.parents],
    )


def rows_of_facts(digest: Digest, content: bytes) -> FactsRows:
    """The rows of the facts these bytes are. Raises InvalidManifest, or NewerFormat."""
    facts, listed = _facts.parse_apart(content)
    vocabulary, weights, adapter = facts.vocabulary, facts.weights, facts.adapter
    _refuse_large(
        [
            vocabulary.size,
            facts.rows,
            facts.width,
            facts.max_length,
            weights.parameters,
            adapter.rank if adapter else None,
            *(token.id for token in vocabulary.added),
        ]
    )
    added, tokens = _rows_of_tokens(vocabulary.added)
    of = str(weights.digest)
    return (
        _plain(
            str(digest),
            facts.schema,
            facts.model_class,
            str(facts.tokenizer),
            str(vocabulary.digest),
            vocabulary.size,
            added,
            len(vocabulary.added),
            of,
            facts.rows,
            facts.width,
            facts.max_length,
            facts.architecture,
            adapter.type if adapter else None,
            adapter.rank if adapter else None,
        ),
        tokens,
        _plain(of, weights.dtype, weights.parameters, len(listed)),
        [(of, name, dtype, f"[{shape}]", str(tensor)) for tensor, dtype, name, shape in listed],
    )


def _rows_of_tokens(tokens: tuple[_facts.Token, ...]) -> tuple[str, list[Values]]:
    """The digest of a list of added tokens, which many versions share, and its rows."""
    added = str(digest_of(rendered([token._asdict() for token in tokens]).encode()))
    return added, [_plain(added, *token) for token in tokens]


def _plain(*values: Any) -> Values:
    """A row as SQLite gives it back: it knows no truth values, and a tally tells them from numbers."""
    return tuple([int(value) if type(value) is bool else value for value in values])


def _refuse_large(numbers: Iterable[int | None]) -> None:
    for number in numbers:
        if number is not None and number not in _INTEGERS:
            raise InvalidManifest(f"{number} is no size of anything")
