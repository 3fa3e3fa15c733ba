"""Register models of `integer_models` in a new registry; a program that needs torch.

Usage: register_models.py FOLDER [EXTRA …]. Writes the models to FOLDER, registers
base@1, resized@1, adapter@1 and merged@1 in FOLDER/home, and each EXTRA, a key of
EXTRAS.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import registry
from tests.snapshots import integer_models
from tests.snapshots.integer_models import ADDED_TOKENS


def register_lineage(reg: registry.Registry, folder: Path) -> None:
    reg.add(
        integer_models.base(folder / "base"),
        "base",
        message="the base",
        metrics={"eval_ndcg@10": 0.25},
    )
    reg.resize("base@1", "resized", ADDED_TOKENS, message="four tokens")
    adapter = integer_models.adapter(folder / "adapter", str(folder / "deleted"))
    reg.add(adapter, "adapter", parent="resized@1", alias="prod")
    reg.merge("adapter@1", "merged", message="merged for a server")


EXTRAS: dict[str, Any] = {
    "cross": lambda reg, folder: reg.add(integer_models.cross_encoder(folder), "cross"),
    "splade": lambda reg, folder: reg.add(integer_models.splade(folder), "splade"),
    "autoencoder": lambda reg, folder: reg.add(integer_models.autoencoder(folder), "autoencoder"),
    "by-mean": lambda reg, _: reg.resize("base@1", "by-mean", ADDED_TOKENS[:1], init="mean"),
    "by-seed": lambda reg, _: reg.resize(
        "base@1", "by-seed", ADDED_TOKENS, init="random", seed=7, single_word=True
    ),
}
"""Further versions: other classes, and other rules for the first values of new rows."""


def main(folder: Path, extras: Sequence[str]) -> None:
    with registry.init(folder / "home") as reg:
        register_lineage(reg, folder)
        for name in extras:
            EXTRAS[name](reg, folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
