"""Small models in the file layout of the most used repositories, by name.

    families.build("multilingual-e5-base", folder)            as published
    families.build("multilingual-e5-base-published", folder)  the same
    families.build("multilingual-e5-base-resaved", folder)    saved by plain
                                                              sentence-transformers

`FAMILIES` holds what each of them is. Nothing is downloaded; weights are random, and
tokenizers are trained when they are first used.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from tests.zoo import (  # noqa: F401
    architectures,
    decoders,
    encoders,
    other_classes,
    rarer_encoders,
    unusual,
)
from tests.zoo.family import FAMILIES, Family


def names() -> list[str]:
    """Return the names of all families."""
    return list(FAMILIES)


def variants() -> list[str]:
    """Return the names of published forms, and of the re-saved ones in the matrix."""
    return [
        variant
        for name, member in FAMILIES.items()
        for variant in (name, *([f"{name}-resaved"] if member.resaves else []))
    ]


def published() -> list[str]:
    """Return the forms of `make zoo`: each family as published, without large ones."""
    return [name for name, member in FAMILIES.items() if not member.is_large]


def split_name(name: str) -> tuple[Family, bool]:
    """Return the family of a name, and whether the name means the re-saved form."""
    is_resaved = name.endswith("-resaved")
    return FAMILIES[name.removesuffix("-resaved").removesuffix("-published")], is_resaved


@functools.cache
def _built(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="st-registry-zoo-")) / "model"
    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    member, is_resaved = split_name(name)
    if is_resaved:
        from tests.support import lively

        lively.save(lively.loaded(_built(member.name) / member.inner, member.model_class), folder)
    else:
        folder.mkdir()
        member.write(folder)
    return folder


def build(name: str, folder: Path) -> Path:
    """Write the model of a name into a new folder. A second call copies the first."""
    member, is_resaved = split_name(name)
    if is_resaved:
        return Path(shutil.copytree(_built(f"{member.name}-resaved"), folder))
    return Path(shutil.copytree(_built(name), folder, symlinks=True)) / member.inner
