"""Facts: what the files of a version say of themselves, as values computed by our own readers only.

Facts are a blob of canonical JSON with a schema number. They can be computed again from the files at any time, and must
then be the same, whatever library versions are installed.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, Protocol

from registry.errors import InvalidManifest, NewerFormat

from .digest import Digest, canonical, parse_canonical

SCHEMA = 2
"""The newest schema that is read. Facts are written in schema 2 if they have a `pipeline`, else in schema 1."""


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


TOKEN_FLAGS = Token._fields[2:]
"""Names of the flags of a token, in the order of a row of the vocabulary blob."""


def flags_of(token: Any) -> tuple[bool, ...]:
    """Return the flags of a token in the order of TOKEN_FLAGS.

    The token may be one of this package, of a word list, or of the tokenizers library.
    """
    return (token.special, token.lstrip, token.rstrip, token.single_word, token.normalized)


class Tensor(NamedTuple):
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


Listed = tuple[str, str, str, str]
"""A tensor as its facts write it: digest, dtype, name, and the lengths of its shape with commas between."""


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
    pipeline: Digest | None = None
    """The digest of the canonical form of the tokenizer files, in schema 2; None in schema 1."""

    @property
    def schema(self) -> int:
        """The schema in which these facts are written."""
        return 1 if self.pipeline is None else 2

    def in_schema(self, schema: int) -> Facts:
        """Return these facts as an earlier schema recorded them."""
        return dataclasses.replace(self, pipeline=None) if schema == 1 else self

    def to_bytes(self) -> bytes:
        """The canonical bytes."""
        value = dataclasses.asdict(
            dataclasses.replace(
                self,
                vocabulary=dataclasses.replace(self.vocabulary, added=()),
                weights=dataclasses.replace(self.weights, tensors=()),
            )
        )
        value["vocabulary"]["added"] = [token._asdict() for token in self.vocabulary.added]
        value["weights"]["tensors"] = [tensor._asdict() for tensor in self.weights.tensors]
        if self.pipeline is None:
            del value["pipeline"]
        return canonical({"schema": self.schema, **value})


def parse(content: bytes) -> Facts:
    """The facts these bytes are. Raises InvalidManifest, or NewerFormat."""
    facts, listed = parse_apart(content)
    tensors = tuple(
        Tensor(name, dtype, _lengths(shape), Digest(digest))
        for digest, dtype, name, shape in listed
    )
    return dataclasses.replace(facts, weights=dataclasses.replace(facts.weights, tensors=tensors))


def parse_apart(content: bytes) -> tuple[Facts, list[Listed]]:
    """As parse, the tensors apart and as texts, for whoever makes rows of them: a catalog that is made anew reads millions."""
    rest, listed = _apart(content)
    value = parse_canonical(rest, "the blob of facts")
    if listed and not _are_of_weights(value):
        value, listed = parse_canonical(content, "the blob of facts"), []
    try:
        if value["schema"] > SCHEMA:
            raise NewerFormat(
                f"the facts have schema {value['schema']}, this registry reads {SCHEMA}",
                hint="update st-registry",
            )
        schema = value.pop("schema")
        pipeline = value.pop("pipeline", None)
        if schema not in (1, 2) or (schema == 2) != (pipeline is not None):
            raise InvalidManifest(f"the facts have schema {schema!r} and the pipeline {pipeline!r}")
        vocabulary, weights, adapter = (
            value.pop("vocabulary"),
            value.pop("weights"),
            value.pop("adapter"),
        )
        return Facts(
            tokenizer=Digest(value.pop("tokenizer")),
            vocabulary=Vocabulary(
                Digest(vocabulary["digest"]),
                vocabulary["size"],
                tuple(Token(**token) for token in vocabulary["added"]),
            ),
            weights=Weights(Digest(weights["digest"]), weights["dtype"], weights["parameters"], ()),
            adapter=None if adapter is None else _adapter(adapter),
            modules=tuple(value.pop("modules")),
            pipeline=None if pipeline is None else Digest(pipeline),
            **value,
        ), listed or [_listed(item) for item in weights["tensors"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidManifest(f"the facts are malformed: {error}") from None


# Nine tenths of the bytes of facts are the list of tensors. It is taken by its one form, in one go; a list that has another, a name
# with a quote in it say, is read as any JSON is.
_TEXT = r'([^"\\\x00-\x1f]*)'
_LENGTH = "(?:0|[1-9][0-9]{0,17})"
_LENGTHS = rf"(?:{_LENGTH}(?:,{_LENGTH})*)?"
_TENSOR = re.compile(
    rf'{{"digest":"(sha256:[0-9a-f]{{64}})","dtype":"{_TEXT}","name":"{_TEXT}","shape":\[({_LENGTHS})\]}}',
    re.ASCII,
)
_FORM = '{"digest":"%s","dtype":"%s","name":"%s","shape":[%s]}'
_BEGIN, _END = '"tensors":[', "]}"


def _apart(content: bytes) -> tuple[bytes, list[Listed]]:
    """(the facts with an empty list of tensors, the tensors), or (the facts as they are, none) where the list is not all in its form."""
    try:
        text = content.decode()
        begin, end = text.rindex(_BEGIN) + len(_BEGIN), text.rindex(_END)
    except ValueError:
        return content, []
    listed = text[begin:end] if begin < end else ""
    found = _TENSOR.findall(listed)
    if not found or ",".join(map(_FORM.__mod__, found)) != listed:
        return content, []
    return (text[:begin] + text[end:]).encode(), found


def _are_of_weights(value: Any) -> bool:
    """Whether the last list of tensors in facts, which was taken out, can only have been that of the weights."""
    weights = value.get("weights") if isinstance(value, dict) else None
    return (
        isinstance(weights, dict)
        and weights.keys() == {"digest", "dtype", "parameters", "tensors"}
        and weights["tensors"] == []
        and max(value) == "width"
        and type(value["width"]) in (int, type(None))
    )


def _listed(item: dict[str, Any]) -> Listed:
    name, dtype, shape = item["name"], item["dtype"], item["shape"]
    if (
        item.keys() != {"digest", "dtype", "name", "shape"}
        or type(name) is not str
        or type(dtype) is not str
        or type(shape) is not list
        or any(type(length) is not int or length < 0 for length in shape)
    ):
        raise InvalidManifest(f"the facts are malformed: a tensor is {item!r}")
    return Digest(item["digest"]), dtype, name, ",".join(map(str, shape))


@functools.lru_cache(10_000)
def _lengths(shape: str) -> tuple[int, ...]:
    return tuple(map(int, shape.split(","))) if shape else ()


def _adapter(value: dict[str, Any]) -> Adapter:
    fields: dict[str, Any] = {
        key: tuple(item) if isinstance(item, list) else item for key, item in value.items()
    }
    return Adapter(**fields)
