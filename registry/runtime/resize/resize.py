"""Resize: a model with more tokens. The vocabulary grows at its end, each new row begins by a rule, and nothing else changes.

The parent's folder is copied; of its weights only the token tables grow, of its tokenizer only the list of added tokens, of its
configuration only the numbers that follow. Then the result is loaded and proved: each new token is one id with its flags, and
every old row and every other parameter is bit-equal to the parent's. A table is never shrunk.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.core.facts import Token, flags_of
from registry.core.text import counted
from registry.errors import FolderNotFound, NotEmpty, NotLoadable
from registry.model_files.config import edit
from registry.model_files.tokenizer.base_vocabulary import Lexicon, lexicon_of
from registry.model_files.tokenizer.token_list import (
    Linted,
    Wanted,
    lint,
    parse_tokens,
    refuse_early,
)
from registry.model_files.weights import grow
from registry.model_files.weights.row_init import RULE, check_init, mean_rows, new_rows
from registry.runtime.loading import load, quiet

from . import model2vec
from .embedding_modules import Holder, holders, sparse_poolings
from .verify_rows import prove

__all__ = ["Plan", "ResizeReport", "parse_tokens", "plan", "resize"]

_STALE_FOLDERS = {".registry", ".git", "__pycache__", "onnx", "openvino"}
_STALE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx"}


@dataclass(frozen=True)
class Plan:
    """What will be done with a token table."""

    kind: str
    """append, spare, or spare+append."""
    tokens: int
    old_rows: int
    new_rows: int
    used: int
    """Old rows that belong to tokens."""
    text: str
    missing: int = 0
    """Rows that tokens of the vocabulary lack; they precede those of new tokens."""


@dataclass(frozen=True)
class ResizeReport:
    """What a resize did."""

    tokens: tuple[Token, ...]
    """The new tokens with their final ids and flags, by id."""
    plan: Plan
    init: str
    seed: int | None
    old_rows: int
    new_rows: int
    tables: tuple[str, ...]
    """The tensors that got rows, by their names in the weights files."""
    skipped: tuple[str, ...] = ()
    """Tokens of the list that the vocabulary had already."""
    warnings: tuple[str, ...] = ()
    output: tuple[int, int] | None = None
    """Dimensions of the encodings before and after, where they follow the vocabulary."""

    def recipe(self) -> dict[str, Any]:
        """How it was made, for the journal: with the parent and this, anyone gets the same bytes."""
        return {
            "init": self.init,
            "rule": RULE,
            "seed": self.seed,
            "plan": self.plan.kind,
            "old_rows": self.old_rows,
            "new_rows": self.new_rows,
            **({"rows_missing_in_base": self.plan.missing} if self.plan.missing else {}),
            "tables": list(self.tables),
            "tokens": [token._asdict() for token in self.tokens],
        }


def plan(vocabulary: int, rows: int, tokens: int) -> Plan:
    """Return what to do with a table of `rows` rows for `tokens` new tokens."""
    spare, needed = rows - vocabulary, vocabulary + tokens
    if spare < 0:
        return Plan(
            "append",
            tokens,
            rows,
            needed,
            rows,
            f"append {counted(tokens, 'row')} to the table of {rows}, after "
            f"{counted(-spare, 'row')} that {'its token lacks' if spare == -1 else 'its tokens lack'}",
            -spare,
        )
    if not spare:
        return Plan(
            "append",
            tokens,
            rows,
            needed,
            vocabulary,
            f"append {counted(tokens, 'row')} to the table of {rows}",
        )
    if needed <= rows:
        return Plan(
            "spare",
            tokens,
            rows,
            rows,
            vocabulary,
            f"use {tokens} of {counted(spare, 'spare row')}; the table keeps its {rows} rows (it is never shrunk)",
        )
    return Plan(
        "spare+append",
        tokens,
        rows,
        needed,
        vocabulary,
        f"use the {counted(spare, 'spare row')} and append {needed - rows} to the table of {rows}",
    )


def resize(
    source_folder: Path,
    tokens: Iterable[str | Mapping[str, Any] | Wanted],
    out_folder: Path,
    *,
    model_class: str,
    init: str = "subwords",
    seed: int | None = None,
    special: bool = False,
    single_word: bool = False,
    normalized: bool | None = None,
    skip_existing: bool = False,
    literal: bool = False,
    say: Callable[[str], object] = lambda line: None,
    measure: Callable[[Any, tuple[Token, ...]], object] | None = None,
) -> ResizeReport:
    """Write the model of source_folder with the tokens added into out_folder, a new or empty one, complete and loadable.

    measure gets the model as loaded from out_folder, and the new tokens.
    say gets the plan, a sentence, before anything is written. Raises InvalidTokens, NotLoadable, FolderNotFound or NotEmpty;
    then out_folder is as it was.
    """
    check_init(init, seed)
    asked = parse_tokens(
        tokens, special=special, single_word=single_word, normalized=normalized, literal=literal
    )
    if not source_folder.is_dir():
        raise FolderNotFound(f"{source_folder} is no folder")
    if (source_folder / "adapter_config.json").is_file():
        raise NotLoadable(
            "an adapter cannot be resized", hint="resize its base, then train the adapter on that"
        )
    if out_folder.exists() and any(out_folder.iterdir()):
        raise NotEmpty(f"{out_folder} contains files", hint="give a new folder or an empty one")
    _refuse_early(source_folder, asked, skip_existing=skip_existing, init=init)
    parent = load(source_folder, model_class, device="cpu")
    held = holders(parent, source_folder)
    linted = _linted(held, asked, skip_existing=skip_existing, init=init, literal=literal)
    first = held[0].size
    added = tuple(
        Token(id, token.content, *flags_of(token)) for id, token in enumerate(linted.tokens, first)
    )
    with quiet():
        grown = [(holder, holder.tables()) for holder in held]
    lengths = sorted({table.rows for _, tables in grown for table in tables})
    if len(lengths) != 1:
        raise NotLoadable(
            f"the token tables have different lengths: {', '.join(map(str, lengths))} rows"
        )
    chosen = plan(first, lengths[0], len(added))
    say(chosen.text)
    warnings = [*linted.warnings, *_output_grows(parent, model_class, chosen)]
    if init == "mean":
        warnings.append(
            "all new rows are the same vector, so the new tokens cannot be told apart until their rows are trained"
            if len(added) > 1
            else "the new row is the mean of all rows, so it says nothing of its token until it is trained"
        )
    names = tuple(sorted({table.name for _, tables in grown for table in tables}))
    there = out_folder.exists()
    try:
        copies, growths = _new_rows(grown, linted, chosen, init, seed)
        warnings += copies
        _write(
            source_folder,
            out_folder,
            held,
            added,
            grown,
            growths,
            chosen,
            sparse_poolings(parent, source_folder),
        )
        child = prove(out_folder, parent, added, model_class, first)
        output = (
            (chosen.old_rows, chosen.new_rows) if _encodes_vocabulary(parent, model_class) else None
        )
        del parent, held, grown[:]  # measuring needs memory, and no parent
        if measure is not None:
            measure(child, added)
    except BaseException:
        _clear(out_folder, keep=there)
        raise
    return ResizeReport(
        added,
        chosen,
        init,
        seed,
        chosen.old_rows,
        chosen.new_rows,
        names,
        linted.skipped,
        tuple(warnings),
        output,
    )


def _refuse_early(
    source: Path, asked: tuple[Wanted, ...], *, skip_existing: bool, init: str
) -> None:
    """Refuse what tokenizer.json alone shows, before torch is imported.

    If it is imported already, the loaded tokenizer decides soon enough.
    """
    if "torch" in sys.modules:
        return
    found = [
        path for pattern in ("tokenizer.json", "*/tokenizer.json") for path in source.glob(pattern)
    ]
    lexicon = lexicon_of(found[0].read_bytes()) if len(found) == 1 else None
    if lexicon is not None:
        refuse_early(asked, lexicon, skip_existing=skip_existing, needs_pieces=init != "random")


def _linted(
    held: list[Holder],
    asked: tuple[Wanted, ...],
    *,
    skip_existing: bool,
    init: str,
    literal: bool,
) -> Linted:
    """The tokens that can be added, the same for every route of the model."""
    results = [
        lint(
            asked,
            Lexicon(holder.backend),
            skip_existing=skip_existing,
            needs_pieces=init != "random",
            literal=literal,
        )
        for holder in held
    ]
    if len({holder.size for holder in held}) != 1 or any(
        result != results[0] for result in results
    ):
        sizes = ", ".join(str(holder.size) for holder in held)
        raise NotLoadable(f"the routes of the model have different vocabularies ({sizes} tokens)")
    return results[0]


def _new_rows(
    grown: list[tuple[Holder, list[grow.Table]]],
    linted: Linted,
    chosen: Plan,
    init: str,
    seed: int | None,
) -> tuple[list[str], dict[tuple[Path, str], grow.Growth]]:
    """Return warnings about equal rows, and the new rows by file and tensor.

    Files are read in a fixed order.
    """
    import numpy as np

    generator = None if seed is None else np.random.Generator(np.random.PCG64(seed))
    growths: dict[tuple[Path, str], grow.Growth] = {}
    warnings: list[str] = []
    count = chosen.missing + len(linted.tokens)
    for holder, tables in grown:
        for table in tables:
            is_folded = bool(holder.folded)
            stored, dtype = (
                (holder.folded_rows(), "F32") if is_folded else (table.view(), table.dtype)
            )
            rows = new_rows(
                stored, dtype, chosen.used, linted.pieces, init=init, generator=generator
            )
            missing = mean_rows(stored, dtype, chosen.missing)
            if is_folded:
                folded = np.concatenate([missing, rows])
                for name, growth in model2vec.growths(holder.folded, folded, chosen.used).items():
                    growths[table.path, name] = growth
            else:
                content = missing.tobytes() + rows.tobytes()
                growths[table.path, table.name] = grow.Growth(chosen.used, content, count)
            if not warnings and init == "subwords" and (is_folded or table.width > 1):
                warnings = list(_equal(rows, linted))
    return warnings, growths


def _equal(rows: Any, linted: Linted) -> Iterable[str]:
    seen: dict[bytes, str] = {}
    for token, row in zip(linted.tokens, rows, strict=True):
        if (other := seen.setdefault(row.tobytes(), token.content)) != token.content:
            yield f"{token.content!r} and {other!r} have the same pieces, so their rows are equal until they are trained"


def _write(
    source: Path,
    out: Path,
    held: list[Holder],
    added: tuple[Token, ...],
    grown: list[tuple[Holder, list[grow.Table]]],
    growths: Mapping[tuple[Path, str], grow.Growth],
    chosen: Plan,
    poolings: list[Path],
) -> None:
    """Copy the folder; write anew what changes."""
    out.mkdir(parents=True, exist_ok=True)
    by_file: dict[Path, dict[str, grow.Growth]] = {}
    for (path, name), growth in growths.items():
        by_file.setdefault(path, {})[name] = growth
    more: dict[Path, int] = {}
    for path in _files(source):
        target = out / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path in by_file:
            more[path.parent] = more.get(path.parent, 0) + grow.write(path, target, by_file[path])
        else:
            shutil.copyfile(path, target)
    for holder, _ in grown:
        folder = holder.folder.relative_to(source)
        holder.write_tokens(out / folder, added)
        holder.write_rows(out / folder, chosen.new_rows)
        index = out / folder / "model.safetensors.index.json"
        if index.is_file() and "total_size" in edit.parse(
            text := index.read_text("utf-8"), index.name
        ).get("metadata", {}):
            size = edit.parse(text, index.name)["metadata"]["total_size"] + more.get(
                holder.folder, 0
            )
            index.write_text(
                edit.with_numbers(text, {("metadata", "total_size"): size}, index.name), "utf-8"
            )
    for path in poolings:
        target = out / path.relative_to(source)
        text = target.read_text("utf-8")
        known = edit.parse(text, path.name)
        changes: dict[tuple[str, ...], int] = {
            (key,): chosen.new_rows
            for key in known
            if key.endswith("embedding_dimension") and known[key] is not None
        }
        target.write_text(edit.with_numbers(text, changes, path.name), "utf-8")


def _files(folder: Path) -> list[Path]:
    """What is copied: everything but other back ends' exports and pickles, which would keep the old vocabulary."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in _STALE_SUFFIXES
        and not _STALE_FOLDERS & set(path.relative_to(folder).parts[:-1])
    )


def _encodes_vocabulary(model: Any, model_class: str) -> bool:
    return model_class == "SparseEncoder" and any(
        type(module).__name__ in ("SpladePooling", "SparseStaticEmbedding")
        for module in model.modules()
    )


def _output_grows(model: Any, model_class: str, chosen: Plan) -> list[str]:
    if not _encodes_vocabulary(model, model_class) or chosen.old_rows == chosen.new_rows:
        return []
    return [
        f"the encodings grow from {chosen.old_rows} to {chosen.new_rows} dimensions; an index of old ones must be made anew"
    ]


def _clear(folder: Path, *, keep: bool) -> None:
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
