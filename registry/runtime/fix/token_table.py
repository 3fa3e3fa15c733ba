"""Table: the token rows of an adapter whose base was resized in memory and never saved.

Where its file carries the whole table, or the rows that it trained, the resized base is made of the parent and these rows, and
the adapter is left with what is its own. Where its tokens found spare rows of the parent, the base is the parent with its tokens.
Else the rows are lost, and it is said which words are dead.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.core.facts import Files, Tensor, Token
from registry.core.text import counted
from registry.errors import NotLoadable, ParentMismatch
from registry.model_files.adapter.config import WEIGHTS, read_config
from registry.model_files.adapter.structure import ends_with
from registry.model_files.checks.base import ParentView
from registry.model_files.checks.helpers import within
from registry.model_files.config import edit
from registry.model_files.facts import table_of
from registry.model_files.layout.file_list import join
from registry.model_files.tokenizer.vocabulary import read_vocabulary
from registry.model_files.weights import grow
from registry.model_files.weights.rows import place_of
from registry.model_files.weights.safetensors import read_header

from .adapter_names import PREFIX, is_adapters_own
from .folder_files import is_tokenizers

_SHOWN = 12
_DELTA = "trainable_tokens_delta"
_OUTPUTS = ("decoder", "lm_head", "embed_out", "predictions")


@dataclass(frozen=True)
class Split:
    """How the base that was never saved is made of its parent."""

    rows: int
    """Of the table, as it was in memory."""
    first: int
    """The first row that is not the parent's."""
    new: Mapping[str, bytes]
    """For each of the parent's tensors with a row, or a number, for each token: the bytes from `first` on."""
    left_out: tuple[str, ...]
    """Tensors that the adapter does not keep."""
    tokens: tuple[Token, ...]
    """Those that the parent lacks."""
    said: tuple[str, ...]
    is_rebuilt: bool = False
    """Whether rows of the base are lost, and others stand in for them."""
    trained: int = 0
    """How many of the old rows are not the parent's."""


def split_of(
    files: Files, parent: ParentView, *, trained_rows: bool, accept_lost_rows: bool = False
) -> Split | None:
    """How adapter and base come apart; None where the adapter stands on the parent as it is.

    trained_rows lets old rows be others than the parent's. Raises ParentMismatch where rows are lost, or old ones differ.
    """
    tokens = read_vocabulary(files).tokens
    known = len(parent.tokens)
    if (
        parent.facts.rows is None
        or len(tokens) <= known
        or tuple(tokens[:known]) != tuple(parent.tokens)
    ):
        return None
    more = tuple(tokens[known:])
    if [token.id for token in more] != list(range(known, known + len(more))):
        raise NotLoadable(
            f"the ids of the tokens that {parent.reference} lacks do not follow its own ids "
            f"(expected {known} and up), so they were not added by a resize"
        )
    whole = _whole(files, parent)
    if whole:
        return _carried(files, parent, whole, more, trained_rows=trained_rows)
    trained = _trained(files, parent, more)
    if trained is not None:
        return trained
    if more[-1].id < parent.facts.rows:
        said = (
            f"made a base of {parent.reference} and the {counted(len(more), 'token')} that it lacks, which found spare rows of its table "
            f"({known} to {more[-1].id}); these are the parent's, and whether they were begun anew before the training is not known",
        )
        if not accept_lost_rows:
            raise ParentMismatch(
                f"the rows of {counted(len(more), 'token')} that {parent.reference} lacks are in "
                f"no file; they are rows {known} to {more[-1].id} of its table, and may have had "
                f"other values in the training: {_words(more)}",
                hint="train again on a base with these tokens, or, to use the spare rows of "
                f"{parent.reference} as they are, --accept-lost-rows",
            )
        return Split(parent.facts.rows, known, {}, (), more, said, is_rebuilt=True)
    raise ParentMismatch(
        f"the rows of {counted(len(more), 'token')} that {parent.reference} lacks are in no file "
        f"and permanently lost, with what the adapter learned of these tokens: {_words(more)}",
        hint=f"resize {parent.reference} again and train again",
    )


def extends(files: Files, parent: ParentView) -> bool:
    """Whether the tokens of the folder, if it has any, begin with those of the parent."""
    try:
        tokens = read_vocabulary(files).tokens
    except NotLoadable:
        return True
    return tuple(tokens[: len(parent.tokens)]) == tuple(parent.tokens)


def build_base(
    parent_folder: Path, adapter_folder: Path, out: Path, parent: ParentView, split: Split
) -> None:
    """Write the resized base into `out`, a new folder: the parent's checkout with the rows, the tokens and the numbers that follow."""
    transformer = parent.layout.transformer
    grown = {
        name: grow.Growth(split.first, content, split.rows - split.first)
        for name, content in split.new.items()
    }
    more = 0
    for path in parent.layout.belongs:
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".safetensors") and path.rpartition("/")[0] == transformer:
            own = {name: grown[name] for name in grow.tables(parent_folder / path) if name in grown}
            more += grow.write(parent_folder / path, target, own)
        elif not is_tokenizers(path, parent):
            shutil.copyfile(parent_folder / path, target)
    for file in sorted(adapter_folder.iterdir()):
        if file.is_file() and is_tokenizers(join(parent.layout.tokenizer, file.name), parent):
            shutil.copyfile(file, out / parent.layout.tokenizer / file.name)
    _count(out, parent, max(split.rows, parent.facts.rows or 0), more)


def _whole(files: Files, parent: ParentView) -> list[tuple[str, str, Tensor]]:
    """(name in the adapter's file, module, tensor) of what has the width of the token table, or a number for each token."""
    config = read_config(files)
    with files.open(WEIGHTS) as stream:
        headers = read_header(stream, WEIGHTS, files.size(WEIGHTS))
    found = []
    for name, header in headers.items():
        module, _, parameter = name.removeprefix(PREFIX).rpartition(".")
        module = module.removesuffix(".base_layer").removesuffix(".token_adapter")
        if is_adapters_own(name) or any(
            ends_with(module, saved) for saved in config.modules_to_save
        ):
            continue
        if (
            parameter == "weight"
            and len(header.shape) == 2
            and header.shape[1] == parent.facts.width
        ) or (parameter == "bias" and module.rpartition(".")[2] in _OUTPUTS):
            found.append(
                (
                    name,
                    module,
                    Tensor(name, header.dtype, header.shape, parent.facts.weights.digest),
                )
            )
    return found


def _carried(
    files: Files,
    parent: ParentView,
    whole: Sequence[tuple[str, str, Tensor]],
    more: tuple[Token, ...],
    *,
    trained_rows: bool,
) -> Split:
    """The split where the adapter's file carries the whole table."""
    rows = {tensor.shape[0] for _, _, tensor in whole}
    if len(rows) != 1 or max(rows) <= more[-1].id:
        raise NotLoadable(
            f"the adapter contains tables of {', '.join(map(str, sorted(rows)))} rows, "
            f"but its last token has the id {more[-1].id} (they are not from one model)"
        )
    (count,), known, old_rows = rows, len(parent.tokens), parent.facts.rows or 0
    first, new, changed = known, {}, 0
    content = {name: _read(files, tensor) for name, _, tensor in whole}
    for tensor in _by_token(parent):
        source = _source(tensor, whole, parent)
        if source is None:
            raise ParentMismatch(
                f"the adapter contains no rows for {tensor.name!r} of {parent.reference}, which "
                "has one for each token (they are permanently lost, "
                f"with the tokens {_words(more)})"
            )
        if source.dtype != tensor.dtype:
            raise ParentMismatch(
                f"the adapter's table is {source.dtype}, but that of {parent.reference} is "
                f"{tensor.dtype} (it was trained on another base)",
                hint="pass the base that it was trained on with --parent",
            )
        size = len(content[source.name]) // count
        mine, theirs = content[source.name], _read(parent.files, tensor)
        differ = [
            row
            for row in range(min(known, count))
            if mine[row * size : (row + 1) * size] != theirs[row * size : (row + 1) * size]
        ]
        changed = max(changed, len(differ))
        if differ and not trained_rows:
            shown = ", ".join(map(str, differ[:5])) + (", …" if len(differ) > 5 else "")
            raise ParentMismatch(
                f"{len(differ)} of {known} old rows in the adapter are not those of "
                f"{parent.reference} (ids {shown}): they are from another base, or were trained",
                hint="pass the base with --parent, or add --trained-rows",
            )
        new[tensor.name.rpartition("/")[2]] = mine
    if changed:
        first = 0
    begun = {name: mine[first * (len(mine) // count) :] for name, mine in new.items()}
    had = f"of {old_rows} rows" if count != old_rows else "of as many rows"
    said = [
        f"made the base that was never saved: {parent.reference} {had} with the {counted(len(more), 'token')} that it lacks "
        f"({_words(more)}) and their rows from the adapter's table of {count} rows"
    ]
    said.append(
        f"{changed} of {known} old rows are the adapter's, not the parent's"
        if changed
        else f"all {known} old rows are the parent's, bit for bit"
    )
    said.append(f"left out {', '.join(repr(name) for name, _, _ in whole)}, which the base has now")
    return Split(
        count, first, begun, tuple(name for name, _, _ in whole), more, tuple(said), changed > 0
    )


def _trained(files: Files, parent: ParentView, more: tuple[Token, ...]) -> Split | None:
    """The split where the adapter's file has no table, but the rows that it trained, among them all the new ones."""
    config = read_config(files)
    with files.open(WEIGHTS) as stream:
        headers = read_header(stream, WEIGHTS, files.size(WEIGHTS))
    deltas = [header for name, header in headers.items() if name.endswith(_DELTA)]
    if len(deltas) != 1 or len(config.trainable_tokens) != 1:
        return None
    ids = next(iter(config.trainable_tokens.values()))
    if not {token.id for token in more} <= set(ids) or len(_by_token(parent)) != 1:
        return None
    (table,) = _by_token(parent)
    with files.open(WEIGHTS) as stream:
        stream.seek(deltas[0].offset)
        content = stream.read(deltas[0].length)
    if deltas[0].dtype != table.dtype or deltas[0].shape[0] != len(ids):
        return None
    size = deltas[0].length // len(ids)
    rows = b"".join(
        content[ids.index(token.id) * size : (ids.index(token.id) + 1) * size] for token in more
    )
    said = (
        f"made a base of {parent.reference} and the {counted(len(more), 'token')} that it lacks ({_words(more)}); their rows are those "
        "that the adapter trained, which stand in their place whenever it is loaded; as the base had them they are lost",
    )
    return Split(
        more[-1].id + 1, len(parent.tokens), {table.name.rpartition("/")[2]: rows}, (), more, said
    )


def _by_token(parent: ParentView) -> list[Tensor]:
    """The parent's tensors with a row, or a number, for each token: the table, and an output over the tokens."""
    stored = [
        tensor
        for tensor in parent.facts.weights.tensors
        if not parent.layout.transformer or tensor.name.startswith(f"{parent.layout.transformer}/")
    ]
    table = table_of(within(stored, parent.layout))
    if table is None:
        raise NotLoadable(f"{parent.reference} has no token table that could have grown")
    return [
        tensor
        for tensor in stored
        if tensor.shape[:1] == (parent.facts.rows,)
        and (
            tensor.name.endswith(table.name)
            or any(f".{part}." in f".{tensor.name}." for part in _OUTPUTS)
        )
    ]


def _source(
    tensor: Tensor, whole: Sequence[tuple[str, str, Tensor]], parent: ParentView
) -> Tensor | None:
    """The adapter's tensor that has the rows for one of the parent's: of its name, else the only one of its kind (they are tied)."""
    same = [own for _, module, own in whole if len(own.shape) == len(tensor.shape)]
    name = tensor.name.rpartition("/")[2].rpartition(".")[0]
    exact = [
        own
        for _, module, own in whole
        if own in same and (name.endswith(module) or module.endswith(name))
    ]
    return (exact or same)[0] if len(exact or same) == 1 else None


def _read(files: Files, tensor: Tensor) -> bytes:
    path, header = place_of(files, tensor)
    with files.open(path) as stream:
        stream.seek(header.offset)
        return stream.read(header.length)


def _count(out: Path, parent: ParentView, rows: int, more: int) -> None:
    """Set the numbers that follow the length of the table."""
    folder = out / parent.layout.transformer
    path = folder / "config.json"
    value = edit.parse(text := path.read_text("utf-8"), path.name)
    nested = [key for key, part in value.items() if isinstance(part, dict) and "vocab_size" in part]
    place = ("vocab_size",) if "vocab_size" in value or not nested else (nested[0], "vocab_size")
    path.write_text(edit.with_numbers(text, {place: rows}, path.name), "utf-8")
    for module in parent.layout.modules:
        config = out / module.at("config.json")
        if module.type == "SpladePooling" and module.folder and config.is_file():
            known = edit.parse(text := config.read_text("utf-8"), config.name)
            numbers: dict[tuple[str, ...], int] = {
                (key,): rows
                for key, number in known.items()
                if key.endswith("embedding_dimension") and number == parent.facts.rows
            }
            config.write_text(edit.with_numbers(text, numbers, config.name), "utf-8")
    index = folder / "model.safetensors.index.json"
    if index.is_file() and "total_size" in (
        value := json.loads(text := index.read_text("utf-8"))
    ).get("metadata", {}):
        index.write_text(
            edit.with_numbers(
                text,
                {("metadata", "total_size"): value["metadata"]["total_size"] + more},
                index.name,
            ),
            "utf-8",
        )


def _words(tokens: Sequence[Token]) -> str:
    return ", ".join(repr(token.content) for token in tokens[:_SHOWN]) + (
        f" and {len(tokens) - _SHOWN} more" if len(tokens) > _SHOWN else ""
    )
