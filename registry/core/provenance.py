"""Source: what a version says of how it was made and of its parents, where that comes from elsewhere: a repository's line or a bundle.

Nothing of it is believed, but it is shown, published again and folded, so each part has to have its form, to the last field. What somebody
named, a token or a text that was encoded, may hold any character, as it may where it is made: whoever shows it escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from registry.errors import InvalidManifest, NewerFormat

from .digest import Digest
from .entry import EVIDENCE, Edge

SOURCE = (
    "how",
    "converted",
    "tokenizer",
    "recipe",
    "merge",
    "fix",
    "training",
    "run",
    "metrics",
    "git",
    "libraries",
    "python",
)
"""Of how a version was made, what goes along to the Hub and into a bundle: no command, no folder."""
TEXT_LIMIT = 10_000
"""Characters of one text."""
FORMAT = 1
"""The format of a recipe, of a record of a merge, and of a list of converted files."""
_SHOWN = 60
_WORD = re.compile(r"[a-z][a-z0-9+_-]{0,39}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?(e[+-]?\d{1,4})?", re.ASCII)


def check_source(value: Any, keys: Collection[str] = SOURCE) -> dict[str, Any]:
    """Those parts of a source that keys name. Raises InvalidManifest for one that is not of the form in which this package writes it, NewerFormat."""
    return {
        key: item
        for key, item in _mapping(value, "the source").items()
        if key in keys and _check(key, item)
    }


def check_text(value: Any) -> str:
    """The value, which is text. Raises InvalidManifest."""
    if not isinstance(value, str) or len(value) > TEXT_LIMIT:
        raise InvalidManifest(f"{value!r:.{_SHOWN}} is no text of at most {TEXT_LIMIT} characters")
    return value


def check_edge(value: Any) -> Edge:
    """The edge to a parent. Raises InvalidManifest, and KeyError or TypeError for what is no object with these names."""
    if value["evidence"] not in EVIDENCE:
        raise InvalidManifest(
            f"{value['evidence']!r} is not an evidence of a parent (one of {', '.join(EVIDENCE)})"
        )
    return Edge(
        check_text(value["role"]),
        Digest(value["digest"]),
        value["evidence"],
        check_text(value["reference"]),
    )


def _check(key: str, value: Any) -> bool:
    """True. A recipe and a record of a merge have a format of their own, a training has none."""
    if key == "fix":
        _texts(value, key)
    elif key in ("metrics", "libraries"):
        _texts(list(_mapping(value, key).values()), key)
    elif key == "git":
        found = _mapping(value, key)
        check_text(found.get("commit"))
        if not isinstance(found.get("dirty", False), bool):
            raise InvalidManifest(
                f"the source says that git is dirty: {found['dirty']!r:.{_SHOWN}}, which is neither true nor false"
            )
    elif key in _WITH_FORMAT:
        _formatted(value, _WITH_FORMAT[key], f"the source's {key}")
    elif key == "tokenizer":
        _fields(value, _TOKENIZER, "the source's tokenizer")
    elif key == "training":
        _fields(value, _TRAINING, "the source's training")
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


Form = Callable[[Any, str], object]
"""Looks at a value, which is called so. Raises InvalidManifest."""


def _formatted(value: Any, forms: Mapping[str, Form], what: str) -> None:
    number = _mapping(value, what).get("format")
    if type(number) is int and number > FORMAT:
        raise NewerFormat(
            f"{what} has format {number}, this registry reads {FORMAT}", hint="update st-registry"
        )
    if type(number) is not int or number != FORMAT:
        raise InvalidManifest(f"{what} has the format {number!r:.{_SHOWN}}, which never was")
    _fields({key: item for key, item in value.items() if key != "format"}, forms, what)


def _fields(value: Any, forms: Mapping[str, Form], what: str) -> None:
    for key, item in _mapping(value, what).items():
        if key not in forms:
            raise InvalidManifest(f"{what} has the field {key!r:.{_SHOWN}}, which never was")
        forms[key](item, f"{what}: {key}")


def _whole(value: Any, what: str) -> None:
    if type(value) is not int:
        raise InvalidManifest(f"{what} is {value!r:.{_SHOWN}}, and not a whole number")


def _whole_or_null(value: Any, what: str) -> None:
    if value is not None:
        _whole(value, what)


def _flag(value: Any, what: str) -> None:
    if not isinstance(value, bool):
        raise InvalidManifest(f"{what} is {value!r:.{_SHOWN}}, which is neither true nor false")


def _matching(form: re.Pattern[str], said: str, value: Any, what: str) -> None:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise InvalidManifest(f"{what} is {value!r:.{_SHOWN}}, and not {said}")


_word, _number = (
    partial(_matching, _WORD, "a word"),
    partial(_matching, _NUMBER, "the text of a number"),
)


def _text(value: Any, what: str) -> None:
    check_text(value)


def _names(value: Any, what: str) -> None:
    _texts(value, what)
    if odd := next((item for item in value if not item.isprintable()), None):
        raise InvalidManifest(f"{what} has {odd!r:.{_SHOWN}}, which is no name")


def _tokens(value: Any, what: str) -> None:
    if not isinstance(value, list):
        raise InvalidManifest(f"{what} is {value!r:.{_SHOWN}}, and not a list of tokens")
    for item in value:
        _fields(item, _TOKEN, what)


def _argument(value: Any, what: str) -> None:
    if not isinstance(value, bool | int):
        check_text(value)


def _each(form: Form, value: Any, what: str) -> None:
    for item in _mapping(value, what).values():
        form(item, what)


def _files(files: Any, what: str) -> None:
    if not isinstance(files, list):
        raise InvalidManifest(f"{what} is {files!r:.{_SHOWN}}, and not a list of files")
    for file in files:
        _fields(file, _FILE, what)


def _digest(text: Any, what: str) -> None:
    Digest(check_text(text))


_FILE: Mapping[str, Form] = {
    "path": _text,
    "size": _whole,
    "digest": _digest,
    "repository": _text,
    "commit": _text,
}
"""An original file: not stored, or stored in another form."""
_CONVERTED: Mapping[str, Form] = {"files": _files, "libraries": partial(_each, _text)}
_TOKENIZER: Mapping[str, Form] = {"decided": _text, "libraries": partial(_each, _text)}
"""How two tokenizers that are spelled differently were found to be equivalent."""
_TOKEN: Mapping[str, Form] = {
    "id": _whole,
    "content": _text,
    **dict.fromkeys(("special", "lstrip", "rstrip", "single_word", "normalized"), _flag),
}
_RECIPE: Mapping[str, Form] = {
    "init": _word,
    "rule": _whole,
    "seed": _whole_or_null,
    "plan": _word,
    "old_rows": _whole,
    "new_rows": _whole,
    "rows_missing_in_base": _whole,
    "tables": _names,
    "tokens": _tokens,
}
_MERGE: Mapping[str, Form] = {
    "difference": _number,
    "tolerance": _number,
    "probe": _text,
    "layout": _word,
    "tensors": _whole,
}
_TRAINING: Mapping[str, Form] = {
    "arguments": partial(_each, _argument),
    "datasets": partial(_each, _names),
    "step": _whole,
    "steps": _whole,
    "kept": _word,
    "reloaded": _word,
}
_WITH_FORMAT: Mapping[str, Mapping[str, Form]] = {
    "converted": _CONVERTED,
    "recipe": _RECIPE,
    "merge": _MERGE,
}
