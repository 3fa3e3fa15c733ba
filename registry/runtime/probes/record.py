"""Recording: a loaded model says what it makes of each text, one by one, in float32, on one thread; it stays as it was."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from typing import Any

from registry.core.facts import Token
from registry.core.text import counted
from registry.errors import Invalid, NotLoadable
from registry.model_files.tokenizer.panics import refusing_panics
from registry.runtime.verify_loaded import no_row, without_rows

from .probe import Given, Probe, Probes

TEXTS = (
    "",
    "a",
    "The cat sat on the mat.",
    "What is the capital of France?",
    "Paris is the capital of France.",
    "TWO patients; three doses (40 mg), 12.5 % better!",
    "naïve café, Zürich, smørrebrød",
    "Привет, мир",
    "你好，世界",
    "emoji 😀 and \t tab",
    "https://example.org/a_b?c=1#d",
    "[MASK] in [SEP] brackets </s> and <mask> in angles",
    "word " * 600,
)
"""Special tokens of the common families stand in one of them. The last one is longer than what most models read, so it shows where they cut."""
_POSITIONS = re.compile(r"(position_embeddings?|embed_positions|wpe)$")
_EMBEDDED = 64
"""Added tokens whose bare text is encoded; ids are recorded for all."""
_BATCH = 128
"""Texts tokenized together where only their ids are recorded."""
_VARIED = 64
"""Added tokens that are also looked for capitalised, in the plural, inside a word, in brackets; by ids only."""


@cache
def environment() -> Mapping[str, str]:
    """What the numbers depend on besides model and text: processor and libraries. Two equal ones need no second probing."""
    import platform
    from importlib import metadata

    import torch

    versions = {
        name: metadata.version(name)
        for name in ("torch", "transformers", "sentence-transformers", "tokenizers")
    }
    capability = torch.backends.cpu.get_cpu_capability()
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "capability": capability,
        **versions,
    }


def environment_name(model: Any) -> str:
    """One line for all that a measurement of this loaded model depends on; equal lines need no second measurement."""
    return " ".join(
        (
            *(f"{key}={value}" for key, value in sorted(environment().items())),
            str(model.device.type),
            dtype_of(model),
        )
    )


def record(model: Any, added_tokens: Sequence[Token] = (), given: Sequence[Given] = ()) -> Probes:
    """The probes of a loaded model: fixed texts, each named prompt once, each added token by itself and in variants, and what
    the user gave. Raises NotLoadable for a model that cannot encode one of them, to finite numbers and as many as it says; Invalid for a pair
    where texts are encoded.
    """
    dtype, device = dtype_of(model), str(model.device.type)
    if type(model).__name__ != "CrossEncoder" and (
        pair := next((item.text for item in given if isinstance(item.text, tuple)), None)
    ):
        raise Invalid(f"a {type(model).__name__} encodes texts, and {list(pair)!r:.80} is a pair")
    with still(model):
        probes = [_probe(model, text, None, encoded=True) for text in TEXTS]
        for _, prompt in sorted((getattr(model, "prompts", None) or {}).items()):
            if prompt:
                probes.append(_probe(model, TEXTS[2], prompt, encoded=True))
        contents = [token.content for token in added_tokens]
        probes += [_probe(model, text, None, encoded=True) for text in contents[:_EMBEDDED]]
        probes += _id_probes(model, contents[_EMBEDDED:], None)
        for token in added_tokens[:_VARIED]:
            word = token.content
            probes += [
                _probe(model, text, None, encoded=False)
                for text in (
                    word[:1].upper() + word[1:],
                    word + "s",
                    f"pre{word}",
                    f"({word})",
                    f"the {word} is",
                )
            ]
        probes += [
            replace(_probe(model, item.text, item.prompt, encoded=True, strict=True), given=True)
            for item in given
        ]
        _refuse_unsound(model, probes)
    return Probes(type(model).__name__, dtype, device, environment(), tuple(probes))


def again(model: Any, recorded: Probes) -> Iterator[tuple[Probe, Probe]]:
    """(what was recorded, what the model makes of the same text now) of each probe, in their order."""
    with still(model):
        for (encoded, prompt), group in groupby(
            recorded.probes, lambda probe: (probe.shape is not None, probe.prompt)
        ):
            before = list(group)
            texts = [_text_of(probe) for probe in before]
            after = (
                (_probe(model, text, prompt, encoded=True) for text in texts)
                if encoded
                else _id_probes(model, texts, prompt)
            )
            yield from zip(before, after, strict=True)


def ids_again(model: Any, probe: Probe) -> tuple[int, ...]:
    """Return the token ids that the text of a probe has now."""
    return tuple(_ids(model, _text_of(probe), probe.prompt or ""))


def _text_of(probe: Probe) -> str | tuple[str, ...]:
    """Return the text of a probe, or the two texts of a pair."""
    return probe.text if len(probe.text) > 1 else probe.text[0]


def probe(model: Any, text: str) -> Probe:
    """What a model makes of one text, or of the pair whose second half it is. Raises NotLoadable where it cannot encode it to finite numbers."""
    found = _probe(model, text, None, encoded=True)
    _refuse_unsound(model, [found])
    return found


def _refuse_unsound(model: Any, made: Sequence[Probe]) -> None:
    """Raises NotLoadable where encodings are no numbers, or have another dimension than the model says."""
    strange = [item for item in made if not item.finite]
    if strange:
        encoded = counted(sum(item.shape is not None for item in made), "text")
        raise NotLoadable(
            f"its encodings are not finite: {strange[0].text[-1]!r:.60} encodes to NaN or infinity "
            f"({len(strange)} of {encoded}): "
            "its weights are finite but too large, so the training diverged",
            hint="use an earlier checkpoint",
        )
    told: int | None = (
        model.get_embedding_dimension() if type(model).__name__ == "SentenceTransformer" else None
    )
    other = next(
        (item.shape[-1] for item in made if item.shape is not None and item.shape[-1:] != (told,)),
        None,
    )
    if told is not None and other is not None:
        raise NotLoadable(
            f"it reports encodings of {counted(told, 'dimension')}, but they have {other}",
            hint="correct the dimension in the configuration of its last module",
        )


def _probe(
    model: Any,
    text: str | tuple[str, ...],
    prompt: str | None,
    *,
    encoded: bool,
    strict: bool = False,
) -> Probe:
    """Return the ids of a text and, if `encoded`, its encoding.

    A text with a token that has no row is not encoded; `strict` raises Invalid.
    """
    item = _input_of(model, text)
    kept = item if isinstance(item, tuple) else (item,)
    import numpy as np

    ids: tuple[int, ...] = ()
    try:
        ids = tuple(_ids(model, item, prompt or ""))
        if (
            not encoded or not ids
        ):  # a text without a piece breaks some models, and says nothing of their weights
            return Probe(kept, prompt, ids)
        lacking = without_rows(model, ids)
        if lacking and not strict:
            return Probe(kept, prompt, ids)
        if lacking:
            raise no_row(kept[-1], lacking)
        values = np.ascontiguousarray(encoding(model, item, prompt or ""), dtype="<f4")
    except Invalid:
        raise
    except (
        Exception
    ) as error:  # the libraries raise whatever they like, and each means the same: it cannot encode
        if ids and isinstance(item, str) and not item and not prompt:
            return Probe(kept, prompt, ids)  # too short for some models
        _refuse_beyond_positions(model, len(ids), error)
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NotLoadable(
            f"it loads and cannot encode {kept[-1]!r:.60}: {type(error).__name__}: {first}"
        ) from error
    if type(model).__name__ != "SparseEncoder":
        return Probe(kept, prompt, ids, values.shape, values.tobytes().hex())
    places = np.flatnonzero(values)
    return Probe(
        kept, prompt, ids, values.shape, values[places].tobytes().hex(), tuple(places.tolist())
    )


def _input_of(model: Any, text: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return what the model encodes: for a CrossEncoder a pair, else the text."""
    if type(model).__name__ == "CrossEncoder" and isinstance(text, str):
        return (TEXTS[3], text)
    return text


def _id_probes(
    model: Any, texts: Sequence[str | tuple[str, ...]], prompt: str | None
) -> Iterator[Probe]:
    """Yield the ids of each text, tokenized in batches: a list of words may be long."""
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        inputs = [_input_of(model, text) for text in batch]
        rows = _unpadded(model, inputs, prompt or "") if len(inputs) > 1 else {}
        for index, (text, encoded) in enumerate(zip(batch, inputs, strict=True)):
            if index in rows:
                parts = encoded if isinstance(encoded, tuple) else (encoded,)
                yield Probe(parts, prompt, rows[index])
            else:
                yield _probe(model, text, prompt, encoded=False)


def _unpadded(model: Any, inputs: Sequence[Any], prompt: str) -> dict[int, tuple[int, ...]]:
    """Return the ids of the inputs that a batch does not pad, by position.

    They are those of the input alone: rows are tokenized independently.
    """
    try:
        features = model.preprocess(inputs, prompt=prompt)
    except Exception:  # tokenized alone, the input that fails is named
        return {}
    ids, mask = features["input_ids"], features.get("attention_mask")
    if ids.dim() != 2 or len(ids) != len(inputs) or mask is None:
        return {}
    is_full = mask.bool().all(dim=1).tolist()
    return {index: tuple(row) for index, row in enumerate(ids.tolist()) if is_full[index]}


def _refuse_beyond_positions(model: Any, length: int, error: Exception) -> None:
    """Raise NotLoadable if the model has a table of fewer positions than tokens."""
    for name, module in model.named_modules():
        count = getattr(module, "num_embeddings", None)
        if count is None or not _POSITIONS.search(name):
            continue
        padding = getattr(module, "padding_idx", None)
        usable = count if padding is None else count - padding - 1
        if usable < length:
            raise NotLoadable(
                f"max_seq_length {model.max_seq_length} exceeds the position table {name!r} "
                f"({count} positions, {usable} of them usable)",
                hint=f"set max_seq_length in sentence_bert_config.json to {usable} or less",
            ) from error


def ids_of(model: Any, text: str) -> tuple[int, ...]:
    """The token ids of a text, special ones too; for a CrossEncoder those of a pair whose second half it is."""
    return tuple(
        _ids(model, (TEXTS[3], text) if type(model).__name__ == "CrossEncoder" else text, "")
    )


def _ids(model: Any, item: Any, prompt: str) -> list[int]:
    features = model.preprocess([item], prompt=prompt)
    ids: list[int] = features["input_ids"].flatten().tolist()
    return ids


def encoding(model: Any, item: Any, prompt: str = "") -> Any:
    """What a model makes of one text, as a numpy array; of a CrossEncoder the raw scores of a pair, a text being its second half."""
    kind = type(model).__name__
    if kind == "CrossEncoder":
        import torch

        pair = (TEXTS[3], item) if isinstance(item, str) else tuple(item)
        return model.predict(
            [pair], prompt=prompt, show_progress_bar=False, activation_fn=torch.nn.Identity()
        )[0]
    if kind == "SparseEncoder":
        vector = model.encode(
            [item], prompt=prompt, show_progress_bar=False, convert_to_sparse_tensor=False
        )[0]
        return vector.float().cpu().numpy()
    if kind == "MultiVectorEncoder":
        return model.encode([item], prompt=prompt, show_progress_bar=False, convert_to_numpy=True)[
            0
        ]
    return model.encode([item], prompt=prompt, show_progress_bar=False)[0]


def dtype_of(model: Any) -> str:
    """The coarsest dtype among the parameters."""
    import torch

    found = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    if not found:
        return "float32"
    return str(max(found, key=lambda dtype: torch.finfo(dtype).eps)).removeprefix("torch.")


@contextlib.contextmanager
def still(model: Any) -> Iterator[None]:
    """While this holds, the model computes in float32, on one thread, in evaluation mode, whole; afterwards it is as it was."""
    import torch

    threads, training = torch.get_num_threads(), model.training
    coarse = [
        (tensor, tensor.data)
        for tensor in (*model.parameters(), *model.buffers())
        if tensor.dtype in (torch.float16, torch.bfloat16)
    ]
    cut = {
        name: getattr(model, name)
        for name in ("truncate_dim", "max_active_dims")
        if getattr(model, name, None) is not None
    }
    try:
        torch.set_num_threads(1)
        model.eval()
        for tensor, data in coarse:
            tensor.data = data.float()
        for name in cut:
            setattr(model, name, None)
        with refusing_panics():
            yield
    finally:
        for tensor, data in coarse:
            tensor.data = data
        for name, value in cut.items():
            setattr(model, name, value)
        model.train(training)
        torch.set_num_threads(threads)
