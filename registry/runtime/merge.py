"""Merge: an adapter put into its base for good, as a full model that plain sentence-transformers loads.

Of the ways that libraries offer one is right: a fresh base, PeftModel.from_pretrained over it, merge_and_unload. The result keeps
the base's weights file but for the tensors that changed, and the adapter's tokenizer, modules and prompts. It is loaded again
and compared with the unmerged model before anybody gets it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.core.facts import Token
from registry.errors import NotLoadable, ProbeMismatch
from registry.model_files.adapter.config import CONFIG, WEIGHTS
from registry.model_files.config.edit import parse
from registry.model_files.weights.grow import same_name, tables, weights_files
from registry.model_files.weights.rewrite import Values, rewrite

from .loading import first_line, load, quiet
from .probes import Difference, Probes, largest, record
from .tensor_matching import modern_name

_TRANSFORMER_FILES = ("config.json", "generation_config.json")


@dataclass(frozen=True)
class MergeReport:
    """What a merge did."""

    difference: Difference
    """Of the probe that differs most between the unmerged and the merged model."""
    probes: Probes
    """Of the merged model."""
    changed: tuple[str, ...]
    """Tensors that are not the base's, by their names in the weights file."""
    layout: str
    """`base`: the weights file is the base's but for these; `library`: it was written anew, since names could not be matched."""


def merge(
    unmerged: Any, adapter: Path, base: Path, out: Path, *, model_class: str, added: Sequence[Token]
) -> MergeReport:
    """Write the model of the folder `adapter`, its adapter merged, into `out`, a new folder.

    unmerged is that model as it was loaded; base is the folder of the transformer that the adapter stands on; added are the tokens
    to probe one by one. Raises NotLoadable for what cannot be merged, ProbeMismatch where the result encodes otherwise than the
    unmerged model; then out is gone.
    """
    before = record(unmerged, added)
    try:
        surround(adapter, base, out)
        changed, layout = _put_in(adapter, out, model_class)
        after = record(load(out, model_class, device="cpu"), added)
        difference = largest(before, after)
        if difference is None:
            raise NotLoadable(
                "the model encodes none of the probe texts, so that nothing could be compared"
            )
        if difference.amount > difference.tolerance:
            raise ProbeMismatch(
                f"the merged model differs from the unmerged one: {difference}, "
                "nothing was registered"
            )
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return MergeReport(difference, after, changed, layout)


def surround(adapter: Path, base: Path, out: Path) -> None:
    """Write into `out`, a new folder, the adapter's folder with the base's transformer in the adapter's place.

    Raises NotLoadable where the base has no weights in safetensors.
    """
    shutil.copytree(adapter, out, ignore=shutil.ignore_patterns(".registry", CONFIG, WEIGHTS))
    names = [path.name for path in weights_files(base)] + [
        path.name for path in base.glob("model.safetensors.index.json")
    ]
    for name in (*_TRANSFORMER_FILES, *names):
        if (base / name).is_file():
            shutil.copyfile(base / name, out / name)
    for path in base.rglob("*.py"):  # custom code of the model
        inside = path.relative_to(base)
        if ".registry" not in inside.parts and not (out / inside).exists():
            (out / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / inside)
    if not weights_files(out):
        raise NotLoadable(f"{base.name} has no model.safetensors to merge into")


def _put_in(adapter: Path, out: Path, model_class: str) -> tuple[tuple[str, ...], str]:
    """Merge into the fresh base in `out` and write its weights; (tensors that changed, how they are laid out)."""
    import torch

    model = load(out, model_class, device="cpu")
    fresh = model.transformers_model.state_dict()
    stored = _matched(fresh, out)
    tied = {name: _twin(name, fresh, stored) for name in fresh if name not in stored}
    made_up = {name: fresh[name].clone() for name, twin in tied.items() if twin is None}
    merged = _merged(model.transformers_model, adapter)
    state = merged.state_dict()
    if state.keys() != fresh.keys() or not all(
        torch.equal(state[name], tensor) for name, tensor in made_up.items()
    ):
        return _write_anew(merged, out), "library"
    twins = {name: twin for name, twin in tied.items() if twin is not None}
    changed = _write(out, {stored[name]: state[name] for name in stored})
    if not all(torch.equal(state[name], state[twin]) for name, twin in twins.items()):
        changed += _untie(
            out, {_beside(name, twin, stored[twin][1]): state[name] for name, twin in twins.items()}
        )
    return tuple(sorted(changed)), "base"


def _merged(inner: Any, adapter: Path) -> Any:
    import torch
    from peft import PeftModel

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(
            1
        )  # so that sums are added in one order, however many processors there are
        with quiet(), torch.no_grad():
            with _refusals():
                wrapped = PeftModel.from_pretrained(
                    inner, str(adapter), autocast_adapter_dtype=False, local_files_only=True
                )
            _part(wrapped)
            _keep_biases(wrapped)
            with _refusals():
                return wrapped.merge_and_unload(safe_merge=True)
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What peft says where it cannot merge, as NotLoadable; a fault of our own lines stays one."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError) as error:
        raise NotLoadable(f"this adapter cannot be merged: {first_line(error)}") from error


def _part(wrapped: Any) -> None:
    """Give a layer that shares the weight of an adapted one a weight of its own: merging changes that in place, and this layer
    computes with the old one."""
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = {
        id(layer.get_base_layer().weight): layer.get_base_layer()
        for layer in wrapped.modules()
        if isinstance(layer, BaseTunerLayer)
        and getattr(layer.get_base_layer(), "weight", None) is not None
    }
    own = {id(layer) for layer in adapted.values()} | {
        id(layer.get_base_layer())
        for layer in wrapped.modules()
        if isinstance(layer, BaseTunerLayer)
    }
    for module in wrapped.modules():
        for name, parameter in list(module._parameters.items()):
            if id(parameter) in adapted and id(module) not in own:
                setattr(
                    module,
                    name,
                    torch.nn.Parameter(parameter.detach().clone(), requires_grad=False),
                )


def _keep_biases(wrapped: Any) -> None:
    """Give an output over trained tokens the bias that it computes with; peft 0.21 leaves it out, a merged layer would not."""
    import torch
    from peft.tuners.trainable_tokens.layer import TrainableTokensLayer

    for layer in wrapped.modules():
        base = layer.get_base_layer() if isinstance(layer, TrainableTokensLayer) else None
        if isinstance(base, torch.nn.Linear) and base.bias is not None:
            base.bias.data.copy_(
                layer(torch.zeros(1, base.in_features, dtype=base.weight.dtype))[0]
            )


def _matched(live: Mapping[str, Any], folder: Path) -> dict[str, tuple[Path, str]]:
    """For each live tensor that has exactly one stored tensor of its name and shape: the file, and the name there."""
    there = [
        (path, name, table.shape)
        for path in weights_files(folder)
        for name, table in tables(path).items()
    ]
    found: dict[str, tuple[Path, str]] = {}
    for name, tensor in live.items():
        fits = [
            (path, stored)
            for path, stored, shape in there
            if shape == tuple(tensor.shape) and same_name(modern_name(stored), name)
        ]
        exact = [item for item in fits if modern_name(item[1]) == name]
        if len(exact or fits) == 1:
            found[name] = (exact or fits)[0]
    places = list(found.values())
    return {name: place for name, place in found.items() if places.count(place) == 1}


def _twin(name: str, live: Mapping[str, Any], stored: Mapping[str, object]) -> str | None:
    """The stored tensor that a live one shares its memory with, as an output that is tied to the token table does."""
    return next(
        (
            other
            for other in stored
            if live[other].data_ptr() == live[name].data_ptr()
            and live[other].shape == live[name].shape
        ),
        None,
    )


def _beside(name: str, twin: str, stored: str) -> str:
    """The name for a file in which `twin` has the name `stored`: with the same prefix, or without it."""
    if stored.endswith(twin):
        return stored.removesuffix(twin) + name
    return name.removeprefix(twin.removesuffix(modern_name(stored)))


def _write(out: Path, state: Mapping[tuple[Path, str], Any]) -> tuple[str, ...]:
    """Write the tensors that are not what lies in the files, file by file."""
    changed: list[str] = []
    for path in weights_files(out):
        there = tables(path)
        new: dict[str, Values] = {}
        for (place, name), tensor in state.items():
            if place == path and not _is_stored(values := values_of(tensor), path, there[name]):
                new[name] = values
        changed += new
        if new:
            fresh = path.with_name(f"{path.name}.new")
            rewrite(path, fresh, replaced=new)
            fresh.replace(path)
    return tuple(sorted(changed))


def _is_stored(values: Values, path: Path, table: Any) -> bool:
    """Whether the file holds these values, in its own dtype or cast."""
    with path.open("rb") as stream:
        stream.seek(table.begin)
        content = stream.read(table.length)
    if table.dtype == values.dtype:
        return content == values.content
    import torch

    kinds = {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
    }
    if table.dtype not in kinds or values.dtype not in kinds:
        return False
    old = torch.frombuffer(bytearray(content), dtype=kinds[table.dtype]).to(kinds[values.dtype])
    return bool(
        torch.equal(old, torch.frombuffer(bytearray(values.content), dtype=kinds[values.dtype]))
    )


def _untie(out: Path, tensors: Mapping[str, Any]) -> tuple[str, ...]:
    """Store what was tied and is not any more, and say so in the configuration."""
    path = weights_files(out)[0]
    if len(weights_files(out)) > 1:
        raise NotLoadable(
            "the adapter unties the output from the token table of a sharded base",
            hint="save that base in one file first",
        )
    fresh = path.with_name(f"{path.name}.new")
    rewrite(path, fresh, added={name: values_of(tensor) for name, tensor in tensors.items()})
    fresh.replace(path)
    config = out / "config.json"
    value = parse(config.read_text("utf-8"), config.name)
    config.write_text(
        json.dumps(value | {"tie_word_embeddings": False}, indent=2, ensure_ascii=False) + "\n",
        "utf-8",
    )
    return tuple(tensors)


def _write_anew(merged: Any, out: Path) -> tuple[str, ...]:
    """Let the library write the transformer, for a base whose names are not those in memory."""
    # what a load left here would be applied to the names again while saving
    merged._weight_conversions = None
    for path in (*weights_files(out), out / "model.safetensors.index.json"):
        path.unlink(missing_ok=True)
    with quiet():
        merged.save_pretrained(str(out))
    return tuple(sorted(name for path in weights_files(out) for name in tables(path)))


_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


def values_of(tensor: Any) -> Values:
    """The values of a torch tensor. Raises NotLoadable for a dtype that no weights file of this package has."""
    import torch

    name = str(tensor.dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise NotLoadable(f"a tensor has the dtype {name}, which is not written")
    flat = tensor.detach().cpu().contiguous()
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}.get(flat.element_size(), torch.uint8)
    return Values(
        _DTYPES[name],
        tuple(flat.shape),
        flat.reshape(-1).view(bits).numpy().tobytes() if flat.numel() else b"",
    )
