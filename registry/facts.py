"""Facts: what the files of a version say of themselves, as values computed by our own readers only.

Facts are a blob of canonical JSON with a schema number. They can be computed again from the files at any time, and must
then be the same, whatever library versions are installed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, Protocol

from .digest import Digest, canonical, parse_canonical
from .errors import InvalidManifest, NewerFormat

SCHEMA = 1


class Files(Protocol):
    """A read-only folder of files, wherever it lies: on disk, or as blobs of a store."""

    def paths(self) -> Sequence[str]:
        """Relative paths with `/`, sorted."""
        ...

    def open(self, path: str) -> BinaryIO:
        """The file, seekable. Raises FolderNotFound, BlobNotFound or UnsafeFile."""
        ...

    def size(self, path: str) -> int:
        """Bytes of the file."""
        ...


def read(files: Files, path: str) -> bytes:
    """The whole content of one file; for configuration files, not for weights."""
    with files.open(path) as stream:
        return stream.read()


class Token(NamedTuple):
    """An entry of a tokenizer's vocabulary. Ordinary entries have every flag False.

    A tuple, since a vocabulary has tens of thousands; its order of fields is that of a row of the vocabulary blob.
    """

    id: int
    content: str
    special: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False


@dataclass(frozen=True)
class Tensor:
    """A tensor of a safetensors file; name has its module's folder in front, unless that is the root."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    digest: Digest


@dataclass(frozen=True)
class Weights:
    """All tensors of a version: their digest (names, dtypes, shapes, bytes; not files), and the list, sorted by name."""

    digest: Digest
    dtype: str
    """As safetensors spells it, e.g. F32; `mixed` where they differ."""
    parameters: int
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True)
class Vocabulary:
    """The token list: its digest, its length, and the entries that the root ancestor's vocabulary lacks, by id."""

    digest: Digest
    size: int
    added: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Adapter:
    """What an adapter's configuration says. alpha is a real number as text."""

    type: str
    rank: int | None = None
    alpha: str | None = None
    targets: tuple[str, ...] = ()
    modules_to_save: tuple[str, ...] = ()
    trainable_tokens: tuple[int, ...] = ()
    dora: bool = False


@dataclass(frozen=True)
class Facts:
    """What a version is made of. rows and width are those of the input embeddings, (rows, width), where it has them."""

    model_class: str
    tokenizer: Digest
    vocabulary: Vocabulary
    weights: Weights
    rows: int | None = None
    width: int | None = None
    max_length: int | None = None
    modules: tuple[str, ...] = ()
    """Types of modules.json in order, last part only, e.g. Transformer, Pooling, Normalize."""
    architecture: str | None = None
    """The first of `architectures` in config.json."""
    adapter: Adapter | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """Pooling, prompts, similarity and the like: flat, real numbers as text."""

    def to_bytes(self) -> bytes:
        """The canonical bytes."""
        value = dataclasses.asdict(self)
        value["vocabulary"]["added"] = [token._asdict() for token in self.vocabulary.added]
        return canonical({"schema": SCHEMA, **value})


def parse(content: bytes) -> Facts:
    """The facts these bytes are. Raises InvalidManifest, or NewerFormat."""
    value = parse_canonical(content, "the blob of facts")
    try:
        if value["schema"] > SCHEMA:
            raise NewerFormat(f"the facts have schema {value['schema']}, this registry reads {SCHEMA}; update st-registry")
        del value["schema"]
        vocabulary, weights, adapter = value.pop("vocabulary"), value.pop("weights"), value.pop("adapter")
        return Facts(
            tokenizer=Digest(value.pop("tokenizer")),
            vocabulary=Vocabulary(Digest(vocabulary["digest"]), vocabulary["size"],
                                  tuple(Token(**token) for token in vocabulary["added"])),
            weights=Weights(Digest(weights["digest"]), weights["dtype"], weights["parameters"],
                            tuple(_tensor(item) for item in weights["tensors"])),
            adapter=None if adapter is None else _adapter(adapter),
            modules=tuple(value.pop("modules")), **value)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidManifest(f"the facts are malformed: {error}") from None


def _tensor(item: dict[str, Any]) -> Tensor:
    return Tensor(item["name"], item["dtype"], tuple(item["shape"]), Digest(item["digest"]))


def _adapter(value: dict[str, Any]) -> Adapter:
    fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    return Adapter(**fields)
