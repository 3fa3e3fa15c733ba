"""Parts of the page, each a section of HTML; an empty text where there is nothing to say."""

from __future__ import annotations

from collections.abc import Iterable

from registry.results.diff import Advice, Difference, Effect
from registry.results.drift import COSINE, NOISE, SCORE, Encodings

from .svg import bars, points
from .words import counted, measured, number, said, share

FURTHEST, WORDS, LINES = 12, 60, 12


def head(found: Difference) -> str:
    """Which two, the sentence, the advice, and the few numbers that matter."""
    encodings = _of(found)
    tiles = "".join(
        f"<div><dt>{said(label)}</dt><dd>{said(value)}</dd></div>"
        for label, value in _tiles(found, encodings)
    )
    return (
        f'<header><p class="eyebrow"><span>{said(found.before.title)}</span> <span class="arrow" aria-label="to" role="img">→</span> '
        f"<span>{said(found.after.title)}</span></p><h1>{said(_claim(found, encodings))}</h1>"
        f'<p class="lead">{said(encodings.sentence, 2000)}</p>{_advice(found.advice)}<dl class="tiles">{tiles}</dl></header>'
    )


def _advice(advice: Advice) -> str:
    """What to do with stored vectors, and the reasons, one below the other."""
    state, mark, title = (
        ("keep", "✓", "Keep the stored vectors")
        if advice.keep
        else ("all", "!", "Re-encode everything")
        if advice.everything
        else (
            "some",
            "…",
            "Re-encode some texts"
            if advice.line.startswith("re-encode")
            else "Cut the stored vectors",
        )
    )
    reasons = advice.reasons or (advice.line.partition(": ")[2].partition(": ")[2] or advice.line,)
    listed = "".join(f"<li>{said(reason[:1].upper() + reason[1:], 500)}</li>" for reason in reasons)
    return (
        f'<div class="advice {state}"><span class="mark" aria-hidden="true">{mark}</span>'
        f"<div><p><strong>{title}</strong></p><ul>{listed}</ul></div></div>"
    )


def histogram(found: Difference) -> str:
    """How many texts moved how far."""
    encodings = _of(found)
    rows = encodings.histogram()
    if not rows:
        return ""
    median, most = encodings.quantile(0.5), max(count for _, _, count in rows)
    explained = {
        COSINE: "1 means that a text is encoded as before; the further to the left, the further it moved.",
        SCORE: "0 means that a pair is scored as before.",
    }.get(
        encodings.measure,
        "1 means that a text's token vectors are as before; the further to the left, the further they moved.",
    )
    low, high = rows[0][0], rows[-1][1]
    labels = "".join(
        f"<span>{measured(encodings, value)}</span>"
        for value in ([low, (low + high) / 2, high] if high > low else [low])
    )
    what = encodings.what
    return _section(
        f"How far {what}s moved",
        explained,
        f'<figure><div class="chart"><span class="most">{counted(most, what)}</span>{bars(encodings, median)}</div>'
        f'<div class="axis">{labels}</div><figcaption><span class="key median"></span> median {measured(encodings, median)} · '
        f"{said(encodings.measure)} of {counted(len(encodings.texts), what)}, {said(encodings.source)}</figcaption></figure>",
    )


def plane(found: Difference) -> str:
    """Both encodings in one plane."""
    encodings = _of(found)
    if encodings.plane is None:
        return ""
    if encodings.measure == SCORE:
        key = "A point on the dashed line is a pair whose score stayed; left to right is the score before, bottom to top the score after."
        legend = '<span class="key new"></span> a pair'
    else:
        key = "Each text where it was and where it is. Numbers are those of the list below."
        legend = f'<span class="key old"></span> {said(found.before.title)} <span class="key new"></span> {said(found.after.title)}'
    shown = sum(item.before is not None for item in encodings.texts)
    return _section(
        "Both in one plane",
        key,
        f"<figure>{points(encodings, encodings.by_distance)}<figcaption>{legend} · "
        f"{counted(shown, encodings.what)} · {said(encodings.plane)}</figcaption></figure>",
    )


def furthest(found: Difference) -> str:
    """The texts that moved most, with their neighbours."""
    encodings = _of(found)
    chosen = [index for index in encodings.by_distance if encodings.texts[index].moved > NOISE][
        :FURTHEST
    ]
    if not chosen:
        return ""
    most = encodings.texts[chosen[0]].moved
    items = "".join(_far(encodings, index, most) for index in chosen)
    more = encodings.count - len(chosen)
    note = f'<p class="note">and {counted(more, encodings.what)} more</p>' if more > 0 else ""
    return _section(
        f"The {encodings.what}s that moved most",
        "The bar is how far, beside the one that moved furthest.",
        f'<ol class="far">{items}</ol>{note}',
    )


def pieces(found: Difference) -> str:
    """Words that fall into other pieces, before and after."""
    words = _of(found).pieces
    if not words and not found.tokens:
        return ""
    body = ""
    if words:
        rows = "".join(
            f'<tr><th scope="row">{said(item.word, 60)}</th><td>{_chips(item.before)}</td><td>{_chips(item.after)}</td>'
            f'<td class="number">{item.count:,}</td></tr>'
            for item in words[:WORDS]
        )
        more = (
            f'<p class="note">and {counted(len(words) - WORDS, "word")} more</p>'
            if len(words) > WORDS
            else ""
        )
        body = (
            _table("Pieces of words before and after", ("Word", "Before", "After", "Times"), rows)
            + more
        )
    kinds = {
        kind: [item.content for item in found.tokens if item.kind == kind]
        for kind in ("added", "removed", "moved", "flags")
    }
    told = [
        f"{counted(len(names), 'token')} {'with other flags' if kind == 'flags' else kind}"
        for kind, names in kinds.items()
        if names
    ]
    return _section(
        "Tokens before and after",
        "; ".join(told) or "The same tokens, found otherwise in a text.",
        body,
    )


def _norm(item: Effect) -> str:
    return "not computed" if item.change is None else number(item.change)


def details(found: Difference) -> str:
    """Weights, adapter, settings, README, metrics: what was compared without encoding anything."""
    parts = []
    if found.effects:
        rows = (
            f'<tr><th scope="row">{said(item.module)}</th><td class="number">{_norm(item)}</td>'
            f'<td class="number">{share(item.relative)}</td></tr>'
            for item in found.effects[:LINES]
        )
        parts.append(
            _detail(
                "What the adapter adds, by module",
                len(found.effects),
                _table(
                    "What the adapter adds",
                    ("Module", "Norm of the change", "Of the weight's"),
                    "".join(rows),
                ),
            )
        )
    if found.tensors:
        rows = (
            f'<tr><th scope="row">{said(item.name)}</th><td>{said(", ".join(item.kinds))}</td><td class="number">{item.changed:,}</td>'
            f'<td class="number">{number(item.largest)}</td><td class="number">{share(item.relative) if item.changed else "–"}</td></tr>'
            for item in found.modules[:LINES]
        )
        parts.append(
            _detail(
                "Weights that differ, by module",
                len(found.modules),
                _table(
                    "Weights that differ",
                    ("Module", "How", "Values changed", "Largest change", "Norm, relative"),
                    "".join(rows),
                ),
            )
        )
    if found.settings:
        rows = (
            f'<tr><th scope="row">{said(item.area)} {said(item.key)}</th><td>{_value(item.before)}</td><td>{_value(item.after)}</td></tr>'
            for item in found.settings
        )
        parts.append(
            _detail(
                "Settings",
                len(found.settings),
                _table("Settings", ("Setting", "Before", "After"), "".join(rows)),
            )
        )
    if found.metrics:
        rows = (
            f'<tr><th scope="row">{said(item.key)}</th><td>{_value(item.before)}</td><td>{_value(item.after)}</td></tr>'
            for item in found.metrics
        )
        parts.append(
            _detail(
                "Metrics",
                len(found.metrics),
                _table("Metrics", ("Metric", "Before", "After"), "".join(rows)),
            )
        )
    for text in found.texts:
        lines = "".join(
            f'<span class="{_sign(line)}">{said(line, 400)}\n</span>' for line in text.lines[:60]
        )
        parts.append(
            _detail(
                said(text.path),
                text.added + text.removed,
                f'<pre tabindex="0" role="region" aria-label="changes of {said(text.path)}">'
                f"{lines}</pre>",
            )
        )
    same = f"{counted(found.same_tensors, 'tensor')} {'is' if found.same_tensors == 1 else 'are'} the same."
    return _section("What differs inside", f"Read from the files of both. {same}", "".join(parts))


def footer(found: Difference) -> str:
    """Which two exactly, and what made the page."""
    rows = "".join(
        f"<li>{said(side.title)}: {said(side.kind)}, {said(side.model_class)}"
        + (f", <code>{said(side.digest)}</code>" if side.digest else "")
        + "</li>"
        for side in (found.before, found.after)
    )
    return (
        f"<footer><ul>{rows}</ul><p>Made by <code>registry diff --encodings --html</code>. "
        "Nothing in this page is loaded from elsewhere.</p></footer>"
    )


def _of(found: Difference) -> Encodings:
    if found.encodings is None:
        raise ValueError("the difference was made without encodings")
    return found.encodings


def _claim(found: Difference, encodings: Encodings) -> str:
    whole = len(encodings.texts)
    what = encodings.what
    if not encodings.comparable:
        return "Two models whose vectors cannot be compared"
    if not encodings.count and encodings.resized:
        return "Every vector has another length"
    if not encodings.count:
        return f"No {what} moved" + ("" if encodings.exact else " by more than rounding")
    if encodings.count == whole:
        return f"Every {what} moved" if whole > 1 else f"The {what} moved"
    return f"{encodings.count} of {counted(whole, what)} moved"


def _tiles(found: Difference, encodings: Encodings) -> Iterable[tuple[str, str]]:
    if encodings.comparable:
        yield "moved", f"{encodings.count} of {len(encodings.texts)}"
    if encodings.comparable and encodings.measure == SCORE:
        yield "median change", measured(encodings, encodings.quantile(0.5), signed=True)
        yield (
            "largest change",
            measured(encodings, encodings.texts[encodings.by_distance[0]].value, signed=True),
        )
    elif encodings.comparable:
        yield (
            "median " + ("cosine" if encodings.measure == COSINE else "likeness"),
            measured(encodings, encodings.quantile(0.5)),
        )
        yield "lowest", measured(encodings, encodings.quantile(0.0))
    if encodings.neighbours:
        yield (
            "new neighbours",
            f"{sum(bool(item.entered) for item in encodings.texts)} of {encodings.compared}",
        )
    added = sum(item.kind == "added" for item in found.tokens)
    if found.tokens:
        yield ("tokens added", str(added)) if added else ("tokens changed", str(len(found.tokens)))


def _far(encodings: Encodings, index: int, most: float) -> str:
    item = encodings.texts[index]
    width = max(item.moved / most * 100, 1) if most else 0
    near = ""
    if item.entered:
        lists = "".join(
            f"<div><p>{title}</p><ul>{''.join(f'<li>{said(encodings.texts[other].text, 120)}</li>' for other in numbers)}</ul></div>"
            for title, numbers in (("came near", item.entered), ("went away", item.left))
            if numbers
        )
        near = (
            f"<details><summary>{len(item.entered)} of its {encodings.neighbours} nearest texts are new</summary>"
            f'<div class="near">{lists}</div></details>'
        )
    return (
        f'<li><p class="said">{said(item.text)}</p><p class="value">{measured(encodings, item.value, signed=True)}</p>'
        f'<div class="meter"><span style="width:{width:.1f}%"></span></div>{near}</li>'
    )


def _section(title: str, explained: str, body: str) -> str:
    return f"<section><h2>{said(title)}</h2><p>{said(explained, 2000)}</p>{body}</section>"


def _table(caption: str, headers: Iterable[str], rows: str) -> str:
    cells = "".join(f'<th scope="col">{said(header)}</th>' for header in headers)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{said(caption)}"><table><caption class="hidden">{said(caption)}</caption>'
        f"<thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _detail(title: str, count: int, body: str) -> str:
    return (
        f'<details><summary>{title} <span class="count">{count:,}</span></summary>{body}</details>'
    )


def _chips(items: tuple[str, ...]) -> str:
    return (
        '<span class="chips">'
        + "".join(f"<code>{said(item, 60)}</code>" for item in items)
        + "</span>"
    )


def _value(item: object) -> str:
    return "<i>none</i>" if item is None else f"<code>{said(str(item), 120)}</code>"


def _sign(line: str) -> str:
    return {"+": "plus", "-": "minus"}.get(line[:1], "around")
