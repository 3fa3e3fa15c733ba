"""modules.json and the configuration of a Router: which modules a model has, of which type, in which folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from registry.core.facts import Files
from registry.errors import NotLoadable, UnsafeFile
from registry.model_files.config.parse import read_json, read_object

MODULES = "modules.json"
ROUTERS = ("Router", "Asym")
ROUTER_CONFIGS = ("router_config.json", "config.json")
"""The loader takes the first that is there."""
TRANSFORMERS = ("Transformer", "MLMTransformer", "CLIPModel")
_OURS = re.compile(r"sentence_transformers(\.[A-Za-z_]\w*)+", re.ASCII)
_PYLATE = {"pylate.models.Dense.Dense": "Dense"}
"""Types of PyLate that sentence-transformers loads as its own. Source: its multi_vector_encoder/model.py."""
_MODULES_FILE = re.compile(r"config_sentence_transformers\.json|\d+_[A-Za-z]+/config\.json")
_PARTS_LIMIT = 1_000


@dataclass(frozen=True)
class Module:
    """A module: the last part of its type, e.g. Pooling, and its folder; the root is the empty text."""

    type: str
    folder: str
    is_pylate: bool = field(default=False, compare=False)
    """Whether modules.json names the class of PyLate."""
    is_custom: bool = False
    """Whether its class is not part of sentence-transformers."""

    def at(self, name: str) -> str:
        """The path of a file of this module."""
        return f"{self.folder}/{name}" if self.folder else name


def read_modules(files: Files, there: set[str]) -> tuple[Module, ...]:
    """The modules of modules.json in order, the parts of a Router behind it; none if there is no modules.json.

    Raises NotLoadable, and UnsafeFile for a folder outside.
    """
    if MODULES not in there:
        _refuse_lost_modules(there)
        return ()
    value = read_json(files, MODULES)
    if not isinstance(value, list) or not value:
        raise NotLoadable(f"{MODULES} lists no modules")
    if len(value) > _PARTS_LIMIT:
        raise NotLoadable(f"{MODULES} lists {len(value)} modules (at most {_PARTS_LIMIT})")
    found: list[Module] = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("path"), str):
            raise NotLoadable(f"{MODULES} has a malformed module: {item!r:.80}")
        module = _module(item.get("type"), _folder(item["path"], MODULES), MODULES)
        found += [module, *_parts(files, there, module)]
    twice = {
        module.folder
        for module in found
        if module.folder and sum(other.folder == module.folder for other in found) > 1
    }
    if twice:
        raise NotLoadable(f"{MODULES} has two modules in {min(twice)!r}")
    return tuple(found)


def _parts(files: Files, there: set[str], router: Module) -> Iterator[Module]:
    """The modules within a Router."""
    if router.type not in ROUTERS:
        return
    path = next((router.at(name) for name in ROUTER_CONFIGS if router.at(name) in there), None)
    if path is None:
        raise NotLoadable(f"the {router.type} has no {router.at('router_config.json')}")
    types = read_object(files, path).get("types")
    if not isinstance(types, dict) or not types:
        raise NotLoadable(f"{path} names no types of modules")
    if len(types) > _PARTS_LIMIT:
        raise NotLoadable(f"{path} names {len(types)} modules (at most {_PARTS_LIMIT})")
    for name, kind in types.items():
        part = _module(kind, router.at(_folder(name, path)), path)
        if part.type in ROUTERS:
            raise NotLoadable(
                f"{path} has a {part.type} within a {router.type}, which cannot be registered"
            )
        yield part


def _module(kind: object, folder: str, path: str) -> Module:
    """Return the module with this type, whose last part is the name of the class."""
    if not isinstance(kind, str):
        raise NotLoadable(f"{path} has a module without a type")
    if kind in _PYLATE:
        return Module(_PYLATE[kind], folder, is_pylate=True)
    name = kind.rpartition("--")[2].rpartition(".")[2]
    return Module(name, folder, is_custom=not _OURS.fullmatch(kind))


def _folder(path: str, where: str) -> str:
    if path.startswith(("/", "~")) or "\\" in path or ":" in path or ".." in path.split("/"):
        raise UnsafeFile(f"{where} has a module at {path!r}, which is outside of the folder")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _refuse_lost_modules(there: set[str]) -> None:
    """Without modules.json a loader makes modules up, and what these files say is silently lost."""
    told = [path for path in sorted(there) if _MODULES_FILE.fullmatch(path)]
    if told:
        raise NotLoadable(
            f"{MODULES} is missing, but {told[0]} exists "
            "(a loader would create default modules after the transformer)",
            hint="save the whole model again with save_pretrained",
        )
