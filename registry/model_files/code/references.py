"""References to custom code: `auto_map` of configurations and types of modules.

Source: transformers 5.23, dynamic_module_utils.get_class_from_dynamic_module
(`[org/repo--]module.Class`); sentence_transformers 6.2, util.misc.import_module_class.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from registry.core.facts import Files, read
from registry.errors import NotLoadable
from registry.model_files.config.parse import parse

MODULES = "modules.json"
ROUTER_CONFIGS = ("router_config.json", "config.json")
FOLDER = "code"
"""Where a version keeps the code of other repositories."""
_INSTALLED = re.compile(
    r"sentence_transformers(\.[A-Za-z_]\w*)+|pylate\.models\.Dense\.Dense", re.ASCII
)


@dataclass(frozen=True, order=True)
class CodeReference:
    """A class outside the libraries that a configuration names."""

    path: str
    """The configuration file."""
    key: str
    """The key of auto_map, e.g. AutoModel; `type` for a module."""
    text: str
    """`module.Class` or `org/repo--module.Class`."""

    def __str__(self) -> str:
        """Return where the reference is and what it names, for a message."""
        if self.key == "type":
            return (
                f"{self.path} has a module of type {self.text!r}, "
                "which is not part of sentence-transformers"
            )
        return f"{self.path} has 'auto_map' ({self.key} {self.text!r})"

    @property
    def repository(self) -> str | None:
        """The other repository, `org/repo`, if the reference names one."""
        return self.text.split("--", 1)[0] if "--" in self.text else None

    @property
    def name(self) -> str:
        """The reference without a repository."""
        return self.text.rpartition("--")[2]

    @property
    def file(self) -> str:
        """The path of the Python file in its repository."""
        return self.name.rpartition(".")[0] + ".py"


def references_of(files: Files, paths: Sequence[str]) -> tuple[CodeReference, ...]:
    """Return all references in the configurations among the paths, sorted."""
    return tuple(
        sorted(
            {
                CodeReference(path, key, text)
                for path in paths
                if is_configuration(path)
                for key, text in _references(parse(read(files, path), path), path)
            }
        )
    )


def is_configuration(path: str) -> bool:
    """Return whether a file can refer to code."""
    name = path.rsplit("/", 1)[-1]
    return name in (MODULES, "config.json") or name.endswith("_config.json")


def repository_folder(repository: str) -> str:
    """Return the folder of a version for the code of another repository.

    A dot in a reference separates module and class, so the folder's name has none.
    """
    return f"{FOLDER}/{repository.replace('/', '__').replace('.', '_dot_')}"


def rewritten(content: bytes, path: str) -> bytes:
    """Return a configuration whose references to other repositories are local ones."""
    document = parse(content, path)
    changes = {
        text: f"{repository_folder(reference.repository)}/{reference.name}"
        for key, text in _references(document, path)
        if (reference := CodeReference(path, key, text)).repository is not None
    }
    for text, local in changes.items():
        for escaped in {json.dumps(text), json.dumps(text).replace("/", "\\/")}:
            content = content.replace(escaped.encode(), json.dumps(local).encode())
    return content


def _references(document: Any, path: str) -> Iterator[tuple[str, str]]:
    name = path.rsplit("/", 1)[-1]
    if name == MODULES and isinstance(document, list):
        for module in document:
            yield from _type(module.get("type") if isinstance(module, dict) else None)
    elif name in ROUTER_CONFIGS and isinstance(document, dict):
        types = document.get("types")
        for kind in types.values() if isinstance(types, dict) else ():
            yield from _type(kind)
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("auto_map"):
                yield from _auto_map(node["auto_map"], path)
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _type(kind: object) -> Iterator[tuple[str, str]]:
    if isinstance(kind, str) and not _INSTALLED.fullmatch(kind):
        yield "type", kind


def _auto_map(mapping: Any, path: str) -> Iterator[tuple[str, str]]:
    pairs = mapping.items() if isinstance(mapping, dict) else [("AutoTokenizer", mapping)]
    for key, texts in pairs:
        for text in texts if isinstance(texts, list) else [texts]:
            if isinstance(text, str):
                yield key, text
            elif text is not None:
                raise NotLoadable(f"{path} has an auto_map with {text!r:.80}, expected a text")
