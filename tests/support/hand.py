"""Folders made by hand, of the models in tests.support.plain: read, spoiled, and put before the checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy

from registry.model_files.checks import Candidate, ParentView, run_checks
from registry.model_files.facts import inspect
from registry.model_files.folder import Folder
from registry.model_files.layout import Layout, layout
from tests.support import plain

PICKLE = b"\x80\x04\x95\x00\x00"


def lay(folder: Path, **said: Any) -> Layout:
    """The layout of a folder on disk."""
    return layout(Folder(folder), **said)


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Change a JSON file in place."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def candidate(folder: Path, parent: ParentView | None = None) -> Candidate:
    """A folder as the checks see it."""
    files = Folder(folder)
    found = layout(files, parent_class=parent.facts.model_class if parent else None)
    return Candidate(
        files, found, inspect(files, found, root=parent.tokens if parent else None), parent
    )


def parent(folder: Path, reference: str = "minilm@1") -> ParentView:
    """A folder as a registered parent."""
    found = candidate(folder)
    return ParentView(
        reference, found.files, found.layout, found.inspection.facts, found.inspection.tokens
    )


def warnings(folder: Path, base: Path | None = None) -> tuple[str, ...]:
    """What the checks warn of; raises what they refuse."""
    return run_checks(candidate(folder, parent(base) if base is not None else None)).warnings


def tensors(path: Path) -> dict[str, numpy.ndarray]:
    """The tensors of a file of float32 that plain wrote."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    data = content[8 + length :]
    return {
        name: numpy.frombuffer(
            data[item["data_offsets"][0] : item["data_offsets"][1]], "<f4"
        ).reshape(item["shape"])
        for name, item in header.items()
    }


def rewrite(path: Path, change: Callable[[dict[str, numpy.ndarray]], object]) -> None:
    """Change the tensors of a file in place."""
    found = tensors(path)
    change(found)
    plain.write_safetensors(path, found)


def zeros(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, numpy.ndarray]:
    """Tensors of zeros."""
    return {name: numpy.zeros(shape, "float32") for name, shape in shapes.items()}


def edit_modules(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change modules.json in place."""
    edit(folder / "modules.json", change)


def add_dense(folder: Path) -> Path:
    """The folder with a Dense of 8 to 4 behind its modules; weights are not there yet."""
    edit_modules(
        folder,
        lambda modules: modules.append(
            {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
        ),
    )
    (folder / "3_Dense").mkdir()
    (folder / "3_Dense" / "config.json").write_text(
        '{"in_features": 8, "out_features": 4, "activation_function": "torch.nn.modules.activation.Tanh"}'
    )
    return folder
