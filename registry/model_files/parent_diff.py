"""Comparing a full model with its parent: are the old rows and all other tensors bit-equal, and which rows moved."""

from __future__ import annotations

from dataclasses import dataclass

from registry.core.facts import Facts, Files, Tensor
from registry.core.text import counted
from registry.model_files.weights.rows import place_of

from .facts import table_of

BUFFERS = ("position_ids",)
"""Buffers that older libraries wrote into the file and newer ones do not; they hold no weights."""
ROWS_SHOWN = 5
_BLOCK_ROWS = 4096


@dataclass(frozen=True)
class RowReport:
    """unchanged: every old row, and every other tensor, has the parent's bytes. sentence says it for a person."""

    unchanged: bool
    sentence: str


def compare_rows(
    child_files: Files, child: Facts, parent_files: Files, parent: Facts, old_rows: int
) -> RowReport:
    """How a model differs from its parent in its token rows; old_rows is the length of the parent's token list.

    Rows from old_rows on are new, also where the parent's table is longer than its
    token list (spare rows). Where it is shorter, rows from its end on are new.
    """
    own, old = (
        {
            tensor.name: tensor
            for tensor in facts.weights.tensors
            if not tensor.name.endswith(BUFFERS)
        }
        for facts in (child, parent)
    )
    grown = [
        name
        for name in own.keys() & old.keys()
        if own[name].digest != old[name].digest
        and _may_grow(own[name], old[name], parent.rows, old_rows, child.vocabulary.size)
    ]
    others = sorted(
        name
        for name in own.keys() | old.keys()
        if name not in grown
        and (name not in own or name not in old or own[name].digest != old[name].digest)
    )
    moved: set[int] = set()
    for name in sorted(grown):
        moved |= set(_moved(child_files, own[name], parent_files, old[name], old_rows))
    table, old_table = table_of(list(own.values())), table_of(list(old.values()))
    new = child.vocabulary.size - old_rows if grown else 0
    if table is not None and old_table is not None:
        new = min(child.vocabulary.size, table.shape[0]) - min(old_rows, old_table.shape[0])
    return RowReport(not moved and not others, _sentence(new, sorted(moved), others))


def _may_grow(own: Tensor, old: Tensor, rows: int | None, old_tokens: int, tokens: int) -> bool:
    """Return whether a tensor has a row for each token and may get more rows.

    rows is None where the token table is not recognized by its name: then a tensor that
    got one row for each new token, or that has spare rows for them, is one.
    """
    if own.dtype != old.dtype or not (own.shape and old.shape) or own.shape[1:] != old.shape[1:]:
        return False
    if rows is not None:
        return old.shape[0] == rows and own.shape[0] >= old.shape[0]
    lengths = (max(tokens, old.shape[0]), old.shape[0] + tokens - old_tokens)
    return tokens > old_tokens and own.shape[0] in lengths


def _moved(child: Files, own: Tensor, parent: Files, old: Tensor, old_rows: int) -> list[int]:
    """Which of the old rows have other bytes, compared in blocks."""
    found = []
    with child.open(place_of(child, own)[0]) as one, parent.open(place_of(parent, old)[0]) as two:
        first, second = place_of(child, own)[1], place_of(parent, old)[1]
        width = second.length // max(old.shape[0], 1)
        stored_rows = min(old_rows, old.shape[0])
        for start in range(0, stored_rows, _BLOCK_ROWS):
            count = min(_BLOCK_ROWS, stored_rows - start)
            one.seek(first.offset + start * width)
            two.seek(second.offset + start * width)
            left, right = one.read(count * width), two.read(count * width)
            if left != right:
                found += [
                    start + row
                    for row in range(count)
                    if left[row * width : (row + 1) * width]
                    != right[row * width : (row + 1) * width]
                ]
    return found


def _sentence(new: int, moved: list[int], others: list[str]) -> str:
    said = [counted(new, "row is new", "rows are new")] if new else []
    if moved:
        shown = ", ".join(map(str, moved[:ROWS_SHOWN])) + (", …" if len(moved) > ROWS_SHOWN else "")
        said.append(f"{counted(len(moved), 'old row')} moved (ids {shown})")
    else:
        said.append("no old row moved")
    differ = counted(len(others), "other tensor differs", "other tensors differ")
    said.append(f"{differ}, {others[0]!r} first" if others else "all other tensors are the same")
    return ", ".join(said)
