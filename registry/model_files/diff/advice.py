"""Advice: whether vectors that were stored with the one model can be kept for the other, and why.

It is judged from what differs, not from trials: what cannot change a vector is named, and all else counts as a change. How far
texts really move is for --encodings to measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from registry.core.text import counted
from registry.model_files.adapter.config import is_part
from registry.results.diff import Advice, Effect, SettingChange, TensorChange, TokenChange

from .model_view import Side
from .settings import SPELLING

_NAMED = 5
_SAID = 3
"""Reasons that the line itself gives; the first are those that weigh most."""
_ROUNDING = {"F16": 2.0**-11, "BF16": 2.0**-8}
"""The largest relative change of a number that is rounded to the nearest one of a dtype."""
_ROUNDED = ("attn_implementation", "unpad_inputs")
"""Ends of settings of how the same is computed."""
_HARMLESS = ("similarity", "dtype", "prompts", "adapter")
"""Areas that are judged one by one, or by what they do to the weights."""


def advise(
    before: Side,
    after: Side,
    tokens: Sequence[TokenChange],
    tensors: Sequence[TensorChange],
    effects: Sequence[Effect],
    settings: Sequence[SettingChange],
) -> Advice:
    """What to do with stored vectors."""
    everything = [
        *_by_tokens(after, tokens, tensors),
        *_by_weights(after, tensors),
        *_by_effects(effects),
        *_by_other_adapters(before, after, tensors),
        *_by_settings(settings),
    ]
    everything.sort(key=lambda reason: not reason.startswith(("class is ", "modules is ")))
    cut = _cut(before, after, settings) if len(everything) == 1 else None
    everything = everything if cut is None else []
    some = [] if everything else [*_by_prompts(settings), *_by_length(settings), *_by_added(tokens)]
    cutting = (
        [
            f"each to its first {counted(cut, 'number')}, which is its encoding now, normalised again where normalize_embeddings=True made it"
        ]
        if cut is not None
        else []
    )
    notes = list(_notes(settings, tensors))
    reasons = (*everything, *some, *cutting, *notes)
    if after.layout.model_class == before.layout.model_class == "CrossEncoder":
        why = (
            "its scores change: " + "; ".join(everything or some)
            if everything or some
            else "its scores are the same"
        )
        return Advice(
            True, False, f"stored vectors: keep: a CrossEncoder stores none; {why}", reasons
        )
    if everything:
        more = [f"and {len(everything) - _SAID} more reasons"] if len(everything) > _SAID else []
        return Advice(
            False,
            True,
            "re-encode: everything: " + "; ".join([*everything[:_SAID], *more, *notes]),
            reasons,
        )
    if some:
        others = (
            f"are cut, {cutting[0]}" if cutting else "keep, since weights and settings are the same"
        )
        return Advice(
            False, False, f"re-encode: {'; '.join(some)}; the other vectors {others}", reasons, cut
        )
    said = "; ".join([*cutting, _why_kept(tensors, effects, notes)])
    return Advice(
        cut is None, False, f"stored vectors: {'cut' if cutting else 'keep'}: {said}", reasons, cut
    )


def _cut(before: Side, after: Side, settings: Sequence[SettingChange]) -> int | None:
    """The lower truncate_dim, where it went down: a SentenceTransformer cuts last of all, behind its own normalisation."""
    if not before.layout.model_class == after.layout.model_class == "SentenceTransformer":
        return None
    change = next((change for change in settings if change.key == "truncate_dim"), None)
    was, now = (change.before, change.after) if change is not None else (None, None)
    went_down = (
        isinstance(now, int) and now > 0 and (was is None or (isinstance(was, int) and was > now))
    )
    return now if went_down else None


def _why_kept(tensors: Sequence[TensorChange], effects: Sequence[Effect], notes: list[str]) -> str:
    moved = any(change.kind == "moved" for change in tensors)
    said = (
        "every row went where its token went, and all else that encodes is the same"
        if moved
        else "weights, tokens and settings that encode are the same"
    )
    if effects:
        said += "; the adapter adds nothing"
    return "; ".join([said, *notes])


def _by_settings(settings: Sequence[SettingChange]) -> Iterator[str]:
    for change in settings:
        if (
            change.area in _HARMLESS
            or change.key == "max_seq_length"
            or change.key.endswith(_ROUNDED)
        ):
            continue
        if change.area == "tokenizer" and change.key.partition(".")[0] in ("decoder", SPELLING):
            continue  # it makes texts of ids
        both = change.before is not None and change.after is not None
        if change.area == "configuration" and not both:
            continue  # the library's default, spelled out by one version and not by another
        yield f"{_named(change)} is {_short(change.after)}, was {_short(change.before)}"


def _by_tokens(
    after: Side, tokens: Sequence[TokenChange], tensors: Sequence[TensorChange]
) -> Iterator[str]:
    moved, flags = (
        [change for change in tokens if change.kind == kind] for kind in ("moved", "flags")
    )
    sizes = [sum(change.kind == kind for change in tokens) for kind in ("added", "removed")]
    followed = any(change.kind == "moved" for change in tensors)
    if moved and (not followed or after.layout.model_class == "SparseEncoder"):
        yield f"{_count(moved)} moved to other ids ({_names(moved)})"
    if flags:
        yield f"{_count(flags)} with other flags ({_names(flags)})"
    if any(sizes) and after.layout.model_class == "SparseEncoder":
        yield f"a SparseEncoder's vectors have a dimension for each token, {sizes[0]} more and {sizes[1]} less than before"


def _by_weights(after: Side, tensors: Sequence[TensorChange]) -> Iterator[str]:
    changed = [item for item in tensors if item.kind in ("changed", "resized") and item.changed]
    if changed:
        most = max(changed, key=lambda item: item.relative or 0.0)
        told = (
            f", by {most.relative:.2g} of its norm in {most.name}"
            if most.relative is not None
            else ""
        )
        yield f"{counted(len(changed), 'tensor')} changed{told}{_not_finite(changed) or _by_rounding(changed)}"
    reshaped = [item for item in tensors if item.kind == "resized" and item.rows is None]
    if reshaped:
        yield f"{reshaped[0].name} has the shape {reshaped[0].shapes[1]}, had {reshaped[0].shapes[0]}"
    for kind in ("added", "removed"):
        found = [
            item
            for item in tensors
            if item.kind == kind
            and not item.name.startswith(("pooler.", "cls."))
            and not is_part(item.name)
        ]
        if found:
            yield f"{counted(len(found), 'tensor')} {kind}, {found[0].name} first"


def _not_finite(changed: Sequence[TensorChange]) -> str:
    found = sum(item.not_finite for item in changed)
    return (
        f", and {counted(found, 'value is', 'values are')} NaN or infinite on one side"
        if found
        else ""
    )


def _by_rounding(changed: Sequence[TensorChange]) -> str:
    """What rounding to a shorter dtype can explain, since that is why most of such tensors differ."""
    dtypes = {item.dtypes for item in changed}
    before, after = next(iter(dtypes))
    step = _ROUNDING.get(str(after), 0.0)
    if (
        len(dtypes) > 1
        or before == after
        or any(item.relative is None or item.relative > step for item in changed)
    ):
        return ""
    return f", no more than rounding {before} to {after} does"


def _by_effects(effects: Sequence[Effect]) -> Iterator[str]:
    real = [effect for effect in effects if effect.change]
    if real:
        share = (
            f", {real[0].relative:.2g} of the weight's norm" if real[0].relative is not None else ""
        )
        yield f"the adapter changes {counted(len(real), 'module')}, most in {real[0].module} (norm {real[0].change:.3g}{share})"


def _by_other_adapters(before: Side, after: Side, tensors: Sequence[TensorChange]) -> Iterator[str]:
    found = [item for item in tensors if item.kind in ("added", "removed") and is_part(item.name)]
    if found and (before.others or after.others):
        yield f"{counted(len(found), 'tensor')} of an adapter whose effect is not computed here {'is' if len(found) == 1 else 'are'} {found[0].kind}"


def _by_prompts(settings: Sequence[SettingChange]) -> Iterator[str]:
    for change in settings:
        if change.area == "prompts" and change.key == "default_prompt_name":
            yield f"texts encoded without naming a prompt: the default is {_short(change.after)}, was {_short(change.before)}"
        elif change.area == "prompts":
            yield f"texts encoded with the prompt {change.key!r}: it is {_short(change.after)}, was {_short(change.before)}"


def _by_length(settings: Sequence[SettingChange]) -> Iterator[str]:
    for change in settings:
        if change.key == "max_seq_length":
            known = [value for value in (change.before, change.after) if isinstance(value, int)]
            least = f" of more than {min(known)} tokens" if known else " that are long"
            yield f"texts{least}: they are cut at {_short(change.after)}, were at {_short(change.before)}"


def _by_added(tokens: Sequence[TokenChange]) -> Iterator[str]:
    for kind, said in (("added", "hold"), ("removed", "held")):
        found = [change for change in tokens if change.kind == kind]
        if found:
            yield f"texts that {said} {'an' if len(found) > 1 else 'the'} {kind} token ({_names(found)})"


def _notes(settings: Sequence[SettingChange], tensors: Sequence[TensorChange]) -> Iterator[str]:
    for change in settings:
        if change.area == "similarity":
            yield f"compare them by {_short(change.after)}, no longer by {_short(change.before)}"
    merged = [item.relative or 0.0 for item in tensors if item.kind == "merged"]
    if merged:
        into = counted(len(merged), "weight, which differs", "weights, which differ")
        yield f"what the adapter adds was merged into {into} by rounding alone (by {max(merged):.1e} of their norm)"
    cast = [item for item in tensors if item.kind == "dtype"]
    if cast:
        yield f"the same values lie in {cast[0].dtypes[1]} instead of {cast[0].dtypes[0]}, so vectors differ by rounding alone"
    elif any(change.area == "dtype" for change in settings) and not any(
        item.dtypes[0] != item.dtypes[1] for item in tensors
    ):
        yield "it computes in another dtype, so vectors differ by rounding alone"
    elif any(change.key.endswith(_ROUNDED) for change in settings):
        yield "it computes the same in another way, so vectors differ by rounding alone"


def _named(change: SettingChange) -> str:
    return (
        change.key
        if change.area in (change.key, "class", "modules", "normalisation")
        else f"{change.area} {change.key}"
    )


def _count(changes: Sequence[TokenChange]) -> str:
    return counted(len(changes), "token")


def _names(changes: Sequence[TokenChange]) -> str:
    shown = ", ".join(change.content for change in changes[:_NAMED])
    return shown + (f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else "")


def _short(value: object) -> str:
    text = "none" if value is None else str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
