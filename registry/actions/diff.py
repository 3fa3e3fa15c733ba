"""diff: what differs between two models as they would be loaded, and whether stored vectors can be kept."""

from __future__ import annotations

from ..differences import Difference
from ..home import Home
from ..progress import Progress
from .sides import Given, Operand, digest, given


def diff(home: Home, before: Operand, after: Operand, *, progress: Progress) -> Difference:
    """All that differs between two versions or folders. Raises what resolving and reading them raises."""
    return _compare(given(home, before), given(home, after), progress)


def _compare(one: Given, other: Given, progress: Progress) -> Difference:
    from ..artifacts.difference import compare
    contents = (one.contents, other.contents)
    if one.version is None or other.version is None:  # of a folder the large files are not hashed: their tensors are compared
        shared = [{path: value for path, value in side.items() if not path.endswith(".safetensors")} for side in contents]
        contents = (shared[0], shared[1])
    return compare(one.side, other.side, contents=contents, metrics=(one.metrics, other.metrics), digests=(digest(one), digest(other)),
                   progress=lambda done, whole: progress("comparing", done, whole))
