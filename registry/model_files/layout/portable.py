"""The location-free form: a file without the paths of the machine it was made on.

A value is local if it starts with `/`, `.`, `~`, `\\`, a drive letter or `file:`; the file system is never asked. In a
configuration `_name_or_path` and `name_or_path`, in a README's front matter `base_model`: a local one becomes `""`, and only
that scalar's bytes change. An adapter's configuration becomes canonical and names its parent by digest (`adapter.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from registry.core.digest import Digest
from registry.model_files.adapter import config
from registry.model_files.config.parse import parse

_Found = tuple[str, int, int, str]
"""(field, start and end of the scalar in the text, its value)."""

_LOCAL = re.compile(r"\s*([/.~\\]|[A-Za-z]:|file:)", re.IGNORECASE)
_NAMES = ("_name_or_path", "name_or_path")
_STRING = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:\s*)?')
_BASE_MODEL = re.compile(
    r"""^(?:base_model|'base_model'|"base_model")[ \t]*:.*(?:\n(?:[ \t#-].*|\r?)$)*""", re.MULTILINE
)
"""One entry of the front matter: cards hold thousands of lines of results, and YAML is slow."""
_ENTRY_LIMIT = 2048
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)


def location_free(
    path: str, content: bytes, *, parent: Digest | None
) -> tuple[bytes, dict[str, Any] | None]:
    """(content without this machine's paths, what was replaced or None). `parent` is the manifest an adapter stands on.

    What was replaced is {field: value}; where a field stood in several places, {field: [values in order]}. Every other file
    comes back as it is. Raises NotLoadable if a configuration is not JSON.
    """
    name = path.rsplit("/", 1)[-1]
    if name == "adapter_config.json":
        return config.location_free_config(content, parent), config.location_of(content)
    if name == "README.md":
        return _without(content, _base_models)
    if name == "config.json" or name.endswith("_config.json"):
        parse(content, path)
        return _without(content, _names)
    return content, None


def is_local(value: str) -> bool:
    """Whether a model's name is a place on some machine, by its form alone."""
    return _LOCAL.match(value) is not None


def _without(
    content: bytes, find: Callable[[str], Iterator[_Found]]
) -> tuple[bytes, dict[str, Any] | None]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return content, None
    parts, end = [], 0
    originals: dict[str, list[str]] = {}
    for field, start, stop, value in find(text):
        parts += [text[end:start], '""']
        end = stop
        originals.setdefault(field, []).append(value)
    if not originals:
        return content, None
    whole = "".join([*parts, text[end:]]).encode("utf-8")
    return whole, {
        field: values[0] if len(values) == 1 else values for field, values in originals.items()
    }


def _names(text: str) -> Iterator[_Found]:
    """Each local path under a key of _NAMES, in order; the text is known to be JSON, so a string before a colon is a key."""
    key, value_at = None, -1
    for found in _STRING.finditer(text):
        if found[2] is not None:
            key, value_at = json.loads(found[1]), found.end()
        elif (
            key in _NAMES and found.start() == value_at and is_local(value := json.loads(found[1]))
        ):
            yield key, found.start(1), found.end(1), value


def _base_models(text: str) -> Iterator[_Found]:
    """The same for base_model in a README's front matter: a name, or a list of them. What is not YAML is left alone."""
    front = _FRONT_MATTER.match(text)
    for entry in _BASE_MODEL.finditer(text, *front.span(1)) if front is not None else ():
        yield from _scalars(entry[0], entry.start()) if len(entry[0]) <= _ENTRY_LIMIT else ()


def _scalars(entry: str, offset: int) -> Iterator[_Found]:
    """The local names in the lines of one entry, whose text begins at offset."""
    import yaml

    try:
        document = yaml.compose(entry, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return
    for _, node in document.value if isinstance(document, yaml.MappingNode) else ():
        for scalar in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(scalar, yaml.ScalarNode) and is_local(scalar.value):
                start, end = scalar.start_mark.index, scalar.end_mark.index
                # the end of a block scalar is the beginning of the next line; the line's end stays
                end = start + len(entry[start:end].rstrip()) if scalar.style in ("|", ">") else end
                yield "base_model", offset + start, offset + end, scalar.value
