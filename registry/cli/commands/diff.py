"""Diffing: what differs between two models, for people and as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from registry.cli.command import at_option, command
from registry.cli.output.text import plain
from registry.cli.params import File, VersionOrFolder
from registry.cli.session import Session
from registry.core.text import counted
from registry.results.drift import NOISE

if TYPE_CHECKING:
    from registry.results.diff import Difference, Effect, ModuleChange, TensorChange, TokenChange
    from registry.results.drift import Encodings

SHOWN = 10


@command("diff")
@click.argument("before", metavar="REF|./FOLDER", type=VersionOrFolder())
@click.argument("after", metavar="REF|./FOLDER", type=VersionOrFolder())
@click.option("--stat", is_flag=True, help="A line for each area, no details.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if anything differs.")
@click.option(
    "--encodings", is_flag=True, help="Load both, encode texts, and tell how far each one moved."
)
@click.option(
    "--texts",
    metavar="FILE",
    type=File(),
    help="Encode these, one on a line (for a CrossEncoder a pair), not registry's own.",
)
@click.option(
    "--html",
    metavar="OUT",
    type=File(),
    help="Write all of it as one page that needs nothing else; measures as --encodings does.",
)
@at_option()
@click.pass_obj
def diff(
    session: Session,
    /,
    before: str,
    after: str,
    stat: bool,
    exit_code: bool,
    encodings: bool,
    texts: str | None,
    html: str | None,
    at: str | None,
) -> None:
    """Tell what differs between two models as they would be loaded, and whether stored vectors can be kept.

    Tokens, weights, what an adapter does, settings, README and metrics. The last line is the advice.

    \b
    Examples:
      registry diff medical@3 medical@prod
      registry diff minilm@1 ./my-finetuned --stat
      registry diff medical@3 medical@4 --encodings --texts queries.txt --html moved.html
    """
    session.form("a difference is told", {"stat": stat})
    if not encodings and (texts is not None or html is not None):
        session.note(
            f"{'--html' if html is not None else '--texts'} measures encodings too: both models are loaded"
        )
    with session.progress() as progress:
        found = session.registry.diff(
            before, after, encodings=encodings, texts=texts, html=html, at=at, progress=progress
        )
    session.put(value(found), lines(found, stat=stat), [found.advice.line])
    if html is not None:
        session.note(f"wrote the page {html}")
    if exit_code and not found.same:
        session.exit_code = 1


def value(found: Difference) -> dict[str, Any]:
    """All of it, as --json prints it."""
    return {
        "before": dataclasses.asdict(found.before),
        "after": dataclasses.asdict(found.after),
        "same": found.same,
        "tokens": [
            {
                "content": item.content,
                "change": item.kind,
                "before": _token(item.before),
                "after": _token(item.after),
            }
            for item in found.tokens
        ],
        "weights": {
            "same": found.same_tensors,
            "read": found.read,
            "modules": [
                {**dataclasses.asdict(item), "kinds": list(item.kinds)} for item in found.modules
            ],
            "tensors": [_tensor(item) for item in found.tensors],
        },
        "adapter": [
            {**dataclasses.asdict(item), "relative": item.relative} for item in found.effects
        ],
        "settings": [dataclasses.asdict(item) for item in found.settings],
        "texts": [{**dataclasses.asdict(item), "lines": list(item.lines)} for item in found.texts],
        "metrics": [dataclasses.asdict(item) for item in found.metrics],
        "files": list(found.files),
        "advice": {**dataclasses.asdict(found.advice), "reasons": list(found.advice.reasons)},
        "encodings": None if found.encodings is None else _encodings(found.encodings),
    }


def lines(found: Difference, *, stat: bool) -> Iterator[str]:
    """The same for people; with stat a line an area."""
    yield f"{plain(found.before.title)} ({found.before.kind}) → {plain(found.after.title)} ({found.after.kind})"
    for title, summary, details in _areas(found):
        yield f"{title:<9} {plain(summary)}"
        if not stat:
            yield from (f"  {plain(line)}" for line in details)
    if found.same:
        yield "nothing differs"
    if found.encodings is not None:
        yield from _moved(found.encodings, stat=stat)
    yield plain(found.advice.line)


def _areas(found: Difference) -> Iterator[tuple[str, str, Sequence[str]]]:
    """(area, in a line, the details) of what differs."""
    if found.tokens:
        yield (
            "tokens",
            _counted([item.kind for item in found.tokens]),
            _some([_token_line(item) for item in found.tokens]),
        )
    if found.tensors or found.effects:
        modules = [_module_line(item, found.tensors) for item in found.modules]
        told = [_counted([item.kind for item in found.tensors])] if found.tensors else []
        yield (
            "weights",
            ", ".join([*told, f"{counted(found.same_tensors, 'tensor')} same"]),
            _some(modules),
        )
    if found.effects:
        most = (
            f", the most in {found.effects[0].module}"
            if found.effects[0].change is not None
            else ""
        )
        yield (
            "adapter",
            f"changes {found.changed_modules}{most}",
            _some([_effect_line(item) for item in found.effects]),
        )
    if found.settings:
        yield (
            "settings",
            ", ".join(dict.fromkeys(item.area for item in found.settings)),
            _some(
                [
                    f"{item.area} {item.key}: {_short(item.before)} → {_short(item.after)}"
                    for item in found.settings
                ]
            ),
        )
    for text in found.texts:
        yield (
            text.path,
            f"{counted(text.added, 'line')} added, {text.removed} removed",
            _some(text.lines),
        )
    if found.metrics:
        metrics = [
            f"{item.key}: {item.before or 'none'} → {item.after or 'none'}"
            for item in found.metrics
        ]
        yield "metrics", counted(len(found.metrics), "differs", "differ"), _some(metrics)
    if found.files:
        yield (
            "files",
            counted(len(found.files), "other differs", "others differ"),
            _some(list(found.files)),
        )


def _effect_line(item: Effect) -> str:
    share = f", {item.relative:.2%} of the weight's" if item.relative is not None else ""
    was = f" (was {_norm(item.before)}, is {_norm(item.after)})" if item.before != 0 else ""
    return f"{item.module}: norm {_norm(item.change)}{share}{was}"


def _norm(value: float | None) -> str:
    return "not computed" if value is None else f"{value:.4g}"


def _moved(found: Encodings, *, stat: bool) -> Iterator[str]:
    yield f"encodings {plain(found.sentence)}"
    if stat:
        return
    yield f"  {f'{found.measure} of ' if found.comparable else ''}{counted(len(found.texts), found.what)}, {plain(found.source)}"
    bins = found.histogram(10)
    digits = max(4, math.ceil(-math.log10(bins[0][1] - bins[0][0])) + 1) if len(bins) > 1 else 4
    for low, high, count in bins:
        span = (
            f"{low:{digits + 4}.{digits}f} to {high:.{digits}f}"
            if len(bins) > 1
            else found.said(low)
        )
        yield f"  {span}  {count:5}  {'█' * round(30 * count / len(found.texts))}".rstrip()
    far = [index for index in found.by_distance if found.texts[index].moved > NOISE]
    yield from (f"  {line}" for line in _some([_moved_line(found, index) for index in far]))
    for item in found.pieces[:SHOWN]:
        yield plain(f"  pieces of {item.word}: {' '.join(item.before)} → {' '.join(item.after)}")
    if len(found.pieces) > SHOWN:
        yield f"  … and {counted(len(found.pieces) - SHOWN, 'more word')} (--json has all)"


def _moved_line(found: Encodings, index: int) -> str:
    item = found.texts[index]
    text = item.text if len(item.text) <= 80 else item.text[:79] + "…"
    new = f"; {len(item.entered)} of {found.neighbours} neighbours new" if item.entered else ""
    return plain(f"{found.said(item.value)}  {text}{new}")


def _encodings(found: Encodings) -> dict[str, Any]:
    return {
        "sentence": found.sentence,
        "measure": found.measure,
        "source": found.source,
        "moved": found.count if found.comparable else None,
        "exact": found.exact,
        "median": found.quantile(0.5),
        "least": found.quantile(0.0),
        "lengths": None if found.lengths is None else list(found.lengths),
        "neighbours": found.neighbours,
        "compared": found.compared,
        "plane": found.plane,
        "histogram": [
            {"from": low, "to": high, "texts": count} for low, high, count in found.histogram()
        ],
        "texts": [
            {
                **dataclasses.asdict(item),
                "before": _place(item.before),
                "after": _place(item.after),
                "left": list(item.left),
                "entered": list(item.entered),
            }
            for item in found.texts
        ],
        "pieces": [
            {**dataclasses.asdict(item), "before": list(item.before), "after": list(item.after)}
            for item in found.pieces
        ],
    }


def _place(place: tuple[float, float] | None) -> list[float] | None:
    return None if place is None else list(place)


def _token_line(item: TokenChange) -> str:
    before, after = item.before, item.after
    if item.kind == "moved" and before is not None and after is not None:
        return f"~ {item.content}: id {before.id} → {after.id}"
    if before is not None and after is not None:
        flags = [
            name for name in before._fields[2:] if getattr(before, name) != getattr(after, name)
        ]
        return f"~ {item.content} (id {after.id}): " + ", ".join(
            f"{name} {getattr(before, name)} → {getattr(after, name)}".lower() for name in flags
        )
    token = after or before
    assert token is not None
    return f"{'+' if after is not None else '-'} {item.content} (id {token.id})"


def _module_line(item: ModuleChange, tensors: Sequence[TensorChange]) -> str:
    own = [tensor for tensor in tensors if tensor.module == item.name]
    said = [
        _shape(tensor)
        for tensor in own
        if tensor.kind in ("added", "removed", "resized", "dtype", "moved")
    ]
    if own[0].kind == "merged":
        said.append(
            f"the adapter's product merged in, rounded by {item.relative or 0:.1e} of its norm"
        )
    elif item.changed:
        share = f", {item.relative:.2%} of its norm" if item.relative is not None else ""
        odd = f", {item.not_finite} of them NaN or infinite on one side" if item.not_finite else ""
        said.append(
            f"{item.changed} of {counted(item.values, 'value')} changed{odd}{share}, largest {item.largest:.3g}, mean {item.mean:.3g}"
        )
    return f"{item.name}: " + "; ".join(said)


def _shape(tensor: TensorChange) -> str:
    name = tensor.name.rpartition(".")[2]
    old, new = (None if shape is None else "×".join(map(str, shape)) for shape in tensor.shapes)
    if tensor.kind == "resized":
        return f"{name} {old} → {new}" + (f", {_rows(tensor)}" if tensor.rows is not None else "")
    if tensor.kind == "dtype":
        return f"{name} {tensor.dtypes[0]} → {tensor.dtypes[1]}, the same values"
    if tensor.kind == "moved":
        return f"{name}: each row went where its token went"
    return f"{name} {new or old} {tensor.kind}"


def _rows(tensor: TensorChange) -> str:
    """What became of the rows of a table: new, gone, changed."""
    kept = tensor.rows or 0
    gone = (tensor.shapes[0] or (kept,))[0] - kept
    old = counted(kept, "old row")
    said = [f"{counted(tensor.new_rows, 'row')} new"] if tensor.new_rows else []
    said += [f"{counted(gone, 'row')} gone"] if gone > 0 else []
    return ", ".join(
        [
            *said,
            f"{tensor.changed_rows} of {old} changed" if tensor.changed_rows else f"{old} the same",
        ]
    )


def _tensor(item: TensorChange) -> dict[str, Any]:
    return {
        "name": item.name,
        "module": item.module,
        "change": item.kind,
        "dtypes": list(item.dtypes),
        "shapes": [None if shape is None else list(shape) for shape in item.shapes],
        "values": item.values,
        "changed": item.changed,
        "largest": item.largest,
        "mean": item.mean,
        "norm": item.norm,
        "relative": item.relative,
        "rows": item.rows,
        "changed_rows": item.changed_rows,
        "new_rows": item.new_rows,
        "not_finite": item.not_finite,
    }


def _token(token: Any) -> dict[str, Any] | None:
    from registry.results.queries import token_to_dict

    return None if token is None else token_to_dict(token)


def _counted(kinds: Sequence[str]) -> str:
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _some(items: Sequence[str]) -> list[str]:
    return [
        *items[:SHOWN],
        *([f"… and {len(items) - SHOWN} more (--json has all)"] if len(items) > SHOWN else []),
    ]


def _short(item: Any) -> str:
    text = "none" if item is None else str(item)
    return text if len(text) <= 60 else text[:59] + "…"
