"""Foreign code: what in a configuration would make a loader run code that is not part of the libraries, or read files elsewhere.

Models are loaded without trust_remote_code, so most of this would fail, or, worse, be ignored with a log line and encode
something else. It is refused by name, before any library sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from registry.core.code_permission import is_permitted
from registry.core.facts import Files
from registry.errors import ForeignCode, NotLoadable
from registry.model_files.code.analysis import code_of
from registry.model_files.code.packages import library_names
from registry.model_files.code.references import CodeReference, references_of
from registry.model_files.config.parse import read_object

from .file_list import join

_TORCH = re.compile(r"torch\.nn(\.[A-Za-z_]\w*)+", re.ASCII)
_ACTIVATIONS = ("activation_fn", "sbert_ce_default_activation_function")
_LIBRARIES = re.compile(r"(transformers|sentence_transformers|peft|torch)(\.\w+)*", re.ASCII)
_TOKENIZERS = re.compile(r"sentence_transformers(\.[A-Za-z_]\w*)+", re.ASCII)
_READ_ELSEWHERE = (
    "gguf_file",
    "variant",
    "state_dict",
    "adapter_kwargs",
    "code_revision",
    "subfolder",
    "revision",
    "cache_dir",
    "config",
)
_PLACES = ("_path", "_file", "_dir", "_folder")
_ARGUMENTS = (
    "model_args",
    "model_kwargs",
    "tokenizer_args",
    "processor_kwargs",
    "config_args",
    "config_kwargs",
)


def refuse_foreign_code(files: Files, paths: Sequence[str]) -> None:
    """Look through the configurations among the paths.

    Raises ForeignCode naming file, field and value; NotLoadable for files elsewhere.
    """
    for path in paths:
        name = path.rsplit("/", 1)[-1]
        if name in ("config.json", "config_sentence_transformers.json") or name.endswith(
            "_config.json"
        ):
            value = read_object(files, path)
            for key, item in _walk(value):
                _refuse_field(path, key, item)
            if name == "adapter_config.json":
                _refuse_adapter(path, value)
            elif name.startswith("sentence_"):
                _refuse_arguments(path, value)
            elif name == "config.json":
                _refuse_activation(path, "activation_function", value if _is_dense(value) else {})
            elif name == "wordembedding_config.json":
                _refuse_tokenizer(path, value)


def decide_code(
    files: Files, paths: Sequence[str], config: Mapping[str, Any], folder: str
) -> tuple[str, ...]:
    """Return the Python files that belong to a model, given its other paths.

    config is config.json of the transformer in the folder. A folder whose code was
    decided upon (`code_is_decided`) has the files that references reach, if any. In any
    other folder, code must be unnecessary or permitted. Raises ForeignCode.
    """
    references = references_of(files, paths)
    if not references:
        return ()
    has_code = any(path.endswith(".py") for path in files.paths())
    if getattr(files, "code_is_decided", False) and not has_code:
        return ()
    if is_native(references, config, folder):
        return ()
    code = code_of(files, references)
    if getattr(files, "code_is_decided", False) or is_permitted(code.digest):
        return tuple(path for path, _ in code.files)
    raise ForeignCode(
        f"{why_custom(references[0], config)} (code digest {code.digest})",
        hint=f"read the Python files, then: registry approve {code.digest}",
    )


def refuse_missing_modules(files: Files, paths: Sequence[str]) -> None:
    """Raise ForeignCode for a module outside the libraries if the model has no code.

    No decision leaves out the code of a module, so such files were changed.
    """
    if any(path.endswith(".py") for path in files.paths()):
        return
    module = next((r for r in references_of(files, paths) if r.key == "type"), None)
    if module is not None:
        raise ForeignCode(f"{module} (its file {module.file!r} is missing)")


def is_native(references: Sequence[CodeReference], config: Mapping[str, Any], folder: str) -> bool:
    """Return whether the installed transformers has the model that `auto_map` was for.

    A repository that names its own AutoConfig was published before the library had the
    model type. Without AutoConfig, auto_map replaces classes of a known model type.
    """
    names, architectures = library_names(), config.get("architectures")
    return (
        all(r.path == join(folder, "config.json") for r in references)
        and any(r.key == "AutoConfig" for r in references)
        and config.get("model_type") in names
        and isinstance(architectures, list)
        and bool(architectures)
        and all(isinstance(name, str) and name in names for name in architectures)
    )


def is_known_type(config: Mapping[str, Any]) -> bool:
    """Return whether the installed transformers has the model type of a config.json."""
    kind = config.get("model_type")
    return isinstance(kind, str) and kind in library_names()


def why_custom(reference: CodeReference, config: Mapping[str, Any]) -> str:
    """Return why a reference needs code, for a message."""
    kind = config.get("model_type")
    is_known = reference.key != "type" and is_known_type(config)
    replaced = f" in place of the classes that transformers has for {kind!r}" if is_known else ""
    return f"{reference}: the model needs custom code{replaced}"


def _refuse_field(path: str, key: str, value: Any) -> None:
    if key == "custom_pipelines" and value:
        raise ForeignCode(
            f"{path} has {key!r} ({_named(value)}): "
            "the model needs custom code, which is never run",
            hint="if a library supports this model now, save it with that library and add it again",
        )
    if key == "trust_remote_code" and value:
        raise ForeignCode(
            f"{path} sets trust_remote_code, but custom code is never run",
            hint="remove the field if the model needs no custom code",
        )
    if "attn_implementation" in key or "experts_implementation" in key:
        asked = value.values() if isinstance(value, dict) else [value]
        foreign = next((item for item in asked if isinstance(item, str) and "/" in item), None)
        if foreign is not None:
            raise ForeignCode(
                f"{path} requires the code {foreign!r} of another repository ({key})",
                hint="remove the field, which only affects speed",
            )
    if key in _ACTIVATIONS:
        _refuse_activation(path, key, {key: value})


def _refuse_activation(path: str, key: str, value: dict[str, Any]) -> None:
    """A function outside torch.nn is not loaded: the library takes its default instead, with a log line."""
    named = value.get(key)
    if named is not None and (not isinstance(named, str) or not _TORCH.fullmatch(named)):
        raise ForeignCode(
            f"{path} has the {key} {named!r}, which is not a class of torch.nn "
            "(loaders would silently use another)"
        )


def _refuse_adapter(path: str, value: dict[str, Any]) -> None:
    mapping = value.get("auto_mapping")
    library = mapping.get("parent_library") if isinstance(mapping, dict) else None
    if library is not None and (not isinstance(library, str) or not _LIBRARIES.fullmatch(library)):
        raise ForeignCode(
            f"{path} says that its base is made by {library!r}, code that is not part of the libraries"
        )
    if value.get("megatron_config"):
        raise ForeignCode(
            f"{path} has a megatron_config, which imports {value.get('megatron_core')!r}; it cannot be registered"
        )
    for key, item in _walk(value):
        if (
            key.endswith(_PLACES)
            and key != "base_model_name_or_path"
            and isinstance(item, str)
            and item
        ):
            raise NotLoadable(
                f"{path} refers to another file or folder in {key}: {item!r}",
                hint="set it to null if the adapter is complete without it",
            )


def _refuse_arguments(path: str, value: dict[str, Any]) -> None:
    """Arguments that a sentence_bert_config.json hands to the loaders and that would make them read other files."""
    for group in _ARGUMENTS:
        given = value.get(group)
        for key, item in given.items() if isinstance(given, dict) else ():
            if key in _READ_ELSEWHERE or (key == "use_safetensors" and item is False):
                raise NotLoadable(
                    f"{path} makes loaders read other files: {group} has {key}={item!r}",
                    hint=f"remove {key} from {group}",
                )


def _refuse_tokenizer(path: str, value: dict[str, Any]) -> None:
    named = value.get("tokenizer_class")
    if not isinstance(named, str) or not _TOKENIZERS.fullmatch(named):
        raise ForeignCode(
            f"{path} has the tokenizer {named!r}, which is not part of sentence-transformers"
        )


def _is_dense(value: dict[str, Any]) -> bool:
    # a transformer has an activation_function too, a plain word there
    return "in_features" in value and "out_features" in value


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """(key, value) of every object in it, however deep."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item.items()
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _named(value: Any) -> str:
    items = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    )
    return repr(next(iter(items), ""))[:80]
