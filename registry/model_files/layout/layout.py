"""The layout of a folder: its class, its modules, where transformer, tokenizer and weights lie, and which files belong.

Refused is what no loader could load as it lies there, what would need code of the folder or of others, and a pickle that a loader
would read. Whether the parts fit each other is not judged here; `checks` do that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from registry.core.facts import Files
from registry.errors import NotLoadable, UnsafeFile
from registry.model_files.config.parse import read_if_there
from registry.model_files.lfs_pointer import refuse_pointers

from .custom_code import decide_code, refuse_foreign_code
from .excluded import is_pickle, left_out
from .file_list import (
    ROOT,
    Belonging,
    join,
    of_custom,
    of_module,
    of_plain_folder,
    of_transformer,
)
from .model_class import class_of
from .modules import ROUTERS, TRANSFORMERS, Module, read_modules
from .nested import no_model
from .unfinished import refuse_unfinished, unfinished_error

_ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class Layout:
    """What a folder is, before its weights are looked at. Folders are relative; the root is the empty text."""

    model_class: str
    told_by: str
    """How the class is known: the file that says it, `--class`, or `the parent's class`."""
    is_adapter: bool
    modules: tuple[Module, ...]
    """Those of modules.json in order, the parts of a Router behind it; none for a folder of transformers alone."""
    transformer: str
    """Folder of the first transformer; of a model without one, of its token table."""
    tokenizer: str
    """Folder of the tokenizer that belongs to `transformer`."""
    weights: tuple[tuple[str, str], ...]
    """(path of a safetensors file, what stands in front of its tensors' names), shards included."""
    index: str | None
    """The shard index, if the weights are sharded."""
    belongs: tuple[str, ...]
    """The files a manifest lists, sorted."""
    left_out: tuple[tuple[str, str], ...]
    """(path, reason) of every other file, sorted."""
    architecture: str | None = None
    """The first of `architectures` in the transformer's config.json."""

    @property
    def adds_tokens(self) -> bool:
        """Whether transformers loads the tokenizer, which adds tokens from other files.

        A StaticEmbedding reads tokenizer.json alone.
        """
        types = [module.type for module in self.modules if module.folder == self.transformer]
        return not types or types[0] in TRANSFORMERS


def layout(
    files: Files, *, class_hint: str | None = None, parent_class: str | None = None
) -> Layout:
    """What the folder is. class_hint is what somebody says it is; parent_class is the class of an adapter's parent, if known.

    Raises NotLoadable for no model, a part that is missing, or a class that must be said; UnsafeFile for a pickle that a loader
    would read and for a place outside of the folder; ForeignCode for what would need code of its own.
    """
    try:
        return _layout(files, class_hint, parent_class)
    except (NotLoadable, UnsafeFile) as error:
        unfinished = unfinished_error(files, error)
        if unfinished is not None:
            raise unfinished from None
        raise


def _layout(files: Files, class_hint: str | None, parent_class: str | None) -> Layout:
    there = set(files.paths())
    modules = read_modules(files, there)
    if not modules and not there & {"config.json", _ADAPTER}:
        raise no_model(files)
    main = _main(modules, files, there)
    is_adapter = join(main.folder, _ADAPTER) in there and is_transformer(files, there, main)
    if is_adapter:
        _refuse_odd_adapter(modules, main, there)
    found = [_belonging(files, there, module) for module in modules or (main,)]
    if not modules:
        found.append(of_plain_folder(there))
    belongs = {path for part in found for path in part.paths} | there & set(ROOT)
    refuse_pointers(files, belongs)
    refuse_unfinished(files, belongs)
    refuse_foreign_code(files, sorted(belongs))
    config = read_if_there(files, join(main.folder, "config.json"), there)
    belongs |= set(decide_code(files, sorted(belongs), config, main.folder))
    named = config.get("architectures")
    architecture = (
        named[0] if isinstance(named, list) and named and isinstance(named[0], str) else None
    )
    settings = read_if_there(files, "config_sentence_transformers.json", there)
    model_class, told_by = class_of(
        modules,
        settings,
        config,
        architecture,
        is_adapter=is_adapter,
        hint=class_hint,
        parent=parent_class,
    )
    weights = dict(pair for part in found for pair in part.weights)
    disguised = next((path for path in weights if is_pickle(files, path)), None)
    if disguised is not None:
        raise UnsafeFile(
            f"{disguised} is a pickle according to its content, despite its name",
            hint="save the model with save_pretrained, which writes safetensors",
        )
    index = _only(index for part in found for index in part.indexes)
    return Layout(
        model_class,
        told_by,
        is_adapter,
        modules,
        main.folder,
        main.folder,
        tuple(sorted(weights.items())),
        index,
        tuple(sorted(belongs)),
        left_out(files, there - belongs, there),
        architecture,
    )


def _main(modules: Sequence[Module], files: Files, all_paths: set[str]) -> Module:
    """The transformer, else the first module that has a vocabulary. Without modules.json the root is a transformer."""
    if not modules:
        return Module("Transformer", "")
    transformers = [module for module in modules if is_transformer(files, all_paths, module)]
    others = [module for module in modules if module.type not in ROUTERS]
    return [*transformers, *others, *modules][0]


def _belonging(files: Files, there: set[str], module: Module) -> Belonging:
    if is_transformer(files, there, module):
        return of_transformer(files, there, module.folder)
    return of_custom(there, module) if module.is_custom else of_module(files, there, module)


def is_transformer(files: Files, all_paths: set[str], module: Module) -> bool:
    """Return whether a module is a transformer, by its type or its config.json."""
    if not module.is_custom:
        return module.type in TRANSFORMERS
    config = read_if_there(files, module.at("config.json"), all_paths)
    return "model_type" in config or module.at(_ADAPTER) in all_paths


def _only(indexes: Iterable[str]) -> str | None:
    found = sorted(set(indexes))
    if len(found) > 1:
        raise NotLoadable(
            f"two parts of the model have sharded weights: {found[0]} and {found[1]}",
            hint="save them with a larger max_shard_size",
        )
    return found[0] if found else None


def _refuse_odd_adapter(modules: Sequence[Module], main: Module, there: set[str]) -> None:
    if any(module.type in ROUTERS for module in modules):
        raise NotLoadable(
            f"{join(main.folder, _ADAPTER)} is an adapter inside a Router, "
            "which sentence-transformers saves but cannot load",
            hint="merge it into its base and add the merged model",
        )
    if main.folder:
        raise NotLoadable(
            f"the adapter is located in {main.folder!r} "
            "(loaders search for the weights of its base in a folder of that name)",
            hint="load it and save it with sentence-transformers 6, which stores it at the root",
        )
    if "config.json" in there:
        raise NotLoadable(
            "the folder contains adapter_config.json and config.json "
            "(loaders take the weights of the base from this folder, not from the base)",
            hint="move them into two folders and add both",
        )
