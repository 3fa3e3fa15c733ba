"""Source: what a version says of how it was made and of its parents, where that comes from elsewhere: a repository's line or a bundle.

Nothing of it is believed, but it is shown, published again and folded, so each part has to have its form.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .digest import Digest
from .entry import EVIDENCE, Edge
from .errors import InvalidManifest

SOURCE = ("how", "recipe", "merge", "fix", "training", "run", "metrics", "git", "libraries", "python")
"""Of how a version was made, what goes along to the Hub and into a bundle: no command, no folder."""
TEXT_LIMIT = 10_000
"""Characters of one text."""
_SHOWN = 60


def check_source(value: Any, keys: Collection[str] = SOURCE) -> dict[str, Any]:
    """Those parts of a source that keys name. Raises InvalidManifest for one that is not of the form in which this package writes it."""
    return {key: item for key, item in _mapping(value, "the source").items() if key in keys and _check(key, item)}


def check_text(value: Any) -> str:
    """The value, which is text. Raises InvalidManifest."""
    if not isinstance(value, str) or len(value) > TEXT_LIMIT:
        raise InvalidManifest(f"{value!r:.{_SHOWN}} is no text of at most {TEXT_LIMIT} characters")
    return value


def check_edge(value: Any) -> Edge:
    """The edge to a parent. Raises InvalidManifest, and KeyError or TypeError for what is no object with these names."""
    if value["evidence"] not in EVIDENCE:
        raise InvalidManifest(f"{value['evidence']!r} is no evidence of a parent; one of {', '.join(EVIDENCE)}")
    return Edge(check_text(value["role"]), Digest(value["digest"]), value["evidence"], check_text(value["reference"]))


def _check(key: str, value: Any) -> bool:
    """True. A recipe and a record of a merge have formats of their own; they are kept as they are."""
    if key == "fix":
        _texts(value, key)
    elif key in ("metrics", "libraries"):
        _texts(list(_mapping(value, key).values()), key)
    elif key == "git":
        found = _mapping(value, key)
        check_text(found.get("commit"))
        if not isinstance(found.get("dirty", False), bool):
            raise InvalidManifest(f"the source says that git is dirty: {found['dirty']!r:.{_SHOWN}}, which is neither true nor false")
    elif key in ("recipe", "merge", "training"):
        _mapping(value, key)
    else:
        check_text(value)
    return True


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidManifest(f"{what} is {value!r:.{_SHOWN}}, and not an object with names")
    return value


def _texts(value: Any, what: str) -> None:
    if not isinstance(value, list):
        raise InvalidManifest(f"{what} is {value!r:.{_SHOWN}}, and not a list of texts")
    for item in value:
        check_text(item)
