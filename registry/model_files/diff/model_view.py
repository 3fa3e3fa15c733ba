"""Side: one of two models that are compared, as it would be loaded: an adapter on its base, its own tables in the base's place.

Only headers and configurations are read here. A tensor's name is the one that today's libraries give it in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from registry.core.digest import Digest
from registry.core.facts import Facts, Files, Token
from registry.model_files.adapter.config import (
    WEIGHTS as ADAPTER_WEIGHTS,
    AdapterConfig,
    is_part,
    module_of,
    read_config,
)
from registry.model_files.adapter.targets import (
    base_prefix,
    check_patterns,
    has_token_rows,
    live_names,
    rank_of,
)
from registry.model_files.facts import EMBEDDINGS
from registry.model_files.layout.file_list import join
from registry.model_files.layout.layout import Layout
from registry.model_files.parent_diff import BUFFERS
from registry.model_files.tokenizer.pipeline import Pipeline, model_type_of, read_pipeline
from registry.model_files.tokenizer.vocabulary import Tokenizer, parse_vocabulary, read_vocabulary
from registry.model_files.weights.safetensors import read_header

from .tensor_source import Patched, Source, Stored

_PREFIX = "base_model.model."
_LOW_RANK = {
    "lora_A.weight": "A",
    "lora_B.weight": "B",
    "lora_embedding_A": "A",
    "lora_embedding_B": "B",
    "lora_magnitude_vector.weight": "magnitude",
    "lora_magnitude_vector": "magnitude",
}
_ROWS = ("token_adapter.trainable_tokens_delta", "trainable_tokens_delta")


@dataclass(frozen=True)
class LowRank:
    """The two matrices that an adapter adds to a weight, and what their product is multiplied by."""

    a: Stored
    """(rank, …)"""
    b: Stored
    """(…, rank)"""
    scaling: float
    embedding: bool = False
    """Of a token table: columns of `a` are tokens."""
    turned: bool = False
    """The weight is stored as (in, out)."""
    magnitude: Stored | None = None
    """Of DoRA: the length that each output of the sum is brought to; of a token table each column."""

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether it can be added to a weight of this shape."""
        outer, inner = self.b.shape[0], math.prod(self.a.shape[1:])
        wanted = (inner, outer) if self.embedding or self.turned else (outer, inner)
        return (shape[0], math.prod(shape[1:])) == wanted and (
            self.magnitude is None or math.prod(self.magnitude.shape) == outer
        )

    @property
    def parts(self) -> tuple[Stored, ...]:
        """Its tensors."""
        return (self.a, self.b) if self.magnitude is None else (self.a, self.b, self.magnitude)

    @property
    def identity(self) -> object:
        """What two equal ones have in common; None where it takes reading to tell."""
        digests = [part.digest for part in self.parts]
        return (*digests, self.scaling) if all(digests) else None


@dataclass(frozen=True)
class Scale:
    """The numbers that an IA3 adapter multiplies a weight's rows or columns by."""

    values: Stored

    @property
    def by_row(self) -> bool:
        """Whether there is one for each row, (out, 1), else for each column, (1, in)."""
        return self.values.shape[0] != 1

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a weight of this shape can be multiplied by it."""
        return len(shape) == 2 and self.values.shape == (
            (shape[0], 1) if self.by_row else (1, shape[1])
        )

    @property
    def parts(self) -> tuple[Stored, ...]:
        """Its tensor."""
        return (self.values,)

    @property
    def identity(self) -> object:
        """What two equal ones have in common; None where it takes reading to tell."""
        return self.values.digest


Added = LowRank | Scale
"""What an adapter does to one weight."""


class Side:
    """A model's files, what is known of them, and for an adapter the side that is its base."""

    def __init__(
        self,
        title: str,
        kind: str,
        files: Files,
        layout: Layout,
        *,
        facts: Facts | None = None,
        vocabulary: bytes | None = None,
        base: Side | None = None,
    ) -> None:
        self.title, self.kind, self.files, self.layout, self.facts, self.base = (
            title,
            kind,
            files,
            layout,
            facts,
            base,
        )
        self._vocabulary = vocabulary

    @property
    def full(self) -> Side:
        """The full model: this one, or what this adapter stands on."""
        return self.base if self.base is not None else self

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer as its files say it."""
        return read_vocabulary(
            self.files, self.layout.tokenizer, has_added_tokens=self.layout.adds_tokens
        )

    @cached_property
    def pipeline(self) -> Pipeline:
        """The canonical form of its tokenizer files."""
        base_type = None
        if self.base is not None:
            base_type = model_type_of(self.base.files, self.base.layout)
        return read_pipeline(self.files, self.layout, base_type)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The token list, by id."""
        return (
            parse_vocabulary(self._vocabulary)
            if self._vocabulary is not None
            else self.tokenizer.tokens
        )

    @property
    def vocabulary_digest(self) -> Digest:
        """Of the token list."""
        return self.facts.vocabulary.digest if self.facts is not None else self.tokenizer.digest

    @property
    def tokenizer_digest(self) -> Digest:
        """Of everything that changes what the tokenizer does."""
        return self.facts.tokenizer if self.facts is not None else self.tokenizer.tokenizer

    @cached_property
    def config(self) -> AdapterConfig | None:
        """The adapter's configuration. Raises NotLoadable where its patterns must not be matched."""
        if not self.layout.is_adapter:
            return None
        config = read_config(self.files, self.layout.transformer)
        check_patterns(config)
        return config

    @cached_property
    def own(self) -> dict[str, Stored]:
        """The tensors in this folder's files, by the names they have there."""
        known = (
            {tensor.name: tensor.digest for tensor in self.facts.weights.tensors}
            if self.facts is not None
            else {}
        )
        found = {}
        for path, prefix in self.layout.weights:
            with self.files.open(path) as stream:
                headers = read_header(stream, path, self.files.size(path))
            found.update(
                {
                    prefix + name: Stored(self.files, path, header, known.get(prefix + name))
                    for name, header in headers.items()
                }
            )
        return found

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Every tensor as it would be in memory, adapters' products apart; buffers that hold no weights are left out."""
        found: dict[str, Source] = {
            self._modern(name): stored
            for name, stored in self.own.items()
            if not self._is_adapters(stored)
        }
        if self.base is not None:
            found = {**self.base.sources, **found}
        for name, stored in self._adapter_tensors.items():
            found.update(self._replaced(name, stored, found))
        return {name: source for name, source in found.items() if not name.endswith(BUFFERS)}

    @cached_property
    def low_ranks(self) -> dict[str, LowRank]:
        """What a LoRA adapter adds, by the name of the weight's module."""
        parts: dict[str, dict[str, Stored]] = {}
        embeddings = set()
        for name, stored in self._adapter_tensors.items():
            if (
                part := next((part for part in _LOW_RANK if name.endswith("." + part)), None)
            ) is not None:
                module = name.removesuffix("." + part).removesuffix(".base_layer")
                parts.setdefault(module, {})[_LOW_RANK[part]] = stored
                embeddings |= {module} if part.startswith("lora_embedding") else set()
        return {
            self._live.get(module, module): LowRank(
                own["A"],
                own["B"],
                self._scaling(module),
                module in embeddings,
                self.config is not None and self.config.fields.get("fan_in_fan_out") is True,
                own.get("magnitude"),
            )
            for module, own in parts.items()
            if own.keys() >= {"A", "B"}
        }

    @cached_property
    def scales(self) -> dict[str, Scale]:
        """What an IA3 adapter multiplies with, by the name of the weight's module."""
        return {
            self._live.get(module, module): Scale(stored)
            for name, stored in self._adapter_tensors.items()
            if name.endswith(".ia3_l")
            for module in [name.removesuffix(".ia3_l").removesuffix(".base_layer")]
        }

    @cached_property
    def added(self) -> dict[str, Added]:
        """What the adapter does to each weight, by the name of the weight's module. What does not fit that is left out."""
        found: dict[str, Added] = {}
        for module, item in chain[tuple[str, Added]](self.low_ranks.items(), self.scales.items()):
            weight = self.full.weight(module)
            if (
                item.fits(weight.shape)
                if weight is not None
                else isinstance(item, LowRank) and item.magnitude is None
            ):
                found[module] = item
        return found

    @cached_property
    def others(self) -> dict[str, Source]:
        """The adapter's tensors whose effect is not computed here, by their own names."""
        taken = {id(stored) for added in self.added.values() for stored in added.parts}
        for source in self.sources.values():
            taken |= (
                {id(source.delta), id(source.under)}
                if isinstance(source, Patched)
                else {id(source)}
            )
        return {
            name: stored
            for name, stored in self._adapter_tensors.items()
            if id(stored) not in taken
        }

    @cached_property
    def not_computed(self) -> frozenset[str]:
        """The modules that those are for."""
        return frozenset(self._live.get(module, module) for module in map(module_of, self.others))

    def weight(self, module: str) -> Source | None:
        """A module's weight, if it has one."""
        return self.sources.get(f"{module}.weight")

    @cached_property
    def table(self) -> str | None:
        """Name of the table of token rows in `sources`."""
        for ending in EMBEDDINGS:
            found = [
                name
                for name, source in self.sources.items()
                if len(source.shape) == 2
                and (name == ending or name.endswith((f".{ending}", f"/{ending}")))
            ]
            if found:
                return min(found, key=lambda name: (name.count("decoder"), len(name)))
        return None

    @property
    def rows(self) -> int | None:
        """Rows of that table."""
        return self.sources[self.table].shape[0] if self.table is not None else None

    @property
    def adapter_folder(self) -> str:
        """The folder of the adapter's weights."""
        return self.layout.transformer

    @cached_property
    def _adapter_tensors(self) -> dict[str, Stored]:
        """Those of adapter_model.safetensors, without the wrapper's prefix."""
        prefix = join(self.adapter_folder, "") if self.adapter_folder else ""
        return {
            name.removeprefix(prefix).removeprefix(_PREFIX): stored
            for name, stored in self.own.items()
            if self._is_adapters(stored)
        }

    @cached_property
    def _live(self) -> Mapping[str, str]:
        """The base's modules by the names that the adapter has for them."""
        if self.base is None:
            return {}
        own = {module_of(name) for name in self._adapter_tensors}
        prefix = base_prefix(self.base.files, self.base.layout.transformer)
        return live_names(
            own, {name.rpartition(".")[0]: None for name in self.base.sources}, prefix
        )

    def _replaced(
        self, name: str, stored: Stored, there: Mapping[str, Source]
    ) -> dict[str, Source]:
        """The tensors that one of the adapter's stands in for: a whole one, or some rows of a table."""
        assert self.config is not None
        for ending in _ROWS:
            if name.endswith("." + ending):
                module = name.removesuffix("." + ending)
                table = f"{self._live.get(module, module)}.weight"
                under = there.get(table)
                ids = next(
                    (
                        ids
                        for named, ids in self.config.trainable_tokens.items()
                        if not named or has_token_rows(module, named)
                    ),
                    (),
                )
                if isinstance(under, Stored) and len(ids) == stored.shape[0]:
                    return {table: Patched(under, stored, tuple(ids))}
                return {}
        if is_part(name):
            return {}
        module, _, parameter = name.rpartition(".")
        module = module.removesuffix(".base_layer")
        return {f"{self._live.get(module, module)}.{parameter}": stored}

    def _scaling(self, module: str) -> float:
        """alpha/r of a module, as the library computes it. Source: peft 0.21, tuners/lora/layer.py, update_layer."""
        import re

        assert self.config is not None
        patterns = self.config.fields.get("alpha_pattern") or {}
        key = next((key for key in patterns if re.match(rf"(.*\.)?({key})$", module)), None)
        alpha = (
            float(patterns[key])
            if key is not None
            else float(8 if self.config.alpha is None else self.config.alpha)
        )
        rank = rank_of(self.config, module) or 8
        return alpha / math.sqrt(rank) if self.config.fields.get("use_rslora") else alpha / rank

    def _is_adapters(self, stored: Stored) -> bool:
        return stored.path.rsplit("/", 1)[-1] == ADAPTER_WEIGHTS

    def _modern(self, name: str) -> str:
        """A stored name as today's libraries have it; the transformer's own folder is no part of it."""
        folder = self.layout.transformer
        name = name.removeprefix(f"{folder}/") if folder else name
        if name.endswith(".gamma"):
            return name[:-5] + "weight"
        return name[:-4] + "bias" if name.endswith(".beta") else name


def matched(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Names after by the names before that mean the same tensor; a prefix such as `bert.` on either side is no difference.

    Source of the prefixes: transformers, base_model_prefix, which a class with a head has and the bare model lacks.
    """
    best = {name: name for name in before.keys() & after.keys()}
    if len(best) == len(before) == len(after):
        return best
    for prefix in sorted(
        {name.partition(".")[0] + "." for name in (*before, *after) if "." in name}
    ):
        stripped = {
            name: name.removeprefix(prefix)
            for name in before
            if name.startswith(prefix) and name.removeprefix(prefix) in after
        }
        prefixed = {name: prefix + name for name in before if prefix + name in after}
        for found in (stripped, prefixed):
            taken = set(found.values())
            whole = {
                **{
                    name: name
                    for name in before.keys() & after.keys()
                    if name not in taken and name not in found
                },
                **found,
            }
            best = max(best, whole, key=len)
    return best


AreEquivalent = Callable[[Side, Side], bool]
"""Function that decides whether two tokenizers give equal ids for every text."""


def have_equal_pipelines(before: Side, after: Side) -> bool:
    """Return whether the files alone show that two tokenizers are equivalent."""
    return before.pipeline.digest == after.pipeline.digest
