"""What was measured, as values: a text, its token ids, its encoding; and the bytes that keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...digest import canonical, parse_canonical
from ...errors import InvalidManifest, NewerFormat

FORMAT = 1


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
            raise NewerFormat("the probes have a newer format; update st-registry")
        probes = tuple(_parsed(probe) for probe in value.pop("probes"))
        return Probes(**value, probes=probes)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidManifest(f"the probes are malformed: {error}") from None


def _parsed(probe: dict[str, Any]) -> Probe:
    fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in probe.items()}
    return Probe(**fields)


def dense(probe: Probe) -> Any:
    """The encoding as a numpy array of float64."""
    import numpy as np
    values = np.frombuffer(bytes.fromhex(probe.values), dtype="<f4").astype(np.float64)
    if probe.places is None:
        return values.reshape(probe.shape or ())
    full = np.zeros(probe.shape or ())
    full[list(probe.places)] = values
    return full
