"""Names: the tensors of an adapter under the names that loaders look for.

First what peft itself puts into a name in memory is taken out: the adapter's name, `.base_layer.`, `.modules_to_save.`, the place of
DoRA's magnitudes. Then, where modules are still not the parent's, one beginning is exchanged for another in all names at once, if
that makes everything fit. The base's own tensors, which a whole state_dict holds, are left out if they are the parent's bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.core.facts import Files, Tensor
from registry.core.text import counted
from registry.errors import NotLoadable, ParentMismatch
from registry.model_files.adapter.config import WEIGHTS, WRAPPERS, AdapterConfig, read_config
from registry.model_files.adapter.structure import ends_with, faults
from registry.model_files.adapter.targets import base_prefix, check_patterns
from registry.model_files.checks.base import ParentView
from registry.model_files.checks.helpers import within
from registry.model_files.facts import table_of
from registry.model_files.weights.safetensors import tensors

PREFIX = "base_model.model."
_PART = r"(lora_A|lora_B|lora_embedding_A|lora_embedding_B|ia3_l|lora_magnitude_vector|trainable_tokens_delta)"
_NAMED = re.compile(rf"\.{_PART}\.(?!(?:weight|bias)$)([^.]+)(\.weight|\.bias)?$")
_SAVED = re.compile(r"\.modules_to_save\.(?!(?:weight|bias)$)([^.]+)\.")
_OWN = re.compile(rf"\.{_PART}(\.|$)")


@dataclass(frozen=True)
class Renaming:
    """New names by old ones, tensors to leave out, and what that is in sentences."""

    names: Mapping[str, str]
    left_out: tuple[str, ...]
    said: tuple[str, ...]


def is_adapters_own(name: str) -> bool:
    """Whether a tensor is a part that an adapter adds, not one that the base has too."""
    return _OWN.search(name) is not None


def renamings(files: Files, parent: ParentView) -> tuple[Renaming, ...]:
    """The ways to name the adapter's tensors so that they fit the parent; none where they do as they are.

    Raises NotLoadable where the file holds several adapters, ParentMismatch where it holds other tensors than the parent's.
    """
    config = read_config(files)
    check_patterns(config)
    own, _ = tensors(files, WEIGHTS)
    plain, adapters = _without_wrappers([tensor.name for tensor in own])
    if len(adapters) > 1:
        raise NotLoadable(
            f"{WEIGHTS} contains {len(adapters)} adapters: "
            f"{', '.join(map(repr, sorted(adapters)))}",
            hint="save each one separately, with set_adapter(NAME) before save_pretrained",
        )
    left_out, said = _of_the_base(own, plain, config, parent), []
    changed = {old: new for old, new in plain.items() if old != new and old not in left_out}
    if changed:
        first = next(iter(changed))
        said.append(
            f"renamed {counted(len(changed), 'tensor')} from what they were called in memory, {first!r} to {changed[first]!r} first"
        )
    if left_out:
        said.append(
            f"left out {counted(len(left_out), 'tensor that is', 'tensors that are')} the parent's, bit for bit, {left_out[0]!r} first"
        )
    names = {tensor.name: plain[tensor.name] for tensor in own if tensor.name not in left_out}
    shapes = {tensor.name: tensor.shape for tensor in own}
    if not _lost(names, shapes, config, parent):
        return (Renaming(changed, tuple(left_out), tuple(said)),) if said else ()
    found: list[Renaming] = []
    for old, new in _exchanges(names.values(), parent):
        exchanged = {name: _exchange(plain_name, old, new) for name, plain_name in names.items()}
        if len(set(exchanged.values())) == len(exchanged) and not _lost(
            exchanged, shapes, config, parent
        ):
            many = counted(len(exchanged), "name")
            sentence = (
                f"{old!r} at the beginning of {many} became {new!r}"
                if old
                else f"{new!r} was put before {many}"
            )
            way = {name: other for name, other in exchanged.items() if name != other}
            if all(way != other.names for other in found):
                found.append(Renaming(way, tuple(left_out), (*said, sentence)))
    return tuple(found)


def fits(files: Files, parent: ParentView) -> bool:
    """Whether every part of the adapter changes a module of the parent as it is named, and none is missing."""
    own, _ = tensors(files, WEIGHTS)
    return not _lost(
        {tensor.name: tensor.name for tensor in own},
        {tensor.name: tensor.shape for tensor in own},
        read_config(files),
        parent,
    )


def _without_wrappers(names: list[str]) -> tuple[dict[str, str], set[str]]:
    """(each name without what peft puts into it in memory, the adapters' names that were found)."""
    plain, adapters = {}, set()
    for name in names:
        new = PREFIX + _strip(name)
        if found := _NAMED.search(new):
            adapters.add(found[2])
            new = new[: found.start()] + f".{found[1]}{found[3] or ''}"
        if saved := _SAVED.search(new):
            adapters.add(saved[1])
            new = new[: saved.start()] + "." + new[saved.end() :]
        new = re.sub(rf"\.base_layer(?=\.{_PART})", "", new)
        new = re.sub(r"\.lora_magnitude_vector$", ".lora_magnitude_vector.weight", new)
        plain[name] = new
    twice = [name for name, new in plain.items() if list(plain.values()).count(new) > 1]
    return plain if not twice else dict(zip(names, names, strict=True)), adapters


def _strip(name: str) -> str:
    """Return the name without PEFT's prefix and without wrappers, at any depth."""
    name = WRAPPERS.sub("", name)
    while name.startswith((PREFIX, "module.")):
        name = name.removeprefix(PREFIX).removeprefix("module.")
    return name


def _of_the_base(
    own: list[Tensor], plain: Mapping[str, str], config: AdapterConfig, parent: ParentView
) -> list[str]:
    """Tensors that are no part of an adapter but the parent's own, bit for bit."""
    there = {tensor.digest for tensor in parent.facts.weights.tensors}
    found = []
    for tensor in own:
        module, _, parameter = plain[tensor.name].rpartition(".")
        wrapped = module.endswith((".base_layer", ".original_module"))
        kept = is_adapters_own(plain[tensor.name]) or any(
            ends_with(module, name) for name in config.modules_to_save
        )
        if (
            wrapped
            and tensor.digest not in there
            and parent.facts.rows not in tensor.shape[:1]
            and not _is_longer(tensor, parent)
        ):
            raise ParentMismatch(
                f"the adapter contains {tensor.name!r} of its base, with other values than in "
                f"{parent.reference} (it was trained on another base)",
                hint="pass the base that it was trained on with --parent",
            )
        trained_bias = parameter == "bias" and config.fields.get("bias") not in (None, "none")
        if (wrapped or not kept) and tensor.digest in there and not trained_bias:
            found.append(tensor.name)
    return found


def _is_longer(tensor: Tensor, parent: ParentView) -> bool:
    """Whether a tensor may be a token table that was resized in memory."""
    return bool(tensor.shape) and len(tensor.shape) == 2 and tensor.shape[1] == parent.facts.width


def _lost(
    names: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    config: AdapterConfig,
    parent: ParentView,
) -> bool:
    """Whether under these names a part of the adapter would be applied to nothing, or a module of the parent to be left out."""
    base = within(parent.facts.weights.tensors, parent.layout)
    table = table_of(base)
    own = {
        new: shapes[old]
        for old, new in names.items()
        if is_adapters_own(new)
        or any(ends_with(new.rpartition(".")[0], module) for module in config.modules_to_save)
    }
    prefix = base_prefix(parent.files, parent.layout.transformer)
    found = faults(
        config,
        own,
        {tensor.name: tensor.shape for tensor in base},
        table.name if table is not None else None,
        prefix,
    )
    # a table resized in memory has more rows than the parent's; that is looked at by itself
    return any(fault.kind in ("module", "missing", "over") for fault in found)


def _exchanges(names: Iterable[str], parent: ParentView) -> list[tuple[str, str]]:
    """(beginning, what to put in its place) such that the first adapted module becomes one of the parent's; the longest ends first."""
    first = next((name for name in names if is_adapters_own(name)), None)
    if first is None:
        return []
    own = _OWN.split(first.removeprefix(PREFIX))[0].split(".")
    modules = sorted(
        {
            tensor.name.rpartition(".")[0]
            for tensor in within(parent.facts.weights.tensors, parent.layout)
        }
    )
    found: list[tuple[str, str]] = []
    for length in range(len(own), 0, -1):
        end = ".".join(own[-length:])
        old = ".".join([*own[:-length], ""]) if own[:-length] else ""
        for module in modules:
            if module == end or module.endswith(f".{end}"):
                beginning = module.removesuffix(end)
                found += [(old, beginning), (old, beginning.partition(".")[2])]
    return [
        pair for index, pair in enumerate(found) if pair[0] != pair[1] and pair not in found[:index]
    ]


def _exchange(name: str, old: str, new: str) -> str:
    bare = name.removeprefix(PREFIX)
    return PREFIX + new + bare.removeprefix(old) if bare.startswith(old) else name
