"""Configurations of a model's folder, parsed once and strictly: UTF-8, one object, no key twice."""

from __future__ import annotations

import json
import re
from typing import Any

from registry.core.digest import repeated_key
from registry.core.facts import Files, read
from registry.errors import NotLoadable
from registry.model_files.lfs_pointer import is_pointer, pointer_error

LIMIT = 64 << 20
"""Bytes of a tokenizer file, an index or any other JSON."""
CONFIGURATION_LIMIT = 8 << 20
"""Bytes of a configuration; the largest of published models have about 1 MB."""
_CONFIGURATIONS = re.compile(r"(modules|(?!tokenizer_)\w*config\w*)\.json")


def parse(content: bytes, path: str) -> Any:
    """The value of a JSON file as the loaders would read it. Raises NotLoadable naming the place of the fault."""
    if is_pointer(content):
        raise pointer_error(path)
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise NotLoadable(f"{path} is not JSON: byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotLoadable(
            f"{path} is not JSON: {error.msg.lower()} in line {error.lineno} column {error.colno}"
        ) from None
    except ValueError as error:
        raise NotLoadable(f"{path} cannot be read as JSON: {error}") from None
    except RecursionError:
        raise NotLoadable(f"{path} is nested too deeply") from None


def read_json(files: Files, path: str) -> Any:
    """Return the value of a JSON file of limited size. Raises NotLoadable."""
    is_configuration = _CONFIGURATIONS.fullmatch(path.rpartition("/")[2])
    limit = CONFIGURATION_LIMIT if is_configuration else LIMIT
    if files.size(path) > limit:
        raise NotLoadable(f"{path} has {files.size(path)} bytes (at most {limit})")
    return parse(read(files, path), path)


def read_object(files: Files, path: str) -> dict[str, Any]:
    """The object that a configuration is. Raises NotLoadable."""
    value = read_json(files, path)
    if not isinstance(value, dict):
        raise NotLoadable(f"{path} is no JSON object")
    return value


def read_if_there(files: Files, path: str, there: set[str]) -> dict[str, Any]:
    """The same, or an empty one where there is no such file."""
    return read_object(files, path) if path in there else {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"key {repeated_key(pairs)!r} stands twice")
    return found
