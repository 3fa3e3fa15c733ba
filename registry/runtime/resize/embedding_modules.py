"""Holders: the modules of a loaded model that have a tokenizer and a token table, and where their files lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from registry.core.facts import Token, flags_of
from registry.errors import NotLoadable
from registry.model_files.config import edit
from registry.model_files.weights.grow import Table, same_name, tables, weights_files
from registry.runtime.verify_loaded import input_embeddings

from .model2vec import MAPPING, folded_tables

_STATIC = {
    "StaticEmbedding": ("embedding.weight", "embeddings"),
    "SparseStaticEmbedding": ("weight",),
}


@dataclass(frozen=True)
class Holder:
    """One module with its folder."""

    module: Any
    folder: Path

    @property
    def tokenizer(self) -> Any:
        """The tokenizer as the module has it: of transformers, or a raw one."""
        return self.module.tokenizer

    @cached_property
    def backend(self) -> Any:
        """The `tokenizers.Tokenizer` underneath. Raises NotLoadable for a tokenizer written in Python."""
        if hasattr(self.tokenizer, "get_added_tokens_decoder"):
            return self.tokenizer
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise NotLoadable(
                f"{type(self.tokenizer).__name__} is no fast tokenizer, and only those can be resized"
            )
        return backend

    @cached_property
    def size(self) -> int:
        """Entries of the vocabulary."""
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    @cached_property
    def folded(self) -> Mapping[str, Table]:
        """The tensors of a model2vec file from which its table is folded, or empty."""
        is_static = type(self.module).__name__ == "StaticEmbedding"
        return folded_tables(self.folder) if is_static else {}

    def folded_rows(self) -> Any:
        """Return the loaded table as a numpy array of shape (rows, width)."""
        return _static(self.module).detach().float().numpy()

    def tables(self) -> list[Table]:
        """The stored tensors that have a row for each token, the input embeddings first. Raises NotLoadable if there are none."""
        stored = {
            (path, name): table
            for path in weights_files(self.folder)
            for name, table in tables(path).items()
        }
        kind = type(self.module).__name__
        if kind in _STATIC:
            found = [table for (_, name), table in stored.items() if name in _STATIC[kind]]
            inputs = set(_STATIC[kind])
            if MAPPING in self.folded:
                found, inputs = [self.folded[MAPPING]], {MAPPING}
            rows = _static(self.module).shape[0]
        else:
            following, inputs = self._growing
            rows = self.module.model.get_input_embeddings().weight.shape[0]
            found = [
                table
                for (_, name), table in stored.items()
                if any(same_name(name, live) for live in following)
            ]
        found = [table for table in found if table.shape and table.rows == rows]
        if not any(same_name(table.name, name) for table in found for name in inputs):
            raise NotLoadable(
                f"no tensor in {self.folder.name} is the token table of {rows} rows, so nothing can grow"
            )
        return sorted(
            found,
            key=lambda table: (
                not any(same_name(table.name, name) for name in inputs),
                table.path,
                table.name,
            ),
        )

    def live_tables(self) -> list[Any]:
        """The loaded tensors that have a row for each token, tied ones once."""
        if type(self.module).__name__ in _STATIC:
            return [_static(self.module)]
        model = self.module.model
        named = [
            *model.named_parameters(remove_duplicate=False),
            *model.named_buffers(remove_duplicate=False),
        ]
        return list(
            {id(tensor): tensor for name, tensor in named if name in self._growing[0]}.values()
        )

    @cached_property
    def _growing(self) -> tuple[set[str], set[str]]:
        model = self.module.model
        return names_that_grow(_classes(model), model.config)

    def write_tokens(self, folder: Path, added: Sequence[Token]) -> None:
        """Add the tokens to the tokenizer's files in the folder, a copy of this one's; a tokenizer.json is made if need be."""
        changes = {
            "tokenizer.json": edit.with_tokens,
            "tokenizer_config.json": edit.with_decoder,
            "added_tokens.json": edit.with_ids,
        }
        if not (folder / "tokenizer.json").is_file():
            from tokenizers import AddedToken

            self.backend.add_tokens(
                [
                    AddedToken(
                        token.content,
                        special=token.special,
                        lstrip=token.lstrip,
                        rstrip=token.rstrip,
                        single_word=token.single_word,
                        normalized=token.normalized,
                    )
                    for token in added
                ]
            )
            self.tokenizer.save_pretrained(str(folder))
            return
        # Ids of new tokens in tokenizer.json follow those that it lists.
        unlisted = self._unlisted(folder / "tokenizer.json")
        for name, change in changes.items():
            path = folder / name
            if path.is_file():
                tokens = [*unlisted, *added] if name == "tokenizer.json" else added
                path.write_text(change(path.read_text("utf-8"), tokens, name), "utf-8")

    def _unlisted(self, path: Path) -> list[Token]:
        """Return the tokens that the library added from other files."""
        if not hasattr(self.tokenizer, "backend_tokenizer"):
            return []
        content = edit.parse(path.read_text("utf-8"), path.name)
        vocabulary = (content.get("model") or {}).get("vocab") or {}
        entries = vocabulary if isinstance(vocabulary, dict) else (entry[0] for entry in vocabulary)
        listed = {*entries, *(token["content"] for token in content.get("added_tokens") or ())}
        return [
            Token(id, token.content, *flags_of(token))
            for id, token in sorted(self.backend.get_added_tokens_decoder().items())
            if token.content not in listed
        ]

    def write_rows(self, folder: Path, rows: int) -> None:
        """Set the number of rows in the configuration in the folder, a copy of this one's."""
        if type(self.module).__name__ in _STATIC:
            return
        path = folder / "config.json"
        text = path.read_text("utf-8")
        value = edit.parse(text, path.name)
        nested = [
            key for key, part in value.items() if isinstance(part, dict) and "vocab_size" in part
        ]
        place = (
            ("vocab_size",) if "vocab_size" in value or not nested else (nested[0], "vocab_size")
        )
        path.write_text(edit.with_numbers(text, {place: rows}, path.name), "utf-8")


def holders(model: Any, folder: Path) -> list[Holder]:
    """The modules of a loaded model that have a vocabulary, in order. Raises NotLoadable if none has."""
    found = [
        Holder(module, place)
        for module, place in placed(model, folder)
        if type(module).__name__ in _STATIC
        or input_embeddings(getattr(module, "model", None)) is not None
    ]
    if not found:
        kinds = ", ".join(type(module).__name__ for module in model)
        raise NotLoadable(f"no module of this model has a token table that can grow: {kinds}")
    return found


def sparse_poolings(model: Any, folder: Path) -> list[Path]:
    """The configuration files of modules whose output is as wide as the vocabulary."""
    return [
        place / "config.json"
        for module, place in placed(model, folder)
        if type(module).__name__ == "SpladePooling"
        and (place / "config.json").is_file()
        and place != folder
    ]


def placed(model: Any, folder: Path) -> Iterator[tuple[Any, Path]]:
    """Each module of a loaded model with the folder that it came from; the routes of a Router are gone into."""
    path = folder / "modules.json"
    if not path.is_file():
        yield model[0], folder
        return
    listed = edit.parse('{"modules": ' + path.read_text("utf-8") + "}", path.name)["modules"]
    for module, entry in zip(model, listed, strict=False):
        place = folder / entry["path"]
        if type(module).__name__ != "Router":
            yield module, place
            continue
        config = next(
            place / name
            for name in ("router_config.json", "config.json")
            if (place / name).is_file()
        )
        structure = edit.parse(config.read_text("utf-8"), config.name)["structure"]
        seen: set[str] = set()
        for route, names in structure.items():
            for part, name in zip(module.sub_modules[route], names, strict=True):
                if name not in seen:
                    seen.add(name)
                    yield part, place / name


def _classes(model: Any) -> list[Any]:
    """The class of a live model, and the one that its files were written for, which may hold more tables."""
    import transformers

    found = [type(model)]
    for name in model.config.architectures or ():
        other = getattr(transformers, name, None)
        if other is not None and other not in found and hasattr(other, "_from_config"):
            found.append(other)
    return found


def _static(module: Any) -> Any:
    return module.embedding.weight if type(module).__name__ == "StaticEmbedding" else module.weight


def names_that_grow(classes: Iterable[Any], config: Any) -> tuple[set[str], set[str]]:
    """(names of every tensor whose shape follows the vocabulary's size, names of the input embeddings among them).

    classes are model classes; each is built twice without memory, with one token more, and what differs is found. The input
    embeddings are told by identity. Tied tensors appear under all their names.
    """
    import copy

    import torch

    following: set[str] = set()
    inputs: set[str] = set()
    for model_class in classes:
        shapes: list[dict[str, tuple[int, ...]]] = []
        for extra in (0, 1):
            changed = copy.deepcopy(config)
            changed.get_text_config().vocab_size = config.get_text_config().vocab_size + extra
            with torch.device("meta"):
                skeleton = model_class._from_config(changed)
            named = [
                *skeleton.named_parameters(remove_duplicate=False),
                *skeleton.named_buffers(remove_duplicate=False),
            ]
            shapes.append({name: tuple(tensor.shape) for name, tensor in named})
        table = skeleton.get_input_embeddings().weight
        inputs |= {name for name, tensor in named if tensor is table}
        following |= {name for name, shape in shapes[0].items() if shapes[1].get(name) != shape}
    return following, inputs
