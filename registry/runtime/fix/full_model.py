"""A full model that was saved while an adapter's wrapper was still around it: its tensors get the names of the model itself."""

from __future__ import annotations

import re
from pathlib import Path

from registry.errors import NotLoadable
from registry.model_files.adapter.config import OWN_TENSOR, WRAPPERS
from registry.model_files.weights.grow import tables
from registry.model_files.weights.rewrite import rewrite

_BEGINNING = re.compile(r"(^|.*?\.)?(?:base_model\.model\.)+")
_WITHIN = re.compile(r"\.(?:base_layer|original_module)(?=\.)")


def unwrap(folder: Path) -> list[str]:
    """Rename the tensors of the transformer in a folder, in place; what was done, nothing where no name is a wrapper's.

    Raises NotLoadable where the file holds an adapter beside the model, or would have two tensors of one name, and for shards.
    """
    if (folder / "model.safetensors.index.json").exists():
        raise NotLoadable(
            "its weights are sharded, and tensors in shards are not renamed",
            hint="load it as in training and save it in one file: "
            "save_pretrained(…, max_shard_size='100GB')",
        )
    weights = folder / "model.safetensors"
    names = (
        {
            name: _WITHIN.sub(
                "", _BEGINNING.sub(lambda found: found[1] or "", WRAPPERS.sub("", name))
            )
            for name in tables(weights)
        }
        if weights.is_file()
        else {}
    )
    renamed = {name: new for name, new in names.items() if name != new}
    if not renamed:
        return []
    own = next((name for name in names if OWN_TENSOR.search(name)), None)
    if own is not None:
        raise NotLoadable(
            f"the weights contain an adapter in addition to the model (first tensor: {own!r}), "
            "so renaming cannot produce one model",
            hint="merge it with PeftModel.merge_and_unload() and save the result",
        )
    rewrite(weights, folder / "model.safetensors.new", renamed=renamed)
    (folder / "model.safetensors.new").replace(weights)
    first = next(iter(renamed))
    return [
        f"renamed {len(renamed)} of {len(names)} tensors, {first!r} to {renamed[first]!r}: they had the names of a wrapper"
    ]
