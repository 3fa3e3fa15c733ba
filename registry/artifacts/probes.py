"""Probes: fixed texts with their token ids and float32 encodings, recorded once and compared at a load.

Token ids are exact and tell a tokenizer fault from a weight fault. Encodings are made text by text, in float32, on one thread,
and compared within a tolerance: another processor or library adds in another order. Probes never replace digests: a row that
no probe uses can change unseen. Nothing of the model is changed: it computes in float32 for the moment, whatever it is stored in.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from ..digest import canonical, parse_canonical, real
from ..errors import InvalidManifest, NewerFormat, ProbeMismatch
from ..facts import Token

FORMAT = 1
TEXTS = (
    "", "a", "The cat sat on the mat.", "What is the capital of France?", "Paris is the capital of France.",
    "TWO patients; three doses (40 mg), 12.5 % better!", "naïve café, Zürich, smørrebrød", "Привет, мир", "你好，世界",
    "emoji 😀 and \t tab",
    "https://example.org/a_b?c=1#d", "word " * 600,
)
"""The last one is longer than what most models read, so it shows where they cut."""
_EMBEDDED = 64
"""Added tokens whose bare text is encoded; ids are recorded for all."""
_VARIED = 64
"""Added tokens that are also looked for capitalised, in the plural, inside a word, in brackets; by ids only."""

_FAIL = {"float32": 1e-5, "float64": 1e-5, "float16": 2e-3, "bfloat16": 1.5e-2}
_OTHER_DEVICE = 1e-2
"""Another device than the recording one multiplies otherwise; its noise was not measured, so this is wide."""


@dataclass(frozen=True)
class Probe:
    """A text, or for a CrossEncoder a pair, with what the model makes of it."""

    text: tuple[str, ...]
    prompt: str | None
    ids: tuple[int, ...]
    shape: tuple[int, ...] | None = None
    """Of the encoding; None where only the ids are recorded."""
    values: str = ""
    """The encoding as hex of little-endian float32 numbers; of a sparse one those that are not 0."""
    places: tuple[int, ...] | None = None
    """Of a sparse encoding: where the values stand."""


@dataclass(frozen=True)
class Probes:
    """What was recorded, and where."""

    model_class: str
    dtype: str
    """In which the model was loaded; the encodings are made in float32."""
    device: str
    environment: Mapping[str, str]
    probes: tuple[Probe, ...]

    def to_bytes(self) -> bytes:
        """The canonical bytes, to be stored as a blob."""
        return canonical({"format": FORMAT, **asdict(self), "environment": dict(self.environment)})


@dataclass(frozen=True)
class Difference:
    """One probe that comes out otherwise, by more than noise can explain."""

    text: str
    what: str
    amount: float
    tolerance: float

    def __str__(self) -> str:
        return f"{self.text!r:.60}: {self.what}"


def parse(content: bytes) -> Probes:
    """The probes that these bytes are. Raises InvalidManifest, or NewerFormat."""
    value = parse_canonical(content, "the probes")
    try:
        if value.pop("format") > FORMAT:
            raise NewerFormat("the probes have a newer format; update st-registry")
        probes = tuple(_parsed(probe) for probe in value.pop("probes"))
        return Probes(**value, probes=probes)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidManifest(f"the probes are malformed: {error}") from None


def _parsed(probe: dict[str, Any]) -> Probe:
    fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in probe.items()}
    return Probe(**fields)


@functools.cache
@cache
def environment() -> Mapping[str, str]:
    """What the numbers depend on besides model and text: processor and libraries. Two equal ones need no second probing."""
    import platform
    from importlib import metadata

    import torch
    versions = {name: metadata.version(name) for name in ("torch", "transformers", "sentence-transformers", "tokenizers")}
    capability = torch.backends.cpu.get_cpu_capability()
    return {"system": platform.system(), "machine": platform.machine(), "capability": capability, **versions}


def environment_name(model: Any) -> str:
    """One line for all that a measurement of this loaded model depends on; equal lines need no second measurement."""
    return " ".join((*(f"{key}={value}" for key, value in sorted(environment().items())), str(model.device.type), _dtype(model)))


def unmeasured(model: Any, recorded: Probes, kwargs: Mapping[str, Any]) -> str | None:
    """Why a comparison would say nothing of this model; None where it says something. kwargs are what the user loaded it with."""
    if type(model).__name__ != recorded.model_class:
        return f"the probes are those of a {recorded.model_class}, this is a {type(model).__name__}"
    if kwargs.get("backend", "torch") != "torch":
        return f"backend {kwargs['backend']!r} computes otherwise than torch, in which it was recorded"
    if "quantization_config" in (kwargs.get("model_kwargs") or {}):
        return "it was quantised while it was loaded"
    changed = next((key for key in ("processor_kwargs", "tokenizer_kwargs", "config_kwargs") if kwargs.get(key)), None)
    return f"{changed} change what the model reads" if changed else None


def record(model: Any, added_tokens: Sequence[Token] = ()) -> Probes:
    """The probes of a loaded model: fixed texts, each named prompt once, and each added token by itself and in variants."""
    dtype, device = _dtype(model), str(model.device.type)
    with _still(model):
        probes = [_probe(model, text, None, encoded=True) for text in TEXTS]
        for _, prompt in sorted((getattr(model, "prompts", None) or {}).items()):
            if prompt:
                probes.append(_probe(model, TEXTS[2], prompt, encoded=True))
        for index, token in enumerate(added_tokens):
            probes.append(_probe(model, token.content, None, encoded=index < _EMBEDDED))
        for token in added_tokens[:_VARIED]:
            word = token.content
            probes += [_probe(model, text, None, encoded=False)
                       for text in (word[:1].upper() + word[1:], word + "s", f"pre{word}", f"({word})", f"the {word} is")]
    return Probes(type(model).__name__, dtype, device, environment(), tuple(probes))


def compare(model: Any, recorded: Probes) -> tuple[Difference, ...]:
    """What comes out otherwise now. Ids must be equal; encodings to 1e-5 of their length.

    A model that was loaded in a coarser dtype, or on another device, than the recorded one has a wider tolerance.
    """
    dtype = _dtype(model)
    tolerance = max(_FAIL.get(dtype, _FAIL["bfloat16"]) if dtype != recorded.dtype else _FAIL["float32"],
                    _OTHER_DEVICE if str(model.device.type) != recorded.device else 0.0)
    found: list[Difference] = []
    with _still(model):
        for probe in recorded.probes:
            text = probe.text if len(probe.text) > 1 else probe.text[0]
            now = _probe(model, text, probe.prompt, encoded=probe.shape is not None)
            if difference := _differ(probe, now, tolerance):
                found.append(difference)
    return tuple(found)


def largest(before: Probes, now: Probes) -> Difference | None:
    """The probe of two recordings of the same texts that differs most, also where that is tolerated; None without any encoding.

    Tolerated is what the coarser dtype of the two explains. Raises ProbeMismatch where the recordings are of other texts.
    """
    if [(probe.text, probe.prompt) for probe in before.probes] != [(probe.text, probe.prompt) for probe in now.probes]:
        raise ProbeMismatch("the two recordings are of different texts, so they cannot be compared")
    tolerance = max(_FAIL.get(recorded.dtype, _FAIL["bfloat16"]) for recorded in (before, now))
    found = [_measure(*pair, tolerance) for pair in zip(before.probes, now.probes, strict=True)]
    return max((item for item in found if item is not None), key=lambda item: item.amount, default=None)


def _differ(before: Probe, now: Probe, tolerance: float) -> Difference | None:
    found = _measure(before, now, tolerance)
    return None if found is None or found.amount <= tolerance else found


def _measure(before: Probe, now: Probe, tolerance: float) -> Difference | None:
    text = " | ".join(before.text)
    if before.ids != now.ids:
        return Difference(text, f"token ids were {_few(before.ids)} and are {_few(now.ids)}", math.inf, 0.0)
    if before.shape is None:
        return None
    if before.shape != now.shape:
        return Difference(text, f"the encoding had shape {before.shape} and has {now.shape}", math.inf, 0.0)
    import numpy as np
    old, new = _dense(before), _dense(now)
    if not np.isfinite(new).all():
        return Difference(text, "the encoding is not finite", math.inf, 0.0)
    length = float(np.sqrt((old * old).sum(axis=-1)).max(initial=0.0)) or 1.0
    # a score near 0 has no length worth dividing by
    amount = float(np.abs(old - new).max(initial=0.0)) / (max(length, 1.0) if len(before.text) > 1 else length)
    said = f"the encoding differs by {real(float(f'{amount:.2g}'))} (tolerated: {real(tolerance)})"
    return Difference(text, said, amount, tolerance)


def _probe(model: Any, text: str | tuple[str, ...], prompt: str | None, *, encoded: bool) -> Probe:
    pair = type(model).__name__ == "CrossEncoder"
    item: Any = text if not pair else tuple(text) if isinstance(text, tuple) else (TEXTS[3], text)
    ids = tuple(_ids(model, item, prompt or ""))
    kept = tuple(item) if pair else (item,)
    if not encoded or not ids:  # a text without a piece breaks some models, and says nothing of their weights
        return Probe(kept, prompt, ids)
    import numpy as np
    values = np.ascontiguousarray(_encoding(model, item, prompt or ""), dtype="<f4")
    if type(model).__name__ != "SparseEncoder":
        return Probe(kept, prompt, ids, values.shape, values.tobytes().hex())
    places = np.flatnonzero(values)
    return Probe(kept, prompt, ids, values.shape, values[places].tobytes().hex(), tuple(places.tolist()))


def _ids(model: Any, item: Any, prompt: str) -> list[int]:
    features = model.preprocess([item], prompt=prompt)
    ids: list[int] = features["input_ids"].flatten().tolist()
    return ids


def _encoding(model: Any, item: Any, prompt: str) -> Any:
    kind = type(model).__name__
    if kind == "CrossEncoder":
        return model.predict([item], prompt=prompt, show_progress_bar=False)[0]
    if kind == "SparseEncoder":
        vector = model.encode([item], prompt=prompt, show_progress_bar=False, convert_to_sparse_tensor=False)[0]
        return vector.float().cpu().numpy()
    if kind == "MultiVectorEncoder":
        return model.encode([item], prompt=prompt, show_progress_bar=False, convert_to_numpy=True)[0]
    return model.encode([item], prompt=prompt, show_progress_bar=False)[0]


def _dense(probe: Probe) -> Any:
    import numpy as np
    values = np.frombuffer(bytes.fromhex(probe.values), dtype="<f4").astype(np.float64)
    if probe.places is None:
        return values.reshape(probe.shape or ())
    full = np.zeros(probe.shape or ())
    full[list(probe.places)] = values
    return full


def _dtype(model: Any) -> str:
    """The coarsest dtype among the parameters."""
    import torch
    found = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    if not found:
        return "float32"
    return str(max(found, key=lambda dtype: torch.finfo(dtype).eps)).removeprefix("torch.")


@contextlib.contextmanager
def _still(model: Any) -> Iterator[None]:
    """The model computing in float32, on one thread, in evaluation mode, whole; as it was afterwards."""
    import torch
    threads, training = torch.get_num_threads(), model.training
    coarse = [(tensor, tensor.data) for tensor in (*model.parameters(), *model.buffers())
              if tensor.dtype in (torch.float16, torch.bfloat16)]
    cut = {name: getattr(model, name) for name in ("truncate_dim", "max_active_dims") if getattr(model, name, None) is not None}
    try:
        torch.set_num_threads(1)
        model.eval()
        for tensor, data in coarse:
            tensor.data = data.float()
        for name in cut:
            setattr(model, name, None)
        yield
    finally:
        for tensor, data in coarse:
            tensor.data = data
        for name, value in cut.items():
            setattr(model, name, value)
        model.train(training)
        torch.set_num_threads(threads)


def _few(ids: tuple[int, ...]) -> str:
    return str(list(ids)) if len(ids) <= 12 else f"{list(ids[:12])} and {len(ids) - 12} more"
