"""Which files of a model `--convert` reads, and which files it writes instead.

Weights that are pickles where the loaders find no safetensors file, and tokenizer files
from which the library builds a tokenizer where tokenizer.json is missing. Nothing is
opened here but JSON.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.core.facts import Files
from registry.errors import NotLoadable, UnsafeFile
from registry.model_files.config.parse import read_if_there, read_object
from registry.model_files.lfs_pointer import refuse_pointers

from .file_list import (
    ADAPTER_WEIGHTS,
    INDEX,
    SHARDED_PICKLE,
    SLOW_TOKENIZER,
    WEIGHTS,
    WITH_WEIGHTS,
    join,
)
from .modules import TRANSFORMERS, Module, read_modules

PICKLE = "pytorch_model.bin"
ADAPTER_PICKLE = "adapter_model.bin"
SHARDS_LIMIT = 10_000
SENTENCE_PIECE = (".model", ".spm")


@dataclass(frozen=True)
class PickledWeights:
    """Pickled weights of one part of a model, and the safetensors file to write."""

    target: str
    pickles: tuple[str, ...]
    index: str | None = None
    """The index that names the pickles, if the weights are sharded."""

    @property
    def originals(self) -> tuple[str, ...]:
        """The files that the safetensors file replaces."""
        return (*self.pickles, *((self.index,) if self.index else ()))


@dataclass(frozen=True)
class TokenizerSource:
    """Tokenizer files of one folder from which the library builds its tokenizer."""

    folder: str
    originals: tuple[str, ...]

    @property
    def target(self) -> str:
        """The file to write."""
        return join(self.folder, "tokenizer.json")

    @property
    def needs_sentencepiece(self) -> bool:
        """Whether only the package sentencepiece can read one of the files."""
        return any(path.endswith(SENTENCE_PIECE) for path in self.originals)


@dataclass(frozen=True)
class Convertible:
    """Everything in a folder that `--convert` would write in another form."""

    weights: tuple[PickledWeights, ...] = ()
    tokenizers: tuple[TokenizerSource, ...] = ()
    is_adapter: bool = False
    transformer: str | None = None
    """Folder of the first transformer."""

    def __bool__(self) -> bool:
        return bool(self.weights or self.tokenizers)

    @property
    def originals(self) -> tuple[str, ...]:
        """Paths of the files that are read and not kept, sorted."""
        weights = {path for part in self.weights for path in part.originals}
        tokenizers = {path for part in self.tokenizers for path in part.originals}
        return tuple(sorted(weights | tokenizers))


def convertible(files: Files) -> Convertible:
    """Return what `--convert` converts.

    Raises what reading modules.json raises, and NotLoadable for a Git LFS pointer.
    """
    present = set(files.paths())
    modules = read_modules(files, present) or (Module("Transformer", ""),)
    weights: list[PickledWeights] = []
    tokenizers: list[TokenizerSource] = []
    is_adapter, transformer = False, None
    for module in modules:
        if module.type in TRANSFORMERS:
            transformer = module.folder if transformer is None else transformer
            is_adapter |= module.at("adapter_config.json") in present
            weights += _of_transformer(files, present, module.folder)
            tokenizers += _of_tokenizer(present, module.folder)
        elif module.type in WITH_WEIGHTS:
            weights += _single(present, module.at(WEIGHTS), module.at(PICKLE))
    plan = Convertible(tuple(weights), tuple(tokenizers), is_adapter, transformer)
    refuse_pointers(files, plan.originals)
    return plan


def refuse_unconverted(plan: Convertible, command: str) -> None:
    """Raise UnsafeFile or NotLoadable for what must be converted first."""
    if plan.weights:
        raise UnsafeFile(
            f"the weights {plan.weights[0].pickles[0]!r} are a pickle, "
            "which can run code when it is read",
            hint=f"{command} --convert",
        )
    source = next((part for part in plan.tokenizers if part.folder == plan.transformer), None)
    if source is not None:
        raise NotLoadable(
            f"the tokenizer is missing: found no {source.target}, only {source.originals[0]}",
            hint=f"{command} --convert",
        )


def _of_transformer(files: Files, present: set[str], folder: str) -> list[PickledWeights]:
    if join(folder, "adapter_config.json") in present:
        return _single(present, join(folder, ADAPTER_WEIGHTS), join(folder, ADAPTER_PICKLE))
    config = read_if_there(files, join(folder, "config.json"), present)
    if config.get("transformers_weights") is not None or join(folder, INDEX) in present:
        return []
    single = _single(present, join(folder, WEIGHTS), join(folder, PICKLE))
    index = join(folder, SHARDED_PICKLE)
    if single or join(folder, WEIGHTS) in present or index not in present:
        return single
    weight_map = read_object(files, index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UnsafeFile(f"{index} has no weight_map")
    names = {name if isinstance(name, str) else "" for name in weight_map.values()}
    if len(names) > SHARDS_LIMIT:
        raise UnsafeFile(f"{index} names {len(names)} shards (at most {SHARDS_LIMIT} are allowed)")
    pickles = [join(folder, name) for name in sorted(names)]
    missing = next((path for path in pickles if path not in present), None)
    if missing is not None:
        raise UnsafeFile(f"{index} names the shard {missing!r}, which is missing")
    return [PickledWeights(join(folder, WEIGHTS), tuple(pickles), index)]


def _single(present: set[str], target: str, pickle: str) -> list[PickledWeights]:
    if target in present or pickle not in present:
        return []
    return [PickledWeights(target, (pickle,))]


def _of_tokenizer(present: set[str], folder: str) -> list[TokenizerSource]:
    if present & {join(folder, "tokenizer.json"), join(folder, "vocab.txt")}:
        return []
    candidates = [join(folder, name) for name in SLOW_TOKENIZER]
    originals = [path for path in candidates if path in present]
    originals += [
        path
        for path in present
        if path.rpartition("/")[0] == folder and path.endswith(SENTENCE_PIECE)
    ]
    return [TokenizerSource(folder, tuple(sorted(originals)))] if originals else []
