"""Best: whether a model in memory is the one that a checkpoint of its training holds; and how it becomes that one.

The trainers of sentence-transformers reload the best checkpoint at the end, and where that fails they log a line and leave the last
step in memory. Here tensors are compared, and put in where they differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import NotLoadable
from registry.model_files.adapter.config import WEIGHTS
from registry.runtime.resize.verify_rows import bits_equal

from .active_adapters import active
from .introspect import Live, adapter_tensors, own_tensors, take_apart, trained_biases
from .loading import load

_MAGNITUDE = ".lora_magnitude_vector"


@dataclass(frozen=True)
class Pair:
    """A tensor in memory, as a view, and what the checkpoint holds for it."""

    name: str
    live: Any
    stored: Any

    @property
    def same(self) -> bool:
        """Whether they are equal, cast as a loader casts."""
        return bits_equal(self.stored.to(self.live.dtype), self.live.cpu())


def pairs(model: Any, checkpoint: Path) -> list[Pair]:
    """Every trained tensor with its counterpart in a checkpoint's folder. Raises NotLoadable where the folder lacks one."""
    live = take_apart(model)
    return [
        *(_of_adapter(live, checkpoint) if live.adapters else _of_full(live, checkpoint)),
        *_of_modules(live, checkpoint),
    ]


def put_in(found: list[Pair]) -> None:
    """Give the tensors in memory the numbers that the checkpoint holds."""
    import torch

    with torch.no_grad():
        for pair in found:
            pair.live.copy_(pair.stored)


def _of_adapter(live: Live, checkpoint: Path) -> Iterator[Pair]:
    acting = [*active(live.model), *live.adapters][0]
    file = next(
        (path for path in (checkpoint / WEIGHTS, checkpoint / acting / WEIGHTS) if path.is_file()),
        None,
    )
    if file is None:
        raise NotLoadable(f"the checkpoint {checkpoint.name} holds no {WEIGHTS}")
    stored = {_as_loaders_read(name): tensor for name, tensor in _read(file).items()}
    yield from _paired(
        adapter_tensors(live.inner, acting) | trained_biases(live, acting), stored, file
    )


def _of_full(live: Live, checkpoint: Path) -> Iterator[Pair]:
    back = take_apart(load(checkpoint, live.model_class, device="cpu"))
    if live.inner is not None and back.inner is not None:
        yield from _paired(own_tensors(live.inner), own_tensors(back.inner), checkpoint)


def _of_modules(live: Live, checkpoint: Path) -> Iterator[Pair]:
    """What lies around the transformer: a Dense is trained along with an adapter, and saved whole."""
    for index, module in enumerate(live.model.children()):
        tensors = (
            {name: tensor.detach() for name, tensor in module.state_dict().items()}
            if module is not live.module
            else {}
        )
        places = [
            checkpoint / f"{index}_{type(module).__name__}" / "model.safetensors",
            *([checkpoint / "model.safetensors"] if index == 0 else []),
        ]
        file = next((place for place in places if place.is_file()), None)
        if tensors and file is None:
            raise NotLoadable(
                f"the checkpoint {checkpoint.name} holds nothing of the {type(module).__name__}"
            )
        if tensors and file is not None:
            yield from _paired(tensors, _read(file), file)


def _paired(mine: dict[str, Any], stored: dict[str, Any], file: Path) -> Iterator[Pair]:
    for name, tensor in mine.items():
        if name not in stored:
            raise NotLoadable(f"the checkpoint lacks {name!r} in {file.name}")
        if stored[name].shape != tensor.shape:
            raise NotLoadable(
                f"{name!r} has the shape {list(tensor.shape)} in memory and {list(stored[name].shape)} in the checkpoint"
            )
        yield Pair(name, tensor, stored[name])


def _as_loaders_read(name: str) -> str:
    bare = name.removeprefix("base_model.model.")
    return f"{bare}.weight" if bare.endswith(_MAGNITUDE) else bare


def _read(file: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(file, device="cpu")
    return found
