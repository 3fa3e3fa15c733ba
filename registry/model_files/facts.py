"""Inspection: the facts of a folder, computed by our own readers alone, in one pass over its bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.core.digest import Digest, real
from registry.core.facts import SCHEMA, Adapter, Facts, Files, Tensor, Token, Vocabulary
from registry.errors import UnsafeFile
from registry.model_files.adapter.config import read_config
from registry.model_files.config.parse import read_if_there
from registry.model_files.config.types import NO_LENGTH
from registry.model_files.layout.file_list import INDEX, join, sentence_settings
from registry.model_files.layout.layout import Layout
from registry.model_files.tokenizer.ambiguous_tokens import loaded_normalizer
from registry.model_files.tokenizer.panics import cause_of_panic, contradictory_metaspace
from registry.model_files.tokenizer.pipeline import Pipeline, pipeline_of
from registry.model_files.tokenizer.vocabulary import (
    CONFIG,
    Tokenizer,
    added_over,
    read_tokenizer,
)
from registry.util.gc_pause import uncollected

from .weights import safetensors as _weights

EMBEDDINGS = (
    "word_embeddings.weight",
    "tok_embeddings.weight",
    "embed_tokens.weight",
    "shared.weight",
    "wte.weight",
    "embeddings.weight",
    "embedding.weight",
)
"""How the tables of token rows are named in files, best first; by name, since here no model is built that could be asked."""


@dataclass(frozen=True)
class Inspection:
    """What was found: the facts, the vocabulary's blob, the token list, and tensors
    with values that are no numbers."""

    facts: Facts
    vocabulary: bytes
    tokens: tuple[Token, ...]
    pipeline: Pipeline
    """The canonical form of the tokenizer files, whose digest is in the facts."""
    not_finite: tuple[_weights.NotFinite, ...] = ()
    normalizer: Mapping[str, Any] | None = None
    """JSON of the normalizer that the loaded tokenizer has."""
    panic: str | None = None
    """Why the tokenizers library would panic at tokenizer.json."""
    metaspace: str | None = None
    """The prepend_scheme of a Metaspace that the tokenizers library refuses."""


def inspect(
    files: Files,
    layout: Layout,
    *,
    root: Sequence[Token] | None,
    parent: Vocabulary | None = None,
    base_type: str | None = None,
    progress: Callable[[int], object] | None = None,
    schema: int = SCHEMA,
) -> Inspection:
    """The facts of a folder; root is the token list of the root ancestor, None for a
    model that is its own.

    base_type is the model type of an adapter's base, by which the library chooses the
    class of a tokenizer.

    parent is what is known of the parent's token list: where the folder has that very
    list, it has the same added tokens, and the root's is not read. The weights come
    first: they are hashed beside whoever copies them, while the vocabulary holds the
    interpreter, best when the copy waits for the disk. Raises what the readers raise:
    UnsafeFile, NotLoadable, InvalidManifest. schema is that of the facts.
    """
    tensors, strange = _tensors(files, layout, progress)
    tokenizer, parsed = read_tokenizer(
        files, layout.tokenizer, has_added_tokens=schema > 1 and layout.adds_tokens
    )
    with uncollected():
        pipeline = pipeline_of(parsed, files, layout, base_type)
    adapter = read_config(files, layout.transformer).facts if layout.is_adapter else None
    if parent is not None and parent.digest == tokenizer.digest:
        added = parent.added
    elif root is not None:
        added = added_over(tokenizer, root)
    else:
        added = ()
    return Inspection(
        _facts(files, layout, tokenizer, tensors, added, adapter, pipeline.digest).in_schema(
            schema
        ),
        tokenizer.blob,
        tokenizer.tokens,
        pipeline,
        tuple(strange),
        _normalizer(files, layout, parsed.content if parsed is not None else None),
        cause_of_panic(parsed.content) if parsed is not None else None,
        contradictory_metaspace(parsed.content) if parsed is not None else None,
    )


def _normalizer(
    files: Files, layout: Layout, content: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    paths = set(files.paths())
    config = read_if_there(files, join(layout.tokenizer, CONFIG), paths)
    lowercases = sentence_settings(files, layout.transformer, paths).get("do_lower_case")
    return loaded_normalizer(content, config, lowercases=bool(lowercases))


def _tensors(
    files: Files, layout: Layout, progress: Callable[[int], object] | None
) -> tuple[list[Tensor], list[_weights.NotFinite]]:
    if layout.index is not None:
        named = _weights.shards(files, layout.index)
        beside = layout.index.removesuffix(INDEX) + "model-"
        if named != sorted(path for path, _ in layout.weights if path.startswith(beside)):
            raise UnsafeFile(f"the shards beside {layout.index} are not those it names")
    tensors: list[Tensor] = []
    strange: list[_weights.NotFinite] = []
    for path, prefix in layout.weights:
        found, bad = _weights.tensors(files, path, prefix=prefix, progress=progress)
        tensors += found
        strange += bad
    twice = len(tensors) - len({tensor.name for tensor in tensors})
    if twice:
        raise UnsafeFile(f"{twice} tensors stand in two files")
    if not tensors:
        raise UnsafeFile(
            f"{', '.join(path for path, _ in layout.weights) or 'the model'} holds no tensors"
        )
    return tensors, strange


def _facts(
    files: Files,
    layout: Layout,
    tokenizer: Tokenizer,
    tensors: list[Tensor],
    added: tuple[Token, ...],
    adapter: Adapter | None,
    pipeline: Digest,
) -> Facts:
    there = set(files.paths())
    config = read_if_there(files, join(layout.transformer, "config.json"), there)
    table = None if adapter is not None else table_of(tensors)
    architectures = config.get("architectures")
    return Facts(
        model_class=layout.model_class,
        tokenizer=tokenizer.tokenizer,
        vocabulary=Vocabulary(tokenizer.digest, len(tokenizer.tokens), added),
        weights=_weights.weights_of(tensors),
        rows=table.shape[0] if table else None,
        width=table.shape[1] if table else None,
        max_length=_max_length(files, layout, tokenizer, there),
        modules=tuple(module.type for module in layout.modules),
        architecture=architectures[0]
        if isinstance(architectures, list) and architectures and isinstance(architectures[0], str)
        else None,
        adapter=adapter,
        settings=_settings(files, layout, there),
        pipeline=pipeline,
    )


def table_of(tensors: Sequence[Tensor]) -> Tensor | None:
    """The table of token rows, (rows, width), if one can be told by its name."""
    for ending in EMBEDDINGS:
        endings = (f".{ending}", f"/{ending}")
        found = [
            tensor
            for tensor in tensors
            if len(tensor.shape) == 2 and (tensor.name == ending or tensor.name.endswith(endings))
        ]
        if found:
            return min(found, key=lambda tensor: (tensor.name.count("decoder"), len(tensor.name)))
    return None


def _max_length(files: Files, layout: Layout, tokenizer: Tokenizer, there: set[str]) -> int | None:
    own = read_if_there(files, join(layout.transformer, "sentence_bert_config.json"), there).get(
        "max_seq_length"
    )
    if isinstance(own, (int, float)) and own >= NO_LENGTH:
        return None
    return own if type(own) is int else tokenizer.max_length


def _settings(files: Files, layout: Layout, there: set[str]) -> dict[str, Any]:
    """Pooling, prompts, similarity and dtype, flat; real numbers as text."""
    whole = read_if_there(files, "config_sentence_transformers.json", there)
    found: dict[str, Any] = {
        key: whole[key]
        for key in ("similarity_fn_name", "default_prompt_name", "truncate_dim")
        if whole.get(key) is not None
    }
    prompts = whole.get("prompts")
    if isinstance(prompts, dict):
        found |= {f"prompt.{name}": text for name, text in prompts.items() if text}
    dtype = read_if_there(files, join(layout.transformer, "config.json"), there)
    if dtype.get("dtype", dtype.get("torch_dtype")):
        found["dtype"] = dtype.get("dtype", dtype.get("torch_dtype"))
    for module in layout.modules:
        if module.folder and module.type != "Transformer":
            for key, value in read_if_there(
                files, join(module.folder, "config.json"), there
            ).items():
                found[f"{module.type}.{key}"] = value
    return {key: _flat(value) for key, value in sorted(found.items())}


def _flat(value: Any) -> Any:
    if isinstance(value, float):
        return real(value)
    if isinstance(value, Mapping):
        return {key: _flat(item) for key, item in value.items()}
    return [_flat(item) for item in value] if isinstance(value, list) else value
