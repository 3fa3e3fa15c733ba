"""Which files belong to a model: those that loaders of the torch back end read, and the card. A closed list, frozen with the
manifest's format: another list would give the same model another digest.

Source: sentence_transformers 6.2 (base/model.py, each module's load), transformers 5.23 (from_pretrained of models, tokenizers,
processors), peft 0.21.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from registry.core.facts import Files
from registry.core.text import shell_word
from registry.errors import InvalidManifest, NotLoadable, UnsafeFile
from registry.model_files.config.parse import read_if_there, read_object
from registry.model_files.weights import safetensors as _weights

from .modules import MODULES, ROUTER_CONFIGS, ROUTERS, Module

ROOT = ("README.md", MODULES, "config_sentence_transformers.json")
WEIGHTS, INDEX, ADAPTER_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "adapter_model.safetensors",
)
SENTENCE_CONFIGS = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
"""The loader takes the first that says something."""
PROCESSOR = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "audio_tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
)
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
SLOW_TOKENIZER = ("vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "dict.txt", "tekken.json")
"""And every *.model and *.spm: what a tokenizer is built from where there is no tokenizer.json."""
_SAFE = (".safetensors", ".safetensors.index.json")
SHARDED_PICKLE = "pytorch_model.bin.index.json"
OTHER_LIBRARIES = (
    ".h5",
    ".msgpack",
    ".ot",
    ".gguf",
    ".onnx",
    ".tflite",
    ".mlmodel",
    ".npz",
    ".npy",
)

_SETTINGS_ONLY = (
    "Pooling",
    "Normalize",
    "Dropout",
    "SpladePooling",
    "LogitScore",
    "MultiVectorMask",
    "HierarchicalTokenPooling",
    "BoW",
    "WordWeights",
)
WITH_WEIGHTS = {
    "Dense": "config.json",
    "LayerNorm": "config.json",
    "WeightedLayerPooling": "config.json",
    "SparseAutoEncoder": "config.json",
    "CNN": "cnn_config.json",
    "LSTM": "lstm_config.json",
    "SparseStaticEmbedding": "config.json",
    "WordEmbeddings": "wordembedding_config.json",
    "StaticEmbedding": None,
}
"""Module to the name of its configuration; all of them read model.safetensors too."""
WORD_TOKENIZERS = ("whitespacetokenizer_config.json", "phrasetokenizer_config.json")


@dataclass(frozen=True)
class Belonging:
    """What of a folder belongs: paths; the weights among them, as in Layout; shard indexes."""

    paths: tuple[str, ...]
    weights: tuple[tuple[str, str], ...] = ()
    indexes: tuple[str, ...] = ()


def of_transformer(files: Files, there: set[str], folder: str) -> Belonging:
    """What belongs of a transformer's folder. Raises NotLoadable for what is missing, UnsafeFile for a pickle in its place."""
    paths = [*_sentence_config(files, there, folder), *_tokenizer(files, there, folder)]
    paths += [path for name in PROCESSOR if (path := join(folder, name)) in there]
    paths += [
        path
        for path in there
        if _parent(path) == join(folder, "additional_chat_templates") and path.endswith(".jinja")
    ]
    if join(folder, "adapter_config.json") in there:
        return _with_weights(
            [*paths, join(folder, "adapter_config.json")],
            folder,
            [_adapter_weights(files, there, folder)],
        )
    if join(folder, "config.json") not in there:
        raise NotLoadable(
            f"the transformer has no {join(folder, 'config.json')}, and no adapter_config.json either"
        )
    paths += [
        path
        for name in ("config.json", "generation_config.json")
        if (path := join(folder, name)) in there
    ]
    index, found = _model_weights(files, there, folder)
    return _with_weights(
        [*paths, *([index] if index else [])], folder, found, (index,) if index else ()
    )


def of_module(files: Files, there: set[str], module: Module) -> Belonging:
    """What belongs of any other module's folder. Raises as of_transformer does, and for a type of module that is not known."""
    if module.type in ROUTERS:
        return Belonging(
            tuple(path for name in ROUTER_CONFIGS if (path := module.at(name)) in there)[:1]
        )
    if module.type in _SETTINGS_ONLY:
        return Belonging(tuple({module.at("config.json")} & there))
    if module.type not in WITH_WEIGHTS:
        raise NotLoadable(
            f"{MODULES} has a module of type {module.type!r}, "
            "which this version of st-registry does not support",
            hint="update st-registry",
        )
    name = WITH_WEIGHTS[module.type]
    paths = [path for path in ([module.at(name)] if name else []) if path in there]
    if module.type == "StaticEmbedding":
        paths += [path for path in (module.at("tokenizer.json"),) if path in there]
    elif module.type == "SparseStaticEmbedding":
        _refuse_table_elsewhere(files, there, module)
        paths += _tokenizer(files, there, module.folder)
    elif module.type == "WordEmbeddings":
        paths += [path for own in WORD_TOKENIZERS if (path := module.at(own)) in there]
    return _with_weights(paths, module.folder, [_module_weights(files, there, module)])


def of_custom(all_paths: set[str], module: Module) -> Belonging:
    """Return all files of a module with a custom class, but pickles and Python files.

    Which of them its class reads is not known. In the root it has none of its own.
    """
    inside = f"{module.folder}/"
    paths = [
        path
        for path in all_paths
        if module.folder
        and path.startswith(inside)
        and not path.endswith((".py", ".bin", ".pt", ".pth", ".pkl", ".ckpt", *OTHER_LIBRARIES))
    ]
    weights = [path for path in paths if path.endswith(".safetensors")]
    return Belonging(tuple(paths), tuple((path, inside) for path in weights))


def of_plain_folder(there: set[str]) -> Belonging:
    """What a folder of transformers alone has besides: the settings of a Stanford ColBERT."""
    return Belonging(tuple({"artifact.metadata"} & there))


def join(folder: str, name: str) -> str:
    """A path in a folder of the model; the root is the empty text."""
    return f"{folder}/{name}" if folder else name


def convert_command(files: Files) -> str:
    """Return the command that registers the folder or the repository of these files."""
    repository, path = getattr(files, "repository", None), getattr(files, "path", None)
    if repository is not None:
        return f"registry pull {repository}"
    return f"registry add {shell_word(str(path)) if path is not None else 'FOLDER'} --as NAME"


def _with_weights(
    paths: Iterable[str], folder: str, weights: list[str], indexes: tuple[str, ...] = ()
) -> Belonging:
    return Belonging(
        (*paths, *weights), tuple((path, join(folder, "")) for path in weights), indexes
    )


def sentence_settings(files: Files, folder: str, paths: set[str]) -> dict[str, Any]:
    """Return the settings of the first sentence_*_config.json that has any.

    Source: sentence-transformers 6, Transformer.load_config.
    """
    for name in SENTENCE_CONFIGS:
        settings = read_if_there(files, join(folder, name), paths)
        if settings:
            return settings
    return {}


def _sentence_config(files: Files, there: set[str], folder: str) -> Iterator[str]:
    for name in SENTENCE_CONFIGS:
        path = join(folder, name)
        if path in there:
            yield path
            if read_object(files, path):
                return


def _tokenizer(files: Files, there: set[str], folder: str) -> list[str]:
    found = [path for name in TOKENIZER if (path := join(folder, name)) in there]
    versions = read_if_there(files, join(folder, "tokenizer_config.json"), there).get(
        "fast_tokenizer_files"
    )
    found += (
        [path for name in versions if (path := join(folder, str(name))) in there]
        if isinstance(versions, list)
        else []
    )
    if join(folder, "tokenizer.json") not in there:
        found += [path for name in SLOW_TOKENIZER if (path := join(folder, name)) in there]
        found += [
            path for path in there if _parent(path) == folder and path.endswith((".model", ".spm"))
        ]
    return found


def _adapter_weights(files: Files, there: set[str], folder: str) -> str:
    path = join(folder, ADAPTER_WEIGHTS)
    if path not in there:
        _refuse_pickle(files, there, join(folder, "adapter_model.bin"))
        raise NotLoadable(f"the adapter has no weights: {path} is missing")
    return path


def _model_weights(files: Files, there: set[str], folder: str) -> tuple[str | None, list[str]]:
    """(shard index, safetensors files) of a transformer, in the order in which its loader looks."""
    named = read_object(files, join(folder, "config.json")).get("transformers_weights")
    if named is not None:
        if (
            not isinstance(named, str)
            or join(folder, named) not in there
            or not named.endswith(_SAFE)
        ):
            raise NotLoadable(
                f"{join(folder, 'config.json')} names the weights {named!r}, and no safetensors file of that name "
                "is there"
            )
        return (
            _shards(files, join(folder, named))
            if named.endswith(".json")
            else (None, [join(folder, named)])
        )
    if join(folder, WEIGHTS) in there:
        return None, [join(folder, WEIGHTS)]
    if join(folder, INDEX) in there:
        return _shards(files, join(folder, INDEX))
    _refuse_pickle(files, there, join(folder, "pytorch_model.bin"), join(folder, SHARDED_PICKLE))
    other = sorted(
        path for path in there if _parent(path) == folder and path.endswith(OTHER_LIBRARIES)
    )
    why = f" ({other[0]} is for other libraries)" if other else ""
    raise NotLoadable(
        f"the model has no weights: found neither {join(folder, WEIGHTS)} "
        f"nor {join(folder, INDEX)}{why}",
        hint="save the model with safetensors" if other else None,
    )


def _shards(files: Files, index: str) -> tuple[str, list[str]]:
    """The index and the files it names, checked to be whole and exact. Raises UnsafeFile."""
    try:
        return index, _weights.shards(files, index)
    except InvalidManifest as error:
        raise UnsafeFile(str(error), hint=error.hint) from None


def _module_weights(files: Files, there: set[str], module: Module) -> str:
    path = module.at(WEIGHTS)
    if path not in there:
        _refuse_pickle(files, there, module.at("pytorch_model.bin"))
        raise NotLoadable(f"the module {module.type} has no weights: {path} is missing")
    return path


def _refuse_pickle(files: Files, there: set[str], *paths: str) -> None:
    """Refuse a pickle where no safetensors file stands in its place, since there a loader would read it."""
    for path in paths:
        if path in there:
            raise UnsafeFile(
                f"the weights {path!r} are a pickle, which can run code when it is read",
                hint=f"{convert_command(files)} --convert",
            )


def _refuse_table_elsewhere(files: Files, there: set[str], module: Module) -> None:
    place = read_if_there(files, module.at("config.json"), there).get("path")
    if place is not None:
        raise NotLoadable(
            f"{module.at('config.json')} takes its weights from {place!r}, outside of the folder",
            hint="load the model and save it with save_pretrained",
        )


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
