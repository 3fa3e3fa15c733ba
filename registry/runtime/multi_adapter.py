"""Several adapters on one model: which can stand beside each other, and whether what was loaded is what lies in their files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.core.facts import Facts, Files
from registry.errors import Invalid, NotLoadable
from registry.model_files.adapter.config import WEIGHTS, AdapterConfig, read_config
from registry.model_files.config.defaults import setting, todays
from registry.model_files.layout import layout
from registry.runtime.resize.verify_rows import bits_equal

from .introspect import adapter_tensors, own_tensors, take_apart
from .loading import first_line, quiet

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WAYS = (
    ("lora_", "a low-rank change"),
    ("ia3_", "a scaling"),
    ("trainable_tokens_delta", "rows of its own"),
)
_SEPARATELY = "load it without other adapters"
_OF_NO_ACCOUNT = ("dtype", "SpladePooling.embedding_dimension")
"""Settings that say nothing of how a model encodes, or that a full model alone has."""


def check_names(names: Sequence[str]) -> None:
    """Raises Invalid for a name that cannot be an adapter's on a model."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"invalid name of an adapter on a model: {name!r}",
                hint="use a letter, followed by letters, digits, - and _",
            )


def refuse_misfits(
    base: tuple[str, Files, Facts], adapters: Mapping[str, tuple[str, Files, Facts]]
) -> None:
    """Raises NotLoadable where adapters of one base cannot stand on one model beside each other. Each is (reference, files, facts)."""
    changed: dict[str, tuple[str, str]] = {}
    for reference, files, facts in adapters.values():
        config = _config(files, facts)
        if config.fields.get("bias") not in (None, "none", False) and len(adapters) > 1:
            raise NotLoadable(
                f"{reference} trains biases of its base in place, "
                "so it cannot be loaded with other adapters",
                hint=_SEPARATELY,
            )
        for problem in _outside(base[2], facts):
            raise NotLoadable(
                f"{reference} {problem}, which a model can have only once", hint=_SEPARATELY
            )
        for module, way in _ways(config, facts):
            other = changed.setdefault(module, (way, reference))
            if other[0] != way:
                raise NotLoadable(
                    f"{other[1]} changes {module!r} by {other[0]} and {reference} by {way}, "
                    "which one model cannot combine",
                    hint="load them separately",
                )


def put_on(model: Any, adapters: Mapping[str, Path]) -> list[str]:
    """Load adapters onto a model, by name; what is wrong with the result, a line each. All parameters are frozen afterwards."""
    live = take_apart(model)
    taken = {part for name, _ in live.inner.named_modules() for part in name.split(".")}
    for name in adapters:
        if name in taken:
            raise Invalid(
                f"the model has a module of the name {name!r}",
                hint="use another name for the adapter",
            )
    before = _marks(live.inner)
    with quiet():
        for name, folder in adapters.items():
            try:
                model.load_adapter(
                    str(folder), adapter_name=name, adapter_kwargs={"local_files_only": True}
                )
            except (OSError, ValueError, RuntimeError, LookupError) as error:
                raise NotLoadable(
                    f"the adapter {name!r} cannot be put beside the others: {first_line(error)}"
                ) from error
    model.requires_grad_(False)
    model.eval()
    changed = sorted(name for name, mark in _marks(live.inner).items() if before.get(name) != mark)
    found = [
        f"the base's own {name} was changed while adapters were put on it" for name in changed[:1]
    ]
    return found + [
        problem
        for name, folder in adapters.items()
        for problem in _differs(live.inner, name, folder)
    ]


def _marks(inner: Any) -> dict[str, tuple[int, int]]:
    """Name to (address, how often it was written): equal where nobody wrote."""
    return {
        name: (tensor.data_ptr(), tensor._version) for name, tensor in own_tensors(inner).items()
    }


def _differs(inner: Any, name: str, folder: Path) -> Iterator[str]:
    from safetensors import safe_open

    mine = adapter_tensors(inner, name)
    with safe_open(str(folder / WEIGHTS), "pt") as file:
        stored = {key.removeprefix("base_model.model."): key for key in list(file.keys())}
        for key, tensor in mine.items():
            if key not in stored:
                yield f"{key} of the adapter {name!r} comes from no file: it was made up while loading"
            elif not bits_equal(file.get_tensor(stored[key]).to(tensor.dtype), tensor.cpu()):
                yield f"{key} of the adapter {name!r} is not what lies in {WEIGHTS}"
    own = own_tensors(inner)
    for key in stored.keys() - mine.keys():
        if not key.endswith(".bias") or key.replace(".base_layer.", ".") not in own:
            yield f"{key} of the adapter {name!r} was not loaded"


def _config(files: Files, facts: Facts) -> AdapterConfig:
    return read_config(files, layout(files, class_hint=facts.model_class).transformer)


def _outside(base: Facts, own: Facts) -> Iterator[str]:
    """What an adapter's version has around the transformer, and its base otherwise."""
    there, here = (
        {
            tensor.name: tensor.digest
            for tensor in facts.weights.tensors
            if re.match(r"\d+_(?!Transformer)\w+/", tensor.name)
        }
        for facts in (base, own)
    )
    if there != here:
        name = min(key for key in there.keys() | here.keys() if there.get(key) != here.get(key))
        yield f"has its own {name.partition('/')[0]}"
    if base.modules != own.modules:
        yield f"is made of {', '.join(own.modules)}, its base of {', '.join(base.modules)}"
    mine, theirs = todays(own.settings), todays(base.settings)
    for key in sorted(mine.keys() | theirs.keys()):
        here_it_is, there_it_is = (
            setting(mine, key, own.model_class),
            setting(theirs, key, base.model_class),
        )
        if key not in _OF_NO_ACCOUNT and here_it_is != there_it_is:
            yield f"has the {key} {here_it_is!r}, its base {there_it_is!r}"


def _ways(config: AdapterConfig, facts: Facts) -> Iterator[tuple[str, str]]:
    """(module, in which way the adapter changes it) of each module."""
    for tensor in facts.weights.tensors:
        if "base_model.model." not in tensor.name:
            continue
        name = tensor.name.partition("base_model.model.")[2]
        found = next(((part, way) for part, way in _WAYS if f".{part}" in name), None)
        if found is not None:
            yield (
                name.partition(f".{found[0]}")[0]
                .removesuffix(".token_adapter")
                .removesuffix(".base_layer"),
                found[1],
            )
        elif config.modules_to_save:
            yield name.rpartition(".")[0], "a whole module of its own"
