"""unwrapping: add --fix of a full model whose tensors have the names that they had inside an adapter's wrapper."""

from __future__ import annotations

from pathlib import Path

from ..errors import NotLoadable
from ..home import Home
from .recognise import open_folder


def unwrapped(home: Home, folder: Path, model: Path, model_class: str | None) -> tuple[str, ...]:
    """Put the copy `model` of a folder right; what was done, and what proved it. Raises NotLoadable for what --fix cannot mend."""
    from ..artifacts import loading
    from ..artifacts.encoder import layout as layout_of
    from ..artifacts.fix import unwrap
    from ..artifacts.inspect import inspect

    files = open_folder(home, model)
    layout = layout_of(files, class_hint=model_class)
    said = unwrap(model / layout.transformer)
    if not said:
        raise NotLoadable(
            f"{str(folder)!r} is a full model whose tensors have their own names (--fix is for "
            "adapters, and for full models that were saved with the wrapper of an adapter)"
        )
    files = open_folder(home, model)
    loaded = loading.load(model, layout.model_class, device="cpu")
    problems = loading.ask(loaded, inspect(files, layout, root=None).facts, folder=model)
    if problems:
        raise NotLoadable(
            f"the tensors of {str(folder)!r} were renamed, and still it is not what lies in its files: {problems[0]}"
        )
    count = sum(1 for _ in loaded.parameters())
    return (*said, f"proved: all {count} parameters of the loaded model come from its files")
