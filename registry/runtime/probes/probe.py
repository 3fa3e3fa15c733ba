"""What was measured, as values: a text, its token ids, its encoding; and the bytes that keep them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from registry.core.digest import canonical, parse_canonical
from registry.errors import InvalidManifest, NewerFormat

FORMAT = 1
_LARGEST = 1 << 26
"""Numbers of one encoding: more than any has, and few enough to be held in memory."""


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
    given: bool = False
    """A text of the user's."""

    @property
    def finite(self) -> bool:
        """Whether no value of the encoding is NaN or infinite."""
        import numpy as np

        return bool(np.isfinite(np.frombuffer(bytes.fromhex(self.values), dtype="<f4")).all())


@dataclass(frozen=True)
class Given:
    """A text that a user wants to be measured, or for a CrossEncoder a pair; and the prompt before it."""

    text: str | tuple[str, str]
    prompt: str | None = None


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


def parse(content: bytes) -> Probes:
    """The probes that these bytes are. Raises InvalidManifest, or NewerFormat."""
    value = parse_canonical(content, "the probes")
    try:
        if value.pop("format") > FORMAT:
            raise NewerFormat("the probes have a newer format", hint="update st-registry")
        found = Probes(**{**value, "probes": tuple(_parsed(probe) for probe in value["probes"])})
        environment = dict(found.environment)
    except NewerFormat:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidManifest(f"the probes are malformed: {error}") from None
    if not all(
        isinstance(item, str)
        for item in (found.model_class, found.dtype, found.device, *environment.values())
    ):
        raise InvalidManifest(
            "the probes are malformed: model_class, dtype, device and environment are texts"
        )
    return found


def _parsed(probe: dict[str, Any]) -> Probe:
    fields: dict[str, Any] = {
        key: tuple(item) if isinstance(item, list) else item for key, item in probe.items()
    }
    found = Probe(**fields)
    problem = _problem(found)
    if problem is not None:
        raise ValueError(f"{problem} (of the text {found.text!r:.60})")
    return found


def _problem(probe: Any) -> str | None:
    """Why nothing could be compared with a Probe of unknown fields; None for one as `record` makes it."""
    if not (
        isinstance(probe.text, tuple)
        and len(probe.text) in (1, 2)
        and all(isinstance(part, str) for part in probe.text)
    ):
        return "a probe is of a text, or of a pair of texts"
    if (
        not isinstance(probe.prompt, str | None)
        or not isinstance(probe.given, bool)
        or not isinstance(probe.values, str)
    ):
        return "the prompt, the values or the mark of what was given have another type"
    if (
        not _whole(probe.ids)
        or not (probe.shape is None or _whole(probe.shape))
        or not (probe.places is None or _whole(probe.places))
    ):
        return "ids, shape and places are whole numbers from 0 on"
    if probe.shape is None:
        return "an encoding without a shape" if probe.values or probe.places is not None else None
    size = math.prod(probe.shape)
    if size > _LARGEST:
        return f"an encoding of the shape {list(probe.shape)} is too large"
    if probe.places is not None and (
        len(probe.shape) != 1 or any(place >= size for place in probe.places)
    ):
        return f"a value stands beyond the shape {list(probe.shape)}"
    count = size if probe.places is None else len(probe.places)
    return (
        None
        if len(bytes.fromhex(probe.values)) == 4 * count
        else f"the values are not {count} numbers of float32"
    )


def _whole(numbers: object) -> bool:
    return isinstance(numbers, tuple) and all(
        type(number) is int and number >= 0 for number in numbers
    )


def dense(probe: Probe) -> Any:
    """The encoding as a numpy array of float64."""
    import numpy as np

    values = np.frombuffer(bytes.fromhex(probe.values), dtype="<f4").astype(np.float64)
    if probe.places is None:
        return values.reshape(probe.shape or ())
    full = np.zeros(probe.shape or ())
    full[list(probe.places)] = values
    return full
