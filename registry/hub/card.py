"""The card: the user's README with the front matter completed, and one section between markers. The rest of its text stays.

The text is edited, not written anew from its values, so comments, order and style of the front matter stay; what somebody said
there is never replaced. The same README with the same lineage gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from registry.core.digest import Digest
from registry.errors import Refused

PATH = "README.md"
BEGIN = "<!-- registry:begin"
END = "<!-- registry:end -->"
_OPENING = f"{BEGIN} made by st-registry; what stands up to the end marker is written anew by each push -->"
TOKENS_SHOWN = 50
_CORRECT = "correct it and add the folder again"

TAGS = {
    "SentenceTransformer": ("sentence-transformers", "sentence-similarity", "feature-extraction"),
    "CrossEncoder": ("sentence-transformers", "cross-encoder", "reranker"),
    "SparseEncoder": ("sentence-transformers", "sparse-encoder", "sparse"),
    "MultiVectorEncoder": ("sentence-transformers", "multi-vector", "colbert", "late-interaction"),
}
"""As the cards of sentence-transformers have them. Source: sentence_transformers 6.2, model_card.py of each class."""
PIPELINES = {
    "SentenceTransformer": "sentence-similarity",
    "CrossEncoder": "text-ranking",
    "SparseEncoder": "feature-extraction",
    "MultiVectorEncoder": "feature-extraction",
}
RELATIONS = {"adapter": "adapter", "resized": "finetune", "base": "finetune", "merged": "finetune"}
"""Kind to base_model_relation; the Hub knows adapter, finetune, merge and quantized, and a merge is of several full models."""
KINDS = {
    "base": "a base model",
    "resized": "a base with tokens added",
    "adapter": "an adapter",
    "merged": "an adapter merged into its base",
}

_FRONT = re.compile(r"\A(\ufeff?---[ \t]*\r?\n)(.*?)(^---[ \t]*\r?$)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One version of the line, as the card tells of it."""

    role: str
    reference: str
    kind: str
    digest: Digest
    place: str
    """`org/name`, or for a parent `org/name` and its commit."""
    evidence: str | None = None


@dataclass(frozen=True)
class Subject:
    """What a card is about."""

    repository: str
    model_class: str
    kind: str
    base: str | None
    """Hub id of the parent."""
    line: Sequence[Row]
    """The version itself first."""
    tokens: Sequence[str]
    digests: Mapping[str, Digest]
    """What to Digest: weights, vocabulary, tokenizer."""


def complete(readme: str, subject: Subject) -> str:
    """The card. Raises Refused where the front matter is no YAML, since the Hub would not take it."""
    newline = "\r\n" if "\r\n" in readme.partition("---")[2][:200] else "\n"
    found = _FRONT.match(readme)
    opening, front, closing, rest = (
        (found[1], found[2], found[3], readme[found.end() :])
        if found
        else (f"---{newline}", "", "---", f"{newline}{readme}" if readme else newline)
    )
    for key, value in _wanted(subject).items():
        front = _with_key(front, key, value, newline)
    front = _with_tags(front, TAGS[subject.model_class], newline)
    return (
        opening
        + front
        + closing
        + _with_section(rest, section(subject).replace("\n", newline), newline)
    )


def section(subject: Subject) -> str:
    """What stands between the markers, markers included."""
    title = f"`{subject.line[0].reference}` is {KINDS[subject.kind]} of the class {subject.model_class}."
    rows = ["| | version | kind | on the Hub | manifest |", "|---|---|---|---|---|"]
    rows += [
        f"| {row.role} | `{row.reference}` | {row.kind} | {row.place}{f' (known: {row.evidence})' if row.evidence else ''} | `{row.digest}` |"
        for row in subject.line
    ]
    digests = ", ".join(f"{what} `{digest}`" for what, digest in subject.digests.items())
    tokens = _tokens(subject.tokens)
    return "\n".join(
        [
            _OPENING,
            "## Lineage",
            "",
            title,
            "",
            *rows,
            "",
            f"Digests: {digests}.",
            *(["", tokens] if tokens else []),
            "",
            "## How to load",
            "",
            "```python",
            f"from sentence_transformers import {subject.model_class}",
            "",
            f'model = {subject.model_class}("{subject.repository}")',
            "```",
            "",
            "Or with its whole line, every byte compared with the digests above:",
            "",
            "```sh",
            f"registry pull hf://{subject.repository}",
            "```",
            "",
            _unchecked(subject),
            END,
        ]
    )


def _unchecked(subject: Subject) -> str:
    said = "Plain loaders compare no digest and no token list."
    if subject.kind == "adapter" and subject.base:
        said += (
            f" They take the base from the branch main of {subject.base}, whatever `revision` says in adapter_config.json: if another model "
            "is put there, this adapter loads without an error and encodes something else. `registry load` refuses that."
        )
    return said


def _tokens(tokens: Sequence[str]) -> str:
    if not tokens:
        return ""
    shown = ", ".join(f"<code>{_escaped(token)}</code>" for token in tokens[:TOKENS_SHOWN])
    more = f" and {len(tokens) - TOKENS_SHOWN} more" if len(tokens) > TOKENS_SHOWN else ""
    return f"Added tokens ({len(tokens)}): {shown}{more}."


def _escaped(token: str) -> str:
    """A token is anything: it must neither format the card nor end the section."""
    return "".join(
        character if character.isalnum() else f"&#{ord(character)};" for character in token
    )


def _wanted(subject: Subject) -> dict[str, str]:
    wanted = {
        "base_model": subject.base,
        "base_model_relation": RELATIONS[subject.kind] if subject.base else None,
        "library_name": "sentence-transformers",
        "pipeline_tag": PIPELINES[subject.model_class],
    }
    return {key: _scalar(value) for key, value in wanted.items() if value is not None}


def _scalar(text: str) -> str:
    """A text as YAML that reads back as this text."""
    import json

    import yaml

    return text if yaml.safe_load(text) == text else json.dumps(text)


def _with_key(front: str, key: str, value: str, newline: str) -> str:
    """The front matter with a key, unless something is said there already."""
    found = _node(front, key)
    if found is None:
        return _ended(front, newline) + f"{key}: {value}{newline}"
    node, empty = found
    if not empty:
        return front
    start, end = node.start_mark.index, node.end_mark.index
    glue = "" if front[start - 1 : start].isspace() else " "
    return front[:start] + glue + value + front[end:]


def _with_tags(front: str, tags: Sequence[str], newline: str) -> str:
    """The front matter with these tags among its own."""
    import yaml

    found = _node(front, "tags")
    if found is None:
        return (
            _ended(front, newline)
            + "tags:"
            + newline
            + "".join(f"- {tag}{newline}" for tag in tags)
        )
    node, empty = found
    if empty:
        return _with_key(front, "tags", f"[{', '.join(tags)}]", newline)
    if not isinstance(node, yaml.SequenceNode):
        return front
    there = [str(item.value) for item in node.value]
    missing = [tag for tag in tags if tag not in there]
    if not missing:
        return front
    last = node.value[-1]
    if node.flow_style:
        end = last.end_mark.index
        return front[:end] + "".join(f", {tag}" for tag in missing) + front[end:]
    indent = " " * node.start_mark.column
    line_end = front.find("\n", last.start_mark.index)
    end = len(front) if line_end < 0 else line_end + 1
    return (
        _ended(front[:end], newline)
        + "".join(f"{indent}- {tag}{newline}" for tag in missing)
        + front[end:]
    )


def _node(front: str, key: str) -> tuple[Any, bool] | None:
    """(the node of a key's value, whether it says nothing)."""
    for name, node in _keys(front):
        if name.value == key:
            return node, not node.value or node.tag == "tag:yaml.org,2002:null"
    return None


@lru_cache(maxsize=4)
def _keys(front: str) -> list[tuple[Any, Any]]:
    """Nodes of keys and values, where they stand; asked for one key after the other. Raises Refused for what is no YAML."""
    import yaml

    try:
        document = yaml.compose(front, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 2}" if mark is not None else ""
        raise Refused(
            f"the front matter of {PATH} is not valid YAML{where}, and the Hub rejects such a card",
            hint=_CORRECT,
        ) from None
    if document is None:
        return []
    if not isinstance(document, yaml.MappingNode):
        raise Refused(
            f"the front matter of {PATH} is not a mapping, and the Hub rejects such a card",
            hint=_CORRECT,
        )
    return list(document.value)


def _ended(front: str, newline: str) -> str:
    return front if not front or front.endswith("\n") else front + newline


def _section_of(text: str) -> tuple[int, int] | None:
    """Where the section stands. The last markers count, so that a lonely one in the user's text swallows nothing."""
    end = text.rfind(END)
    begin = text.rfind(BEGIN, 0, end) if end >= 0 else -1
    return None if begin < 0 else (begin, end + len(END))


def _with_section(text: str, written: str, newline: str) -> str:
    span = _section_of(text)
    if span is not None:
        return text[: span[0]] + written + text[span[1] :]
    return _ended(text, newline) + newline + written + newline
